"""Which price it was: an order's deals beside what the market and each source said then, and that minute's candle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.admin import shown
from quotes.markets_selectors import Bar
from trades.models import Order
from trades.reads.execution import Compared, Executed, executed

HEADERS = ("Deal", "Beside", "As of", "Age", "Bid", "Ask", "Executed at", "Slippage", "bps")
NOTE = "Slippage is per whole unit; below zero the customer did better than there."


def execution_table(order: Order) -> str:
    """A line for the price itself, and one for each of its sources."""
    decimals = order.instrument.price_decimals
    deals = executed(order)
    rows = [row for one in deals for row in _rows(one, decimals)]
    table = shown.table(HEADERS, rows, "Nothing was executed.")
    return format_html("{}<p>{}</p>{}", table, NOTE, _candles(deals, decimals)) if rows else table


def _rows(one: Executed, decimals: int) -> Iterator[tuple[Any, ...]]:
    if one.mid is None:
        nothing = (shown.NOTHING,) * 4
        yield one.deal.kind, "not kept", *nothing, shown.number(one.deal.price, decimals), shown.NOTHING, shown.NOTHING
        return
    held = "" if one.deal.hold is None else f" of hold {one.deal.hold}"
    yield one.deal.kind, f"the middle{held}", *_compared(one, one.mid, decimals)
    for source in one.sources or ():
        yield "", source.source, *_compared(one, source, decimals)


def _compared(one: Executed, beside: Compared, decimals: int) -> tuple[Any, ...]:
    return (
        shown.timestamp(beside.at),
        f"{beside.age_ms:,} ms",
        shown.number(beside.bid, decimals),
        shown.number(beside.ask, decimals),
        shown.number(one.deal.price, decimals),
        shown.number(beside.slippage, decimals),
        shown.number(beside.bps),
    )


def _candles(deals: list[Executed], decimals: int) -> SafeString | str:
    bars: list[Bar] = list({one.candle.time: one.candle for one in deals if one.candle is not None}.values())
    rows = [
        (
            shown.timestamp(bar.time),
            *(shown.number(value, decimals) for value in (bar.open, bar.high, bar.low, bar.close)),
        )
        for bar in bars
    ]
    return shown.table(("Minute", "Open", "High", "Low", "Close"), rows, "No candle of these minutes.")
