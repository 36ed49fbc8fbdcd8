"""The console blocks of a page, typed into one shell, and their answers compared with what the page says.

A line that begins with `$ ` is a command, and so are the lines after it that are indented by four blanks; what follows
is its answer. In that `…` stands for anything, and guids, times, ids of orders, instructions and files, and references
of payments for others of their kind.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brokerage.stack.where import CHECKOUT

BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
OURS = {
    "…": r".*?",
    r"[0-9a-f]{32}": r"[0-9a-f]{32}",
    r"ord_[0-9a-f]{16}": r"ord_[0-9a-f]{16}",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z": r"\d{4}-\d\d-\d\dT[\d:.]+Z",
    r"(?:SI|PF)[0-9A-Z]{13}": r"(?:SI|PF)[0-9A-Z]{13}",
    r"RF\d\d[0-9A-Z]{12}": r"RF\d\d[0-9A-Z]{12}",
}
BETWEEN = "\x1e"
SECONDS = 240


@dataclass
class Step:
    """A command of a page, and the answer that the page shows."""

    command: str
    answer: str = ""


def steps(page: Path) -> list[Step]:
    return steps_in(page.read_text())


def steps_in(text: str) -> list[Step]:
    found: list[Step] = []
    for block in BLOCK.findall(text):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line.removeprefix("$ ")))
            elif line.startswith("    ") and not found[-1].answer:
                found[-1].command += f"\n{line}"
            else:
                found[-1].answer += line
    return found


def typed(commands: list[str], environment: Mapping[str, str]) -> list[str]:
    """What each command prints, of all of them in one shell, line ends taken out. Logs go to the other stream."""
    script = "\n".join(f"{command}\nprintf '{BETWEEN}'" for command in commands)
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=CHECKOUT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    said = run.stdout.split(BETWEEN)[:-1]
    assert len(said) == len(commands), run.stderr
    return ["".join(one.splitlines()) for one in said]


def is_as_told(answer: str, told: str) -> bool:
    kinds = "|".join(f"({kind})" for kind in OURS)
    pattern, last = "", 0
    for match in re.finditer(kinds, told):
        pattern += re.escape(told[last : match.start()]) + list(OURS.values())[(match.lastindex or 1) - 1]
        last = match.end()
    return re.fullmatch(pattern + re.escape(told[last:]), answer) is not None
