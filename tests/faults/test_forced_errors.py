"""One statement in twenty ends in a deadlock or a serialization failure, and nobody notices."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from django.db import connection
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES
from accounts.models import Customer
from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.given import a_customer, a_quote, btc_at, deposit, states, token_of, what_the_audit_finds
from tests.live import Live
from tests.sizes import size
from trades import tasks
from trades.models import SettlementBatch, Trade

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live"), pytest.mark.faults]

STARTS_AGAIN = "waiting for PostgreSQL and Redis"
WRITTEN = {
    "accounts_ledgeraccount": "UPDATE",
    "trades_order": "UPDATE",
    "trades_deal": "INSERT",
    "trades_orderevent": "INSERT",
}


WRITTEN_FOR_THE_API = dict.fromkeys(
    (
        "accounts_break",
        "accounts_customer",
        "accounts_ledgeraccount",
        "accounts_transfer",
        "accounts_user",
        "quotes_quote",
        "token_blacklist_blacklistedtoken",
        "token_blacklist_outstandingtoken",
        "trades_settlementbatch",
        "trades_settlementleg",
        "trades_trade",
        "trades_tradeevent",
    ),
    "INSERT OR UPDATE",
)


@contextmanager
def _failing_writes(written: Mapping[str, str]) -> Iterator[None]:
    """Let one statement in twenty fail that writes these tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION failing_writes() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN IF random() < coalesce(TG_ARGV[0]::int, 5) / 100.0 THEN"
            " RAISE EXCEPTION 'made to fail' USING ERRCODE = CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END;"
            " END IF; RETURN NULL; END $$"
        )
        for table, what in written.items():
            cursor.execute(f"CREATE TRIGGER failing_writes AFTER {what} ON {table} EXECUTE FUNCTION failing_writes()")
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP FUNCTION failing_writes() CASCADE")


@pytest.fixture
def failing_writes() -> Iterator[None]:
    """For what the engine writes."""
    with _failing_writes(WRITTEN):
        yield


@pytest.fixture
def failing_writes_of_the_api() -> Iterator[None]:
    """For what the web process writes, and the workers after it."""
    with _failing_writes(WRITTEN_FOR_THE_API):
        yield


@pytest.mark.parametrize("count", [size(150, 5_000)])
def test_whoever_trades_on_margin_is_told_200_every_time(
    live: Live, count: int, request: pytest.FixtureRequest
) -> None:
    """Guard: `is_conflict` in `Engine._tick`. Without it every such tick costs a new connection and the loading of
    the whole book, as it does where the lease can't be renewed; with a large one, people would notice."""
    customers = TradingCustomers(live)
    request.getfixturevalue("failing_writes")
    began = live.log.read_text().count(STARTS_AGAIN)
    with customers:
        customers.wait_for(count, seconds=3600)

    nothing_waits()
    customers.were_told_the_truth(allowed=())
    assert live.log.read_text().count(STARTS_AGAIN) == began


def test_an_engine_that_can_not_renew_its_lease_tries_again(live: Live, request: pytest.FixtureRequest) -> None:
    """Guard: `Engine.run` takes up again after a failure of the database. Without it the engine is dead."""
    customers = TradingCustomers(live)
    request.getfixturevalue("failing_writes")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER failing_writes AFTER UPDATE ON trades_enginelease EXECUTE FUNCTION failing_writes(50)"
        )
    began = live.log.read_text().count(STARTS_AGAIN)
    with customers:
        customers.wait_for(1)
        give_up = time.monotonic() + 30  # a renewal a second, each of which fails as often as not
        while live.log.read_text().count(STARTS_AGAIN) <= began and time.monotonic() < give_up:
            time.sleep(0.1)
        assert live.log.read_text().count(STARTS_AGAIN) > began
        customers.wait_for(5)

    nothing_waits()
    customers.were_told_the_truth(allowed={408, 500})


