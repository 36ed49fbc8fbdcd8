"""A whole system is destroyed under load and comes back on another machine: what `make drill` plays and prints.

`python -m tests.backup.drill --seconds 60`. Customers open and close orders and buy by quotes over HTTP, and write down
what they were told. Meanwhile a base backup is taken; then every process is killed and the data directory removed. What
is left is the backup, the archived WAL, the keys, and a head of the chain that was noted elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg

from brokerage.stack.waiting_commits import ARCHIVER
from brokerage.stack.where import CHECKOUT, read_state
from tests.stack.running import NOT_INHERITED, Up, end, eventually, everyone_of, free_port

MANAGE = (sys.executable, "manage.py")
BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.001", "leverage": "10"}
DEEDS = {"opened", "closed", "trade"}
LONGEST = 300  # seconds that a step of a whole system may take on a loaded machine
KEYS_OF_ITS_OWN = {"SECRET_KEY": "", "JWT_SIGNING_KEY": "", "SANDBOX": "1"}
SEAL = """
from datetime import timedelta
from accounts import clock, seals
print(seals.seal(clock.now() + seals.ID_LAG - timedelta(seconds=1)).head.hash)
"""
"""Nobody works yet, so what is there may be sealed before ten minutes have passed."""


@dataclass(frozen=True)
class Told:
    """What a client was told has been done: an order opened or closed, or a trade made."""

    what: str
    name: str


@dataclass
class Machine:
    """One data directory with all its processes."""

    data: Path
    environ: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    up: Up | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.up = Up(self.data, *MANAGE, "up", "--port", str(self.port), **self.environ)
        self.up.says("ready after", LONGEST)

    def stop(self) -> None:
        if self.up is not None:
            self.up.signal(signal.SIGTERM)
            self.up.ends(LONGEST)
            self.up = None

    def destroy(self) -> None:
        """Every process at once, with kill -9, and the disk."""
        if self.up is not None:
            self.up.process.kill()
            self.up.process.wait()
        end(self.data, ())
        assert eventually(lambda: not everyone_of(self.data), LONGEST), f"still there: {everyone_of(self.data)}"
        shutil.rmtree(self.data)

    def manage(self, *words: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        mine = {"BROKERAGE_DATA_DIR": str(self.data), **self.environ, **(environ or {})}
        return subprocess.run(
            [*MANAGE, *words],
            cwd=CHECKOUT,
            env={**inherited, **mine},
            capture_output=True,
            text=True,
            check=False,
        )

    def done(self, *words: str) -> str:
        run = self.manage(*words)
        assert run.returncode == 0, f"{words} ended with {run.returncode}: {run.stdout}{run.stderr}"
        return run.stdout

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(read_state(self.data)["DATABASE_URL"], connect_timeout=10) as connection:
            return connection.execute(query).fetchall()  # type: ignore[arg-type]  # our own words

    def commits_wait(self) -> bool:
        """Whether each COMMIT waits for the archive. What comes back can't tell: kill -9 leaves the kernel's cache."""
        return self.rows("SHOW synchronous_standby_names") == [(ARCHIVER,)]

    def token(self) -> str:
        """The demo trader's, by logging in."""
        who = json.loads((self.data / "seed.json").read_text())["trader"]
        wish = {"email": who["email"], "password": who["password"]}
        return str(
            httpx.post(f"{self.url}/api/v1/auth/login", json=wish, timeout=60).raise_for_status().json()["access"]
        )


@dataclass
class Clients:
    """Who trades until the system is gone, and what they were told is done."""

    machine: Machine
    people: int
    told: list[Told] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._gone = threading.Event()
        token = self.machine.token()
        self._threads = [threading.Thread(target=self._orders, args=(token,)) for _ in range(self.people)]
        self._threads.append(threading.Thread(target=self._trades, args=(token,)))
        for thread in self._threads:
            thread.start()

    def wait_for(self, count: int) -> None:
        """Until so many deeds are done, and one of each kind."""
        assert eventually(lambda: len(self.told) >= count and {one.what for one in self.told} == DEEDS, LONGEST), (
            f"only {len(self.told)} deeds were done"
        )

    def stop(self) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join(LONGEST)

    def _orders(self, token: str) -> None:
        with self._client(token) as client:
            while not self._gone.is_set():
                with suppress(httpx.TransportError):
                    opened = client.post("/api/v1/trade/create", json=BUY)
                    if opened.status_code == 200:
                        code = opened.json()["orderId"]
                        self.told.append(Told("opened", code))
                        if client.post("/api/v1/trade/close", json={"orderId": code}).status_code == 200:
                            self.told.append(Told("closed", code))

    def _trades(self, token: str) -> None:
        wish = {"product_type": "trading", "symbol": "BTC-USD", "side": "buy", "deliver_amount": 100}
        with self._client(token) as client:
            while not self._gone.is_set():
                with suppress(httpx.TransportError):
                    quote = client.post("/api/quotes", json=wish)
                    if quote.status_code == 201:
                        made = client.post("/api/trades", json={"quote_guid": quote.json()["guid"]})
                        if made.status_code == 201:
                            self.told.append(Told("trade", made.json()["guid"]))
                self._gone.wait(0.05)

    def _client(self, token: str) -> httpx.Client:
        return httpx.Client(base_url=self.machine.url, headers={"Authorization": f"Bearer {token}"}, timeout=60)


