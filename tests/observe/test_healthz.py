"""/healthz says of the whole what is wrong, in a sentence each; /readyz of a process whether it can do its work."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
import redis
from django.conf import settings as configured
from django.db import connection, transaction
from prometheus_client import CollectorRegistry

from accounts import clock, json_codec, streams
from brokerage.observe.healthz import application, whole
from tests.accounts.calls import Api
from tests.given import a_customer, a_quote, btc, btc_at, every_price_at_its_start, executes
from tests.roles import ONE_ROLE, as_the_application
from trades.models import EngineLease

__all__ = ["as_the_application"]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def well(settings) -> Iterator[None]:
    """A second partition, both led, and a price of everything."""
    settings.ENGINE_PARTITIONS = 2
    every_price_at_its_start()
    in_an_hour = clock.now() + timedelta(hours=1)
    for partition in (0, 1):
        EngineLease.objects.update_or_create(partition=partition, defaults={"renewed_at": in_an_hour})
    yield
    EngineLease.objects.filter(partition=1).delete()
    EngineLease.objects.update(renewed_at=None)  # free for the engine of the next test


@pytest.mark.usefixtures("well")
def test_a_whole_that_is_well_says_so_with_what_it_has_seen():
    status, said = whole()

    assert (status, said["status"], said["wrong"]) == (200, "well", [])
    assert set(said["partitions"]) == {"0", "1"}
    assert said["prices"]["BTC-USD"]["usable"] is True
    assert said["storing"] == {"oldest_seconds": 0.0}


@pytest.mark.usefixtures("well")
def test_each_thing_that_is_wrong_is_a_sentence(settings):
    """Guards: one of two partitions led isn't enough; a price that is old isn't one."""
    executes(a_quote(a_customer(with_usd="1_000.00"), receive=btc("0.001")))
    settings.STORING_LATE_SECONDS = 0
    btc_at("40_000.00")
    streams.client().hdel("prices", "ETH-USD")
    EngineLease.objects.filter(partition=1).update(renewed_at=clock.now() - timedelta(minutes=1))

    status, said = whole()

    assert (status, said["status"]) == (503, "unwell")
    assert said["wrong"] == [
        "Partition 1 has no engine.",
        "ETH-USD has no price that may be used.",
        "A trade has been storing for too long.",
    ]


@pytest.mark.usefixtures("well")
def test_without_redis_the_rest_is_told_all_the_same():
    nobody = redis.Redis(port=1, socket_connect_timeout=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "client", lambda: nobody)
        patch.setattr(streams, "prompt_client", lambda: nobody)
        status, said = whole()

    assert (status, said["wrong"]) == (503, ["Redis: unreachable.", "Of prices nothing is known."])
    assert set(said["partitions"]) == {"0", "1"}


@pytest.mark.usefixtures("well")
def test_the_exporter_answers_it_beside_its_metrics_and_the_web_process_does_not(client):
    answered: list[str] = []
    answer = application(CollectorRegistry())
    (body,) = answer({"PATH_INFO": "/healthz"}, lambda status, headers: answered.append(status))

    assert (answered, json_codec.loads(body)["status"]) == (["200 OK"], "well")
    assert client.get("/healthz").status_code == 404


# --- /readyz ---------------------------------------------------------------------------------------


@pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role")
def test_a_process_whose_role_was_not_granted_what_it_needs_is_not_ready(as_the_application):
    """Guard: `_role` in `readyz`. As after a restore without `migrate`."""
    owner = configured.OWNER_DATABASE
    name = connection.settings_dict["NAME"]
    with psycopg.connect(
        host=owner["HOST"], port=owner["PORT"] or None, user=owner["USER"], password=owner["PASSWORD"], dbname=name
    ) as granting:
        granting.autocommit = True
        granting.execute(f"REVOKE INSERT ON trades_order FROM {configured.APPLICATION_ROLE}")
        try:
            answer = Api().get("/readyz")
        finally:
            granting.execute(f"GRANT INSERT ON trades_order TO {configured.APPLICATION_ROLE}")

    assert (answer.status, answer.body["role"]) == (503, "misses grants")
    assert Api().get("/readyz").body["role"] == "ok"


def test_a_process_whose_database_takes_no_writes_is_not_ready():
    """Guard: `transaction_read_only`. A replica answers every question and stores nothing."""
    with transaction.atomic():
        connection.cursor().execute("SET LOCAL transaction_read_only = on")
        answer = Api().get("/readyz")

    assert (answer.status, answer.body["postgresql"]) == (503, "takes no writes")