@pytest.mark.parametrize("count", [size(20, 1_000)])
def test_every_trade_gets_to_settling(live: Live, count: int, request: pytest.FixtureRequest) -> None:
    """Guard: the tasks are tried again (`tasks.AGAIN`); without it a trade stands in storing until the next sweep."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="1_000_000.00")
    quotes = [a_quote(alice, receive=1000) for _ in range(count)]
    request.getfixturevalue("failing_writes")
    with live.client(token_of(alice)) as http:
        answers = [http.post("/api/trades", json={"quote_guid": quote.pk.hex}) for quote in quotes]

    assert {answer.status_code for answer in answers} == {201}
    give_up = time.monotonic() + 60
    while set(states(*Trade.objects.all())) != {"settling"} and time.monotonic() < give_up:
        btc_at("40_000.00")
        time.sleep(0.2)
    assert states(*Trade.objects.all()) == ["settling"] * count
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("count", [size(15, 200)])
def test_whoever_calls_the_api_is_told_2xx_every_time(live: Live, count: int, request: pytest.FixtureRequest) -> None:
    """From signing up to a settled batch: tokens, quotes, trades, exits, a cut, its confirmation, and its legs.

    Guard: `conflicts.atomic`; with TRIES = 1, which is `transaction.atomic`, a 503 comes within a few requests.
    """
    btc_at("40_000.00")
    maker, checker = _a_program(), _a_program()
    request.getfixturevalue("failing_writes_of_the_api")

    with live.client() as http:
        trader, alice = _signed_up(http)
        bought = [_buys(http, trader) for _ in range(count)]
        _wait_until(lambda: set(states(*Trade.objects.all())) == {"settling"})
        exits = [_exits(http, trader, one) for one in bought[::2]]
        _wait_until(lambda: set(states(*Trade.objects.all())) == {"settling"})
        batch = _tell(http, maker, "/api/settlement_batches", {"legs_are_automatic": False})
        path = f"/api/settlement_batches/{batch['guid']}"
        _tell(http, checker, f"{path}/confirm", {})
        _wait_until(lambda: SettlementBatch.objects.get().state == "settling")
        _report_the_legs(http, maker, path)
        _wait_until(lambda: SettlementBatch.objects.get().state == "completed")
        _tell(http, "", "/api/v1/auth/logout", {"refresh": trader["refresh"]})

    assert Trade.objects.filter(customer=alice, state="completed").count() == len(bought) + len(exits)
    assert what_the_audit_finds() == []


def _a_program() -> str:
    client, _ = services.create_api_client("a partner", FIRM_SCOPES, timezone.now())
    return tokens.client_token(client, FIRM_SCOPES)


def _tell(http: httpx.Client, token: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST it: whatever the database went through, the answer is a good one."""
    answer = http.post(path, json=body, headers={"Authorization": f"Bearer {token}"} if token else {})
    assert answer.status_code in (200, 201), (path, answer.status_code, answer.text)
    told: dict[str, Any] = answer.json()
    return told


def _signed_up(http: httpx.Client) -> tuple[dict[str, Any], Customer]:
    """A new trader with money: their pair of tokens, which `_refresh` replaces."""
    words = {"email": "alice@example.com", "password": "correct horse"}
    customer = Customer.objects.get(pk=_tell(http, "", "/api/v1/auth/signup", words)["user"]["customerGuid"])
    deposit(customer, "USD", "1_000_000.00")
    return _tell(http, "", "/api/v1/auth/login", words), customer


def _buys(http: httpx.Client, trader: dict[str, Any]) -> str:
    """With fresh tokens, a fresh price and a fresh quote; gives the trade's guid."""
    btc_at("40_000.00")
    trader |= _tell(http, "", "/api/v1/auth/refresh", {"refresh": trader["refresh"]})
    wanted = {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000}
    quote = _tell(http, trader["access"], "/api/quotes", wanted)
    guid: str = _tell(http, trader["access"], "/api/trades", {"quote_guid": quote["guid"]})["guid"]
    return guid


def _exits(http: httpx.Client, trader: dict[str, Any], original: str) -> str:
    btc_at("40_000.00")
    wanted = {"product_type": "trading_exit", "reference_trade_guid": original}
    quote = _tell(http, trader["access"], "/api/quotes", wanted)
    body = {"quote_guid": quote["guid"], "trade_type": "exit"}
    guid: str = _tell(http, trader["access"], "/api/trades", body)["guid"]
    return guid


def _report_the_legs(http: httpx.Client, token: str, path: str) -> None:
    """Each fails once, and is settled then, with one unit less than expected."""
    legs = http.get(f"{path}/legs", headers={"Authorization": f"Bearer {token}"}).json()["objects"]
    assert {leg["asset"] for leg in legs} == {"BTC", "USD"}
    for leg in legs:
        _tell(http, token, f"{path}/legs/{leg['guid']}/fail", {"failure": "the bank is closed"})
        actual = max(0, leg["expected"] - 1)
        _tell(http, token, f"{path}/legs/{leg['guid']}/settle", {"actual_amount": actual, "final": True})


def _wait_until(is_so: Callable[[], bool], seconds: float = 60) -> None:
    """Meanwhile the beat's part: a wake-up may have met too many conflicts, and the next one finds what stands."""
    give_up = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < give_up, states(*Trade.objects.all())
        btc_at("40_000.00")
        tasks.sweep.delay()
        tasks.settle_open.delay()
        time.sleep(0.5)
