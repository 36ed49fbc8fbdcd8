"""Everybody does everything at once, for a while, and the books are right at the end.

200 customers open, close, part, change and cancel orders, close all, ask for quotes, trade and exit, while operators
deposit, take out, and correct. Whatever is refused is refused in the contract's words; nothing is a 5xx.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import Any

import httpx
import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from accounts import services
from accounts.errors import Refusal
from accounts.models import Customer
from tests.faults.trading_customers import nothing_waits
from tests.given import a_customer, price_at, token_of, usd, what_the_audit_finds
from tests.live import Live
from tests.sizes import size
from tests.trades.corrections.staff import somebody, why
from trades.corrections.decide import apply
from trades.corrections.propose import propose_adjustment
from trades.models import Trade
from trades.tasks import sweep

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("live"),
    pytest.mark.faults,
    pytest.mark.timeout(1800),
]

SECONDS = size(5, 600)
CUSTOMERS = size(40, 200)
HANDS = 12
IN_ORDER = {200, 201, 400, 404, 409, 422}


class TradingClient:
    """One customer's program: it does one random thing after the other."""

    def __init__(self, customer: Customer, client: httpx.Client, dice: random.Random) -> None:
        self.client, self.dice = client, dice
        self.headers = {"Authorization": f"Bearer {token_of(customer)}"}
        self.orders: list[str] = []
        self.pending: list[str] = []
        self.trades: list[str] = []

    def acts(self) -> httpx.Response:
        return self.dice.choice(
            [
                self.opens,
                self.opens,
                self.places,
                self.closes,
                self.parts,
                self.changes,
                self.cancels,
                self.closes_all,
                self.trades_spot,
                self.trades_spot,
                self.exits,
                self.reads,
            ]
        )()

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        key = {"Idempotency-Key": f"{self.dice.random()}"} if method == "POST" and self.dice.random() < 0.3 else {}
        return self.client.request(method, path, json=body, headers=self.headers | key)

    def opens(self) -> httpx.Response:
        side = self.dice.choice(["buy", "sell"])
        body = {"symbol": "BTC-USD", "type": side, "quantity": self.dice.choice([0.01, 0.05, 0.2]), "leverage": 20}
        if self.dice.random() < 0.3:
            body |= {"stopLoss": 41_000 if side == "buy" else 43_000, "trailingStop": 300}
        answer = self.ask("POST", "/api/v1/trade/create", body)
        if answer.status_code == 200:
            self.orders.append(answer.json()["orderId"])
        return answer

    def places(self) -> httpx.Response:
        body = {
            "symbol": "BTC-USD",
            "type": "buy",
            "orderType": "limit",
            "price": 41_990,
            "quantity": 0.01,
            "leverage": 20,
        }
        answer = self.ask("POST", "/api/v1/trade/create", body)
        if answer.status_code == 200:
            self.pending.append(answer.json()["orderId"])
        return answer

    def one(self, of: list[str]) -> str:
        return self.dice.choice(of) if of else "ord_0123456789abcdef"

    def closes(self) -> httpx.Response:
        return self.ask("POST", "/api/v1/trade/close", {"orderId": self.one(self.orders)})

    def parts(self) -> httpx.Response:
        return self.ask("POST", "/api/v1/trade/close", {"orderId": self.one(self.orders), "quantity": 0.005})

    def changes(self) -> httpx.Response:
        to = {"stopLoss": self.dice.choice([None, 41_500, 42_500]), "trailingStop": self.dice.choice([None, 250])}
        return self.ask("PATCH", f"/api/v1/trade/orders/{self.one(self.orders + self.pending)}", to)

    def cancels(self) -> httpx.Response:
        return self.ask("DELETE", f"/api/v1/trade/orders/{self.one(self.pending)}")

    def closes_all(self) -> httpx.Response:
        return self.ask("POST", "/api/v1/trade/close-all", {})

    def trades_spot(self) -> httpx.Response:
        quote = self.ask("POST", "/api/quotes", {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000})
        if quote.status_code != 201:
            return quote
        trade = self.ask("POST", "/api/trades", {"quote_guid": quote.json()["guid"]})
        if trade.status_code == 201:
            self.trades.append(trade.json()["guid"])
        return trade

    def exits(self) -> httpx.Response:
        original = self.one(self.trades) if self.trades else "0" * 32
        quote = self.ask("POST", "/api/quotes", {"product_type": "trading_exit", "reference_trade_guid": original})
        if quote.status_code != 201:
            return quote
        return self.ask("POST", "/api/trades", {"quote_guid": quote.json()["guid"], "trade_type": "exit"})

    def reads(self) -> httpx.Response:
        path = self.dice.choice(["orders", "close"])
        return self.client.get(f"/api/v1/trade/{path}", headers=self.headers)


def test_everybody_at_once_ends_with_the_books_in_order(live: Live) -> None:
    """All guards together: locks in one order, constraints, and another try where two met all the same. Each has a test
    of its own, which fails without it; here only their sum is looked at."""
    dice = random.Random(4)
    customers = [a_customer(f"trader-{n}", with_usd="20_000.00") for n in range(CUSTOMERS)]
    price_at("BTC-USD", "42_000.00", "42_010.00")
    told: Counter[int] = Counter()
    strange: list[tuple[int, str]] = []
    surfaced: list[BaseException] = []
    until = time.monotonic() + SECONDS

    def trade(mine: list[TradingClient]) -> None:
        while time.monotonic() < until:
            answer = random.choice(mine).acts()
            told[answer.status_code] += 1
            if answer.status_code not in IN_ORDER:
                strange.append((answer.status_code, answer.text))

    def operate() -> None:
        try:
            while time.monotonic() < until:
                whose, now = dice.choice(customers), timezone.now()
                try:
                    if dice.random() < 0.5:
                        entry = services.deposit if dice.random() < 0.6 else services.withdraw
                        entry(whose, "USD", usd("25.00"), key=f"{dice.random()}", at=now, by="operator")
                    else:
                        way = dice.choice(["credit", "debit"])
                        adjustment = propose_adjustment(whose.pk, "USD", usd("2_000.00"), way, **why())
                        apply(adjustment.pk, by=somebody(), at=now)
                except Refusal:
                    pass
                except OperationalError as deadlock:
                    surfaced.append(deadlock)
        finally:
            connection.close()

    def move_the_price() -> None:
        try:
            while time.monotonic() < until:
                bid = 42_000 + dice.randint(-300, 300)
                price_at("BTC-USD", f"{bid}", f"{bid + 10}")
                time.sleep(0.1)
        finally:
            connection.close()

    with live.client() as client:
        people = [TradingClient(customer, client, random.Random(n)) for n, customer in enumerate(customers)]
        hands = [threading.Thread(target=trade, args=(people[n::HANDS],)) for n in range(HANDS)]
        hands += [threading.Thread(target=operate) for _ in range(2)] + [threading.Thread(target=move_the_price)]
        for hand in hands:
            hand.start()
        for hand in hands:
            hand.join(SECONDS + 60)

    assert not any(hand.is_alive() for hand in hands)
    assert (strange[:5], surfaced[:5]) == ([], [])
    assert told[200] > SECONDS
    assert told[201] > 0
    nothing_waits()
    give_up = time.monotonic() + 60
    while Trade.objects.filter(state="storing").exists() and time.monotonic() < give_up:
        sweep()
    assert not Trade.objects.filter(state="storing").exists()
    assert what_the_audit_finds() == []
