"""Every field of a message to a worker, with every type of value, and keys of every other type.

A real worker process meets them. It is still the same process afterwards, and what our own processes ask for runs.
"""

from __future__ import annotations

import base64
import inspect
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django_celery_beat.schedulers import DatabaseScheduler

from accounts import streams
from brokerage.messages import NotOurs, judged, takes_arguments
from brokerage.transport import DEAD_LETTERS_KEPT, Transport
from tests.faults.own_redis import OwnRedis, own_redis
from tests.faults.test_hostile_commands import ANYTHING, HEX, places
from tests.given import a_customer, a_quote, btc_at, executes
from tests.live import Live
from trades.models import Trade
from trades.tasks import advance

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

QUEUE = settings.CELERY_TASK_DEFAULT_QUEUE
DEAD = f"{QUEUE}:dead"
GUID = "01a22441-744f-7088-8434-14bc4356d8c0"
NOTHING_MORE = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
# What may stand in a field, of what is tried there: every other value is nobody's.
ALLOWED: dict[str, tuple[Any, ...]] = {
    **{f"headers.{name}": (None,) for name in ("shadow", "eta", "expires", "group", "group_index")},
    **{f"headers.{name}": (None,) for name in ("root_id", "parent_id")},
    "properties.reply_to": (None,),
    "headers.retries": (0, 1),
    "headers.replaced_task_nesting": (0,),
    "headers.ignore_result": (True, False, None),
    "headers.stamped_headers": (None, []),
    "headers.stamps": (),
    "properties.priority": (0, 1),
}
ANY_TEXT = ("headers.argsrepr", "headers.kwargsrepr", "headers.origin")
ANY_ROUTE = ("properties.delivery_info.exchange", "properties.delivery_info.routing_key")
MORE: list[Any] = [
    *("9999-12-31T23:59:59+00:00", "9999-12-31T23:59:59", "2026-13-45", "not a time", 1e18),
    *("pickle", "application/x-python-serialize", "application/data", "text/plain", "binary", "utf-16", "zlib"),
    *("celery.chain", "celery.chord", "celery.map", "celery.backend_cleanup", "trades.tasks.no_such", "os.system"),
    *([0.001, 0.001], ["x", "y"], [None], [-1, -1], "!!! no base64", "W10", "W10=", "bnVsbA==", "e30="),
]

current_app.loader.import_default_modules()


def a_message(task: str = "trades.tasks.advance", arguments: Any = (["0" * 32],), body: Any = None) -> dict[str, Any]:
    """As Celery writes it."""
    call = [list(arguments), {}, NOTHING_MORE] if body is None else body
    return {
        "body": base64.b64encode(json.dumps(call).encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            **{"lang": "py", "task": task, "id": GUID, "shadow": None, "eta": None, "expires": None, "group": None},
            **{"group_index": None, "retries": 0, "timelimit": [3600, None], "root_id": GUID, "parent_id": None},
            **{"argsrepr": "()", "kwargsrepr": "{}", "origin": "gen1@host", "ignore_result": True},
            **{"replaced_task_nesting": 0, "stamped_headers": None, "stamps": {}},
        },
        "properties": {
            **{"correlation_id": GUID, "reply_to": GUID, "delivery_mode": 2, "body_encoding": "base64"},
            **{"delivery_info": {"exchange": "", "routing_key": QUEUE}, "priority": 0, "delivery_tag": GUID},
        },
    }


def hostile_messages() -> list[bytes]:
    whole = a_message()
    found: list[Any] = [
        b"",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b"[" * 100_000,
        b"x" * 2_000_000,
        json.dumps("x").encode(),
    ]
    for path, holder, name in places(whole):
        kept = holder[name]
        for value in [*ANYTHING, *MORE]:
            is_text = type(value) is str and len(value) <= 100_000
            if value == kept or (path in (*ANY_TEXT, *ANY_ROUTE) and is_text):
                continue
            if not any(type(value) is type(one) and value == one for one in ALLOWED.get(path, ())):
                holder[name] = value
                found.append(json.dumps(whole))
        del holder[name]
        found.append(json.dumps(whole))
        holder[name] = kept
    for holder in (whole, whole["headers"], whole["properties"], whole["properties"]["delivery_info"]):
        holder["compression"] = "zlib"
        found.append(json.dumps(whole))
        del holder["compression"]
    return [*found, *map(json.dumps, hostile_calls())]


