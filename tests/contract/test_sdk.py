"""The published client of this API family, unmodified, against real processes: buy, exit, settle.

`make test` runs this with the release that the contract names, `make sdks` with the newest one. That one's request
models don't list exits any more, though its answers do: see `of_kind`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib.metadata import version
from typing import Any

import cybrid_api_bank
import httpx
import pytest
from cybrid_api_bank.api.accounts_bank_api import AccountsBankApi
from cybrid_api_bank.api.assets_bank_api import AssetsBankApi
from cybrid_api_bank.api.customers_bank_api import CustomersBankApi
from cybrid_api_bank.api.external_bank_accounts_bank_api import ExternalBankAccountsBankApi
from cybrid_api_bank.api.prices_bank_api import PricesBankApi
from cybrid_api_bank.api.quotes_bank_api import QuotesBankApi
from cybrid_api_bank.api.symbols_bank_api import SymbolsBankApi
from cybrid_api_bank.api.trades_bank_api import TradesBankApi
from cybrid_api_bank.api.transfers_bank_api import TransfersBankApi
from cybrid_api_bank.models import (
    PatchCustomer,
    PostAccount,
    PostBankAccountDetails,
    PostCustomer,
    PostExternalBankAccount,
    PostExternalBankAccountCounterpartyName,
    PostFee,
    PostQuote,
    PostTrade,
    PostTransfer,
)
from django.core.management import call_command
from django.utils import timezone

from accounts import json_codec, services
from accounts.identity import FIRM_SCOPES
from accounts.models import Customer
from brokerage.stack.where import CHECKOUT
from quotes import symbols
from quotes.services import hold_price
from tests.given import (
    a_customer,
    btc,
    btc_at,
    deposit,
    every_price_at_its_start,
    usd,
    what_the_audit_finds,
)
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

TIMEOUT_SECONDS = 10


@pytest.fixture
def firm(live: Live) -> Iterator[cybrid_api_bank.ApiClient]:
    """The SDK's client with a token of an API client that has every scope."""
    configuration = cybrid_api_bank.Configuration(host=live.url, access_token=a_token(live, "sdk"))
    with cybrid_api_bank.ApiClient(configuration) as sdk:
        yield sdk


def a_token(live: Live, name: str) -> str:
    """Of a new API client that has every scope."""
    client, secret = services.create_api_client(name, FIRM_SCOPES, timezone.now())
    given = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    with live.client() as http:
        return str(http.post("/oauth/token", json=given).json()["access_token"])


@pytest.fixture
def alice() -> Customer:
    every_price_at_its_start()
    return a_customer(with_usd="10_000.00")


def until(state: str, trades: TradesBankApi, guid: str) -> cybrid_api_bank.models.Trade:
    """Poll, as the page says, until the trade has this state."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while True:
        trade = trades.get_trade(guid)
        if trade.state == state:
            return trade
        assert time.monotonic() < give_up, f"still {trade.state}"
        time.sleep(0.05)


def known_as(state: str, customers: CustomersBankApi, guid: str) -> cybrid_api_bank.models.Customer:
    """Poll until the customer has this state."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while True:
        customer = customers.get_customer(guid)
        if customer.state == state:
            return customer
        assert time.monotonic() < give_up, f"still {customer.state}"
        time.sleep(0.05)


