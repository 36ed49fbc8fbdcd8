"""The published client of this API family, unmodified, against real processes: buy, exit, settle."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import cybrid_api_bank
import httpx
import pytest
from cybrid_api_bank.api.accounts_bank_api import AccountsBankApi
from cybrid_api_bank.api.assets_bank_api import AssetsBankApi
from cybrid_api_bank.api.prices_bank_api import PricesBankApi
from cybrid_api_bank.api.quotes_bank_api import QuotesBankApi
from cybrid_api_bank.api.symbols_bank_api import SymbolsBankApi
from cybrid_api_bank.api.trades_bank_api import TradesBankApi
from cybrid_api_bank.models import PostFee, PostQuote, PostTrade
from django.core.management import call_command
from django.utils import timezone

from accounts import json_codec, services
from accounts.identity import FIRM_SCOPES
from accounts.models import Customer
from quotes import symbols
from quotes.services import hold_price
from tests.given import a_customer, btc, btc_at, deposit, every_price_at_its_start, usd, what_the_audit_finds
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

TIMEOUT_SECONDS = 10


@pytest.fixture
def firm(live: Live) -> Iterator[cybrid_api_bank.ApiClient]:
    """The SDK's client with a token of an API client that has every scope."""
    client, secret = services.create_api_client("sdk", FIRM_SCOPES, timezone.now())
    given = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    with live.client() as http:
        token = http.post("/oauth/token", json=given).json()["access_token"]
    configuration = cybrid_api_bank.Configuration(host=live.url, access_token=token)
    with cybrid_api_bank.ApiClient(configuration) as sdk:
        yield sdk


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


def refused(call: Callable[[], object]) -> cybrid_api_bank.ApiException:
    with pytest.raises(cybrid_api_bank.ApiException) as caught:
        call()
    return caught.value


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
        PostQuote(product_type="trading_exit", customer_guid=alice.pk.hex, reference_trade_guid=bought.guid)
    )
    assert (offer.side, offer.symbol, offer.deliver_amount) == ("sell", "BTC-USD", btc("0.1"))
    sold = trades.create_trade(PostTrade(quote_guid=offer.guid, trade_type="exit"))
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
    assert refused(lambda: trades.create_trade(PostTrade(quote_guid=quote.guid, trade_type="exit"))).status == 422
