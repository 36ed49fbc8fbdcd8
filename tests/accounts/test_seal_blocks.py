"""The chain of sealed blocks: whatever is done to a block is named, and neither its neighbours nor its rows are."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import audit, seals
from accounts.models import Customer, SealBlock
from tests.accounts.sealing import TABLES, named, seal, tampered
from trades.models import Deal

pytestmark = pytest.mark.django_db


@pytest.fixture
def chain(alice: Customer, deal: Deal, monkeypatch: pytest.MonkeyPatch) -> list[SealBlock]:
    """A chain of small blocks, longer than what is looked at in one statement."""
    monkeypatch.setattr(seals, "BLOCK_ROWS", 2)
    monkeypatch.setattr(seals, "_PAGE", 3)
    seal()
    assert seals.verify().tampered == []
    return [*SealBlock.objects.order_by("number")]


def test_blocks_are_bounded_and_each_names_the_one_before(chain):
    assert len(chain) > 6
    assert [block.number for block in chain] == [*range(1, len(chain) + 1)]
    assert [block.previous_hash for block in chain] == [seals.FIRST, *(block.hash for block in chain[:-1])]
    assert max(block.rows_count for block in chain) == 2
    for table in TABLES:
        own = [block for block in chain if block.table_name == table]
        assert [block.after for block in own] == [UUID(int=0), *(block.through for block in own[:-1])]
        assert sum(block.rows_count for block in own) == audit.count_of(table)


@pytest.mark.parametrize(
    "change",
    [
        "digests = set_byte(digests, 4, get_byte(digests, 4) # 1)",
        "ids = set_byte(ids, 4, get_byte(ids, 4) # 1)",
        "through = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "sealed_at = sealed_at - interval '1 day'",
        "previous_hash = repeat('a', 64)",
        "hash = repeat('a', 64)",
        "table_name = 'trades_deal', after = gen_random_uuid(), through = 'ffffffff-ffff-ffff-ffff-ffffffffffff'",
        "columns = 'id'",
        "columns = 'id\"); DROP TABLE accounts_transfer; --'",
    ],
)
@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_changed_block_is_named_and_neither_its_neighbours_nor_its_rows(chain, change, place):
    number = chain[place].number

    tampered(f"UPDATE accounts_sealblock SET {change} WHERE number = %s", number)

    assert named() == {("sealed accounts_sealblock", str(number))}


def test_a_block_that_was_rewritten_to_fit_a_changed_row_is_named_by_the_one_after_it(chain):
    block = next(block for block in chain if block.table_name == "accounts_transfer")
    row = UUID(bytes=bytes(block.ids)[:16])
    tampered("UPDATE accounts_transfer SET amount = amount + 1 WHERE id = %s", row)

    _reseal(block.number)

    assert named() == {("sealed accounts_sealblock", str(block.number))}


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_removed_block_is_named(chain, place):
    tampered("DELETE FROM accounts_sealblock WHERE number = %s", chain[place].number)

    assert named() == {("sealed accounts_sealblock", str(chain[place].number))}


def test_several_removed_blocks_are_named_each(chain):
    tampered("DELETE FROM accounts_sealblock WHERE number IN (1, 2, 4, 5)")

    assert named() == {("sealed accounts_sealblock", str(number)) for number in (1, 2, 4, 5)}


def test_a_removed_last_block_shows_in_a_head_that_was_noted_elsewhere(chain):
    noted = chain[-1].hash
    assert named(noted) == set()

    tampered("DELETE FROM accounts_sealblock WHERE number = %s", chain[-1].number)

    assert named() == set()
    assert named(chain[-2].hash) == set()
    assert named(noted) == {("sealed accounts_sealblock", noted)}


def test_a_chain_that_was_rewritten_as_a_whole_shows_in_a_head_that_was_noted_elsewhere(chain):
    noted = chain[-1].hash
    row = UUID(bytes=bytes(chain[0].ids)[:16])
    tampered(f"UPDATE {chain[0].table_name} SET at = at + interval '1 day' WHERE id = %s", row)
    for block in chain:
        _reseal(block.number)

    assert named() == set()
    assert named(noted) == {("sealed accounts_sealblock", noted)}


def test_what_is_named_is_bounded(chain, monkeypatch):
    monkeypatch.setattr(seals, "MOST_NAMED", 3)
    tampered("UPDATE accounts_transfer SET amount = amount + 1")
    assert len(seals.verify("f" * 64).tampered) == 3

    tampered("DELETE FROM accounts_sealblock WHERE number < %s", chain[-1].number)
    assert len(seals.verify("f" * 64).tampered) == 3


def test_a_block_is_never_changed_removed_or_emptied(chain):
    for change in ("UPDATE accounts_sealblock SET hash = ''", "DELETE FROM accounts_sealblock"):
        with pytest.raises(IntegrityError, match="never changed or removed"), transaction.atomic():
            connection.cursor().execute(change)
    with pytest.raises(IntegrityError, match="never changed or removed"), transaction.atomic():
        connection.cursor().execute("TRUNCATE accounts_sealblock")


def test_a_column_that_is_gone_is_said_instead_of_failing(alice):
    seal()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_transfer DROP COLUMN subject")

    number = SealBlock.objects.get(table_name="accounts_transfer").number

    assert {(it.table, it.row) for it in seals.verify().tampered} == {("accounts_sealblock", str(number))}


def _reseal(number: int) -> None:
    """What a forger who knows everything would do: write a block anew from the table as it is, chained on."""
    block = SealBlock.objects.get(number=number)
    rows = seals._rows(
        block.table_name, block.columns.split(","), seals.SQL("%(after)s"), seals.SQL("%(through)s")
    ).as_string(None)
    previous = SealBlock.objects.filter(number=number - 1).values_list("hash", flat=True).first() or seals.FIRST
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_sealblock DISABLE TRIGGER USER")
        cursor.execute(
            f"UPDATE accounts_sealblock b SET rows_count = w.rows_count, ids = w.ids, digests = w.digests,"
            f" sides = w.sides, previous_hash = %(previous)s FROM ({rows}) w WHERE number = %(number)s",
            {"after": block.after, "through": block.through, "previous": previous, "number": number},
        )
        cursor.execute(
            f"UPDATE accounts_sealblock b SET hash = {seals._HASH.as_string(None)} WHERE number = %s", [number]
        )
        cursor.execute("ALTER TABLE accounts_sealblock ENABLE TRIGGER USER")
