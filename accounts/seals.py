"""Tamper evidence: append-only rows are sealed in blocks, and verified against them.

All blocks of all tables form one chain, so that one hash, noted down anywhere else, proves everything that was
sealed until then (docs/decisions/0017-sealed-history.md). The bytes, for whoever wants to recompute them by other
means: a row's digest is `sha256(record_send(ROW(…)))` over the block's columns in their order; a block's hash is
the same over `_HASH`'s columns. record_send is PostgreSQL's binary form of a row: it counts the columns, gives each
its type and its length, and -1 for NULL, so no two rows look alike; a moment is microseconds and a numeric its
digits, whatever the session's time zone, date style or locale.

Settings name the list of the tables that are sealed (`SEALED_TABLES`), since most are other apps'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils.module_loading import import_string
from psycopg.sql import SQL, Composable, Identifier

from accounts.db import locks
from accounts.ids import ID_LAG, floor_of

BLOCK_ROWS: Final = 10_000
MOST_NAMED: Final = 1000  # more would say no more
BLOCKS: Final = "accounts_sealblock"
FIRST: Final = "0" * 64  # what the first block names as the one before
_PAGE: Final = 100  # blocks looked at in one statement
_ID, _DIGEST, _SIDES = 16, 32, 8  # bytes a row


@dataclass(frozen=True, slots=True)
class Table:
    """An append-only table that is sealed: `id` must be a UUIDv7, `sides` two columns of ids or none.

    `sides`: the columns that name the two sides of a movement. `columns`: only these are sealed, of a table whose
    others go on changing; all where none are named. `about_others`: its rows say what became of other rows, which a
    proof of the recount compares with them (accounts/audit.py).
    """

    name: str
    sides: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    about_others: bool = True


def tables() -> dict[str, Table]:
    """The tables that settings name, by their names, in the order in which they are sealed."""
    listed: tuple[Table, ...] = import_string(settings.SEALED_TABLES)
    return {table.name: table for table in listed}


# --- the bytes --------------------------------------------------------------------------------------

_HASH = SQL(
    "encode(sha256(record_send(ROW(b.number::bigint, b.table_name::text, b.columns::text, b.after::uuid,"
    " b.through::uuid, b.rows_count::int, b.ids::bytea, b.digests::bytea, b.sides::bytea, b.previous_hash::text,"
    " b.sealed_at::timestamptz))), 'hex')"
)


def _rows(table: str, columns: Sequence[str], after: Composable, through: Composable) -> Composable:
    """A query of one row: the count, ids, digests and sides of a range of a table, in the order of the ids."""
    end = SQL("substring(uuid_send({}) FROM 13)")
    ends = [end.format(Identifier("r", name)) for name in tables()[table].sides]
    sides = SQL(" || ").join(ends) if ends else SQL("''::bytea")
    return SQL(
        "SELECT count(*)::int AS rows_count, coalesce(string_agg(w.id, ''::bytea ORDER BY w.id), ''::bytea) AS ids,"
        " coalesce(string_agg(w.digest, ''::bytea ORDER BY w.id), ''::bytea) AS digests,"
        " coalesce(string_agg(w.sides, ''::bytea ORDER BY w.id), ''::bytea) AS sides"
        " FROM (SELECT uuid_send(r.id) AS id, sha256(record_send(ROW({columns}))) AS digest, {sides} AS sides"
        " FROM {table} r WHERE r.id > {after} AND r.id <= {through}) w"
    ).format(
        columns=SQL(", ").join(Identifier("r", name) for name in columns),
        sides=sides,
        table=Identifier(table),
        after=after,
        through=through,
    )


def _ask(query: Composable, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query.as_string(None), parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _columns_of(table: str) -> list[str]:
    query = "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attnum > 0"
    return [name for (name,) in _ask(SQL(f"{query} AND NOT attisdropped ORDER BY attnum"), table=table)]


# --- sealing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Head:
    """The newest block: its number and its hash, which is what to note down elsewhere."""

    number: int
    hash: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a run sealed, the chain's head after it (None while nothing was ever sealed), and the moment up to which
    it could seal (None while a transaction of another role's stands in its way)."""

    blocks: int
    rows: int
    head: Head | None
    until: datetime | None


