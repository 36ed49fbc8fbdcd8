"""The engine without its loop: one tick on the test's database, at the prices in Redis."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.ids import uuid7
from accounts.models import Customer
from quotes import prices
from trades.models import Order
from trades.orders.apply import apply
from trades.orders.commands import CLOSE, CREATE, Answer, Command
from trades.orders.requests import close_terms, create_terms
from trades.orders.submit import digest


@dataclass
class Told:
    status: int
    body: dict[str, Any]
    text: str
    replayed: bool


def opening(by: Customer, key: str = "", **wanted: Any) -> Command:
    body = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.1", "leverage": 10} | wanted
    terms = create_terms(body)
    return Command(uuid7(), CREATE, by.pk, by.user_id, terms, key=key, request_sha256=digest(CREATE, terms))


def closing(by: Customer, code: str, key: str = "") -> Command:
    terms = close_terms({"orderId": code})
    return Command(uuid7(), CLOSE, by.pk, by.user_id, terms, key=key, request_sha256=digest(CLOSE, terms))


def tick(*commands: Command) -> list[Told]:
    """Apply commands in one tick; what each was told, in order."""
    with transaction.atomic():
        answers: list[Answer] = apply(commands, prices.latest()).answers
    by_id = {answer.command_id: answer for answer in answers}
    told = []
    for command in commands:
        answer = by_id[command.id]
        body = json.loads(answer.body, parse_float=Decimal)
        told.append(Told(answer.status, body, answer.body, answer.replayed))
    return told


def opens(by: Customer, **wanted: Any) -> Order:
    """Open an order that must succeed."""
    (told,) = tick(opening(by, **wanted))
    assert told.status == 200, told.text
    return Order.objects.get(customer=by, code=told.body["orderId"])
