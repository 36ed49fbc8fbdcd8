"""Whatever a request causes carries its `X-Request-ID`: every POST and PATCH is made once under a name of its own.

Which rows it caused is asked of the database itself: all that are there afterwards and weren't before. A table whose
rows don't name their request is in WITHOUT, with the reason; a route that is nowhere here fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.urls import get_resolver

from accounts import clock, json_codec, request_id, services
from accounts.events import guid_of
from accounts.ids import uuid7
from accounts.models import (
    Customer,
    Event,
    Funding,
    LedgerAccount,
    ReconciliationRun,
    RowVersion,
    WebhookDelivery,
)
from accounts.services.reconciliation import reconcile
from quotes import prices, symbols
from quotes.models import PriceHold
from quotes.services import hold_price
from tests.accounts.calls import the_firm
from tests.given import a_customer, a_settling_buy, btc, btc_at, deposit
from trades.models import SettlementLeg, Trade
from trades.settlement.legs import retry_due
from trades.settlement.settle import settle
from trades.spot.advance import advance

pytestmark = pytest.mark.django_db(transaction=True)

# By a row of which the request is found all the same.
WITHOUT = {
    "accounts_customerdetails": "of the customer, whose first version names the request",
    "accounts_identificationnumber": "of the customer, too",
    "accounts_customer": "its versions name it",
    "accounts_user": "its versions name it",
    "accounts_break": "its versions name it",
    "accounts_externalbankaccount": "its versions name it",
    "trades_settlementbatch": "its events name it",
    "trades_settlementleg": "its versions name it",
    "trades_leftout": "of the batch, whose events name it",
    "trades_legreference": "of a report, which names it",
    "trades_trade": "its events name it",
    "trades_payment": "its events name it",
    "accounts_transfer": "of a trade, a funding or a correction",
    "accounts_event": "of a row that names it",
    "accounts_webhooksubscription": "its versions name it",
    "accounts_knownaddress": "from where a user logs in, to the day: of many requests",
    "trades_lowwater": "a mark that each transaction moves",
}
# Carried out by the engine: tests/stack/test_request_ids.py, at the running system.
OF_THE_ENGINE = {("POST", "order-create"), ("POST", "order-close"), ("POST", "order-close-all")}
OF_THE_ENGINE |= {("PATCH", "order-detail"), ("DELETE", "order-detail")}
WRITES_NOTHING = {("POST", "token-list"), ("POST", "customer-token-list"), ("POST", "batch-preview")}


def rows() -> dict[str, dict[str, dict[str, Any]]]:
    """Every row of every table of ours, by table and key."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith(("accounts_", "quotes_", "trades_")):
                cursor.execute(f'SELECT ctid::text || xmin::text, to_jsonb(r) FROM "{table}" r')
                found[table] = {key: json.loads(row) for key, row in cursor.fetchall()}
    return found


class Walk:
    """Asks under names of its own, and notes which routes it asked."""

    def __init__(self) -> None:
        self.asked: set[tuple[str, str]] = set()
        self.count = 0

    def asks(self, by: str, method: str, path: str, body: Any, *, causes: str, moves: str = "") -> Any:
        """One request, in whose name at least one row of `causes` must be, and every new row of every table.

        `moves`: a table whose rows it changes and doesn't make."""
        self.count += 1
        name = f"request-{self.count}"
        self.asked.add((method, get_resolver().resolve(path).url_name or ""))
        before = rows()
        headers = {"X-Request-ID": name, "Idempotency-Key": name} | ({"Authorization": f"Bearer {by}"} if by else {})
        answer = Client(headers=headers).generic(method, path, json_codec.dumps(body), content_type="application/json")
        assert answer.status_code < 300, answer.content
        after = rows()
        new = {table: [row for key, row in now.items() if key not in before[table]] for table, now in after.items()}
        nameless = {t for t, some in new.items() if any(row.get("request_id") != name for row in some)}
        assert nameless - {*WITHOUT, moves} == set(), (method, path)
        assert not causes or any(row.get("request_id") == name for row in new[causes]), (method, path, new)
        return answer.json() if answer.content else None


def changing() -> Iterator[tuple[str, str]]:
    """Every route of a viewset that changes something: its method and name."""

    def walk(found: Any) -> Iterator[Any]:
        for pattern in found:
            if hasattr(pattern, "url_patterns"):
                yield from walk(pattern.url_patterns)
            elif hasattr(pattern.callback, "actions"):
                yield pattern

    for pattern in walk(get_resolver().url_patterns):
        for method in pattern.callback.actions:
            if method in ("post", "patch", "delete"):
                yield method.upper(), pattern.name


def an_event() -> tuple[int, int]:
    """The place of one that a client may see."""
    event = Event.objects.filter(kind="customer.verified").latest("transaction", "number")
    return event.transaction, event.number


def a_token(api: Any) -> str:
    return str(api._headers["HTTP_AUTHORIZATION"].removeprefix("Bearer "))