def head() -> Head | None:
    """The newest block of the chain."""
    found = _ask(SQL("SELECT number, hash FROM accounts_sealblock ORDER BY number DESC LIMIT 1"))
    return Head(*found[0]) if found else None


def seal(at: datetime) -> Sealed:
    """Seal what no transaction in flight can still add to, block by block; interrupted, the next run goes on."""
    blocks = rows = 0
    for table in tables():
        while count := _seal_block(table, at):
            blocks, rows = blocks + 1, rows + count
    return Sealed(blocks, rows, head(), _horizon(at))


@transaction.atomic
def _seal_block(table: str, at: datetime) -> int:
    """Seal the table's next rows, at most BLOCK_ROWS; how many. Two sealers take turns, so the chain never forks."""
    locks.hold(locks.SEALING)
    horizon = _horizon(at)  # before the rows are looked at: who ended meanwhile is seen by the next statement
    if horizon is None:
        return 0
    last = _ask(
        SQL("SELECT through FROM accounts_sealblock WHERE table_name = %(table)s ORDER BY after DESC LIMIT 1"),
        table=table,
    )
    after, floor = last[0][0] if last else UUID(int=0), floor_of(horizon)
    if floor <= after:
        return 0
    full = _ask(
        SQL("SELECT id FROM {} WHERE id > %(after)s AND id <= %(floor)s ORDER BY id OFFSET %(offset)s LIMIT 1").format(
            Identifier(table)
        ),
        after=after,
        floor=floor,
        offset=BLOCK_ROWS - 1,
    )
    # A block that isn't full ends at the horizon and not at its last row: what appears in between was added.
    return _write_block(table, after, full[0][0] if full else floor, at)


_INSERT = """
WITH rows AS ({rows}),
b AS (
    SELECT coalesce(last.number, 0) + 1 AS number, %(table)s AS table_name, %(columns)s AS columns,
        %(after)s::uuid AS after, %(through)s::uuid AS through, rows.*,
        coalesce(last.hash, %(first)s) AS previous_hash, %(at)s::timestamptz AS sealed_at
    FROM rows LEFT JOIN (SELECT number, hash FROM accounts_sealblock ORDER BY number DESC LIMIT 1) last ON true
    WHERE rows.rows_count > 0
)
INSERT INTO accounts_sealblock
    (number, table_name, columns, after, through, rows_count, ids, digests, sides, previous_hash, sealed_at, hash)
SELECT b.*, {hash} FROM b
RETURNING rows_count
"""


def _write_block(table: str, after: UUID, through: UUID, at: datetime) -> int:
    columns = tables()[table].columns or _columns_of(table)
    rows = _rows(table, columns, SQL("%(after)s"), SQL("%(through)s"))
    written = _ask(
        SQL(_INSERT).format(rows=rows, hash=_HASH),
        table=table,
        columns=",".join(columns),
        after=after,
        through=through,
        first=FIRST,
        at=at,
    )
    return int(written[0][0]) if written else 0


def _horizon(at: datetime) -> datetime | None:
    """The moment before which no id can appear any more; None while that can't be told.

    An id is as old as its transaction, give or take ID_LAG: the start of the oldest one that is open. Of
    another role's sessions PostgreSQL shows no start: while one of those has written something, nobody can tell.
    """
    ((unknown, oldest),) = _ask(
        SQL(
            "SELECT coalesce(bool_or(xact_start IS NULL AND backend_xid IS NOT NULL), false), min(xact_start)"
            " FROM pg_stat_activity"
            " WHERE datname = current_database() AND usesysid IS NOT NULL AND pid <> pg_backend_pid()"
        )
    )
    return None if unknown else min(at, oldest or at) - ID_LAG


