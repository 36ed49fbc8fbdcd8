"""The typed Python client that `make client` writes plays both seed stories against real processes.

Guard: what the document says of names, types and what may be null. A wrong type is an error in the client's own
parsing, and a call that the generator can't write makes it refuse.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.utils import timezone

from accounts import services
from accounts.identity import FIRM_SCOPES
from accounts.models import Customer
from tests.contract.python_client import generate
from tests.given import btc, btc_at, deposit, every_price_at_its_start, usd, what_the_audit_finds
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

TIMEOUT_SECONDS = 20


class Package:
    """The generated package: `package.quote_create(client, body=…)` calls, `package.QuoteOut` is a model."""

    def __init__(self) -> None:
        self.root = importlib.import_module("brokerage_client")
        self.models = importlib.import_module("brokerage_client.models")
        folder = Path(self.root.__file__ or "").parent / "api"
        self._calls = {path.stem: path.parent.name for path in folder.glob("*/*_*.py")}

    def __getattr__(self, name: str) -> Any:
        if name not in self._calls:
            return getattr(self.models, name)
        module = importlib.import_module(f"brokerage_client.api.{self._calls[name]}.{name}")
        return lambda client, *args, **options: module.sync(*args, client=client, **options)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Package]:
    folder = tmp_path_factory.mktemp("generated") / "client"
    generate(folder)
    sys.path.insert(0, str(folder))
    yield Package()
    sys.path.remove(str(folder))
    for name in [name for name in sys.modules if name.split(".")[0] == "brokerage_client"]:
        del sys.modules[name]


@pytest.fixture
def client(package: Package, live: Live) -> Callable[..., Any]:
    """A client of the generated package, with the token that is given."""

    def of(token: str = "", **options: Any) -> Any:
        if token:
            return package.root.AuthenticatedClient(base_url=live.url, token=token, **options)
        return package.root.Client(base_url=live.url, **options)

    return of


@pytest.fixture
def firm(package: Package, client: Callable[..., Any]) -> Callable[[str], Any]:
    """A client of the generated package for a new API client of this name, that has every scope."""

    def of(name: str) -> Any:
        row, secret = services.create_api_client(name, FIRM_SCOPES, timezone.now())
        body = package.TokenIn(grant_type="client_credentials", client_id=row.client_id, client_secret=secret)
        return client(package.token_create(client(), body=body).access_token)

    return of


def until(state: str, look: Callable[[], Any]) -> Any:
    """Poll until what is looked at has this state."""
    give_up = time.monotonic() + TIMEOUT_SECONDS
    while (seen := look()).state != state:
        assert time.monotonic() < give_up, f"still {seen.state}"
        time.sleep(0.05)
    return seen


def test_a_trader_signs_up_opens_and_closes(package: Package, client: Callable[..., Any]) -> None:
    btc_at("41090.75", "41095.75")
    body = package.SignupIn(email="mia@example.com", password="correct horse 7", name="Mia")
    signed_up = package.session_signup(client(), body=body)
    deposit(Customer.objects.get(pk=signed_up.user.customer_guid), "USD", "10_000.00")
    trader = client(signed_up.access)

    order = package.CreateOrderIn(symbol="BTC-USD", type_="buy", quantity="0.1", leverage=10)
    opened = package.order_create(trader, body=order, idempotency_key="open-1")
    assert (opened.order.open_price, opened.order.margin, opened.order.take_profit) == (41095.75, 410.96, None)
    assert [one.order_id for one in package.order_list(trader).message] == [opened.order_id]

    btc_at("42350.75", "42355.75")
    closed = package.order_close(trader, body=package.CloseOrderIn(order_id=opened.order_id), idempotency_key="close-1")
    assert (closed.order.close_price, closed.order.profit, closed.order.close_reason) == (42350.75, 125.5, "manual")
    assert package.margin_account_balance(trader).message == 10125.5
    again = package.order_close(trader, body=package.CloseOrderIn(order_id=opened.order_id))
    assert isinstance(again, package.OrderError)
    assert again.error == "Order not found or already closed"


def test_with_numbers_as_texts_the_client_loses_no_digit(
    package: Package, client: Callable[..., Any], live: Live
) -> None:
    """The engine's bytes, stored or not, are changed at the edge: the same key answers either form."""
    btc_at("41090.75", "41095.75")
    signed_up = package.session_signup(
        client(), body=package.SignupIn(email="noa@example.com", password="correct horse 8")
    )
    deposit(Customer.objects.get(pk=signed_up.user.customer_guid), "USD", "10_000.00")
    exact = client(signed_up.access, headers={"Accept": "application/json;numbers=text"})

    order = package.CreateOrderIn(symbol="BTC-USD", type_="buy", quantity="0.1", leverage=10)
    opened = package.order_create(exact, body=order, idempotency_key="open-1")
    assert (opened.order.quantity, opened.order.margin, opened.order.swap) == ("0.1", "410.96", "0.00")
    assert package.margin_account_balance(exact).message == "9589.04"

    path, sent = f"{live.url}/api/v1/trade/close", {"orderId": opened.order_id}
    headers = {"Authorization": f"Bearer {signed_up.access}", "Idempotency-Key": "close-1"}
    first = httpx.post(path, json=sent, headers=headers)
    replayed = httpx.post(path, json=sent, headers=headers | {"Accept": "application/json;numbers=text"})
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert first.json()["order"]["profit"] == -0.5
    assert replayed.json()["order"]["profit"] == "-0.50"
    assert int(replayed.headers["Content-Length"]) == len(replayed.content)


