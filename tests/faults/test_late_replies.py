"""A reply that nobody waits for any more. It is dropped, and nothing of it is left."""

from __future__ import annotations

import threading
import time

import pytest
from django.conf import settings

from accounts import streams
from tests.faults.engine_alone import REPLIES, STREAM, an_engine, send
from tests.faults.trading_customers import nothing_waits
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.trades.engine_steps import closing, opens
from trades.engine.command_stream import REPLY_KEPT_SECONDS
from trades.gateway import submit
from trades.gateway.replies import gateway
from trades.margin.commands import Answer, Trader, encode_answer
from trades.margin.errors import OutcomeUnknown
from trades.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "CLOSE_DEADLINE_SECONDS", 0.5)


def test_a_reply_after_the_deadline_is_dropped_and_leaves_nothing(half_a_second: None) -> None:
    """Guard: `Gateway._deliver` wakes only whom it knows. The list is empty at once, its expiry is for dead readers."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        assert alice.user_id is not None
        threads = threading.active_count()
        gateway()
        began = threading.active_count()
        assert began - threads <= 2  # the reader and the sender, if this is the process' first request
        with pytest.raises(OutcomeUnknown):
            submit.close(Trader(alice.user_id, alice.pk), {"orderId": order.code}, "", time.monotonic())

        late = Answer(closing(alice, order.code).id, 200, "{}", order.code)
        for _ in range(3):
            streams.client().rpush(gateway().channel, encode_answer(late))
            streams.client().expire(gateway().channel, REPLY_KEPT_SECONDS)
        give_up = time.monotonic() + 5
        while streams.client().exists(gateway().channel) and time.monotonic() < give_up:
            time.sleep(0.02)

        assert not streams.client().exists(gateway().channel)
        assert gateway()._waiting == {}
        assert threading.active_count() == began
        nothing_waits(seconds=5)
        engine.turn()
        assert Order.objects.get(pk=order.pk).status == "OPEN"
        assert what_the_audit_finds() == []


def test_a_reply_to_a_dead_process_expires_by_itself() -> None:
    """Guard: `expire` in `Stream.answer`. Without it every web process that ever died would leave its list behind."""
    with an_engine() as engine:
        alice = a_customer(with_usd="10_000.00")
        btc_at("42_000.00")
        order = opens(alice)
        send(closing(alice, order.code))
        assert engine.turn() == 1

        assert streams.client().llen(REPLIES) == 1
        assert 0 < streams.client().ttl(REPLIES) <= REPLY_KEPT_SECONDS
        assert streams.client().xlen(STREAM) == 0
