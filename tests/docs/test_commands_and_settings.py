"""docs/commands.md has every command and docs/settings.md every setting, with its default, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SAID_IN_WORDS = {
    "PAYMENT_RAIL",
    "DATABASE_URL",
    "MIGRATION_DATABASE_URL",
    "DB_POOLER",
    "DIRECT_DATABASE_URL",
    "REDIS_URL",
    "CACHE_URL",
    "STREAM_URL",
    "BROKER_URL",
    "LIMITS_URL",
    "ALERT_URL",
    "HEARTBEAT_FILE",
    "METRICS_PORT",
    "SECRET_KEY",
    "JWT_SIGNING_KEY",
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "TEST_DATABASE_NAME",
    "STATIC_ROOT",
    "FEED_SEED",
    "FEED_SIMULATOR",
    "FEED_WEIGHTS",
    "OANDA_ACCOUNT",
    "OANDA_TOKEN",
    "CCXT_URL",
    "REPLAY_FILE",
    "BROKERAGE_DATA_DIR",
    "BROKERAGE_BY",
    "BACKUP_DIR",
    "POSTGRES_PROGRAMS",
}


def table_of(page: str) -> list[list[str]]:
    """The rows of a page's one table, their cells without the spaces around them."""
    text = (CHECKOUT / "docs" / page).read_text()
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# --- commands --------------------------------------------------------------------------------------


def commands() -> dict[str, Path]:
    files = CHECKOUT.glob("*/management/commands/*.py")
    return {path.stem: path for path in files if path.stem != "__init__"}


def test_every_management_command_is_on_the_page_and_every_one_there_exists() -> None:
    told = {row[0].split("`")[1].split()[0] for row in table_of("commands.md")}

    assert told == set(commands())


def test_the_page_marks_exactly_the_commands_that_answer_in_json() -> None:
    marked = {row[0].split("`")[1].split()[0] for row in table_of("commands.md") if "◇" in row[0]}

    in_json = {
        name for name, path in commands().items() if re.search(r'"--json"|JSONCommand|FundingCommand', path.read_text())
    }

    assert marked == in_json


def test_every_option_of_a_command_that_the_page_names_exists() -> None:
    shared = "".join(path.read_text() for path in CHECKOUT.glob("*/management/*.py"))
    for row in table_of("commands.md"):
        name = row[0].split("`")[1].split()[0]
        for option in re.findall(r"--[a-z][a-z-]+", " ".join(row)):
            assert f'"{option}"' in commands()[name].read_text() + shared, f"{name} {option}"


# --- settings --------------------------------------------------------------------------------------


def settings_in_code() -> Iterator[tuple[str, object]]:
    """Every name that is read from the environment, and its default where the code has a plain one."""
    for path in [CHECKOUT / "brokerage" / "settings.py", *(CHECKOUT / "brokerage" / "management").rglob("*.py")]:
        yield from _read_in(path)
    for path in (CHECKOUT / "brokerage" / "stack").glob("*.py"):
        yield from _read_in(path)


def _read_in(path: Path) -> Iterator[tuple[str, object]]:
    ignored = {"NO_COLOR", "TERM", "PATH"}  # the terminal's own
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Attribute)):
            continue
        first = node.args[0]
        of_env = ast.unparse(node.func.value) in {"env", "environ", "os.environ"}
        if of_env and isinstance(first, ast.Constant) and first.value not in ignored:
            defaults = [keyword.value for keyword in node.keywords if keyword.arg == "default"] or node.args[1:2]
            constant = defaults and isinstance(defaults[0], ast.Constant)
            yield str(first.value), defaults[0].value if constant else None  # type: ignore[attr-defined]


def settings_on_page() -> dict[str, str]:
    """Each name of the table with its default as it is told there."""
    told = {}
    for names, default, _ in table_of("settings.md"):
        found = re.findall(r"`([A-Z_]+)`", names)
        parts = default.split(", ") if len(found) > 1 else [default]
        for position, name in enumerate(found):
            told[name] = parts[position] if len(parts) == len(found) else default
    return told


def test_every_setting_is_on_the_page_and_every_one_there_is_read() -> None:
    assert set(settings_on_page()) == {name for name, _ in settings_in_code()}


def test_the_defaults_on_the_page_are_those_of_the_code() -> None:
    told = settings_on_page()
    for name, default in settings_in_code():
        if name in SAID_IN_WORDS or default is None:
            continue
        shown = {True: "on", False: "off"}.get(default, str(default)) if isinstance(default, bool) else str(default)
        assert told[name] == shown, name


def test_the_example_environment_names_no_setting_that_is_not_read() -> None:
    example = (CHECKOUT / ".env.example").read_text()
    named = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", example, re.MULTILINE))

    files = {f"{name}_FILE" for name in secret_settings()}
    assert named - files <= {name for name, _ in settings_in_code()}


def secret_settings() -> set[str]:
    """What may stand in a file of its own."""
    return set(re.findall(r'env\.secret\("(\w+)"', (CHECKOUT / "brokerage" / "settings.py").read_text()))


def test_the_page_lists_the_secrets_that_may_be_files() -> None:
    text = (CHECKOUT / "docs" / "settings.md").read_text()
    (listed,) = re.findall(r"^They are (.+?)\.$", text, re.MULTILINE | re.DOTALL)

    assert set(re.findall(r"`(\w+)`", listed)) == secret_settings()
