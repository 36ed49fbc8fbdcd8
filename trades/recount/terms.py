"""What was agreed of an order, and what protects it, is what the event says that set it last.

The event that made an order has all its terms, and each change what it set. Orders from before events had the terms are
judged by their changes alone.
"""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.margin.terms import COLUMNS
from trades.recount.checks import FACTS_OF_ORDERS, Difference, differs, wrong

# All that was ever set of an order, in time. A part took over what its order had when it was taken out.
_SET = """
    SELECT e.order_id AS subject, e.at, e.id, e.kind, e.detail FROM trades_orderevent e
    WHERE e.kind IN ('placed', 'opened', 'changed') AND e.detail IS NOT NULL
    UNION ALL
    SELECT p.id, e.at, e.id, e.kind, e.detail FROM trades_order p
    JOIN trades_orderevent r ON r.order_id = p.parent_id AND r.kind = 'reduced' AND r.detail->>'part' = p.code
    JOIN trades_orderevent e ON e.order_id = p.parent_id AND (e.at, e.id) < (r.at, r.id)
    WHERE p.parent_id IS NOT NULL AND e.kind IN ('placed', 'opened', 'changed') AND e.detail IS NOT NULL
"""


def _latest(column: str, name: str) -> str:
    """SQL: what a change set last, and whether any did."""
    is_set = f"kind = 'changed' AND detail ? '{name}'"
    return (
        f"(array_agg(detail->'{name}'->1 ORDER BY at DESC, id DESC) FILTER (WHERE {is_set}))[1] AS {column},"
        f" coalesce(bool_or({is_set}), false) AS sets_{column}"
    )


_SAID = f"""
    SELECT subject,
        (array_agg(detail) FILTER (WHERE kind <> 'changed' AND detail ? 'leverage'))[1] AS agreed,
        {", ".join(_latest(column, name) for name, column in COLUMNS.items())},
        bool_or(detail ? 'trailPeak') AS trails,
        (array_agg(detail->'trailPeak' ORDER BY at DESC, id DESC) FILTER (WHERE detail ? 'trailPeak'))[1] AS peak,
        (array_agg(at ORDER BY at DESC, id DESC) FILTER (WHERE detail ? 'trailPeak'))[1] AS trail_at
    FROM ({_SET}) everything GROUP BY subject
"""  # noqa: S608 - our own text

_IS_KNOWN, _TRAILS = "s.agreed IS NOT NULL", "(s.agreed IS NOT NULL OR s.trails)"


def _compared(column: str, said: str, where: str = _IS_KNOWN) -> Difference:
    """SQL: a column and JSON that was said of it. Numbers of JSON are compared as the exact numbers they are."""
    ours = f"to_jsonb(o.{column})"
    return differs(column, ours, f"nullif({said}, 'null')", where=where)


def _agreed(name: str) -> str:
    return f"s.agreed->'{name}'"


_TERMS = wrong(
    "o.id, o.code",
    [
        _compared("instrument_id", _agreed("symbol")),
        _compared("side", _agreed("type")),
        _compared("type", f"coalesce({_agreed('orderType')}, to_jsonb('market'::text))"),
        _compared("leverage", _agreed("leverage")),
        _compared("client_order_id", _agreed("clientOrderId"), f"{_IS_KNOWN} AND o.parent_id IS NULL"),
        _compared("quantity", _agreed("quantity"), f"{_IS_KNOWN} AND o.status IN ('PENDING', 'CANCELLED')"),
        *(
            _compared(
                column,
                f"CASE WHEN s.sets_{column} THEN s.{column} ELSE {_agreed(name)} END",
                f"({_IS_KNOWN} OR s.sets_{column})",
            )
            for name, column in COLUMNS.items()
        ),
        _compared("trail_peak", "s.peak", _TRAILS),
        differs("trail_at", "o.trail_at", "CASE WHEN nullif(s.peak, 'null') IS NOT NULL THEN s.trail_at END",
                where=_TRAILS),
    ],
    f"FROM trades_order o JOIN ({_SAID}) s ON s.subject = o.id",
)  # fmt: skip

CHECKS: Final = (
    statement("order terms", "trades_order", _TERMS, "Order {1} is not what was agreed: {2}.", FACTS_OF_ORDERS),
)
