"""Whose tokens connect, and what they would be told by the list."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES
from accounts.models import ApiClient, Customer
from tests.accounts.events.places import here


def a_client(scopes: frozenset[str] = FIRM_SCOPES) -> ApiClient:
    client, _ = services.create_api_client("firm", scopes, timezone.now())
    return client


def a_firms_token(scopes: frozenset[str] = FIRM_SCOPES) -> str:
    return tokens.client_token(a_client(scopes), scopes)


def a_customers_token(customer: Customer, scopes: frozenset[str] = CUSTOMER_SCOPES) -> str:
    return tokens.customer_token(a_client().pk, customer.pk, scopes)


def freeze(customer: Customer, times: int = 1, *, together: bool = False) -> None:
    """So many events of a customer, in a transaction each or in one."""
    with transaction.atomic() if together else nullcontext(), connection.cursor() as cursor:
        for _ in range(times):
            cursor.execute(
                "UPDATE accounts_customer SET state = CASE state WHEN 'frozen' THEN 'verified' ELSE 'frozen' END"
                " WHERE id = %s",
                [customer.pk],
            )


def told_by_the_list(token: str, place: str) -> list[dict[str, Any]]:
    here()
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/api/events", {"after": place, "limit": "1000"})
    found: list[dict[str, Any]] = answer.json()["objects"]
    return found
