"""The broker hangs or is gone: trades are taken as fast as ever, and the sweeper moves them."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from tests.given import a_customer, a_quote, btc_at, token_of
from tests.live import Live
from trades.models import Trade
from trades.tasks import sweep

pytestmark = pytest.mark.django_db(transaction=True)

TRADES = 30


@pytest.fixture
def hung() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


@pytest.fixture
def gone() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("broker", ["hung", "gone"])
def test_a_broker_that_does_not_answer_holds_no_request(broker, request):
    port = request.getfixturevalue(broker)
    web = Live(names=("web",), extra={"BROKER_URL": f"redis://127.0.0.1:{port}/0"})
    web.start()
    try:
        btc_at("40_000.00")
        alice = a_customer(with_usd="10_000.00")
        quotes = [a_quote(alice, receive=1000) for _ in range(TRADES)]
        with web.client(token_of(alice)) as http:
            http.get("/api/trades")
            started = time.monotonic()
            answers = [http.post("/api/trades", json={"quote_guid": quote.pk.hex}) for quote in quotes]
            took = time.monotonic() - started
    finally:
        web.stop()

    assert {(answer.status_code, answer.json()["state"]) for answer in answers} == {(201, "storing")}
    assert took < 4, f"{TRADES} trades took {took:.1f} s: one of the broker's timeouts alone is 5 s"

    btc_at("40_000.00")
    sweep()
    assert set(Trade.objects.values_list("state", flat=True)) == {"settling"}
