"""schemathesis against a running system: every check, every link, as a trader and as the firm.

`make fuzz` starts a system of its own and asks it 100,000 times, in rounds with a seed each; `CASES=1000` asks less,
`SEED=7` begins with another seed. `tests/contract/test_schemathesis.py` plays one small round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.stack.running import Up

ROOT = Path(__file__).resolve().parents[2]
CONFIG = Path(__file__).with_name("schemathesis.toml")
PORT = 8791
PER_OPERATION = 100  # cases of an operation, in a round of `make fuzz`
BY_CHANCE = "fuzzing,stateful"  # the phases that another seed makes anew
# What is forced or moved on would be met by every other call of the round.
FIRM = ("--include-path-regex", "^/(api/(?!v1/|sandbox/(faults|clock))|oauth/)")
LOGOUT = "/api/v1/auth/logout-everywhere"
TRADER = ("--exclude-path", LOGOUT)  # after which every other answer of the round would be 401
LEAVING = ("--include-path", LOGOUT, "--phases", "coverage,fuzzing")  # no link leads to it


@dataclass(frozen=True)
class Round:
    """What came of one run of schemathesis."""

    code: int
    text: str
    cases: int


@dataclass(frozen=True)
class Asker:
    """Whose token is used, and of what it is asked. `known`: ids of rows that are there, by parameter.

    `reads`: a path that is 200 with the token as long as it is good; "" where the round itself ends it.
    """

    name: str
    token: str
    known: Mapping[str, Sequence[str]]
    only: Sequence[str] = ()
    reads: str = "/api/trades"


def play(url: str, asker: Asker, *, seed: int, most: int, phases: str = "", is_shown: bool = False) -> Round:
    """One run. `most`: cases of an operation, at most, in each phase. `is_shown`: as it goes, instead of in `text`.

    A round after which the token is worth nothing has asked for nothing but 401, and counts as failed.
    """
    with tempfile.TemporaryDirectory() as made:
        config = Path(made) / "schemathesis.toml"
        config.write_text(CONFIG.read_text() + _dictionaries(asker.known))
        report = Path(made) / "report.json"
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(config)),
            *("run", str(ROOT / "openapi.yaml")),
            *("--url", url, "--seed", str(seed), "--max-examples", str(most), "--checks", "all"),
            *("--report", "json", "--report-json-path", str(report)),
            *(("--phases", phases) if phases else ()),
            *asker.only,  # whose phases come last, and count
        ]
        environ = {**os.environ, "FUZZ_TOKEN": asker.token}
        to = None if is_shown else subprocess.PIPE
        ran = subprocess.run(
            command, cwd=made, env=environ, stdout=to, stderr=subprocess.STDOUT, text=True, check=False
        )
        text = ran.stdout or ""
        if asker.reads and (status := _read(url, asker)) != 200:
            return Round(
                ran.returncode or 1, f"{text}\nThe token was {status} at {asker.reads} in the end.", _cases(report)
            )
        return Round(ran.returncode, text, _cases(report))


def _read(url: str, asker: Asker) -> int:
    with httpx.Client(base_url=url, timeout=20) as http:
        return http.get(asker.reads, headers={"Authorization": f"Bearer {asker.token}"}).status_code


def _dictionaries(known: Mapping[str, Sequence[str]]) -> str:
    """Half of the ids that it asks with are of rows that are there: a random one is nobody's, and ends at once."""
    names = {name: name.replace(".", "_") for name in known}
    tables = [f"[dictionaries.{names[name]}]\nvalues = {json.dumps(list(values))}" for name, values in known.items()]
    bound = [f'"{name}" = {{ dictionary = "{of}", probability = 0.5 }}' for name, of in names.items()]
    return "\n".join(["", *tables, "[parameters]", *bound, ""])


def _cases(report: Path) -> int:
    return int(json.loads(report.read_text())["test_cases"]["generated"]) if report.exists() else 0


@contextmanager
def a_system() -> Iterator[tuple[str, dict[str, Any]]]:
    """All of `make run`, on data of its own: its address, and the demo's credentials."""
    with tempfile.TemporaryDirectory(prefix="brokerage-fuzz-") as data:
        Path(data).chmod(0o755)
        up = Up(Path(data), sys.executable, "manage.py", "up", PORT=str(PORT), DEMO="1")
        try:
            up.says("ready after", 180)
            yield f"http://127.0.0.1:{PORT}", json.loads((Path(data) / "seed.json").read_text())
        finally:
            up.signal(15)
            up.ends()


def askers(url: str, seeded: Mapping[str, Any]) -> list[Asker]:
    """The demo's trader, its firm, and the trader who ends every session of theirs."""
    with httpx.Client(base_url=url, timeout=20) as http:
        trader = {"email": seeded["trader"]["email"], "password": seeded["trader"]["password"]}
        tokens = http.post("/api/v1/auth/login", json=trader).json()
        client = {name: seeded["client"][name] for name in ("client_id", "client_secret")}
        asked = {"grant_type": "client_credentials", **client}
        firm = http.post("/oauth/token", json=asked).json()
    there = known(seeded["trader"]["customer_guid"])
    return [
        Asker("trader", tokens["access"], there, TRADER),
        Asker("firm", firm["access_token"], there, FIRM),
        Asker("trader who leaves", tokens["access"], there, LEAVING, reads=""),
    ]


def known(customer: str) -> dict[str, Sequence[str]]:
    """What is there, by parameter."""
    return {
        "body.customer_guid": [customer],
        "body.symbol": ["BTC-USD", "ETH-USD", "EUR-USD"],
        "query.symbol": ["BTC-USD"],
        "body.asset": ["BTC", "USD"],
    }


def main() -> int:
    said = argparse.ArgumentParser(description=__doc__)
    said.add_argument("--cases", type=int, default=100_000)
    said.add_argument("--seed", type=int, default=1)
    wanted = said.parse_args()
    asked, seed = 0, wanted.seed
    with a_system() as (url, seeded):
        while asked < wanted.cases:
            for asker in askers(url, seeded):
                phases = "" if seed == wanted.seed else BY_CHANCE
                print(f"Seed {seed}, as {asker.name}; {asked} of {wanted.cases} cases were asked.", flush=True)
                played = play(url, asker, seed=seed, most=PER_OPERATION, phases=phases, is_shown=True)
                asked += played.cases
                if played.code:
                    print(played.text, flush=True)
                    return played.code
            seed += 1
    print(f"{asked} cases, each answered as openapi.yaml says.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
