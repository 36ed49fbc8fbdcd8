"""Every advisory lock's number stands in accounts/db/locks.py, and no two are the same."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction

from accounts.db import locks
from brokerage.stack.where import CHECKOUT

OURS = ("accounts", "quotes", "trades", "brokerage")
# A call with a number in its text, as `pg_advisory_xact_lock(7)`, and as `pg_try_advisory_lock(%s, 0x7)`.
LITERAL = re.compile(r"pg_(?:try_)?advisory_\w+\((?:[^()]|\([^()]*\))*?(?<![\w.])\d")

# These never change: processes of two versions run side by side while one follows the other.
ONE_NUMBER = {
    "RECONCILIATION": 0x4EC0,
    "SEALING": 0x5EA1,
    "SEED": 0x5EED,
    "ACCEPTING": 0xACCE97,
    "MEMBERSHIP": 0x5E771E,
    "LEASE_TAKING": 0x6C65617365,
    "WEBHOOKS": 0x3EB4,
    "FIRM_CLOCK": 0xC10C,
    "OPENING": 0x09E4,
}
FIRST_OF_TWO = {"SETTLER_SLOT": 0x5EA7, "TICK": 0x7469636B, "WEBHOOK": 0x3EB5}


def sources() -> Iterator[Path]:
    for app in OURS:
        yield from (CHECKOUT / app).rglob("*.py")


def numbers_of_its_own(text: str) -> list[str]:
    """What a module gives an advisory lock that is its own: numbers, and names of its own numbers."""
    tree = ast.parse(text)
    own = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_number(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found = [node.value for node in ast.walk(tree) if is_text(node) and LITERAL.search(node.value)]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        parts = [part for given in (*call.args, *(word.value for word in call.keywords)) for part in ast.walk(given)]
        takes = any(is_text(part) and "advisory_" in part.value for part in parts)
        if takes or ast.unparse(call.func) == "locks.hold":
            found += [part.id for part in parts if isinstance(part, ast.Name) and part.id in own]
            found += [ast.unparse(part) for part in parts if is_number(part)]
    return found


def is_number(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def test_every_lock_has_a_number_of_its_own():
    there = {name: value for name, value in vars(locks).items() if name.isupper()}

    assert there == ONE_NUMBER | FIRST_OF_TWO
    assert len(set(ONE_NUMBER.values())) == len(ONE_NUMBER)
    assert len(set(FIRST_OF_TWO.values())) == len(FIRST_OF_TWO)


def test_no_other_module_and_no_migration_has_a_number_of_a_lock():
    found = {
        str(path.relative_to(CHECKOUT)): numbers
        for path in sources()
        if path != Path(locks.__file__) and (numbers := numbers_of_its_own(path.read_text()))
    }

    assert found == {}


@pytest.mark.parametrize(
    "text",
    [
        'cursor.execute("SELECT pg_advisory_xact_lock(7)")',
        'cursor.execute("SELECT pg_try_advisory_lock(%s, 0x7)", [lock])',
        "locks.hold(7)",
        'cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x5EA1])',
        'LOCK: Final = 7\ncursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])',
        'SQL = "SELECT pg_advisory_xact_lock(hashtext(name), 3)"',
    ],
)
def test_a_number_of_its_own_is_seen(text: str) -> None:
    assert numbers_of_its_own(text)


@pytest.mark.django_db(transaction=True)
def test_a_lock_is_held_until_the_transaction_ends():
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND objid = %s"

    with transaction.atomic(), connection.cursor() as cursor:
        locks.hold(locks.MEMBERSHIP)
        cursor.execute(held, [locks.MEMBERSHIP])
        assert cursor.fetchone() == (1,)

    with connection.cursor() as cursor:
        cursor.execute(held, [locks.MEMBERSHIP])
        assert cursor.fetchone() == (0,)