def until_moved(transfers: TransfersBankApi, guid: str) -> cybrid_api_bank.models.Transfer:
    """Poll until the transfer has completed or failed."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while True:
        transfer = transfers.get_transfer(guid)
        if transfer.state in ("completed", "failed"):
            return transfer
        assert time.monotonic() < give_up, f"still {transfer.state}"
        time.sleep(0.05)


def of_kind(body: Any, **kind: str) -> Any:
    """The body with this `product_type` or `trade_type`, also where the release's model doesn't let it through."""
    for name, value in kind.items():
        try:
            setattr(body, name, value)
        except cybrid_api_bank.ApiValueError:
            body._data_store[name] = value
    return body


def refused(call: Callable[[], object]) -> cybrid_api_bank.ApiException:
    with pytest.raises(cybrid_api_bank.ApiException) as caught:
        call()
    return caught.value


def test_the_release_is_the_one_of_the_lock_file():
    lock = (CHECKOUT / os.environ.get("SDK_LOCK", "requirements-dev.lock")).read_text()

    assert f"cybrid-api-bank-python=={version('cybrid-api-bank-python')} " in lock


def test_the_sdk_buys_exits_and_sees_both_settle(firm, alice):
    quotes, trades = QuotesBankApi(firm), TradesBankApi(firm)
    btc_at("42_350.75", "42_360.00")

    quote = quotes.create_quote(
        PostQuote(
            product_type="trading",
            customer_guid=alice.pk.hex,
            symbol="BTC-USD",
            side="buy",
            receive_amount=btc("0.1"),
            fees=[PostFee(type="spread", spread_fee=50), PostFee(type="fixed", fixed_fee=99)],
        )
    )
    assert (quote.receive_amount, quote.fee) == (btc("0.1"), usd("21.18") + 99)
    assert quote.deliver_amount == usd("4_236.00") + quote.fee

    bought = trades.create_trade(PostTrade(quote_guid=quote.guid, labels=["first"]))
    assert (bought.state, bought.trade_type, bought.failure_code) == ("storing", "platform", None)
    until("settling", trades, bought.guid)
    assert quotes.get_quote(quote.guid).trade_guid == bought.guid

    btc_at("43_000.00", "43_010.00")
    offer = quotes.create_quote(
        of_kind(PostQuote(customer_guid=alice.pk.hex, reference_trade_guid=bought.guid), product_type="trading_exit")
    )
    assert (offer.side, offer.symbol, offer.deliver_amount) == ("sell", "BTC-USD", btc("0.1"))
    sold = trades.create_trade(of_kind(PostTrade(quote_guid=offer.guid), trade_type="exit"))
    assert (sold.state, sold.reference_trade_guid) == ("storing", bought.guid)
    until("settling", trades, sold.guid)

    call_command("cut_batch")
    call_command("settle_batch", "--all")
    assert until("completed", trades, bought.guid).labels == ["first"]
    until("completed", trades, sold.guid)

    account = AccountsBankApi(firm).list_accounts(customer_guid=alice.pk.hex).objects
    cash = next(one for one in account if one.asset == "USD")
    assert cash.platform_available == usd("10_000.00") - quote.deliver_amount + offer.receive_amount
    assert what_the_audit_finds() == []


def test_the_sdk_funds_a_customer_from_nothing_to_a_settled_exit_and_pays_out(live, firm):
    """Money comes in, is traded and settled, and goes to another customer and out again, with no command at all: one
    program cuts the batch and another one confirms it, by API."""
    every_price_at_its_start()
    customers, quotes = CustomersBankApi(firm), QuotesBankApi(firm)
    trades, transfers, accounts = TradesBankApi(firm), TransfersBankApi(firm), AccountsBankApi(firm)
    btc_at("40_000.00")
    ada, bea = (customers.create_customer(PostCustomer(type="individual")).guid for _ in range(2))
    for one in (ada, bea):
        known_as("verified", customers, one)

    def moves(transfer_type: str, accounts_: dict[str, str] | None = None, **wish: Any) -> Any:
        product = {"funding": "funding", "book": "book_transfer"}[transfer_type]
        quote = quotes.create_quote(PostQuote(product_type=product, asset="USD", **wish))
        made = transfers.create_transfer(
            PostTransfer(quote_guid=quote.guid, transfer_type=transfer_type, **(accounts_ or {}))
        )
        assert made.state in ("storing", "completed")
        return until_moved(transfers, made.guid)

    def cash(of: str) -> Any:
        return next(one for one in accounts.list_accounts(customer_guid=of).objects if one.asset == "USD")

    for one, amount in ((ada, "10_000.00"), (bea, "1.00")):
        deposited = moves("funding", customer_guid=one, side="deposit", deliver_amount=usd(amount))
        assert (deposited.state, deposited.amount, deposited.failure_code) == ("completed", usd(amount), None)
    wanted = {"customer_guid": ada, "symbol": "BTC-USD", "side": "buy", "receive_amount": btc("0.1")}
    bought = trades.create_trade(PostTrade(quote_guid=quotes.create_quote(PostQuote(**wanted)).guid))
    until("settling", trades, bought.guid)
    an_exit = of_kind(PostQuote(customer_guid=ada, reference_trade_guid=bought.guid), product_type="trading_exit")
    offer = quotes.create_quote(an_exit)
    sold = trades.create_trade(of_kind(PostTrade(quote_guid=offer.guid), trade_type="exit"))
    until("settling", trades, sold.guid)
    cutter, confirmer = (
        {"Authorization": f"Bearer {token}"} for token in (firm.configuration.access_token, a_token(live, "second"))
    )
    with live.client() as http:
        batch = http.post("/api/settlement_batches", json={}, headers=cutter).json()["guid"]
        assert http.post(f"/api/settlement_batches/{batch}/confirm", headers=confirmer).status_code == 200
    until("completed", trades, sold.guid)

    between = {"source_account_guid": cash(ada).guid, "destination_account_guid": cash(bea).guid}
    sent = moves("book", between, customer_guid=ada, receive_amount=usd("500.00"))
    assert (sent.state, sent.destination_account.customer_guid) == ("completed", bea)
    assert cash(bea).platform_available == usd("501.00")
    rest = int(cash(ada).platform_available)
    gone = moves("funding", customer_guid=ada, side="withdrawal", deliver_amount=rest)
    assert (gone.state, int(cash(ada).platform_balance)) == ("completed", 0)
    assert transfers.list_transfers(customer_guid=ada, side="withdrawal").total == 1
    assert what_the_audit_finds() == []


def test_the_sdk_writes_a_bank_account_down_pays_there_and_deletes_it(firm, alice):
    accounts, quotes, transfers = ExternalBankAccountsBankApi(firm), QuotesBankApi(firm), TransfersBankApi(firm)
    numbers = PostBankAccountDetails(
        bank_code_type="ABA", bank_code="021000021", account_identifier="123456789", payment_rail="ACH"
    )
    wanted = PostExternalBankAccount(
        name="salary",
        account_kind="raw_routing_details",
        customer_guid=alice.pk.hex,
        asset="USD",
        counterparty_bank_account_details=[numbers],
        counterparty_name=PostExternalBankAccountCounterpartyName(full="Alice Miller"),
    )

    made = accounts.create_external_bank_account(wanted)
    assert (made.state, made.account_kind, made.customer_guid, made.environment) == (
        *("completed", "raw_routing_details", alice.pk.hex),
        "sandbox",
    )
    (pii,) = accounts.get_external_bank_account(made.guid, include_pii=True).pii
    assert (list(pii.names), pii.account_details[0].account_number) == (["Alice Miller"], "123456789")
    assert pii.routing_details[0].routing_number == "021000021"
    assert refused(lambda: accounts.create_external_bank_account(wanted)).status == 409

    quote = quotes.create_quote(
        PostQuote(
            product_type="funding", asset="USD", side="withdrawal", customer_guid=alice.pk.hex, deliver_amount=100
        )
    )
    paid = transfers.create_transfer(
        PostTransfer(quote_guid=quote.guid, transfer_type="funding", external_bank_account_guid=made.guid)
    )
    assert (paid.external_bank_account_guid, paid.destination_account.guid) == (made.guid, made.guid)
    assert until_moved(transfers, paid.guid).state == "completed"

    assert accounts.delete_external_bank_account(made.guid).state == "deleted"
    listed = accounts.list_external_bank_accounts(customer_guid=alice.pk.hex, state="completed,deleted")
    assert [one.state for one in listed.objects] == ["deleted"]


def test_the_sdk_reads_lists_symbols_prices_and_assets(firm, alice):
    quotes, trades = QuotesBankApi(firm), TradesBankApi(firm)
    made = [
        quotes.create_quote(
            PostQuote(customer_guid=alice.pk.hex, symbol="ETH-USD", side="buy", receive_amount=10**16 * (1 + step))
        )
        for step in range(3)
    ]
    trade = trades.create_trade(PostTrade(quote_guid=made[0].guid))

    page = quotes.list_quotes(per_page=2, customer_guid=alice.pk.hex, side="buy", product_type="trading")
    assert (page.total, page.page, page.per_page) == (3, 0, 2)
    assert [quote.guid for quote in page.objects] == [made[2].guid, made[1].guid]
    found = trades.list_trades(customer_guid=alice.pk.hex, guid=trade.guid, state="storing,settling")
    assert [one.guid for one in found.objects] == [trade.guid]

    assert "BTC-USD" in SymbolsBankApi(firm).list_symbols().value
    assert "USD" in [asset.code for asset in AssetsBankApi(firm).list_assets(per_page=100).objects]
    btc_at("42_000.00", "42_001.00")
    (price,) = PricesBankApi(firm).list_prices(symbol="BTC-USD").value
    assert (price.buy_price, price.sell_price) == (usd("42_001.00"), usd("42_000.00"))

    held = hold_price(symbols.instrument("BTC-USD"), Decimal(43_000), Decimal(43_001)).hold
    (price,) = PricesBankApi(firm).list_prices(symbol="BTC-USD").value
    assert (price.buy_price, price.sell_price) == (usd("43_001.00"), usd("43_000.00"))
    (told,) = httpx.get(
        f"{firm.configuration.host}/api/prices?symbol=BTC-USD",
        headers={"Authorization": f"Bearer {firm.configuration.access_token}"},
    ).json()
    assert (told["held"], told["held_since"], told["held_by"]) == (True, json_codec.timestamp(held.at), "operator")


def test_amounts_past_64_bits_come_through_the_sdk(firm, alice):
    deposit(alice, "USD", "90_000.00")
    ten = 10 * 10**18
    quotes, trades = QuotesBankApi(firm), TradesBankApi(firm)

    quote = quotes.create_quote(PostQuote(customer_guid=alice.pk.hex, symbol="ETH-USD", side="buy", receive_amount=ten))
    trade = trades.create_trade(PostTrade(quote_guid=quote.guid))

    assert trade.receive_amount == ten > 2**63
    assert until("settling", trades, trade.guid).receive_amount == ten


def test_the_sdk_parses_our_errors(firm, alice):
    quotes, trades = QuotesBankApi(firm), TradesBankApi(firm)
    quote = quotes.create_quote(
        PostQuote(customer_guid=alice.pk.hex, symbol="BTC-USD", side="buy", deliver_amount=usd("50.00"))
    )
    trades.create_trade(PostTrade(quote_guid=quote.guid))

    again = refused(lambda: trades.create_trade(PostTrade(quote_guid=quote.guid)))
    assert again.status == 409
    assert '"message_code":"data_exists"' in again.body
    assert refused(lambda: trades.get_trade("0" * 32)).status == 404
    an_exit = of_kind(PostTrade(quote_guid=quote.guid), trade_type="exit")
    assert refused(lambda: trades.create_trade(an_exit)).status == 422


def test_the_sdk_makes_a_customer_who_trades_once_verified(firm):
    """The worker checks: it is woken by the request, for no beat runs here."""
    every_price_at_its_start()
    customers, quotes, accounts = CustomersBankApi(firm), QuotesBankApi(firm), AccountsBankApi(firm)

    made = customers.create_customer(PostCustomer(type="individual", labels=["vip"]))
    assert made.state == "storing"
    known_as("verified", customers, made.guid)

    opened = accounts.create_account(
        PostAccount(type="trading", asset="BTC", name="coins", customer_guid=made.guid, labels=["cold"])
    )
    assert [one.guid for one in accounts.list_accounts(label="cold").objects] == [opened.guid]
    wanted = PostQuote(customer_guid=made.guid, symbol="BTC-USD", side="buy", deliver_amount=usd("50.00"))
    assert quotes.create_quote(wanted).customer_guid == made.guid

    assert customers.update_customer(made.guid, PatchCustomer(state="unverified")).state == "unverified"
    answer = refused(lambda: quotes.create_quote(wanted))
    assert (answer.status, '"message_code":"customer_not_verified"' in answer.body) == (422, True)


def test_the_sdk_has_a_customer_rejected_on_request(firm):
    customers = CustomersBankApi(firm)

    made = customers.create_customer(PostCustomer(type="individual", expected_behaviours=["failed_immediately"]))

    assert known_as("rejected", customers, made.guid).guid == made.guid
