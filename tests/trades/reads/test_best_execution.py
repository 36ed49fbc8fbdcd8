"""The report of a day's best execution, against a plain model of it; its command and its page."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from random import Random
from typing import Any, NamedTuple

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from accounts import clock
from accounts.errors import Malformed
from accounts.ids import floor_of, uuid7
from accounts.models import Customer
from quotes.errors import UnknownSymbol
from tests.given import a_customer
from tests.moved_clock import moved_ahead
from tests.trades.engine_steps import closes, opens
from tests.trades.priced import made_of_two
from tests.without_guards import without_guards
from trades.models import Deal, Order
from trades.reads import best_execution
from trades.reads.best_execution import COLUMNS, Line, as_csv, report

pytestmark = pytest.mark.django_db

DAY = date(2026, 3, 29)
MIDNIGHT = datetime(2026, 3, 29, tzinfo=UTC)
SOURCES = ("coinbase", "kraken", "oanda")
DECIMALS = {"BTC-USD": 2, "ETH-USD": 2}


class Said(NamedTuple):
    source: str
    bid: Decimal
    ask: Decimal


class Made(NamedTuple):
    symbol: str
    order_side: str
    kind: str
    bid: Decimal
    ask: Decimal
    quantity: Decimal
    hold: int | None
    sources: list[Said]
    is_kept: bool

    @property
    def side(self) -> str:
        return "buy" if (self.order_side == "buy") == (self.kind == "open") else "sell"

    @property
    def price(self) -> Decimal:
        return self.ask if self.side == "buy" else self.bid


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="100_000.00")


def id_at(at: datetime) -> Any:
    """A UUIDv7 of a moment."""
    random = uuid7().int & (1 << 62) - 1
    return type(uuid7())(int=floor_of(at).int | random)


def keeps(customer: Customer, made: Made, at: datetime, *, made_at: datetime | None = None) -> Deal:
    order = Order.objects.create(
        customer=customer,
        instrument_id=made.symbol,
        side=made.order_side,
        quantity=made.quantity,
        leverage=10,
        margin=1,
        status="OPEN",
        open_price=made.price,
        opened_at=at,
        created_at=at,
    )
    stamp = int(at.timestamp() * 1000)
    return Deal.objects.create(
        id=id_at(made_at or at),
        customer=customer,
        order=order,
        kind=made.kind,
        price=made.price,
        quantity=made.quantity,
        at=at,
        bid=made.bid,
        ask=made.ask,
        priced_at=at,
        price_age_ms=3,
        hold=made.hold,
        sources=";".join(f"{one.source},{one.bid:f},{one.ask:f},{stamp}" for one in made.sources),
    )


def anything(random: Random) -> Made:
    def price() -> Decimal:
        return Decimal(random.randint(1, 10 ** random.randint(2, 9))).scaleb(-random.randint(0, 4))

    low, high = sorted((price(), price()))
    hold = 7 if random.random() < 0.1 else None
    names = [] if hold else random.sample(SOURCES, random.randint(0, 3))
    return Made(
        random.choice(list(DECIMALS)),
        random.choice(["buy", "sell"]),
        random.choice(["open", "close"]),
        low,
        high,
        Decimal(random.randint(1, 10**6)).scaleb(-random.randint(0, 8)),
        hold,
        [Said(name, *sorted((price(), price()))) for name in names],
        random.random() > 0.1,
    )


# --- a plain model: fractions, lists, no SQL ---------------------------------------------------------


def nearest(value: Fraction, decimals: int) -> Decimal:
    with localcontext(prec=200):
        exact = Decimal(value.numerator) / Decimal(value.denominator)
        return exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)


def modelled(deals: list[Made]) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    groups: dict[tuple[str, str, str], list[tuple[Made, Fraction]]] = {}
    without: dict[tuple[str, str, str], int] = {}
    for deal in deals:
        key = (deal.symbol, deal.side, "mid")
        if not deal.is_kept:
            groups.setdefault(key, [])
            without[key] = without.get(key, 0) + 1
            continue
        groups.setdefault(key, []).append((deal, (Fraction(deal.bid) + Fraction(deal.ask)) / 2))
        for one in deal.sources:
            other = Fraction(one.ask if deal.side == "buy" else one.bid)
            groups.setdefault((deal.symbol, deal.side, one.source), []).append((deal, other))
    lines = {}
    for key, found in groups.items():
        sign = 1 if key[1] == "buy" else -1
        slipped = sorted(sign * (Fraction(deal.price) - other) for deal, other in found)
        bps = sorted(nearest(sign * (Fraction(deal.price) - other) * 10_000 / other, 4) for deal, other in found)
        count, decimals = len(found), DECIMALS[key[0]]
        if not count:
            lines[key] = (0, 0, without[key], *(None,) * 9)
            continue
        lines[key] = (
            count,
            sum(deal.hold is not None for deal, _ in found),
            without.get(key, 0),
            sum(deal.quantity for deal, _ in found),
            sum(deal.quantity * deal.price for deal, _ in found),
            sum(sign * (Fraction(deal.price) - other) * Fraction(deal.quantity) for deal, other in found),
            nearest(sum(slipped) / count, decimals + 4),
            slipped[(count - 1) // 2],
            slipped[-1],
            nearest(Fraction(sum(bps)) / count, 4),
            bps[(count - 1) // 2],
            bps[-1],
        )
    return lines


@pytest.mark.parametrize("seed", range(12))
def test_the_report_of_random_deals_is_what_a_plain_model_says(alice: Customer, seed: int) -> None:
    random = Random(seed)
    deals = [anything(random) for _ in range(random.randint(1, 40))]
    without_guards("trades_deal", "ALTER TABLE trades_deal DROP CONSTRAINT deal_has_its_price")
    for number, deal in enumerate(deals):
        at = MIDNIGHT + timedelta(seconds=random.randrange(86_400))
        kept = keeps(alice, deal, at)
        if not deal.is_kept:
            nothing = "bid = NULL, ask = NULL, priced_at = NULL, price_age_ms = NULL, hold = NULL, sources = NULL"
            without_guards("trades_deal", f"UPDATE trades_deal SET {nothing} WHERE id = %s", kept.pk)
        if number % 3 == 0:
            keeps(alice, anything(random), at + timedelta(days=random.choice([-1, 1])))

    lines = report(DAY)

    assert {(line.symbol, line.side, line.against): line[4:] for line in lines} == modelled(deals)
    assert [line[1:3] for line in lines] == sorted(line[1:3] for line in lines)
    for symbol in DECIMALS:
        assert report(DAY, symbol) == [line for line in lines if line.symbol == symbol]


@pytest.mark.parametrize(
    ("off", "is_in"),
    [
        (timedelta(0), True),
        (timedelta(microseconds=-1), False),
        (timedelta(hours=24, microseconds=-1), True),
        (timedelta(hours=24), False),
    ],
)
def test_a_day_begins_at_midnight_utc_and_ends_before_the_next(alice: Customer, off: timedelta, is_in: bool) -> None:
    """Guard: `d.at >= since AND d.at < until`; the ids alone say it to ten minutes."""
    keeps(alice, anything(Random(1))._replace(is_kept=True), MIDNIGHT + off)
    assert bool(report(DAY)) is is_in


def test_a_firms_day_is_found_by_real_ids_where_its_time_is_ahead(alice: Customer) -> None:
    """Guard: `clock.real_of` in `report`."""
    with moved_ahead(timedelta(days=5)):
        real, at = clock.both()
        keeps(alice, anything(Random(1))._replace(sources=[]), at, made_at=real)
        assert [line.deals for line in report(at.date())] == [1]
        assert report(real.date()) == []


def test_a_source_that_says_nothing_is_left_out(alice: Customer) -> None:
    """Guard: `> 0` of what a source says: whoever writes to Redis could stop the report by a zero."""
    zero = Said("kraken", Decimal(0), Decimal(0))
    keeps(alice, anything(Random(1))._replace(sources=[zero], hold=None), MIDNIGHT)
    assert [line.against for line in report(DAY)] == ["mid"]


def test_the_day_after_trading_the_command_tells_what_it_cost(alice: Customer, capsys: Any) -> None:
    made_of_two("42000", "42010")
    closes(alice, opens(alice))
    day = Deal.objects.latest("id").at.date().isoformat()

    call_command("execution_report", day=best_execution.day_of(day))
    assert capsys.readouterr().out.splitlines()[0] == (
        "BTC-USD buy beside the middle: 1 deals of 0.1 for 4201.00, cost 0.50; mean 5.00 (1.1903 bps), median 5.00"
        " (1.1903 bps), worst 5.00 (1.1903 bps)"
    )
    call_command("execution_report", "--day", day, "--json")
    told = json.loads(capsys.readouterr().out, parse_float=Decimal)
    assert [(line["side"], line["against"], line["cost"]) for line in told["lines"]] == [
        ("buy", "mid", Decimal("0.50")),
        ("buy", "coinbase", Decimal("-0.10")),
        ("buy", "kraken_2", Decimal("0.10")),
        ("sell", "mid", Decimal("0.50")),
        ("sell", "coinbase", Decimal("0.10")),
        ("sell", "kraken_2", Decimal("-0.10")),
    ]
    call_command("execution_report", "--day", day, "--csv", "--symbol", "btc")
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert (rows[0]["against"], rows[0]["mean_bps"], rows[0]["not_kept"]) == ("mid", "1.1903", "0")


def test_a_day_without_deals_is_nothing_and_no_failure(capsys: Any) -> None:
    call_command("execution_report", "--day", "2020-01-01", "--json")
    assert json.loads(capsys.readouterr().out) == {"day": "2020-01-01", "lines": [], "nothing": True}
    call_command("execution_report", "--day", "2020-01-01")
    assert capsys.readouterr().out == "No deal on 2020-01-01.\n"
    call_command("execution_report", "--day", "2020-01-01", "--csv")
    assert capsys.readouterr().out == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize(
    "words", [["--day", "9999-12-31"], ["--day", "soon"], ["--csv", "--json"], ["--day", "1969-12-31"]]
)
def test_what_is_no_day_is_usage(words: list[str]) -> None:
    with pytest.raises(CommandError, match="argument"):
        call_command("execution_report", *words)


def test_a_day_out_of_reach_and_an_unknown_symbol_are_refused() -> None:
    with pytest.raises(Malformed):
        report(date.max)
    with pytest.raises(UnknownSymbol):
        report(DAY, "NO-SUCH")


def test_no_cell_is_taken_for_a_formula() -> None:
    """Guard: `cell` in `as_csv`."""
    line = Line(DAY, "=HYPERLINK(1)", "buy", "@sum", 1, 0, 0, *(Decimal("-1.5"),) * 9)
    rows = list(csv.reader(io.StringIO(as_csv([line]))))
    assert rows[1][:4] == ["2026-03-29", "'=HYPERLINK(1)", "buy", "'@sum"]
    assert rows[1][-1] == "-1.5"
