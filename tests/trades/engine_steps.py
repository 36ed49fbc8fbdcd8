"""The engine's steps without its loop: one tick on the test's database, at the prices in Redis or at given ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Sum

from accounts.ids import uuid7
from accounts.ledger import AVAILABLE, MARGIN
from accounts.models import Customer, LedgerAccount, Transfer
from quotes import prices
from quotes.prices import Prices
from tests.given import balance
from trades.engine.apply import Applied, apply
from trades.engine.price_extremes import ExtremeRow
from trades.gateway.requests import cancel_terms, change_terms, close_all_terms, close_terms, create_terms
from trades.gateway.submit import digest
from trades.margin.commands import Answer, Command, own
from trades.margin.kinds import CANCEL, CHANGE, CLOSE, CLOSE_ALL, CREATE, FIRE, JUDGE, CommandKind
from trades.models import MarginAccount, Order, OrderEvent


@dataclass
class Told:
    status: int
    body: dict[str, Any]
    text: str
    replayed: bool


# --- commands --------------------------------------------------------------------------------------


def command(kind: CommandKind, by: Customer, terms: dict[str, Any], key: str = "") -> Command:
    return Command(uuid7(), kind, by.pk, by.user_id, terms, key=key, request_sha256=digest(kind, terms))


def opening(by: Customer, key: str = "", **wanted: Any) -> Command:
    body = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.1", "leverage": 10} | wanted
    return command(CREATE, by, create_terms(body), key)


def placing(by: Customer, kind: str, price: str, key: str = "", **wanted: Any) -> Command:
    """`kind` as people say it: "buy limit", "sell stop"."""
    side, _, order_type = kind.partition(" ")
    return opening(by, key, **({"type": side, "orderType": order_type, "price": price} | wanted))


def closing(by: Customer, code: str, key: str = "", quantity: str = "") -> Command:
    return command(CLOSE, by, close_terms({"orderId": code, "quantity": quantity}), key)


def changing(by: Customer, code: str, key: str = "", **to: Any) -> Command:
    return command(CHANGE, by, change_terms(code, to), key)


def cancelling(by: Customer, code: str, key: str = "") -> Command:
    return command(CANCEL, by, cancel_terms(code), key)


def closing_all(by: Customer, symbol: str = "", key: str = "") -> Command:
    return command(CLOSE_ALL, by, close_all_terms({"symbol": symbol}), key)


def firing(order: Order) -> Command:
    """What the book says when a price may have reached an order's trigger."""
    return own(FIRE, order.customer_id, orderId=order.code)


def judging(customer: Customer) -> Command:
    """What the book says when a margin level may have crossed a mark."""
    return own(JUDGE, customer.pk)


# --- ticks -----------------------------------------------------------------------------------------


def applied(*commands: Command, at: Prices | None = None, extremes: Sequence[ExtremeRow] = ()) -> Applied:
    """Apply commands in one transaction, as the engine does. What is known of accounts is then what the ledger has."""
    with transaction.atomic():
        done = apply(commands, at or prices.latest(), extremes)
    assert {customer: _balance(customer) for customer in done.cash} == done.cash
    return done


def _balance(customer_id: UUID) -> int:
    owed = MarginAccount.objects.filter(customer=customer_id).aggregate(all=Sum("owed"))["all"] or 0
    rows = LedgerAccount.objects.filter(customer=customer_id, asset="USD", type__in=[AVAILABLE, MARGIN])
    return int(sum(row.balance for row in rows) - owed)


def tick(*commands: Command, at: Prices | None = None) -> list[Told]:
    """Apply commands in one tick; what each was told, in order."""
    answers: list[Answer] = applied(*commands, at=at).answers
    by_id = {answer.command_id: answer for answer in answers}
    told = []
    for one in commands:
        answer = by_id[one.id]
        body = json.loads(answer.body, parse_float=Decimal)
        told.append(Told(answer.status, body, answer.body, answer.replayed))
    return told


def says(one: Command, at: Prices | None = None) -> dict[str, Any]:
    """What a command that must succeed is told."""
    (told,) = tick(one, at=at)
    assert told.status == 200, told.text
    return told.body


def refused(one: Command) -> str:
    """The sentence by which the engine refuses a command, told twice."""
    (told,) = tick(one)
    assert (told.status, told.body["message"]) == (400, told.body["error"]), told.text
    return str(told.body["error"])


def opens(by: Customer, at: Prices | None = None, **wanted: Any) -> Order:
    """Open an order that must succeed."""
    return Order.objects.get(customer=by, code=says(opening(by, **wanted), at)["orderId"])


def places(by: Customer, kind: str, price: str, **wanted: Any) -> Order:
    """Place a pending order that must succeed."""
    return Order.objects.get(customer=by, code=says(placing(by, kind, price, **wanted))["orderId"])


def closes(by: Customer, order: Order, quantity: str = "") -> Order:
    """Close an order, or a part of it; what was closed."""
    said = says(closing(by, order.code, quantity=quantity))
    return Order.objects.get(customer=by, code=said["order"]["orderId"])


def fires(*orders: Order, at: Prices | None = None) -> None:
    """Look at these orders' triggers, in one tick."""
    applied(*(firing(order) for order in orders), at=at)


def judges(*customers: Customer, at: Prices | None = None) -> None:
    """Look at these customers' margin levels, in one tick."""
    applied(*(judging(customer) for customer in customers), at=at)


# --- what became of it -----------------------------------------------------------------------------


def now(order: Order) -> Order:
    """The order as the database has it now."""
    return Order.objects.get(pk=order.pk)


def became(order: Order) -> tuple[str, str]:
    """The order's status and why it closed or was cancelled."""
    return Order.objects.values_list("status", "close_reason").get(pk=order.pk)


def cash(customer: Customer) -> int:
    """Everything the customer has in the account currency, free or reserved."""
    return balance(customer, AVAILABLE) + balance(customer, MARGIN)


def drawn(customer: Customer) -> int:
    """How much of the open orders' margins losses have consumed."""
    return int(MarginAccount.objects.filter(customer=customer).aggregate(all=Sum("drawn"))["all"] or 0)


def owed(customer: Customer) -> int:
    """How much the house has advanced for this customer's losses and not got back."""
    return int(MarginAccount.objects.filter(customer=customer).aggregate(all=Sum("owed"))["all"] or 0)


def happened(customer: Customer) -> list[str]:
    """The kinds of this customer's events, in order."""
    return list(OrderEvent.objects.filter(customer=customer).order_by("id").values_list("kind", flat=True))


def moved(customer: Customer, *kinds: str) -> list[tuple[str, int]]:
    """The customer's movements of money for orders, in order: (kind, base units)."""
    found = Transfer.objects.filter(customer=customer, kind__startswith="order_").order_by("id")
    if kinds:
        found = found.filter(kind__in=kinds)
    return [(kind, int(amount)) for kind, amount in found.values_list("kind", "amount")]


def house(type_: str) -> int:
    """What the house has in the account currency on accounts of this type, over all its buckets."""
    return sum(row.balance for row in LedgerAccount.objects.filter(customer=None, asset="USD", type=type_))
