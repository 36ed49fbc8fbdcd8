"""Any history of orders and prices, through the real tick: after each step the books are right, and nobody has made
money by the order in which they closed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.db import transaction
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as sizes
from hypothesis import strategies as st

from accounts.errors import Malformed
from accounts.ledger import ADVANCES, MARGIN, PROTECTION
from accounts.models import Customer
from accounts.money import printed
from quotes import symbols as instruments
from quotes.models import Instrument
from quotes.prices import Price, Prices
from tests.export.beancount_check import beancount_agrees
from tests.given import a_customer, balance, deposit, what_the_audit_finds
from tests.sizes import size
from tests.trades.engine_steps import (
    applied,
    cancelling,
    cash,
    changing,
    closing,
    closing_all,
    drawn,
    firing,
    house,
    judging,
    opening,
    owed,
    placing,
    tick,
)
from trades.engine.price_extremes import Extremes
from trades.margin import triggers
from trades.margin.commands import Command
from trades.margin.levels import reaches
from trades.models import Deal, MarginAccount, Order

pytestmark = pytest.mark.django_db

STARTS = {"BTC-USD": Decimal(40000), "ETH-USD": Decimal(2000), "SOL-EUR": Decimal(100), "EUR-USD": Decimal("1.1")}
CONVERTED_BY = {"SOL-EUR": "EUR-USD"}
SPREAD = Decimal("1.0005")
CENT = Decimal("0.01")
TICKS = {"EUR-USD": Decimal("0.0001")}
HEDGED = {"BTC-USD", "SOL-EUR"}  # reserve the larger side alone
TIERS = {"SOL-EUR": ((20_000, 90), (50_000, 20))}  # from so many dollars of exposure, at most so much leverage

symbols = st.sampled_from(sorted(STARTS))
sides = st.sampled_from(["buy", "sell"])
percents = st.sampled_from([Decimal(number) for number in (1, 2, 5, 10, 40)])
people = st.integers(0, 1)
orders = st.integers(0, 5)

creates = st.fixed_dictionaries(
    {
        "symbol": symbols,
        "side": sides,
        "value": st.sampled_from([1_000, 20_000, 40_000, 60_000]),  # dollars
        "leverage": st.sampled_from([100, 90, 20]),
        "limits": st.dictionaries(st.sampled_from(["stopLoss", "takeProfit", "trailingStop"]), percents, max_size=1),
        "pending": st.sampled_from(["", "", "", "limit", "stop"]),
        "away": percents,
    }
)
plain = st.tuples(symbols, st.sampled_from([5_000, 20_000, 40_000]), st.sampled_from([20, 100]), sides)
hedges = plain.flatmap(  # a position, and another against it
    lambda one: st.sampled_from([0, 50, 100]).map(
        lambda percent: [
            {"symbol": one[0], "side": side, "value": value, "leverage": one[2], "limits": {}, "pending": "", "away": 1}
            for side, value in ((one[3], one[1]), ("sell" if one[3] == "buy" else "buy", one[1] * percent // 100))
            if value
        ]
    )
)
hedges_apart = st.tuples(sides, st.sampled_from([20_000, 40_000]), st.sampled_from([20_000, 60_000])).map(
    lambda of: [  # one in bitcoin, and one against it in ether
        {"symbol": symbol, "side": side, "value": value, "leverage": 100, "limits": {}, "pending": "", "away": 1}
        for symbol, side, value in (
            ("BTC-USD", of[0], of[1]),
            ("ETH-USD", "sell" if of[0] == "buy" else "buy", of[2]),
        )
    ]
)
commands = st.one_of(
    st.tuples(st.just("create"), creates),
    st.tuples(st.just("create"), creates),
    st.tuples(st.just("close"), orders),
    st.tuples(st.just("part"), st.tuples(orders, st.sampled_from(["0.1", "0.33333", "0.5"]))),
    st.tuples(
        st.just("change"), st.tuples(orders, st.sampled_from(["stopLoss", "takeProfit", "trailingStop", "price"]))
    ),
    st.tuples(st.just("cancel"), orders),
    st.tuples(st.just("close_all"), st.sampled_from(["", *STARTS])),
)
ticks = st.lists(st.tuples(people, commands), min_size=1, max_size=3)
steps = st.one_of(
    st.tuples(st.just("commands"), ticks),
    st.tuples(st.just("price"), st.tuples(symbols, st.sampled_from([-10, -3, -2, -1, 1, 2, 3, 10]))),
    # Commands come before the engine has looked at this one.
    st.tuples(st.just("jump"), st.tuples(symbols, st.sampled_from([-30, -10, -3, -2, 2, 3, 10, 30]))),
    st.tuples(st.just("silence"), symbols),  # the feed of a symbol stops until its next price
    st.tuples(st.just("alone"), st.tuples(symbols, st.sampled_from([-30, -10, 10, 30]))),  # the other feed is silent
    st.tuples(st.just("deposit"), st.tuples(people, st.sampled_from(["500.00", "10_000.00"]))),
)


class World:
    """Two customers, four instruments, one of them converted by another, and an engine that looks at everything after
    each price."""

    def __init__(self) -> None:
        instruments_of_the_world()
        self.now = datetime(2026, 11, 18, 12, tzinfo=UTC)
        self.people = [a_customer("alice", with_usd="2_500.00"), a_customer("bob", with_usd="6_000.00")]
        self.stand = {symbol: self._price(symbol, start) for symbol, start in STARTS.items()}
        self.silent: set[str] = set()
        self.paid_in: list[Customer] = []  # what was paid in puts nothing back before the next close
        self.extremes = Extremes(0)

    def _price(self, symbol: str, bid: Decimal) -> Price:
        tick = TICKS.get(symbol, CENT)
        bid = max(bid, 10 * tick).quantize(tick)
        return Price(symbol, bid, (bid * SPREAD).quantize(tick), self.now)

    def market(self) -> Prices:
        """All prices as of now; those of a silent feed are a minute old."""
        self.now += timedelta(seconds=1)
        ages = {symbol: timedelta(minutes=symbol in self.silent) for symbol in self.stand}
        return Prices(self.now, {s: Price(s, p.bid, p.ask, self.now - ages[s]) for s, p in self.stand.items()})

    def live(self, by: Customer | None = None) -> list[Order]:
        found = Order.objects.filter(status__in=["OPEN", "PENDING"]).order_by("id")
        return list(found.filter(customer=by) if by else found)

    def _nth(self, by: Customer, index: int) -> Order:
        found = self.live(by)
        return found[index % len(found)] if found else found[index]

    def floating(self, order: Order) -> int:
        """What closing would book: cents of all that the order and its parts have brought, less those of its parts."""
        exit_ = self.stand[order.instrument_id].exit(order.side)
        parts = Deal.objects.filter(kind="close", order__parent_id=order.pk)
        realized = sum(
            (
                kept(self._counted(order, part.price, part.quantity) * rate_kept(part), part.rate_divisor is not None)
                for part in parts
            ),
            start=Fraction(0),
        )
        now = self._counted(order, exit_, order.quantity)
        now = kept(now * self.rate(order.instrument_id, now), order.instrument_id in CONVERTED_BY)
        return round(realized + now) - round(realized)  # half-even, both

    def rate(self, symbol: str, amount: Fraction) -> Fraction:
        """What a hundredth of what a symbol is counted in is in cents: what is won is sold, what is lost is bought."""
        by = CONVERTED_BY.get(symbol)
        if by is None:
            return Fraction(1)
        return Fraction(self.stand[by].bid if amount >= 0 else self.stand[by].ask)

    @staticmethod
    def _counted(order: Order, exit_: Decimal, quantity: Decimal) -> Fraction:
        """In hundredths of what its instrument is counted in."""
        assert order.open_price is not None
        up = 1 if order.side == "buy" else -1
        return up * (Fraction(exit_) - Fraction(order.open_price)) * Fraction(quantity) * 100

    def is_silent(self, order: Order) -> bool:
        """Whether a price that its closing needs is too old."""
        return not self.silent.isdisjoint({order.instrument_id, CONVERTED_BY.get(order.instrument_id, "")})

    def _rates_are_those_of_now(self, seen: set[UUID]) -> None:
        """Each new deal was converted at the price that stands: margins and losses at the ask, profits at the bid."""
        for deal in Deal.objects.exclude(pk__in=seen).select_related("order"):
            symbol = deal.order.instrument_id
            lost = deal.kind == "open" or self._counted(deal.order, deal.price, deal.quantity) < 0
            assert rate_kept(deal) == self.rate(symbol, Fraction(-1 if lost else 1))
            assert (deal.rate_path == "") == (symbol not in CONVERTED_BY)

    def _no_leverage_is_beyond_its_tier(self) -> None:
        """Each position was opened with what still stands of those before it, and perhaps more: so much it reached."""
        for somebody in self.people:
            held = [order for order in self.live(somebody) if order.status == "OPEN"]
            for symbol, tiers in TIERS.items():
                exposure = 0
                for order in sorted(held, key=lambda one: (one.opened_at, one.pk)):
                    if order.instrument_id == symbol:
                        exposure += int(order.margin) * order.leverage
                        assert all(order.leverage <= cap for least, cap in tiers if exposure >= least * 100)

    def equity(self, by: Customer) -> int:
        return cash(by) - owed(by) + sum(self.floating(order) for order in self.live(by) if order.status == "OPEN")

    def worth(self, by: Customer) -> int:
        """What is left when everything has closed: an advance is repaid by the profits that it waits for, or not."""
        since = MarginAccount.objects.filter(customer=by).values_list("owed_at", flat=True).first()
        waits_for = sum(
            max(0, self.floating(order))
            for order in self.live(by)
            if since and order.status == "OPEN" and order.opened_at and order.opened_at <= since
        )
        return max(0, self.equity(by) + owed(by) - min(owed(by), waits_for))

    # --- what happens ------------------------------------------------------------------------------

    def commands(self, wanted: list[tuple[int, tuple[str, Any]]]) -> None:
        asked = []
        for who, (kind, what) in wanted:
            try:
                asked.append(getattr(self, f"_{kind}")(self.people[who], what))
            except (Malformed, IndexError):
                continue  # nothing to say it about
        done = applied(*asked, at=self.market())
        self.extremes.restart(done.trails_set)
        assert all(answer.status < 500 for answer in done.answers)

    def _create(self, by: Customer, wanted: dict[str, Any]) -> Command:
        price = self.stand[wanted["symbol"]].entry(wanted["side"])
        up = Decimal(1 if wanted["side"] == "buy" else -1)
        body: dict[str, Any] = {"symbol": wanted["symbol"], "leverage": wanted["leverage"]}
        body["quantity"] = printed((wanted["value"] / price).quantize(Decimal("0.00001")))
        if wanted["pending"]:
            price += price * wanted["away"] / 100 * (up if wanted["pending"] == "stop" else -up)
        tick = TICKS.get(wanted["symbol"], CENT)
        for name, away in wanted["limits"].items():
            distance = (price * away / 100).quantize(tick)
            level = {"stopLoss": price - up * distance, "takeProfit": price + up * distance, "trailingStop": distance}
            body[name] = printed(level[name].quantize(tick))
        if not wanted["pending"]:
            return opening(by, type=wanted["side"], **body)
        return placing(by, f"{wanted['side']} {wanted['pending']}", printed(price.quantize(tick)), **body)

    def _close(self, by: Customer, index: int) -> Command:
        return closing(by, self._nth(by, index).code)

    def _part(self, by: Customer, what: tuple[int, str]) -> Command:
        order = self._nth(by, what[0])
        quantity = (order.quantity * Decimal(what[1])).quantize(Decimal("0.00000001"))
        return closing(by, order.code, quantity=printed(quantity))

    def _change(self, by: Customer, what: tuple[int, str]) -> Command:
        order = self._nth(by, what[0])
        price = order.price or self.stand[order.instrument_id].exit(order.side)
        below = {"stopLoss": "0.97", "takeProfit": "1.04", "trailingStop": "0.02", "price": "0.99"}[what[1]]
        tick = TICKS.get(order.instrument_id, CENT)
        return changing(by, order.code, **{what[1]: printed((price * Decimal(below)).quantize(tick))})

    def _cancel(self, by: Customer, index: int) -> Command:
        return cancelling(by, self._nth(by, index).code)

    def _close_all(self, by: Customer, symbol: str) -> Command:
        return closing_all(by, symbol)

    def moves(self, symbol: str, percent: int) -> None:
        self.stand[symbol] = self._price(symbol, self.stand[symbol].bid * (100 + percent) / 100)
        self.silent.discard(symbol)

    def looks(self) -> None:
        """A feed has spoken: the engine looks at every order and every account. Others may be silent."""
        for _ in range(4):  # what opens over a gap may have to close at once
            market = self.market()
            trailing = set(
                Order.objects.filter(status="OPEN", trailing_stop__isnull=False).values_list("instrument", flat=True)
            )
            rows = self.extremes.judged(market.by_symbol.values(), trailing, market.now)
            looked = [*(firing(order) for order in self.live()), *(judging(somebody) for somebody in self.people)]
            done = applied(*looked, at=market, extremes=rows)
            self.extremes.written()
            self.extremes.restart(done.trails_set)
            if not done.ended and not done.live:
                break
        self._nothing_is_left_undone()

    # --- what must be true -------------------------------------------------------------------------

    def _nothing_is_left_undone(self) -> None:
        for order in self.live():
            if self.is_silent(order):
                continue
            price = self.stand[order.instrument_id]
            if order.status == "PENDING":
                assert not triggers.fired_entry(order, price.entry(order.side))
                continue
            assert triggers.fired_exit(order, order.trail_peak, price.exit(order.side)) is None
        for somebody in self.people:
            held = [order for order in self.live(somebody) if order.status == "OPEN"]
            if all(self.is_silent(order) for order in held):
                continue
            margin = sum(map(larger_side, held_by_symbol(held)))
            assert not reaches(self.equity(somebody), margin, settings.STOP_OUT_PERCENT)

    def step(self, kind: str, what: Any) -> None:
        """Do it, and see that no value came from nowhere: what the house bore was missing from somebody's equity.

        What it advanced is somebody's debt: it is all there, as negative equity.
        """
        if kind == "alone":
            self.silent = set(STARTS)
        if kind in ("price", "jump", "alone"):
            self.moves(*what)
        if kind == "jump":
            self.every_order_of_closing_ends_alike()
        seen = set(Deal.objects.values_list("pk", flat=True))
        missing = sum(self.worth(somebody) - self.equity(somebody) for somebody in self.people)
        borne = house(PROTECTION)
        if kind in ("price", "alone"):
            self.looks()
        elif kind == "commands":
            self.commands(what)
        elif kind == "silence":
            self.silent.add(what)
        elif kind == "deposit":
            deposit(self.people[what[0]], "USD", what[1])
            self.paid_in.append(self.people[what[0]])
        self._rates_are_those_of_now(seen)
        self._no_leverage_is_beyond_its_tier()
        for somebody in self.people:
            held = [order for order in self.live(somebody) if order.status == "OPEN"]
            used = sum(map(larger_side, held_by_symbol(held)))
            assert balance(somebody, MARGIN) == used - drawn(somebody)
        assert what_the_audit_finds() == []
        for somebody in self.people:  # the first free money goes back to where losses have drawn it from
            assert balance(somebody) == 0 or drawn(somebody) == 0 or somebody in self.paid_in
        assert house(ADVANCES) == -sum(owed(somebody) for somebody in self.people)
        assert 0 <= borne - house(PROTECTION) <= missing  # to the cent, whatever was closed in parts

    def every_order_of_closing_ends_alike(self) -> None:
        self.silent.clear()
        for somebody in self.people:
            worth = self.worth(somebody)
            for way in (self._oldest_first, self._newest_first, self._all_at_once):
                with undone():
                    way(somebody)
                    assert not [order for order in self.live(somebody) if order.status == "OPEN"]
                    assert (cash(somebody), owed(somebody)) == (worth, 0), way.__name__

    def _oldest_first(self, by: Customer) -> None:
        self._one_by_one(by, lambda found: found[0])

    def _newest_first(self, by: Customer) -> None:
        self._one_by_one(by, lambda found: found[-1])

    def _one_by_one(self, by: Customer, pick: Callable[[list[Order]], Order]) -> None:
        while found := [order for order in self.live(by) if order.status == "OPEN"]:
            (told,) = tick(closing(by, pick(found).code), at=self.market())
            assert told.status == 200, told.text

    def _all_at_once(self, by: Customer) -> None:
        (told,) = tick(closing_all(by), at=self.market())
        assert told.status == 200, told.text


def instruments_of_the_world() -> None:
    """One that is counted in euros, and any quantities."""
    euro, solana = Instrument.objects.get(pk="EUR-USD"), Instrument.objects.get(pk="SOL-USD")
    values = {field.attname: getattr(solana, field.attname) for field in Instrument._meta.concrete_fields}
    Instrument.objects.get_or_create(
        symbol="SOL-EUR",
        defaults=values | {"symbol": "SOL-EUR", "counter_asset_id": "EUR", "price_decimals": 2, "leverage_cap": 100},
    )
    Instrument.objects.filter(pk=euro.pk).update(quantity_decimals=18)
    for symbol, tiers in TIERS.items():
        written = ", ".join(f"{least}:{cap}" for least, cap in tiers)
        Instrument.objects.filter(pk=symbol).update(leverage_tiers=written)
    Instrument.objects.filter(pk__in=HEDGED).update(hedged_margin="larger_side")
    instruments.forget()


def held_by_symbol(orders: list[Order]) -> list[list[Order]]:
    return [[order for order in orders if order.instrument_id == symbol] for symbol in STARTS]


def larger_side(orders: list[Order]) -> int:
    """What the open orders of one customer in one symbol reserve together."""
    sides = [sum(int(order.margin) for order in orders if order.side == side) for side in ("buy", "sell")]
    return max(sides) if orders and orders[0].instrument_id in HEDGED else sum(sides)


def kept(exactly: Fraction, is_converted: bool) -> Fraction:
    """What is converted has 36 decimals."""
    return Fraction(round(exactly * 10**36), 10**36) if is_converted else exactly


def rate_kept(deal: Deal) -> Fraction:
    if deal.rate_multiplier is None or deal.rate_divisor is None:
        return Fraction(1)
    return Fraction(deal.rate_multiplier) / Fraction(deal.rate_divisor)


@contextmanager
def undone() -> Iterator[None]:
    """Whatever happens inside never did."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    instruments.forget()


