"""How the recount's checks are made: a statement, what it says of a row, and which sealed rows are about that row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from accounts.audit import Proof


def facts(sql: str) -> Proof:
    """The sealed rows that are about rows: a statement of two columns, whose parameter `rows` is an array of ids."""

    def facts_about(rows: Collection[UUID]) -> dict[UUID, set[UUID]]:
        with connection.cursor() as cursor:
            cursor.execute(sql, {"rows": list(rows)})
            found: defaultdict[UUID, set[UUID]] = defaultdict(set)
            for row, fact in cursor.fetchall():
                found[row].add(fact)
        return found

    return facts_about


class Difference(NamedTuple):
    """SQL: whether a row says something else than it must, and a text that tells both."""

    condition: str
    told: str


def differs(called: str, ours: str, theirs: str, *, where: str = "true") -> Difference:
    """Of two expressions: what a row says, and what it must say."""
    told = (
        f"'{called} ' || coalesce(({ours})::text, 'nothing') || ' instead of ' || coalesce(({theirs})::text, 'nothing')"
    )
    return Difference(f"({where}) AND ({ours}) IS DISTINCT FROM ({theirs})", told)


def number(text: str) -> str:
    """SQL: a number without needless zeros."""
    return f"trim_scale(({text})::numeric)"


def wrong(selected: str, differences: Sequence[Difference], source: str, where: str = "true") -> str:
    """SQL: the rows that differ anywhere, as `selected` and then all that differs. What is right costs no text."""
    told = ", ".join(f"CASE WHEN {it.condition} THEN {it.told} END" for it in differences)
    conditions = " OR ".join(it.condition for it in differences)
    return f"SELECT {selected}, concat_ws('; ', {told}) AS wrong {source} WHERE {where} AND ({conditions}) ORDER BY 1"


FACTS_OF_ORDERS = facts("""
WITH wanted(subject, about) AS (
    SELECT id, id FROM unnest(%(rows)s::uuid[]) AS given(id)
    UNION ALL
    SELECT id, parent_id FROM trades_order WHERE id = ANY(%(rows)s::uuid[]) AND parent_id IS NOT NULL
)
SELECT w.subject, e.id FROM wanted w JOIN trades_orderevent e ON e.order_id = w.about
UNION ALL
SELECT w.subject, d.id FROM wanted w JOIN trades_deal d ON d.order_id = w.about
""")
