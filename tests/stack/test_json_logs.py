"""LOG_FORMAT=json: every process writes an object a line, and a request is followed by one id to its order."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from brokerage.logs import formatter
from tests.faults.test_web_killed import until
from tests.given import a_customer, btc_at, token_of
from tests.live import Live
from tests.stack.running import free_metrics_port
from trades.models import Order, OrderEvent

NAMES = ("web", "engine", "worker", "beat", "feed", "stream", "exporter")


@pytest.fixture(scope="module")
def telling(django_db_setup: None, django_db_blocker: Any) -> Iterator[Live]:
    live = Live(NAMES, {"LOG_FORMAT": "json", "FEED_SEED": "1", "METRICS_PORT": str(free_metrics_port())})
    live.start()
    yield live
    live.stop()


def told(live: Live) -> list[dict[str, Any]]:
    """The objects; any line that is none fails here."""
    lines = live.log.read_text().split("\n")[:-1]
    assert [line for line in lines if not line.startswith("{")] == []
    return [json.loads(line) for line in lines]


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("live")
def test_a_request_is_followed_to_its_order_by_one_id(telling: Live) -> None:
    """Guards: the access line in `requests.count`, `request` in `_described`, `_tell` in the engine."""
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    token = token_of(alice)
    body = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.1", "leverage": 10}
    with telling.client(token) as http:
        # The first one waits for modules, and for an engine: on a busy machine longer than an answer may take.
        create = "/api/v1/trade/create"
        until(lambda: http.post(create, json=body, timeout=60).status_code == 200, seconds=120)
        named = http.post("/api/v1/trade/create?whose=secret", json=body, headers={"X-Request-ID": "shop-1"})
        unnamed = http.post("/api/v1/trade/close", json={"orderId": named.json()["orderId"]})
    assert (named.status_code, unnamed.status_code) == (200, 200), named.text
    code, made = named.json()["orderId"], unnamed.headers["X-Request-ID"]
    until(lambda: sum(line.get("order") == code for line in told(telling)) == 2, seconds=120)

    lines = told(telling)
    access = {line["request"]: line for line in lines if line["logger"] == "access"}
    applied = {line["request"]: line for line in lines if line["logger"] == "commands" and "request" in line}
    assert access["shop-1"] | {"time": "", "seconds": 0} == {
        **{"time": "", "level": "info", "logger": "access", "message": "POST /api/v1/trade/create: 200"},
        **{"request": "shop-1", "route": access["shop-1"]["route"], "method": "POST", "status": 200, "seconds": 0},
    }
    assert (applied["shop-1"]["order"], applied["shop-1"]["status"]) == (code, 200)
    assert (applied[made]["order"], applied[made]["command"]) == (code, made)
    assert access[made]["message"] == "POST /api/v1/trade/close: 200"
    order = Order.objects.get(code=code)
    assert OrderEvent.objects.filter(order_id=order.pk, command_id=applied[made]["command"]).exists()
    assert [line for line in lines if line["logger"] == "access" and line["request"] == "shop-1"] == [access["shop-1"]]
    text = telling.log.read_text()
    assert token not in text
    assert "secret" not in text
    assert not re.search(r"[\w.-]+@[\w-]+\.\w", text), "an e-mail address"


@pytest.mark.django_db(transaction=True)
@pytest.mark.xdist_group("live")
def test_every_process_writes_objects(telling: Live) -> None:
    """Whatever they say as they start; what none of these loggers writes would be no object."""
    until(
        lambda: (
            {"engine", "celery.apps.worker", "django_celery_beat.schedulers"} <= {i["logger"] for i in told(telling)}
        ),
        seconds=120,
    )

    for line in told(telling):
        assert {"time", "level", "logger", "message"} <= set(line), line
        assert line["time"].endswith("Z")


def test_what_breaks_json_is_no_danger() -> None:
    """A thief's: a line that looks like two, or ends the object."""
    record = logging.LogRecord("a", logging.INFO, "", 1, 'x"}\n{"level": "critical" %s', ('\u2028"\\',), None)

    (line,) = formatter("json").format(record).split("\n")

    assert json.loads(line)["message"] == 'x"}\n{"level": "critical" \u2028"\\'
    assert json.loads(line)["level"] == "info"


def test_half_a_pair_of_surrogates_loses_no_line() -> None:
    """A thief's: JSON may hold it, UTF-8 can't, and a file's name that is no UTF-8 is read with some. Guard:
    `_encodable`."""
    record = logging.LogRecord("a", logging.INFO, "", 1, "no %s", ("\ud800",), None)
    record.order = "\udcff"

    told = json.loads(formatter("json").format(record))

    assert (told["message"], told["order"]) == (r"no \ud800", r"\udcff")
