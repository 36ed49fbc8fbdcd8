"""`make screenshots`: the pictures in docs/pictures, of a small firm that this file makes up, in both schemes.

No test: pytest collects it only where it is named. Prices and names are always the same; times are those of the day.
"""

from __future__ import annotations

import math
import struct
import zlib
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from accounts import clock
from accounts.identity import SYSTEM
from accounts.models import Customer, EventHorizon, User
from quotes.candles import make_months, minute_of
from quotes.models import Candle
from tests.admin.actions import act, browser_of
from tests.browser.test_admin_in_a_browser import WORD, a_browser, elsewhere, log_in
from tests.given import a_customer, a_settling_buy, btc, deposit, every_price_at_its_start, price_at
from tests.trades.engine_steps import closes, opens
from trades.models import EngineLease, SettlementBatch, SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.legs import settle_leg
from trades.settlement.settle import settle

PICTURES = Path(settings.BASE_DIR) / "docs/pictures"
MOST_BYTES = 150_000
NAMES = ("alice", "bob", "carla", "dmitri", "emma", "farid", "grace", "hugo")
WIDTH, HEIGHT = 1440, 860

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def operator(transactional_db: None) -> User:
    return User.objects.create_superuser("operator@example.com", WORD)


def a_day_of_candles(symbol: str, around: int) -> None:
    last = minute_of(clock.now())
    minutes = [last - timedelta(minutes=number) for number in range(24 * 60)]
    make_months(minutes)
    rows = []
    for number, minute in enumerate(minutes):
        wave = math.sin(number / 170) * 0.011 + math.sin(number / 23) * 0.003
        price = Decimal(round(around * (1 + wave), 2))
        edge = Decimal(around) / 4000
        rows.append(
            Candle(
                instrument_id=symbol,
                minute=minute,
                open=price,
                high=price + edge,
                low=price - edge,
                close=price + (edge / 2 if number % 3 else -edge / 2),
                trade_count=60,
            )
        )
    Candle.objects.bulk_create(rows)


def a_firm(operator: User) -> tuple[Customer, SettlementBatch]:
    """Customers with positions, a batch whose legs are half reported, another one, and what staff did."""
    every_price_at_its_start()
    price_at("BTC-USD", "42000.00", "42005.00")
    customers = [a_customer(name, with_usd="60_000.00") for name in NAMES]
    for number, one in enumerate(customers):
        stop, target = f"{41_200 - 60 * number}", f"{43_100 + 90 * number}"
        if number % 3 == 2:
            stop, target = target, stop
        side = "sell" if number % 3 == 2 else "buy"
        opens(one, quantity=f"0.{number + 2}", type=side, leverage=10, stopLoss=stop, takeProfit=target)
        if number % 2:
            closes(one, opens(one, quantity="0.05"))
    for one in customers[:5]:
        a_settling_buy(one, btc("0.12"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    leg = SettlementLeg.objects.get(batch=batch, asset="BTC")
    settle_leg(leg.pk, actual=btc("0.4"), reference="WIRE-20771", by=SYSTEM, at=timezone.now())
    alice = customers[0]
    for amount in ("2_500.00", "640.25", "1_115.50"):
        deposit(alice, "USD", amount)
    browser = browser_of(operator)
    given = {"asset": "USD", "reference": "", "direction": "credit"}
    act(browser, "accounts_customer_propose_adjustment", alice.pk, amount="5000.00", reason="a wrong price", **given)
    act(browser, "accounts_customer_propose_adjustment", alice.pk, amount="25.00", reason="goodwill", **given)
    act(browser, "accounts_customer_freeze", customers[3].pk, reason="papers are missing")
    act(browser, "accounts_customer_thaw", customers[3].pk, reason="papers came")
    trade = a_settling_buy(customers[6], btc("0.03"))
    act(browser, "trades_trade_flag", trade.pk, reason="looks odd")
    batch.refresh_from_db()
    return alice, batch


def all_is_well() -> None:
    """As if every process ran: prices are fresh, engine, worker and beat were heard of a moment ago."""
    every_price_at_its_start()
    price_at("BTC-USD", "42000.00", "42005.00")
    at = timezone.now()
    for number in range(settings.ENGINE_PARTITIONS):
        lease = {"epoch": 1, "holder": f"engine:{number}", "renewed_at": at}
        EngineLease.objects.update_or_create(partition=number, defaults=lease)
    EventHorizon.objects.update(at=at)
    PeriodicTask.objects.filter(enabled=True).update(last_run_at=at)


def squeezed(png: bytes) -> bytes:
    """The same picture in fewer bytes: a browser compresses for speed."""
    chunks, data, place = [], b"", 8
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        if kind == b"IDAT":
            data += body
        else:
            chunks.append((kind, body))
        place += length + 12
    chunks.insert(-1, (b"IDAT", zlib.compress(zlib.decompress(data), 9)))
    written = (struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks)
    return png[:8] + b"".join(written)


@pytest.mark.timeout(600)
def test_take_the_pictures(operator: User, live_server, chromium) -> None:
    alice, batch = a_firm(operator)
    a_day_of_candles("BTC-USD", 42_000)
    pages = {
        "dashboard": reverse("admin:index"),
        "exposure": f"{reverse('admin:trades_position_exposure')}?symbol=BTC-USD",
        "customer": reverse("admin:accounts_customer_change", args=[alice.pk]),
        "batch": reverse("admin:trades_settlementbatch_change", args=[batch.pk]),
        "journal": reverse("admin:accounts_journalentry_changelist"),
    }
    PICTURES.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        with a_browser(chromium, live_server.url, scheme) as (page, troubles):
            log_in(page, live_server.url, operator.email)
            for name, path in pages.items():
                page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
                elsewhere(all_is_well)
                page.goto(f"{live_server.url}{path}")
                page.wait_for_load_state("networkidle")
                height = HEIGHT - 200 if name == "journal" else HEIGHT  # full of text, which takes bytes
                page.set_viewport_size({"width": WIDTH, "height": height})
                picture = squeezed(page.screenshot())
                assert len(picture) < MOST_BYTES, name
                (PICTURES / f"{name}-{scheme}.png").write_bytes(picture)
            assert troubles == []