def in_a_sandbox(walk: Walk, firm: str, alice: Customer) -> None:
    """What there is in a sandbox alone."""
    held = {"symbol": "BTC-USD", "bid": 40_000, "ask": 40_001}
    walk.asks(firm, "POST", "/api/sandbox/prices", held, causes="quotes_pricehold")
    walk.asks(firm, "DELETE", "/api/sandbox/prices/BTC-USD", {}, causes="quotes_pricehold")
    wanted = {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 100}
    walk.asks(firm, "POST", "/api/sandbox/deposits", wanted, causes="accounts_funding", moves="accounts_ledgeraccount")
    a_settling_buy(alice, btc("0.1"))
    batches = "/api/sandbox/settlement_batches"
    cut = {"settle": False, "legs_are_automatic": False}
    batch = walk.asks(firm, "POST", batches, cut, causes="trades_batchevent")["guid"]
    walk.asks(firm, "POST", f"{batches}/{batch}/settle", {}, causes="trades_batchevent")
    reported = {"outcome": "settled"}
    moves = "accounts_ledgeraccount"
    walk.asks(firm, "POST", f"{batches}/{batch}/report_legs", reported, causes="trades_legreport", moves=moves)
    fault = walk.asks(firm, "POST", "/api/sandbox/faults", {"delay_milliseconds": 1}, causes="")["guid"]
    walk.asks(firm, "DELETE", f"/api/sandbox/faults/{fault}", {}, causes="")
    walk.asks(firm, "POST", "/api/sandbox/clock", {"by_seconds": 1}, causes="accounts_clockmove")


