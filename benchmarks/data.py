"""Customers with money and open orders, made by the product's own services, a few hundred at a time."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from accounts import ledger, services, tokens
from accounts.ids import uuid7
from accounts.models import Customer, Funding, Transfer, User
from accounts.services import NewCustomer
from accounts.states import CustomerState
from quotes import prices
from trades.engine.apply import apply
from trades.margin.commands import Command
from trades.margin.kinds import CREATE

AT_ONCE = 250
PRICES = (("BTC-USD", Decimal("42000.00"), Decimal("42010.00")),)


def customers(count: int) -> list[Customer]:
    """Traders with 1,000,000.00 USD each."""
    at = timezone.now()
    users = [User(email=f"bench-{uuid7().hex}@example.com", password="!") for _ in range(count)]
    User.objects.bulk_create(users, batch_size=1000)
    made = services.open_customers([NewCustomer(user=user, state=CustomerState.VERIFIED) for user in users], at)
    for batch in _batched(made, 1000):
        _give(batch, at)
    return made


def _give(batch: list[Customer], at: datetime) -> None:
    """A deposit for each, with the row that says who moved it, as `services.deposit` makes them one by one."""
    ledger.post(
        [
            ledger.Movement(
                ledger.house(customer.pk, "USD", ledger.EXTERNAL),
                ledger.customers(customer.pk, "USD", ledger.AVAILABLE),
                100_000_000,
                "deposit",
                f"deposit:{customer.pk.hex}",
                customer.pk,
                None,
                at,
            )
            for customer in batch
        ]
    )
    Funding.objects.bulk_create(
        Funding(transfer=transfer, reference=transfer.customer_id.hex, made_from="a benchmark", at=at)
        for transfer in Transfer.objects.filter(customer__in=batch, kind="deposit")
    )


def _batched(items: list[Customer], size: int) -> list[list[Customer]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def access_tokens(of: list[Customer]) -> dict[str, str]:
    """An access token for each customer, by the customer's guid."""
    return {customer.pk.hex: tokens.trader_pair(customer.user).access for customer in of if customer.user}


def open_orders(of: list[Customer], count: int) -> list[tuple[Customer, str]]:
    """Open `count` small orders, spread evenly; gives (customer, orderId)."""
    prices.publish(PRICES)
    opened: list[tuple[Customer, str]] = []
    takers = itertools.islice(itertools.cycle(of), count)
    while wave := list(itertools.islice(takers, AT_ONCE)):
        commands = [
            Command(
                uuid7(),
                CREATE,
                customer.pk,
                customer.user_id,
                {"symbol": "BTC-USD", "side": "buy", "quantity": "0.01", "leverage": 10},
            )
            for customer in wave
        ]
        prices.publish(PRICES)
        with transaction.atomic():
            answers = apply(commands, prices.latest()).answers
        opened += [(customer, answer.order_code) for customer, answer in zip(wave, answers, strict=True)]
    return opened


class FreshPrices:
    """Says the same prices every second, as a feed would, without a feed's work."""

    def __init__(self, said: Sequence[tuple[str, Decimal, Decimal]] = PRICES) -> None:
        self._said = said

    def __enter__(self) -> None:
        self._done = threading.Event()
        threading.Thread(target=self._say, daemon=True).start()

    def _say(self) -> None:
        while True:
            prices.publish(self._said)
            if self._done.wait(1):
                return

    def __exit__(self, *_: object) -> None:
        self._done.set()
