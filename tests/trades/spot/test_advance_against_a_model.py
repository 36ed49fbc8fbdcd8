"""The storing step beside a model of it in a few lines: the same outcomes, the same balances, the same movements.

Customers are few and funds are short, so that trades of one customer compete; seeds make a failure repeatable.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Customer, LedgerAccount, Transfer
from quotes import prices
from tests.export.beancount_check import beancount_agrees
from tests.given import (
    a_customer,
    a_quote,
    a_settling_buy,
    a_trade,
    an_exit_quote,
    btc,
    btc_at,
    deposit,
    executes,
    usd,
    what_the_audit_finds,
)
from trades.models import Trade, TradeEvent
from trades.spot.advance import advance
from trades.spot.sweep import sweep

pytestmark = pytest.mark.django_db

Place = tuple[str, str, str]  # whose (`house` for all of them), which asset, which type


class Model:
    """What the storing step owes its customers, one trade after the other."""

    def __init__(self, balances: dict[Place, int]) -> None:
        self.balances = defaultdict(int, balances)
        self.moved: list[tuple[str, int, str]] = []
        self.exited: set[str] = set()

    def play(self, trade: Trade, state_of_customer: str) -> str | None:
        """The code it fails with, or None after its money has moved."""
        if trade.expected_error:
            return trade.expected_error
        if trade.created_at >= trade.quote.expires_at:
            return "expired_quote"
        if state_of_customer == "frozen":
            return "unsupported"
        original = trade.reference_trade
        if original is not None:
            if original.pk.hex in self.exited:
                return "invalid_reference_trade"
            self.exited.add(original.pk.hex)
        who, gives, gets = trade.customer_id.hex, trade.deliver_asset_id, trade.receive_asset_id
        deliver, receive, fee = int(trade.deliver_amount), int(trade.receive_amount), int(trade.fee)
        freed = 0 if original is None else min(deliver, int(original.receive_amount))
        if deliver - freed > self.balances[who, gives, "available"]:
            return "non_sufficient_funds"
        rest, fee_of_buy = deliver - freed, fee if trade.side == "buy" else 0
        cost = deliver - fee_of_buy
        self._move(trade, (who, gives, "settling"), "liquidity", min(freed, cost))
        self._move(trade, (who, gives, "settling"), "fees", freed - min(freed, cost))
        self._move(trade, (who, gives, "available"), "liquidity", cost - min(freed, cost))
        self._move(trade, (who, gives, "available"), "fees", rest - (cost - min(freed, cost)))
        self._move(trade, ("house", gets, "liquidity"), "settling", receive)
        self._move(trade, ("house", gets, "liquidity"), "fees", fee - fee_of_buy)
        return None

    def _move(self, trade: Trade, debit: Place, credited: str, amount: int) -> None:
        if not amount:
            return
        _, asset, debited = debit
        owner = trade.customer_id.hex if credited == "settling" else "house"
        kind = {"settling": "trade_receive", "fees": "trade_fee"}.get(credited, "trade_deliver")
        self.balances[debit] -= amount
        self.balances[owner, asset, credited] += amount
        self.moved.append((kind, amount, f"trade:{trade.pk.hex}:{debited}:{credited}"))


def balances() -> dict[Place, int]:
    found: dict[Place, int] = defaultdict(int)
    for row in LedgerAccount.objects.filter(type__in=["available", "settling", "liquidity", "fees"]):
        found[row.customer_id.hex if row.customer_id else "house", row.asset_id, row.type] += row.balance
    return found


def some_customers(dice: random.Random) -> list[Customer]:
    customers = [a_customer(f"customer{number}", with_usd=f"{dice.randint(500, 3000)}.00") for number in range(4)]
    for customer in customers:
        deposit(customer, "BTC", f"0.{dice.randint(1, 9)}")
    return customers


def some_originals(customers: Sequence[Customer], dice: random.Random) -> list[Trade]:
    bought = [a_settling_buy(customer, btc(f"0.00{dice.randint(1, 9)}")) for customer in customers for _ in range(2)]
    sold = [a_trade(customer, "sell", deliver=btc(f"0.0{dice.randint(1, 9)}")) for customer in customers]
    return bought + sold


def a_random_trade(customers: Sequence[Customer], originals: list[Trade], dice: random.Random) -> Trade:
    customer, turn = dice.choice(customers), dice.random()
    if turn < 0.25 and originals:
        original = dice.choice(originals)
        if original.side == "sell":
            originals.remove(original)  # its exit may lack funds; a second one would depend on where a set ends
        return executes(an_exit_quote(original))
    if turn < 0.60:
        quote = a_quote(customer, "buy", deliver=usd(f"{dice.randint(50, 900)}.00"))
    else:
        quote = a_quote(customer, "sell", deliver=btc(f"0.{dice.randint(1, 30):02d}"))
    late = timedelta(microseconds=dice.choice([-1, 0])) if dice.random() < 0.15 else None
    at = quote.expires_at + late if late is not None else None
    return executes(quote, at=at, expected_error="market_volatility" if dice.random() < 0.05 else "")


@pytest.mark.parametrize("in_small_sets", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_any_mix_of_trades_comes_out_as_the_model_says(seed: int, in_small_sets: bool) -> None:
    dice = random.Random(seed)
    btc_at("40_000.00", "40_010.00")
    customers = some_customers(dice)
    originals = some_originals(customers, dice)
    btc_at(dice.choice(["38_500.00", "40_000.00", "42_500.00"]))  # exits of sells get cheaper or dearer
    trades = [a_random_trade(customers, originals, dice) for _ in range(40)]
    frozen = customers[0].pk if seed % 2 else None
    Customer.objects.filter(pk=frozen).update(state="frozen")
    model, before = Model(balances()), set(Transfer.objects.values_list("pk", flat=True))

    if in_small_sets:
        sweep(low_water=None, at=timezone.now(), prices=prices.latest, at_once=5)
    else:
        advance(dice.sample([trade.pk for trade in trades], 40), at=timezone.now(), prices=prices.latest)

    wanted = {t.pk: model.play(t, "frozen" if t.customer_id == frozen else "") for t in sorted(trades, key=by_id)}
    assert dict(Trade.objects.filter(pk__in=wanted).values_list("pk", "failure_code")) == wanted
    assert set(TradeEvent.objects.filter(trade__in=wanted).exclude(became="storing").values_list(*EVENT)) == {
        (pk, "settling" if code is None else "failed", code or "") for pk, code in wanted.items()
    }
    assert settled_places(balances()) == settled_places(model.balances)
    moved = Transfer.objects.exclude(pk__in=before).values_list("kind", "amount", "key")
    assert sorted(moved) == sorted(model.moved)
    assert len(set(wanted.values())) >= 4, "the mix is too tame"
    assert what_the_audit_finds() == []
    beancount_agrees()


EVENT = ("trade_id", "became", "detail")


def by_id(trade: Trade) -> int:
    return trade.pk.int


def settled_places(found: dict[Place, int]) -> dict[Place, int]:
    return {place: amount for place, amount in found.items() if amount}