def test_a_partner_quotes_trades_exits_and_settles(package: Package, firm: Callable[[str], Any]) -> None:
    every_price_at_its_start()
    maker, checker = firm("maker"), firm("checker")
    made = package.customer_create(maker, body=package.CustomerIn(type_="individual", labels=["vip"]))
    until("verified", lambda: package.customer_retrieve(maker, made.guid))
    deposit(Customer.objects.get(pk=made.guid), "USD", "10_000.00")

    btc_at("42_350.75", "42_360.00")
    (price,) = package.price_list(maker, symbol="BTC-USD")
    assert (price.buy_price, price.sell_price) == (usd("42_360.00"), usd("42_350.75"))
    wanted = package.TradingQuoteIn(
        customer_guid=made.guid, symbol="BTC-USD", side="buy", receive_amount=btc("0.1"), fees=[]
    )
    quote = package.quote_create(maker, body=wanted)
    assert (quote.receive_amount, quote.deliver_amount, quote.fee) == (btc("0.1"), usd("4_236.00"), 0)
    bought = package.trade_create(maker, body=package.TradeIn(quote_guid=quote.guid, labels=["first"]))
    assert (bought.state, bought.failure_code) == ("storing", None)
    until("settling", lambda: package.trade_retrieve(maker, bought.guid))

    btc_at("43_000.00", "43_010.00")
    offer = package.quote_create(
        maker,
        body=package.ExitQuoteIn(
            product_type="trading_exit", customer_guid=made.guid, reference_trade_guid=bought.guid, fees=[]
        ),
    )
    assert (offer.side, offer.receive_amount) == ("sell", usd("4_300.00"))
    sold = package.trade_create(maker, body=package.TradeIn(quote_guid=offer.guid, trade_type="exit"))
    until("settling", lambda: package.trade_retrieve(maker, sold.guid))

    batch = package.batch_create(maker, body=package.BatchIn())
    assert package.batch_confirm(maker, batch.guid).message_code == "maker_is_checker"
    package.batch_confirm(checker, batch.guid)
    until("completed", lambda: package.batch_retrieve(maker, batch.guid))
    for trade in (bought, sold):
        assert package.trade_retrieve(maker, trade.guid).state == "completed"

    (cash,) = [one for one in package.account_list(maker, customer_guid=made.guid).objects if one.asset == "USD"]
    assert cash.platform_available == usd("10_064.00")
    missing = package.trade_retrieve(maker, "0" * 32)
    assert (missing.status, missing.message_code) == (404, "not_found")
    assert what_the_audit_finds() == []
