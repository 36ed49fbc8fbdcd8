"""The exporter tells what stands in PostgreSQL and Redis, part by part."""

from __future__ import annotations

import math
import subprocess
from datetime import timedelta

import httpx
import pytest
import redis
from django.db import connection, transaction
from prometheus_client import REGISTRY

from accounts import audit, clock, ledger, streams
from accounts.ids import uuid7
from accounts.models import ApiClient, WebhookSubscription
from brokerage.observe.exporter import PARTS, Exporter
from brokerage.stack.processes import MANAGE
from tests.accounts.calls import the_firm
from tests.given import a_customer, a_quote, a_settling_buy, btc, btc_at, executes, price_at, usd
from tests.live import environment
from tests.observe.scraped import scraped
from tests.stack.running import eventually, free_port
from trades.margin.commands import GROUP, stream_name
from trades.models import EngineLease, MarginAccount, SettlementBatch

pytestmark = pytest.mark.django_db(transaction=True)

STREAM = stream_name(0)


@pytest.fixture
def exporter():
    streams.client().delete(STREAM, f"{STREAM}:dead")
    yield Exporter(kept_seconds=0)
    streams.client().delete(STREAM, f"{STREAM}:dead")


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (MarginAccount.objects.filter(called_at__isnull=False).order_by("called_at"), "margin_account_called"),
        (
            SettlementBatch.objects.exclude(state__in=["completed", "cancelled"]).order_by("cut_at", "pk"),
            "batch_open",
        ),
    ],
)
def test_what_is_asked_at_each_scrape_has_an_index_of_the_few(asked, index: str) -> None:
    """Guard: migration 0126 of trades. Without it: every margin account, and every batch there ever was."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        assert index in asked.explain()


def test_every_part_of_the_state_is_told_where_both_servers_are_there(exporter):
    told = scraped(exporter)

    assert {part: told["brokerage_part_up", part] for part in ("postgresql", *PARTS)} == dict.fromkeys(
        ("postgresql", *PARTS), 1
    )
    assert told["brokerage_redis_takes_writes"] == 1
    assert told["brokerage_postgres_connections_limit"] > 0


def test_a_partition_without_an_engine_has_a_lease_that_never_lived(exporter, settings):
    settings.ENGINE_PARTITIONS = 2
    EngineLease.objects.update_or_create(partition=0, defaults={"renewed_at": clock.now() - timedelta(seconds=3)})
    EngineLease.objects.filter(partition=1).delete()

    told = scraped(exporter)
    EngineLease.objects.update(renewed_at=None)

    assert 3 <= told["brokerage_engine_lease_age_seconds", "0"] < 600
    assert told["brokerage_engine_lease_age_seconds", "1"] == math.inf


def test_a_price_has_its_age_and_its_spread_and_says_whether_it_may_be_used(exporter):
    price_at("BTC-USD", "40_000", "40_040")
    price_at("ETH-USD", "2_000", at=clock.now() - timedelta(hours=1))

    told = scraped(exporter)

    assert told["brokerage_price_spread_bps", "BTC-USD"] == pytest.approx(9.995, abs=0.001)
    assert told["brokerage_price_usable", "BTC-USD"] == 1
    assert told["brokerage_price_age_seconds", "ETH-USD"] >= 3600
    assert told["brokerage_price_usable", "ETH-USD"] == 0


def test_the_oldest_command_that_isnt_applied_counts_read_or_not_and_so_do_dead_letters(exporter):
    """Guards: pending entries, and those after the last that was delivered, in `state._stream`."""
    redis_ = streams.client()
    seconds, _ = redis_.time()
    redis_.xgroup_create(STREAM, GROUP, id="0", mkstream=True)

    redis_.xadd(STREAM, {"is": "applied"}, id=f"{(seconds - 900) * 1000}-0")
    ((_, ((applied, _),)),) = redis_.xreadgroup(GROUP, "engine", {STREAM: ">"})
    redis_.xack(STREAM, GROUP, applied)
    told = scraped(exporter)
    assert (told["brokerage_stream_length", "0"], told["brokerage_stream_oldest_seconds", "0"]) == (1, 0)

    redis_.xadd(STREAM, {"is": "unread"}, id=f"{(seconds - 60) * 1000}-0")
    assert 60 <= scraped(exporter)["brokerage_stream_oldest_seconds", "0"] < 600

    redis_.xreadgroup(GROUP, "engine", {STREAM: ">"})
    redis_.xadd(f"{STREAM}:dead", {"is": "poison"})
    told = scraped(exporter)
    assert 60 <= told["brokerage_stream_oldest_seconds", "0"] < 600
    assert told["brokerage_dead_letters", "partition 0"] == 1


def test_trades_that_wait_and_the_last_audit_are_told(exporter):
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    assert scraped(exporter)["brokerage_audit_age_seconds"] == math.inf

    a_settling_buy(alice, btc("0.1"))
    executes(a_quote(alice, receive=btc("0.01")))
    audit.run(clock.now())
    told = scraped(exporter)

    assert told["brokerage_oldest_waiting_seconds", "storing"] > 0
    assert told["brokerage_oldest_waiting_seconds", "crypto"] > 0
    assert told["brokerage_waiting_late", "storing"] == 0
    assert told["brokerage_audit_ok"] == 1
    assert 0 <= told["brokerage_audit_age_seconds"] < 600
    assert told["brokerage_unsealed_age_seconds"] > 0


def test_what_the_house_wrote_off_is_told_by_asset_from_the_beginning(exporter):
    """An alert asks by how much it grew: of a series that begins with a loss that is nothing."""
    assert scraped(exporter)["brokerage_written_off_debits", "protection", "USD"] == 0
    alice = a_customer()
    ledger.post(
        [
            ledger.Movement(
                ledger.house(alice.pk, "USD", ledger.PROTECTION),
                ledger.customers(alice.pk, "USD", ledger.AVAILABLE),
                usd("12.50"),
                "order_protection",
                "order:ord_1:protection",
                alice.pk,
                None,
                clock.now(),
            )
        ]
    )

    assert scraped(exporter)["brokerage_written_off_debits", "protection", "USD"] == 1250


def test_an_event_that_no_subscription_was_told_of_waits(exporter):
    """Guard: the place of the subscription furthest back, not the last event."""
    assert scraped(exporter)["brokerage_outbox_untold_seconds"] == 0
    the_firm("subscriptions:execute")
    firm = ApiClient.objects.get()
    WebhookSubscription.objects.create(
        client=firm, name="a shop", url="https://shop.example", seed="s", transaction=0, number=0
    )

    a_customer()

    assert scraped(exporter)["brokerage_outbox_untold_seconds"] > 0


def test_without_redis_its_parts_are_missing_and_the_others_are_told(exporter):
    """Guard: each part is asked by itself."""
    nobody = redis.Redis(port=1, socket_connect_timeout=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "client", lambda: nobody)
        patch.setattr(streams, "prompt_client", lambda: nobody)
        told = scraped(exporter)

    assert [part for part in PARTS if not told["brokerage_part_up", part]] == ["prices", "streams"]
    assert told["brokerage_redis_takes_writes"] == 0
    assert told["brokerage_breaks_open"] == 0


def test_the_exporter_answers_at_its_port_and_a_second_one_is_refused_in_one_line():
    port = free_port()
    env = environment() | {"METRICS_PORT": str(port)}
    running = subprocess.Popen([*MANAGE, "run_exporter"], env=env)
    try:
        assert eventually(lambda: _answers(port), 60)
        text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        second = subprocess.run([*MANAGE, "run_exporter"], env=env, capture_output=True, text=True, check=False)
    finally:
        running.terminate()
        running.wait(60)

    assert 'brokerage_part_up{part="books"} 1.0' in text
    assert second.returncode == 3
    assert second.stderr.splitlines()[-1] == "Refused: METRICS_PORT names no port that is free."


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
    except httpx.TransportError:
        return False


# --- what processes count by themselves --------------------------------------------------------------


def test_a_request_is_counted_by_its_route_and_what_leads_nowhere_as_one(client):
    name = "brokerage_http_request_seconds_count"
    labels = {"route": "none", "method": "GET", "status": "404"}
    before = REGISTRY.get_sample_value(name, labels) or 0

    for path in (f"/api/{uuid7().hex}", f"/api/{uuid7().hex}/{uuid7().hex}"):
        assert client.get(path).status_code == 404
    assert client.get("/api/assets").status_code == 200

    assert REGISTRY.get_sample_value(name, labels) == before + 2
    routes = {
        sample.labels["route"] for family in REGISTRY.collect() for sample in family.samples if sample.name == name
    }
    assert any("assets" in route for route in routes)
