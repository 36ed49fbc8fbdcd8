"""A Redis that answers, and refuses.

Whoever needs it is told 503 and when to come back, within the deadline; /readyz says what Redis says; reads go on.
Engine, feed and worker wait, stay the processes they are, and go on by themselves when it recovers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.conf import settings

from accounts import streams
from tests.faults.own_redis import OwnRedis, own_redis
from tests.faults.refusing_redis import SPARED, RefusingRedis, refusing_redis
from tests.given import a_customer, token_of
from tests.live import CHECKOUT, Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

CODE = "ord_0123456789abcdef"
BUY = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.001", "leverage": "10"}
NEEDING: list[tuple[str, str, Any]] = [
    ("POST", "/api/v1/trade/create", BUY),
    ("POST", "/api/v1/trade/close", {"orderId": CODE}),
    ("POST", "/api/v1/trade/close-all", {}),
    ("PATCH", f"/api/v1/trade/orders/{CODE}", {"stopLoss": 1}),
    ("DELETE", f"/api/v1/trade/orders/{CODE}", {}),
]
READS = ("/api/v1/account", "/api/v1/trade/orders", "/api/v1/statement", "/api/trades")
QUOTE = {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000}


def are_told_to_come_back(client: httpx.Client, needing: list[tuple[str, str, Any]], keys: tuple[str, ...]) -> None:
    for method, path, body in needing:
        for key in keys:
            started = time.monotonic()
            answer = client.request(method, path, json=body, headers={"Idempotency-Key": key} if key else {})
            assert (path, key, answer.status_code) == (path, key, 503), answer.text
            assert int(answer.headers["Retry-After"]) > 0
            assert time.monotonic() - started < 5


# --- in a server's words ---------------------------------------------------------------------------

REFUSALS = {
    "MISCONF": "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
    "CLUSTERDOWN": "CLUSTERDOWN The cluster is down",
    "LOADING": "LOADING Redis is loading the dataset in memory",
    "BUSY": "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "MASTERDOWN": "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
    "NOPERM": "NOPERM User default has no permissions to run this command",
    "OOM": "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY": "READONLY You can't write against a read only replica.",
    "TRYAGAIN": "TRYAGAIN Multiple keys request during rehashing of slot",
    "NOAUTH": "NOAUTH Authentication required.",
    "ERR": "ERR something that nobody has heard of",
}


@pytest.fixture(scope="module")
def refusing() -> Iterator[RefusingRedis]:
    with refusing_redis() as server:
        server.refusal = REFUSALS["LOADING"]
        yield server


@pytest.fixture(scope="module")
def web(django_db_setup: None, refusing: RefusingRedis) -> Iterator[Live]:
    running = Live(("web",), {"STREAM_URL": refusing.url, "CACHE_URL": "", "BROKER_URL": ""})
    running.start_one("web")
    running.wait_for_web("/livez")
    yield running
    running.stop()


@pytest.mark.parametrize("spares", [SPARED, SPARED - {"SELECT", "PING", "HELLO"}], ids=["greets", "refuses all"])
@pytest.mark.parametrize("word", REFUSALS)
def test_what_redis_refuses_is_503_on_every_route_that_needs_it_and_told_by_readyz(
    web: Live, refusing: RefusingRedis, word: str, spares: frozenset[str]
) -> None:
    """Guards: redis.RedisError in `errors._TOLD` (500 else), and that `health.writes` writes."""
    refusing.refusal, refusing.spares = REFUSALS[word], spares
    with web.client(token_of(a_customer(with_usd="10_000.00"))) as client:
        are_told_to_come_back(client, [*NEEDING, ("POST", "/api/quotes", QUOTE)], ("", "key"))
        assert [client.get(path).status_code for path in READS] == [200] * len(READS)
        ready, alive = client.get("/readyz"), client.get("/livez")

    assert (ready.status_code, alive.status_code) == (503, 200)
    assert ready.json()["redis"] in (f"refuses ({word})", "unreachable" if spares != SPARED else "")
    assert ready.json()["postgresql"] == "ok"


# --- real states -----------------------------------------------------------------------------------


def without_replicas(redis: Any) -> Callable[[], Any]:
    redis.config_set("min-replicas-to-write", 1)
    return lambda: redis.config_set("min-replicas-to-write", 0)


def full(redis: Any) -> Callable[[], Any]:
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", 1)
    return lambda: redis.config_set("maxmemory", 0)


def of_nobody(redis: Any) -> Callable[[], Any]:
    redis.execute_command("REPLICAOF", "127.0.0.1", "1")
    return lambda: redis.execute_command("REPLICAOF", "NO", "ONE")


def of_nobody_and_silent(redis: Any) -> Callable[[], Any]:
    redis.config_set("replica-serve-stale-data", "no")
    end = of_nobody(redis)

    def over() -> None:
        end()
        redis.config_set("replica-serve-stale-data", "yes")

    return over


def without_permission(*rules: str) -> Callable[[Any], Callable[[], Any]]:
    def begin(redis: Any) -> Callable[[], Any]:
        redis.execute_command("ACL", "SETUSER", "keeper", "on", "nopass", "~*", "&*", "+@all")
        redis.execute_command("AUTH", "keeper", "x")
        redis.execute_command("ACL", "SETUSER", "default", *rules)
        return lambda: redis.execute_command("ACL", "SETUSER", "default", "~*", "+@all")

    return begin


STATES: dict[str, tuple[str, Callable[[Any], Callable[[], Any]]]] = {
    "no replica": ("NOREPLICAS", without_replicas),
    "full": ("OOM", full),
    "a replica of nobody": ("READONLY", of_nobody),
    "a silent replica of nobody": ("READONLY", of_nobody_and_silent),
    "no writes allowed": ("NOPERM", without_permission("-@write")),
    "nothing allowed": ("NOPERM", without_permission("-@all", "+auth", "+ping", "+client", "+select")),
    "no keys allowed": ("NOPERM", without_permission("resetkeys")),
}
PROCESSES = ("web", "engine", "feed", "worker")


@pytest.fixture(scope="module")
def redis_(django_db_setup: None) -> Iterator[OwnRedis]:
    with own_redis(settings) as server:
        yield server


@pytest.fixture(scope="module")
def everything(redis_: OwnRedis) -> Iterator[Live]:
    running = Live(PROCESSES)
    running.start()
    yield running
    running.stop()


def opens_an_order(client: httpx.Client, seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while True:
        answer = client.post("/api/v1/trade/create", json=BUY)
        if answer.status_code == 200:
            return
        assert time.monotonic() < give_up, answer.text
        time.sleep(0.1)


@pytest.mark.parametrize("state", STATES)
def test_every_process_outlives_a_redis_that_refuses_and_goes_on_by_itself(
    everything: Live, redis_: OwnRedis, state: str
) -> None:
    word, begin = STATES[state]
    with everything.client(token_of(a_customer(with_usd="10_000.00"))) as client, keeper(redis_) as redis:
        opens_an_order(client, 20)
        books = everything.log.read_text().count("live orders in the book")
        end = begin(redis)
        try:
            are_told_to_come_back(client, NEEDING, ("", "key"))
            assert [client.get(path).status_code for path in READS] == [200] * len(READS)
            ready = client.get("/readyz")
            time.sleep(3)
        finally:
            end()
        opens_an_order(client, 6)
        ready_again = client.get("/readyz")

    assert (ready.status_code, ready.json()["redis"]) == (503, f"refuses ({word})")
    assert ready_again.json()["redis"] == "ok"
    assert all(everything._running[name].poll() is None for name in PROCESSES)
    assert everything.log.read_text().count("live orders in the book") - books <= 3
    assert everything.log.read_text().count("ready.") == 1


def test_the_permissions_that_the_operations_page_names_are_enough(everything: Live, redis_: OwnRedis) -> None:
    (rules,) = re.findall(r"needs `(.+-@dangerous)`", (CHECKOUT / "docs" / "operations.md").read_text())
    with everything.client(token_of(a_customer(with_usd="10_000.00"))) as client, keeper(redis_) as redis:
        redis.execute_command("ACL", "SETUSER", "default", "resetkeys", "resetchannels", "-@all", *rules.split())
        try:
            redis.execute_command("ACL", "LOG", "RESET")
            opens_an_order(client, 20)
            assert client.get("/readyz").status_code == 200
            everything.kill("engine")
            everything.kill("worker")
            everything.start_one("engine")
            everything.start_one("worker")
            opens_an_order(client, 20)
            time.sleep(2)  # the worker starts
            assert redis.execute_command("ACL", "LOG") == []
        finally:
            redis.execute_command("ACL", "SETUSER", "default", "~*", "&*", "+@all")


def keeper(server: OwnRedis) -> Any:
    """One connection of its own that may do everything, whatever becomes of the others."""
    client = streams.redis.Redis.from_url(server.url, single_connection_client=True)
    client.execute_command("ACL", "SETUSER", "keeper", "on", "nopass", "~*", "&*", "+@all")
    client.execute_command("AUTH", "keeper", "x")
    return client
