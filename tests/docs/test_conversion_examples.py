"""docs/prices.md, "Conversion": its orders, played through the real tick; the page's numbers are the only ones."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from tests.given import a_customer, price_at, usd, what_the_audit_finds
from tests.trades.engine_steps import closes, opens
from trades.models import Deal

pytestmark = pytest.mark.django_db

PAGE = Path(__file__).resolve().parents[2] / "docs" / "prices.md"
ROWS = re.findall(
    r"^\| (buy|sell) ([\d.]+) (\S+) \| (\d+) \| ([^|]+) \| ([\d.]+) \| ([^|]+) \| (-?[\d.]+) \| ([^|]+) \|$",
    PAGE.read_text(),
    re.MULTILINE,
)


def stands(prices: str) -> None:
    for symbol, bid, ask in re.findall(r"(\S+-\S+) ([\d.]+)/([\d.]+)", prices):
        price_at(symbol, bid, ask)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]} {row[2]} {row[7]}")
def test_an_order_of_the_page_costs_and_brings_what_it_says(row: tuple[str, ...]) -> None:
    side, quantity, symbol, leverage, opening, margin, closing, brings, path = row
    alice = a_customer(with_usd="100_000.00")
    stands(opening)
    order = opens(alice, symbol=symbol, type=side, quantity=quantity, leverage=int(leverage))
    assert order.margin == usd(margin)
    stands(closing)

    closed = closes(alice, order)

    assert closed.profit == Decimal(brings) * 100
    assert Deal.objects.get(order=closed, kind="close").rate_path == path
    assert what_the_audit_finds() == []


def test_all_rows_were_found() -> None:
    assert len(ROWS) == 5