# --- verifying --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tampered:
    """A row, or a block, that isn't what was sealed: its table, its id (or number), a sentence, and for a row whether
    it was "changed", "added" or "removed"."""

    table: str
    row: str
    sentence: str
    what: str = ""


@dataclass(slots=True)
class Verified:
    """What was compared (rows by table, blocks), what of it isn't as it was sealed (at most MOST_NAMED), and
    the ends of the ids of the accounts that a named movement touches, before or now."""

    rows: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    blocks: int = 0
    tampered: list[Tampered] = field(default_factory=list)
    touched: set[bytes] = field(default_factory=set)

    def touches(self, account: UUID) -> bool:
        """Whether a named movement belongs to this account."""
        return account.bytes[-_SIDES // 2 :] in self.touched

    @property
    def is_blind(self) -> bool:
        """Whether some rows can't be judged: their block was itself tampered with, or there are too many to name."""
        return len(self.tampered) >= MOST_NAMED or any(it.table == BLOCKS for it in self.tampered)

    @property
    def lacks_rows(self) -> bool:
        """Whether a sealed row was removed that was about others: of which, nobody can tell any more."""
        sealed = tables()
        return any(it.what == "removed" and sealed[it.table].about_others for it in self.tampered)

    def genuine(self, ids: Collection[UUID]) -> set[UUID]:
        """Those of these rows that are sealed, and as they were."""
        named = {it.row for it in self.tampered}
        return {id_ for id_ in _sealed(ids) if id_.hex not in named}


def _sealed(ids: Collection[UUID]) -> list[UUID]:
    """Those of these ids that stand in a block."""
    query = SQL(
        "SELECT w.id FROM unnest(%(ids)s::uuid[]) AS w(id) CROSS JOIN unnest(%(tables)s::text[]) AS t(name)"
        " JOIN LATERAL (SELECT b.through, b.ids FROM accounts_sealblock b WHERE b.table_name = t.name"
        " AND b.after < w.id ORDER BY b.after DESC LIMIT 1) b ON w.id <= b.through"
        " WHERE position(uuid_send(w.id) IN b.ids) > 0"
    )
    return [id_ for (id_,) in _ask(query, ids=list(ids), tables=list(tables()))] if ids else []


@dataclass(slots=True)
class _Block:
    number: int
    table: str
    columns: str
    rows_count: int
    previous_hash: str
    hash: str
    said: str  # what its content hashes to now


def verify(noted: str = "") -> Verified:
    """Compare every sealed row with its block, and every block with the next; `noted` is a head that was kept
    elsewhere and must still be in the chain. Reads only; the caller's snapshot is what is judged.
    """
    result, found = Verified(), not noted
    for page in _judged_pages(result):
        found = found or noted in {block.said for block in page}
        by_shape: dict[tuple[str, str], list[_Block]] = defaultdict(list)
        for block in page:
            by_shape[block.table, block.columns].append(block)
        for (table, columns), blocks in by_shape.items():
            _compare(result, table, columns.split(","), blocks)
        if len(result.tampered) >= MOST_NAMED:
            break
    if not found and len(result.tampered) < MOST_NAMED:
        sentence = f"The chain doesn't hold {noted} any more: blocks were removed or rewritten since it was noted."
        result.tampered.append(Tampered(BLOCKS, noted, sentence))
    del result.tampered[MOST_NAMED:]
    return result


def _judged_pages(result: Verified) -> Iterator[list[_Block]]:
    """The blocks whose content is what was sealed, newest first; the others are named on the way.

    From the newest back, because a block vouches for the one before it: with its content it says what that one
    hashed to. So a block that was rewritten is named itself, and not the next one, whose link it broke.
    """
    expected, below = "", None  # what the block under judgement must hash to, as far as somebody vouches for it
    while page := _page(below):
        genuine = []
        for block in page:
            if below is not None and block.number != below - 1:
                expected = _name_missing(result, block.number + 1, below - 1)
            vouched = block.said == (expected or block.hash)
            if not vouched or block.hash != block.said:
                _name_block(result, block.number, "was changed after it was written")
            expected = block.previous_hash if vouched else ""
            below = block.number
            result.blocks += 1
            if vouched:
                genuine.append(block)
        yield genuine
    if below is not None:
        if below > 1:
            _name_missing(result, 1, below - 1)
        elif expected not in ("", FIRST):
            _name_block(result, 1, "names a block before it")


def _page(below: int | None) -> list[_Block]:
    where = SQL("WHERE b.number < %(below)s") if below is not None else SQL("")
    query = SQL(
        "SELECT b.number, b.table_name, b.columns, b.rows_count, b.previous_hash, b.hash, {} FROM accounts_sealblock b"
        " {} ORDER BY b.number DESC LIMIT %(page)s"
    ).format(_HASH, where)
    return [_Block(*row) for row in _ask(query, below=below, page=_PAGE)]


def _name_missing(result: Verified, first: int, last: int) -> str:
    for number in range(last, max(first, last - MOST_NAMED) - 1, -1):
        _name_block(result, number, "is missing")
    return ""  # nobody vouches for the block before a missing one


def _name_block(result: Verified, number: int, what: str) -> None:
    result.tampered.append(Tampered(BLOCKS, str(number), f"Block {number} {what}; its rows can't be judged by it."))


def _compare(result: Verified, table: str, columns: list[str], blocks: list[_Block]) -> None:
    """Name the rows of these blocks that were changed, added or removed. One statement where there are none."""
    if table not in tables() or not set(columns) <= set(_columns_of(table)):
        for block in blocks:
            _name_block(result, block.number, f"names columns that {table} hasn't got any more")
        return
    rows = _rows(table, columns, SQL("b.after"), SQL("b.through"))
    different = SQL(
        "SELECT b.number FROM accounts_sealblock b CROSS JOIN LATERAL ({}) found"
        " WHERE b.number = ANY(%(numbers)s) AND (found.ids <> b.ids OR found.digests <> b.digests)"
        " ORDER BY b.number DESC"
    ).format(rows)
    for (number,) in _ask(different, numbers=[block.number for block in blocks]):
        _name_rows(result, table, rows, number)
        if len(result.tampered) >= MOST_NAMED:
            break
    result.rows[table] += sum(block.rows_count for block in blocks)


def _name_rows(result: Verified, table: str, rows: Composable, number: int) -> None:
    """Name the rows in which a block and its table differ."""
    both = SQL(
        "SELECT b.ids, b.digests, b.sides, found.ids, found.digests, found.sides"
        " FROM accounts_sealblock b CROSS JOIN LATERAL ({}) found WHERE b.number = %(number)s"
    ).format(rows)
    ((*sealed_bytes, ids, digests, sides),) = _ask(both, number=number)
    sealed, found = _by_id(*sealed_bytes), _by_id(ids, digests, sides)
    for row in sorted(sealed.keys() | found.keys()):
        before, now = sealed.get(row), found.get(row)
        if before and now and before[0] == now[0]:
            continue
        what = "removed" if now is None else "added" if before is None else "changed"
        guid = row.hex()
        sentence = f"Row {guid} of {table} was {what} after block {number} was sealed."
        result.tampered.append(Tampered(table, guid, sentence, what))
        for _, ends in filter(None, (before, now)):
            result.touched |= {ends[:4], ends[4:]} - {b""}


def _by_id(ids: bytes, digests: bytes, sides: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    """Digest and sides of each row by its id."""
    ids, digests, sides = bytes(ids), bytes(digests), bytes(sides)
    return {
        ids[row * _ID : (row + 1) * _ID]: (
            digests[row * _DIGEST : (row + 1) * _DIGEST],
            sides[row * _SIDES : (row + 1) * _SIDES],
        )
        for row in range(len(ids) // _ID)
    }