def lost(machine: Machine, told: list[Told]) -> list[Told]:
    """Of what clients were told, what isn't in the restored database."""
    orders = dict(machine.rows("SELECT code, status FROM trades_order"))
    trades = {guid.hex for (guid,) in machine.rows("SELECT id FROM trades_trade")}

    def is_there(one: Told) -> bool:
        if one.what == "trade":
            return one.name in trades
        return one.name in orders and (one.what == "opened" or orders[one.name] == "CLOSED")

    return [one for one in told if not is_there(one)]


@dataclass
class Drill:
    """What was noted: seconds by step, in the order of the steps; what was told, and what of it is lost."""

    home: Path
    seconds: dict[str, float] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    lost: list[Told] = field(default_factory=list)

    def play(self, *, people: int, deeds: int, synchronous: bool = True) -> None:
        """`deeds`: how many are done before the backup, while it runs, and after it, at the least."""
        backups = self.home / "elsewhere"
        settings = {**KEYS_OF_ITS_OWN, "BACKUP_DIR": str(backups), "BACKUP_SYNCHRONOUS": str(int(synchronous))}
        first = Machine(self.home / "first", settings)
        self._take("start", first.start)
        assert first.up is not None
        first.up.says("WAL is archived", LONGEST)
        head = first.done("shell", "--no-imports", "-c", SEAL).split()[-1]
        shutil.copytree(first.data / "secrets", backups / "keys")  # the keys, and who may log in, are kept elsewhere
        shutil.copy(first.data / "seed.json", backups / "keys")
        clients = Clients(first, people)
        try:
            clients.wait_for(deeds)
            assert eventually(lambda: first.commits_wait() == synchronous, LONGEST), "what COMMIT waits for"
            self._take("backup", lambda: first.done("backup", "base"))
            clients.wait_for(len(clients.told) + deeds)
            assert first.commits_wait() == synchronous
            self._take("destroy", first.destroy)
        finally:
            clients.stop()
        self.told = clients.told
        self._come_back(next(backups.glob("*-base")), head, settings)

    def _come_back(self, backup: Path, head: str, settings: dict[str, str]) -> None:
        second = Machine(self.home / "second", settings)
        second.data.mkdir(mode=0o711)
        shutil.copytree(backup.parent / "keys", second.data / "secrets")
        (second.data / "secrets" / "seed.json").rename(second.data / "seed.json")
        try:
            self._take("restore", lambda: second.done("restore", str(backup), "--head", head))
            self._take("start again", second.start)
            self.lost = lost(second, self.told)
            self._take("audit", lambda: second.done("audit_ledger", "--head", head))
            clients = Clients(second, 1)
            try:
                clients.wait_for(3)
            finally:
                clients.stop()
            second.stop()
        finally:
            end(second.data, [second.up] if second.up else [])

    def _take(self, step: str, work: Any) -> None:
        began = time.monotonic()
        work()
        self.seconds[step] = time.monotonic() - began


def new_home() -> Path:
    """A directory that root's PostgreSQL user may pass through."""
    home = Path(tempfile.mkdtemp(prefix="drill-"))
    home.chmod(0o711)
    return home


def main() -> None:
    """Play it at full size, and print how long each step took. Exit code 1 where something told is lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--deeds", type=int, default=2_000, help="before the backup, and again after it (2000)")
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--asynchronous", action="store_true", help="no COMMIT waits for the archive")
    options = parser.parse_args()
    home = new_home()
    drill = Drill(home)
    try:
        drill.play(people=options.people, deeds=options.deeds, synchronous=not options.asynchronous)
    finally:
        for machine in (home / "first", home / "second"):
            end(machine, ())
        shutil.rmtree(home, ignore_errors=True)
    for step, seconds in drill.seconds.items():
        sys.stdout.write(f"{step:<12} {seconds:7.1f} s\n")
    sys.stdout.write(f"told done    {len(drill.told):7}\nlost         {len(drill.lost):7}\n")
    if drill.lost and not options.asynchronous:
        sys.exit(1)


if __name__ == "__main__":
    main()
