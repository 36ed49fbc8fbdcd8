"""The published client, unmodified, from a new customer to a settled exit: nothing but HTTP, and no command at all.

What the client has no call for, holding prices and settling, is asked of the sandbox. The processes are those of
`make run`, with its feed and its schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cybrid_api_bank
import httpx
import pytest
from cybrid_api_bank.api.accounts_bank_api import AccountsBankApi
from cybrid_api_bank.api.customers_bank_api import CustomersBankApi
from cybrid_api_bank.api.quotes_bank_api import QuotesBankApi
from cybrid_api_bank.api.trades_bank_api import TradesBankApi
from cybrid_api_bank.api.transfers_bank_api import TransfersBankApi
from cybrid_api_bank.models import PostCustomer, PostQuote, PostTrade, PostTransfer

from accounts import streams
from tests.contract.test_sdk import a_token, known_as, of_kind, refused, until, until_moved
from tests.given import btc, usd, what_the_audit_finds
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]


@pytest.fixture(scope="module")
def whole(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Live]:
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Live(("proxy", "web", "engine", "worker", "feed", "beat"))
    running.start()
    yield running
    running.stop()


def test_the_sdk_goes_from_a_new_customer_to_a_settled_exit_with_no_command_at_all(whole: Live) -> None:
    token = a_token(whole, "sdk")
    configuration = cybrid_api_bank.Configuration(host=whole.url, access_token=token)
    with cybrid_api_bank.ApiClient(configuration) as sdk, whole.client(token) as sandbox:
        customers, quotes, transfers = CustomersBankApi(sdk), QuotesBankApi(sdk), TransfersBankApi(sdk)
        trades, accounts = TradesBankApi(sdk), AccountsBankApi(sdk)
        ada = customers.create_customer(PostCustomer(type="individual")).guid
        known_as("verified", customers, ada)

        coming_in = {"product_type": "funding", "asset": "USD", "side": "deposit", "deliver_amount": usd("10_000.00")}
        quote = quotes.create_quote(PostQuote(customer_guid=ada, **coming_in))
        transfer = transfers.create_transfer(PostTransfer(quote_guid=quote.guid, transfer_type="funding"))
        assert until_moved(transfers, transfer.guid).amount == usd("10_000.00")

        holds(sandbox, "40000", "40010")
        offer = quotes.create_quote(
            PostQuote(customer_guid=ada, symbol="BTC-USD", side="buy", receive_amount=btc("0.1"))
        )
        bought = trades.create_trade(PostTrade(quote_guid=offer.guid))
        until("settling", trades, bought.guid)

        holds(sandbox, "41000", "41010")
        an_exit = of_kind(PostQuote(customer_guid=ada, reference_trade_guid=bought.guid), product_type="trading_exit")
        way_out = quotes.create_quote(an_exit)
        sold = trades.create_trade(of_kind(PostTrade(quote_guid=way_out.guid), trade_type="exit"))
        until("settling", trades, sold.guid)

        batch = sandbox.post("/api/sandbox/settlement_batches", json={})
        assert (batch.status_code, batch.json()["trades_count"]) == (201, 2)
        assert {until("completed", trades, one.guid).state for one in (bought, sold)} == {"completed"}
        (cash,) = [one for one in accounts.list_accounts(customer_guid=ada).objects if one.asset == "USD"]
        assert cash.platform_available == usd("10_000.00") - offer.deliver_amount + way_out.receive_amount
        assert cash.platform_available > usd("10_000.00")

    assert what_the_audit_finds() == []


def test_the_sdk_meets_what_was_forced_and_a_lost_answer_comes_again(whole: Live) -> None:
    token = a_token(whole, "sdk")
    configuration = cybrid_api_bank.Configuration(host=whole.url, access_token=token)
    with cybrid_api_bank.ApiClient(configuration) as sdk, whole.client(token) as sandbox:
        customers = CustomersBankApi(sdk)
        sandbox.post("/api/sandbox/faults", json={"status": 503, "when": "after", "path": "/api/customers"})
        sdk.set_default_header("Idempotency-Key", "lost and found")

        lost = refused(lambda: customers.create_customer(PostCustomer(type="individual")))
        found = customers.create_customer(PostCustomer(type="individual"))

        assert (lost.status, '"message_code":"unavailable"' in lost.body) == (503, True)
        assert customers.list_customers().total == 1
        assert customers.list_customers().objects[0].guid == found.guid


def holds(sandbox: httpx.Client, bid: str, ask: str) -> dict[str, Any]:
    held = sandbox.post("/api/sandbox/prices", json={"symbol": "BTC-USD", "bid": bid, "ask": ask})
    assert held.status_code == 201, held.text
    return dict(held.json())
