"""A pgbouncer in transaction mode before the test's PostgreSQL: few sessions, which end every other moment."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from django.conf import settings

from brokerage.stack.server_user import server_user
from tests.stack.running import eventually, free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")

_CONFIGURATION = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = trust
auth_file = {home}/users
logfile = {home}/log
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 500
server_lifetime = 1
query_wait_timeout = 20
{further}
"""


@contextmanager
def pgbouncer(sessions: int = 4, further: str = "") -> Iterator[str]:
    """The address of the application's role at it. `sessions` at PostgreSQL at the most, none older than a second."""
    assert PROGRAM is not None
    user, its = server_user(), settings.DATABASES["default"]
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as place:
        home = Path(place)
        home.chmod(0o755)
        (home / "log").touch(mode=0o666)
        (home / "log").chmod(0o666)
        (home / "users").write_text(f'"{settings.APPLICATION_ROLE}" "{settings.APPLICATION_PASSWORD}"\n')
        for _ in range(5):  # somebody may take a port that was free a moment ago
            own_port = free_port()
            (home / "ini").write_text(
                _CONFIGURATION.format(
                    host=its["HOST"],
                    port=its["PORT"] or 5432,
                    own_port=own_port,
                    home=home,
                    sessions=sessions,
                    further=further,
                )
            )
            running = subprocess.Popen([PROGRAM, "--quiet", str(home / "ini")], cwd="/", **user.popen())
            if _listens(own_port, running, home / "log"):
                break
        else:
            raise RuntimeError(f"pgbouncer doesn't listen: {(home / 'log').read_text()}")
        try:
            who = quote(settings.APPLICATION_ROLE) + (
                f":{quote(settings.APPLICATION_PASSWORD)}" if settings.APPLICATION_PASSWORD else ""
            )
            yield f"postgres://{who}@127.0.0.1:{own_port}/{its['NAME']}"
        finally:
            running.terminate()
            running.wait(30)


def _listens(port: int, running: subprocess.Popen[bytes], log: Path) -> bool:
    """False where it ended. Its own log says that it listens: at the port somebody else may."""
    said = f"listening on 127.0.0.1:{port}"
    assert eventually(lambda: said in log.read_text() or running.poll() is not None, 120), log.read_text()
    return running.poll() is None
