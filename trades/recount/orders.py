"""An order's margin is quantity x open price / leverage, rounded up; what its parts brought adds up in their order.

Both are converted at the rate that was kept, where the instrument is counted in another currency. The formulas are
those of docs/ledger.md. Without a division, which PostgreSQL would cut off somewhere: the margin of a
quantity is the least whole number that leverage makes at least as much as its value.
"""

from __future__ import annotations

from typing import Final

from accounts.audit import statement
from trades.currency import ASSET, CONVERTS
from trades.recount.checks import differs, wrong
from trades.rounding import converted, nearest

_ASSETS = f"JOIN quotes_instrument i ON i.symbol = o.instrument_id {ASSET}"


def _margin_of(quantity: str) -> str:
    """Nothing where a rate lacks that there must be; a number that no margin is, where there must be none."""
    value, whole = f"({quantity}) * o.open_price * 10::numeric ^ a.decimals", "o.leverage * o.open_divisor"
    times = f"div({value} * o.open_multiplier, {whole})"
    return (
        f"CASE WHEN {CONVERTS} THEN {times} + ({value} * o.open_multiplier > {times} * {whole})::int"
        f" WHEN o.open_divisor IS NOT NULL THEN -1"
        f" ELSE div(ceil({value}) + o.leverage - 1, o.leverage) END"
    )


def _result(order: str) -> str:
    """SQL: what a closed order brought, exactly, beside the deal `k` that closed it."""
    up = f"CASE {order}.side WHEN 'buy' THEN 1 ELSE -1 END"
    amount = f"{up} * ({order}.close_price - {order}.open_price) * {order}.quantity * 10::numeric ^ a.decimals"
    return converted(amount, "k.rate_multiplier", "k.rate_divisor")


def _number(name: str) -> str:
    """SQL: a number that an event tells; NULL for what is none, so that a forged event can't end the recount."""
    return f"CASE WHEN jsonb_typeof(r.detail->'{name}') = 'number' THEN (r.detail->'{name}')::numeric END"


_MARGINS = wrong(
    "o.id, o.code",
    [differs("margin", "o.margin", _margin_of("o.quantity"))],
    f"FROM trades_order o {_ASSETS}",
    "o.status IN ('OPEN', 'CLOSED') AND o.parent_id IS NULL",
)

# What is left reserves what an order of its size would; the part had the rest.
_PART_MARGINS = wrong(
    "o.id, o.code",
    [
        differs("quantity", "trim_scale(o.quantity)", "trim_scale(r.quantity)"),
        differs("margin", "o.margin", f"{_margin_of('r.rest + r.quantity')} - {_margin_of('r.rest')}"),
        differs("command", "o.command_id", "r.command_id", where="r.at IS NOT NULL"),
        differs("realized", "trim_scale(o.realized)", "trim_scale(r.realized)", where="o.realized IS NOT NULL"),
    ],
    f"""FROM trades_order o {_ASSETS}
    LEFT JOIN (
        SELECT p.id, r.at, r.command_id, {_number("quantity")} AS quantity, {_number("left")} AS rest,
            coalesce(sum(CASE WHEN p.realized IS NOT NULL THEN {_result("p")} END)
                OVER (PARTITION BY p.parent_id ORDER BY r.at, r.id ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), 0)
                AS realized
        FROM trades_order p
        JOIN trades_orderevent r ON r.order_id = p.parent_id AND r.kind = 'reduced' AND r.detail->>'part' = p.code
        LEFT JOIN trades_deal k ON k.order_id = p.id AND k.kind = 'close'
        {ASSET}
        WHERE p.parent_id IS NOT NULL
    ) r ON r.id = o.id""",  # noqa: S608 - our own text
    "o.parent_id IS NOT NULL AND o.status = 'CLOSED'",
)

# Before docs/decisions/0040 each part was rounded by itself.
_BY_ITSELF = f"""
SELECT id, code, profit, result FROM (
    SELECT o.id, o.code, o.profit, o.fee, {_result("o")} AS result
    FROM trades_order o LEFT JOIN trades_deal k ON k.order_id = o.id AND k.kind = 'close' {ASSET}
    WHERE o.status = 'CLOSED' AND o.realized IS NULL
) r WHERE r.profit <> {nearest("r.result")} ORDER BY 1
"""  # noqa: S608

CHECKS: Final = (
    statement("order margins", "trades_order", _MARGINS, "Order {1}, by its open price and leverage: {2}."),
    statement("part margins", "trades_order", _PART_MARGINS, "Part {1}, by what was taken out of its order: {2}."),
    statement(
        "order profit by itself", "trades_order", _BY_ITSELF, "Order {1} has profit {2}; it brought exactly {3}."
    ),
)
