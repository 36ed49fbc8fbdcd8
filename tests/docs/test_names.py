"""What a page, a docstring or a comment names in backticks - a file, a module, a name in one - is there.

So are the decisions and migrations that they cite by number. Migrations themselves are history: they name what there
was then.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.names import APPS, CHECKOUT, CODE, files, is_there

PAGES = [name for name in files() if name.endswith(".md")]
MODULES = [
    name for name in files() if name.endswith(".py") and name.split("/")[0] in CODE and "/migrations/" not in name
]
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_BACKTICKS = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_PATHS = re.compile(rf"(?<![\w/.-])((?:{'|'.join(CODE)}|docs|templates)/[\w./-]*\.(?:py|md|html))")
_GUARDS = re.compile(r'"""(?:[^"]*?\s)?Guards?: ([^"]*)"""')
_DECISION = re.compile(r"\b(?:decisions?[ /])(\d{4})\b")
_MIGRATION = re.compile(r"(?:(\w+)' )?\bmigration (\d{4})\b")


def named_in(name: str) -> Iterator[str]:
    text = (CHECKOUT / name).read_text()
    if name.endswith(".md"):
        text = _FENCED.sub("", text)
    yield from _BACKTICKS.findall(text)
    yield from _PATHS.findall(text)


@pytest.mark.parametrize("names", [PAGES, MODULES], ids=["pages", "modules"])
def test_files_modules_and_names_that_a_text_names_exist(names: list[str]) -> None:
    missing = {f"{name}: {said}" for name in names for said in named_in(name) if is_there(said) is False}

    assert sorted(missing) == []


def test_what_a_test_names_as_its_guard_is_a_word_of_the_product() -> None:
    """A guard may be a name in SQL or Lua, a constraint or an option: so words are looked for, not definitions."""
    words = {word for name in files() if name.split("/")[0] in APPS for word in words_of(name)}
    missing = []
    for name in MODULES:
        if name.startswith("tests/"):
            own = set(re.findall(r"\w+", _BACKTICKS.sub("", read(name))))  # the test's own parameters
            for guards in _GUARDS.findall(read(name)):
                named = {word for said in _BACKTICKS.findall(guards) for word in re.findall(r"[A-Za-z_]\w+", said)}
                missing += [f"{name}: {word}" for word in named - words - own]

    assert missing == []


def words_of(name: str) -> set[str]:
    return set(re.findall(r"\w+", read(name))) if name.endswith((".py", ".html")) else set()


def test_decisions_that_a_text_cites_exist() -> None:
    there = {Path(name).name[:4] for name in files() if name.startswith("docs/decisions/")}

    cited = {(name, number) for name in [*PAGES, *MODULES] for number in _DECISION.findall(read(name))}

    assert sorted(f"{name}: {number}" for name, number in cited if number not in there) == []


def test_migrations_that_a_text_cites_exist() -> None:
    """Of the app that is named before it (`accounts' migration 0031`), else of the file's own."""
    there = {tuple(re.findall(r"^(\w+)/migrations/(\d{4})_", name)[0]) for name in files() if "/migrations/0" in name}
    missing = []
    for name in MODULES:
        for app, number in _MIGRATION.findall(read(name)):
            apps = [app] if app else [name.split("/")[0]] if name.split("/")[0] in APPS else APPS
            missing += [f"{name}: {number}"] * (not any((one, number) in there for one in apps))

    assert missing == []


@pytest.mark.parametrize(
    ("named", "exists"),
    [
        ("accounts/ledger.py", True),
        ("accounts/gone.toml", False),
        ("ledger.py", True),
        ("ledger.post", True),
        ("ledger.posted", False),
        ("accounts.clock.uptime", True),
        ("accounts.clock.downtime", False),
        ("accounts.Customer", True),
        ("MarginAccount.called_at", True),
        ("MarginAccount.called_in", False),
        ("nowhere.KINDS", False),
        ("numpy.float64", None),
        ("order:open", None),
    ],
)
def test_a_name_is_judged(named: str, exists: bool | None) -> None:
    assert is_there(named) is exists


def read(name: str) -> str:
    return (CHECKOUT / name).read_text()