def test_every_row_that_a_request_causes_names_it_or_its_reason_is_told() -> None:
    """Guards: the defaults of the columns `request_id`, of the models and of the database, `conflicts._named`, and what
    `open_account` and `change_account` write. Each is made under a key, so that kept answers are among the rows."""
    btc_at("40_000.00")
    firm, checker = a_token(the_firm()), a_token(the_firm())
    walk = Walk()

    told = {"type": "individual", "name": {"first": "Ada", "last": "Lovelace"}}
    guid = walk.asks(firm, "POST", "/api/customers", told, causes="accounts_rowversion")["guid"]
    services.check([Customer.objects.get(pk=guid).pk], clock.now())
    walk.asks(firm, "PATCH", f"/api/customers/{guid}", {"state": "unverified"}, causes="accounts_rowversion")
    wanted = {"type": "trading", "asset": "BTC", "name": "coins", "customer_guid": guid}
    account = walk.asks(firm, "POST", "/api/accounts", wanted, causes="accounts_ledgeraccount")["guid"]
    walk.asks(firm, "PATCH", f"/api/accounts/{account}", {"labels": ["vip"]}, causes="accounts_ledgeraccount")

    alice = a_customer("alice", with_usd="100_000.00")
    wanted = {"type": "fiat", "asset": "USD", "name": "cash", "customer_guid": alice.pk.hex}
    walk.asks(firm, "POST", "/api/accounts", wanted, causes="accounts_ledgeraccount")  # which money has opened before
    for side in ("buy", "sell"):
        wanted = {"symbol": "BTC-USD", "side": side, "receive_amount": 1000, "customer_guid": alice.pk.hex}
        quote = walk.asks(firm, "POST", "/api/quotes", wanted, causes="quotes_quote")["guid"]
    walk.asks(firm, "POST", "/api/trades", {"quote_guid": quote}, causes="trades_tradeevent")
    wanted = {"product_type": "funding", "asset": "USD", "side": "deposit", "deliver_amount": 100}
    wanted["customer_guid"] = alice.pk.hex
    quote = walk.asks(firm, "POST", "/api/quotes", wanted, causes="quotes_quote")["guid"]
    used = {"quote_guid": quote, "transfer_type": "funding"}
    walk.asks(firm, "POST", "/api/transfers", used, causes="trades_paymentevent")
    bank = {"bank_code_type": "ABA", "bank_code": "021000021", "account_identifier": "123456789", "payment_rail": "ACH"}
    wanted = {"name": "salary", "account_kind": "raw_routing_details", "asset": "USD", "customer_guid": alice.pk.hex}
    wanted |= {"counterparty_bank_account_details": [bank], "counterparty_name": {"first": "Alice", "last": "Miller"}}
    paid = walk.asks(firm, "POST", "/api/external_bank_accounts", wanted, causes="accounts_rowversion")["guid"]
    walk.asks(firm, "DELETE", f"/api/external_bank_accounts/{paid}", {}, causes="accounts_rowversion")
    advance([Trade.objects.get().pk], prices=prices.latest)
    a_settling_buy(alice, btc("0.1"))
    batches = "/api/settlement_batches"
    walk.asks(firm, "POST", f"{batches}/preview", {}, causes="")
    batch = walk.asks(firm, "POST", batches, {"legs_are_automatic": False}, causes="trades_batchevent")["guid"]
    walk.asks(checker, "POST", f"{batches}/{batch}/cancel", {}, causes="trades_batchevent")
    batch = walk.asks(firm, "POST", batches, {"legs_are_automatic": False}, causes="trades_batchevent")["guid"]
    walk.asks(checker, "POST", f"{batches}/{batch}/confirm", {}, causes="trades_batchevent")
    list(settle(UUID(batch), clock=clock.now, chunk=10))
    crypto, cash = SettlementLeg.objects.filter(batch_id=batch).order_by("asset_id")
    of_batch = f"{batches}/{batch}/legs"
    walk.asks(firm, "POST", f"{of_batch}/{crypto.pk.hex}/fail", {"failure": "x"}, causes="accounts_rowversion")
    walk.asks(firm, "POST", f"/api/settlement_legs/{cash.pk.hex}/fail", {"failure": "x"}, causes="accounts_rowversion")
    retry_due(clock.now() + timedelta(days=1))
    moved = {"actual_amount": int(cash.expected) - 1, "final": True}
    walk.asks(firm, "POST", f"/api/settlement_legs/{cash.pk.hex}/settle", moved, causes="accounts_rowversion")
    moved = {"actual_amount": int(crypto.expected)}
    walk.asks(firm, "POST", f"{of_batch}/{crypto.pk.hex}/settle", moved, causes="accounts_rowversion")

    in_a_sandbox(walk, firm, alice)

    told = {"type": "individual", "login_email": "grace@example.com"}
    guid = walk.asks(firm, "POST", "/api/customers", told, causes="accounts_rowversion")["guid"]
    token = walk.asks(firm, "POST", f"/api/customers/{guid}/invitation", {}, causes="")["token"]
    wanted = {"token": token, "password": "correct horse 3"}
    walk.asks("", "POST", "/api/v1/auth/accept-invitation", wanted, causes="accounts_rowversion")
    wanted = {"name": "x", "type": "webhook", "environment": "sandbox", "url": "https://shop.example/"}
    told = walk.asks(firm, "POST", "/api/subscriptions", wanted, causes="accounts_rowversion")["guid"]
    path = f"/api/subscriptions/{told}"
    walk.asks(firm, "PATCH", path, {"name": "y"}, causes="accounts_rowversion")
    walk.asks(firm, "POST", f"{path}/signing_key", {}, causes="accounts_rowversion")
    wanted = {"subscription_guid": told, "subscription_event_guid": guid_of(an_event()).hex}
    walk.asks(firm, "POST", "/api/subscription_deliveries", wanted, causes="accounts_webhookdelivery")
    WebhookDelivery.objects.update(state="failed", next_attempt_at=None)
    walk.asks(firm, "POST", f"{path}/replay", {}, causes="accounts_webhookdelivery")
    walk.asks(firm, "DELETE", path, {}, causes="accounts_rowversion")

    login = {"email": "ada@example.com", "password": "correct horse 1"}
    walk.asks("", "POST", "/api/v1/auth/signup", login, causes="accounts_rowversion")
    pair = walk.asks("", "POST", "/api/v1/auth/login", login, causes="")
    pair = walk.asks("", "POST", "/api/v1/auth/refresh", {"refresh": pair["refresh"]}, causes="")
    new = {"oldPassword": login["password"], "newPassword": "correct horse 2"}
    pair = walk.asks(pair["access"], "POST", "/api/v1/auth/password", new, causes="accounts_rowversion")
    walk.asks("", "POST", "/api/v1/auth/logout", {"refresh": pair["refresh"]}, causes="accounts_endedsession")
    pair = Client().post("/api/v1/auth/login", login | {"password": "correct horse 2"}, "application/json").json()
    walk.asks(pair["access"], "POST", "/api/v1/auth/logout-everywhere", {}, causes="accounts_rowversion")

    assert set(changing()) - walk.asked - OF_THE_ENGINE - WRITES_NOTHING == set()


def test_money_holds_and_comparisons_name_the_request_of_an_operator_and_nothing_after_it() -> None:
    """Guards: the defaults of `request_id` in `Funding`, `PriceHold` and `ReconciliationRun`, to which no route of the
    API leads; `request_id.end`, and that what `conflicts._named` sets ends with its transaction."""

    def caused() -> set[str | None]:
        deposit(a_customer(), "USD", "1.00")
        hold_price(symbols.instrument("BTC-USD"), Decimal(40_000), Decimal(40_001))
        reconcile(b"asset,balance\nUSD,1.00\n", source="the bank", as_of=clock.now(), at=clock.now())
        rows = [table.objects.latest("at") for table in (Funding, PriceHold, ReconciliationRun)]
        opened = LedgerAccount.objects.filter(customer__isnull=False).latest("created_at")
        version = RowVersion.objects.filter(table_name="accounts_customer").latest("at")
        return {row.request_id for row in (*rows, opened, version)}

    request_id.begin("the-operators", uuid7())
    in_it = caused()
    request_id.end()

    assert in_it == {"the-operators"}
    assert caused() == {None}