def hostile_calls() -> Iterator[dict[str, Any]]:
    """A good envelope with a call that isn't."""
    for value in [*ANYTHING, *MORE]:
        yield a_message(body=value if value is not None else "null")
        if value != [HEX]:
            yield a_message(arguments=[value])
        yield a_message(arguments=[[value]])
        yield a_message("trades.tasks.sweep", [value])
        if value not in (0, 1):
            yield a_message(arguments=[["0" * 32], value])
            yield a_message("trades.tasks.settle_open", [value])
        if value != {}:
            yield a_message(body=[[["0" * 32]], value, NOTHING_MORE])
        if value is not None:
            for name in NOTHING_MORE:
                yield a_message(body=[[["0" * 32]], {}, NOTHING_MORE | {name: value}])
    yield a_message(body=[[["0" * 32]], {}, {}])
    yield a_message(arguments=[["0" * 32] * 1001])
    yield a_message(arguments=[[]])
    yield a_message(arguments=[["0" * 32], 0, 0])


# --- without a worker ------------------------------------------------------------------------------


def test_each_hostile_message_is_told_from_ours() -> None:
    hostile = hostile_messages()

    assert len(hostile) > 3000
    assert [item[:1000] for item in hostile if is_taken(item)] == []


def is_taken(item: bytes | str) -> bool:
    try:
        judged(item if isinstance(item, bytes) else item.encode())
    except NotOurs:
        return False
    return True


def test_a_good_message_is_taken() -> None:
    for message in (a_message(), a_message("trades.tasks.settle_open", [1]), a_message("accounts.tasks.audit", [])):
        assert judged(json.dumps(message).encode()) == message


def test_what_the_beat_sends_is_taken(server: OwnRedis) -> None:
    """By its own scheduler, from the schedule in the database, with what it adds to the headers."""
    client: Any = redis.Redis.from_url(server.url)
    client.delete(QUEUE)
    with current_app.connection_for_write(as_broker(server)) as to:
        beat = DatabaseScheduler(current_app, lazy=True)
        beat.setup_schedule()
        for entry in beat.schedule.values():
            if not entry.task.startswith("celery."):
                entry.options |= {"connection": to}
                beat.apply_async(entry, producer=to.Producer(), advance=False)

    sent = [judged(item)["headers"] for item in client.lrange(QUEUE, 0, -1)]
    assert {headers["task"] for headers in sent} == {one["task"] for one in settings.CELERY_BEAT_SCHEDULE.values()}
    assert all(headers["celery_beat_task"] for headers in sent)


def test_every_task_of_ours_that_takes_arguments_has_them_judged() -> None:
    ours = [task for name, task in current_app.tasks.items() if not name.startswith("celery.")]
    taking = {task.name for task in ours if inspect.signature(task.run).parameters}

    assert len(ours) > 8
    assert taking == takes_arguments()


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("redis://host/0", True),
        ("rediss://host/0", True),
        ("redis+socket:///path?virtual_host=0", True),
        ("amqp://host//", False),
    ],
)
def test_a_redis_means_our_transport_and_rabbitmq_its_own(url: str, ours: bool) -> None:
    assert (current_app.connection_for_read(url).get_transport_cls() is Transport) is ours


# --- with a worker ---------------------------------------------------------------------------------


def as_broker(server: OwnRedis) -> str:
    return server.url.replace("unix://", "redis+socket://").replace("?db=", "?virtual_host=")


class Worker:
    """A worker process and its Redis."""

    def __init__(self, server: OwnRedis) -> None:
        self.live = Live(("worker",), {"REDIS_URL": server.url, "WORKER_CONCURRENCY": "1"})
        self.redis: Any = redis.Redis.from_url(server.url)
        self.live.start()
        self.does_work()
        self.pid = self.live._running["worker"].pid

    def does_work(self, seconds: float = 20) -> None:
        """A trade is stored, and moved by the message that says so. No beat runs that would find it otherwise."""
        alice = a_customer(with_usd="10_000.00")
        btc_at("40_000.00")
        trade = executes(a_quote(alice, receive=1000))
        self.knows_the_price()
        self.redis.lpush(QUEUE, json.dumps(a_message(arguments=[[trade.pk.hex]])))
        give_up = time.monotonic() + seconds
        while Trade.objects.get(pk=trade.pk).state != "settling":
            assert time.monotonic() < give_up, self.log()[-3000:]
            time.sleep(0.05)

    def knows_the_price(self) -> None:
        """It stands in this worker's own Redis, as of now."""
        self.redis.hset("prices", "BTC-USD", f"40000|40000|{self.redis.time()[0] * 1000}")

    def is_the_same(self) -> bool:
        process = self.live._running["worker"]
        return process.poll() is None and process.pid == self.pid and self.log().count("ready.") == 1

    def log(self) -> str:
        return Path(self.live.log).read_text()

    def letters(self) -> list[dict[str, Any]]:
        return [json.loads(text) for text in self.redis.lrange(DEAD, 0, -1)]