slow = sizes(
    max_examples=size(15, 500),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to shrink a history takes longer than to read it
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def plays(portfolio: list[tuple[int, list[dict[str, Any]]]], history: list[tuple[str, Any]]) -> None:
    with undone():
        world = World()
        opened = [(who, ("create", wanted)) for who, hedge in portfolio for wanted in hedge]
        for kind, what in [("commands", opened), *history]:
            world.step(kind, what)
        beancount_agrees()
        world.every_order_of_closing_ends_alike()


@slow
@given(
    portfolio=st.lists(st.tuples(people, hedges), min_size=2, max_size=4),
    history=st.lists(steps, min_size=3, max_size=10),
)
def test_after_any_history_the_books_are_right_and_the_order_of_closing_brings_nothing(
    portfolio: list[tuple[int, list[dict[str, Any]]]], history: list[tuple[str, Any]]
) -> None:
    plays(portfolio, history)


@slow
@given(
    apart=st.tuples(hedges_apart, hedges_apart),
    crash=st.sampled_from([-30, -10, 10, 30]),
    history=st.lists(steps, min_size=2, max_size=8),
)
def test_the_same_after_losses_for_which_the_house_has_advanced_something(
    apart: tuple[list[dict[str, Any]], list[dict[str, Any]]], crash: int, history: list[tuple[str, Any]]
) -> None:
    plays(list(enumerate(apart)), [("alone", ("BTC-USD", crash)), *history])
