"""One process' clock is five minutes off, either way. Redis' clock judges deadlines and prices.

See `wrong_clock.py` for how a clock is made wrong.
"""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.utils import timezone

from accounts import clock
from accounts.models import Transfer
from quotes.models import Quote
from tests.faults.trading_customers import TradingCustomers, nothing_waits
from tests.faults.wrong_clock import COMPILER, make_library, off
from tests.given import a_customer, btc_at, price_at, states, stores, token_of, what_the_audit_finds
from tests.live import CHECKOUT, Live
from tests.sizes import size
from tests.trades.engine_steps import opens
from trades.models import Deal, EngineLease, MarginAccount, Order, Trade

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("live"),
    pytest.mark.skipif(COMPILER is None, reason="no C compiler to make a wrong clock with"),
]


@pytest.fixture(scope="module")
def wrong_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_library(tmp_path_factory.mktemp("clock"))


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [300, -300][: size(1, 2)])
def test_an_engine_with_a_wrong_clock_drops_nothing_and_executes_nothing_wrongly(
    live: Live, wrong_clock: Path, seconds: int
) -> None:
    """Guard: a deadline and a price's age are judged by Redis' time (`Stream._entries`, `Prices.now`)."""
    live.kill("engine")
    EngineLease.objects.update(renewed_at=None)
    live.start_one("engine", extra=off(wrong_clock, seconds))
    an_engine_serves()
    alice = a_customer(with_usd="10_000.00")
    with TradingCustomers(live, people=3) as customers:
        watched = opens(alice, stopLoss="41000")
        price_at("BTC-USD", "40_000.00", at=timezone.now() - timedelta(seconds=60))  # old by the right clock
        btc_at("42_000.00")
        customers.wait_for(20)
    live.kill("engine")
    live.start_one("engine")

    nothing_waits()
    customers.were_told_the_truth(allowed={400})
    assert Order.objects.get(pk=watched.pk).status == "OPEN"
    now = timezone.now()
    assert all(abs(now - at) < timedelta(seconds=60) for at in Deal.objects.values_list("at", flat=True))
    assert all(abs(now - at) < timedelta(seconds=60) for at in Transfer.objects.values_list("at", flat=True))


def an_engine_serves() -> None:
    """Wait for one that was just started: on a busy machine that takes longer than a create may."""
    give_up = time.monotonic() + 30
    while not EngineLease.objects.filter(renewed_at__gt=clock.now() - timedelta(seconds=0.5)).exists():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def assert_it_says_so(live: Live, seconds: int) -> None:
    answer = httpx.get(f"{live.url}/readyz", timeout=5)
    said = f"5 min {'ahead of' if seconds > 0 else 'behind'} PostgreSQL's"
    assert (answer.status_code, answer.json()["clock"]) == (503, said)
    assert f"this host's clock is {said}" in live.log.read_text()


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [-300, 300][: size(1, 2)])
def test_a_web_process_with_a_wrong_clock_drops_nothing_and_its_quotes_are_as_good_as_any(
    live: Live, wrong_clock: Path, seconds: int
) -> None:
    """Guards: `Gateway.on_its_clock` counts from Redis' time, not from the process' own; `verify_iat` of
    accounts.tokens, without which a process that is behind refuses everybody who has just logged in elsewhere; and
    `accounts.clock`, without which a quote would be good for five minutes more, or for none, somewhere else.

    Tokens are judged by its own clock: nobody is let in for longer than an hour and five minutes.
    """
    live.kill("web")
    live.start_one("web", extra=off(wrong_clock, seconds))
    live.wait_for_web("/livez")
    assert_it_says_so(live, seconds)
    with TradingCustomers(live, people=3) as customers:
        customers.wait_for(20)
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as client:
        quote = client.post("/api/quotes", json={"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000})
        trade = client.post("/api/trades", json={"quote_guid": quote.json()["guid"]})
    live.kill("web")
    live.start_one("web")
    live.wait_for_web()

    nothing_waits()
    customers.were_told_the_truth(allowed=())
    assert (quote.status_code, trade.status_code) == (201, 201)
    now = timezone.now()
    assert all(abs(now - at) < timedelta(seconds=60) for at in Quote.objects.values_list("issued_at", flat=True))
    assert all(abs(now - at) < timedelta(seconds=60) for at in Trade.objects.values_list("created_at", flat=True))
    stores(*Trade.objects.filter(state="storing"))
    assert states(*Trade.objects.all()) == ["settling"]
    assert what_the_audit_finds() == []


@pytest.mark.faults
@pytest.mark.parametrize("seconds", [-300, 300][: size(1, 2)])
def test_money_that_a_process_with_a_wrong_clock_took_out_is_seen_by_the_engine(
    live: Live, wrong_clock: Path, seconds: int
) -> None:
    """Guard: what `Engine._look_at_cash` reads anew. The transfer's id says that it was made five minutes ago: nobody
    looks for it there any more."""

    def moves(command: str, amount: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", command, alice.pk.hex, "USD", amount, "--key", command],
            cwd=CHECKOUT,
            env=live.environment | off(wrong_clock, seconds),
            check=True,
        )

    alice = a_customer()
    moves("deposit", "10000.00")
    btc_at("42_000.00")
    with live.client(token_of(alice)) as client:
        order = {"symbol": "BTC-USD", "type": "buy", "quantity": 0.2, "leverage": 1}
        assert client.post("/api/v1/trade/create", json=order).status_code == 200

    moves("withdraw", "1600.00")  # 8,400.00 of margin, and 8,400.00 of equity are left

    give_up = time.monotonic() + 30
    while not MarginAccount.objects.filter(pk=alice.pk, called_at__isnull=False).exists():
        assert time.monotonic() < give_up
        time.sleep(0.1)