@pytest.fixture(scope="module")
def server(django_db_setup: None) -> Iterator[OwnRedis]:
    with own_redis(settings) as own:
        yield own


@pytest.fixture
def worker(server: OwnRedis) -> Iterator[Worker]:
    streams.client().flushall()
    made = Worker(server)
    yield made
    made.live.stop()


def test_a_worker_sets_every_hostile_message_aside_and_goes_on(worker: Worker) -> None:
    """Guard: `messages.judged`. Without it a body that isn't base64 ends the worker, and the next one too."""
    hostile = hostile_messages()
    for start in range(0, len(hostile), 500):
        worker.redis.lpush(QUEUE, *hostile[start : start + 500])
        worker.does_work(60)

    assert worker.is_the_same()
    assert len(worker.letters()) == min(len(hostile), DEAD_LETTERS_KEPT)
    assert all(letter["reason"] and len(letter["message"]) <= 4000 for letter in worker.letters())
    assert worker.redis.llen(QUEUE) == 0


OTHER_TYPES: dict[str, Callable[[Any, str], Any]] = {
    "string": lambda client, name: client.set(name, "x"),
    "set": lambda client, name: client.sadd(name, "x"),
    "zset": lambda client, name: client.zadd(name, {"x": 1}),
    "hash": lambda client, name: client.hset(name, "x", "y"),
    "stream": lambda client, name: client.xadd(name, {"x": "y"}),
    "list": lambda client, name: client.rpush(name, "x"),
}
KEYS = (
    *(QUEUE, f"{QUEUE}\x06\x163", f"{QUEUE}\x06\x169", DEAD),
    *("unacked", "unacked_index", "unacked_mutex", f"_kombu.binding.{QUEUE}", f"_kombu.binding_permanent.{QUEUE}"),
    *("_kombu.binding.celery.pidbox", "_kombu.binding_deadlines"),
)


def test_a_worker_goes_on_beside_keys_of_other_types_and_starts_with_them(worker: Worker) -> None:
    """Guards: `Channel._popped`, `_size`, `_queue_bind`, `ack_emulation`. Without them WRONGTYPE ends every worker."""
    for name in KEYS:
        for put in OTHER_TYPES.values():
            at_once = worker.redis.pipeline(transaction=True)  # the worker makes some of them anew meanwhile
            at_once.delete(name)
            put(at_once, name)
            at_once.execute()
            worker.redis.publish("/0.celery.pidbox", "rubbish")
            if name == QUEUE:  # else nothing reads it before a message comes
                time.sleep(1.2)
            worker.redis.lpush(f"{QUEUE}\x06\x166", "rubbish")
    worker.does_work()
    assert worker.is_the_same()

    worker.live.kill("worker")
    worker.redis.flushall()
    for name in KEYS:
        worker.redis.hset(name, "x", "y")
    worker.live.start_one("worker")
    give_up = time.monotonic() + 30
    while worker.redis.exists(QUEUE):
        assert time.monotonic() < give_up, worker.log()[-3000:]
        time.sleep(0.1)
    worker.does_work()
    assert worker.live._running["worker"].poll() is None


def test_a_sender_finds_the_queue_again_in_whose_place_something_else_stood(server: OwnRedis) -> None:
    client: Any = redis.Redis.from_url(server.url)
    client.delete(QUEUE)
    client.set(QUEUE, "x")
    with current_app.connection_for_write(as_broker(server)) as to:
        advance.apply_async((["0" * 32],), connection=to)

    assert judged(client.rpop(QUEUE))["headers"]["task"] == "trades.tasks.advance"


def test_a_task_that_meets_a_lock_is_tried_again_and_is_no_dead_letter(worker: Worker) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("40_000.00")
    trade = executes(a_quote(alice, receive=1000))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE trades_trade IN ACCESS EXCLUSIVE MODE")
        worker.redis.lpush(QUEUE, json.dumps(a_message(arguments=[[trade.pk.hex]])))
        of_beat = a_message("trades.tasks.sweep", [])
        of_beat["headers"] |= {"celery_beat_task": True, "periodic_task_name": "x"}
        worker.redis.lpush(QUEUE, json.dumps(of_beat))
        time.sleep(9)  # lock_timeout is four
    worker.knows_the_price()
    give_up = time.monotonic() + 20
    while Trade.objects.get(pk=trade.pk).state != "settling":
        assert time.monotonic() < give_up, worker.log()[-3000:]
        time.sleep(0.05)

    time.sleep(2)  # the other's turn
    assert worker.letters() == []
