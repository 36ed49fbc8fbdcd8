"""Many connections, readers that don't read, servers that are away."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from django.conf import settings
from websockets.exceptions import ConnectionClosed

from accounts import events, tokens
from accounts.identity import FIRM_SCOPES
from tests.accounts.events.places import here
from tests.faults.own_redis import OwnRedis, own_redis
from tests.given import a_customer, btc_at, token_of
from tests.live import environment
from tests.roles import ONE_ROLE, urls_role
from tests.stream.listening import Reader, Stream, kinds
from tests.stream.test_hostile import UPGRADE
from tests.stream.who import a_client, a_firms_token, freeze

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]

OF_CUSTOMERS = "?event_type=customer.frozen,customer.verified"
OF_FROZEN = "?event_type=customer.frozen"  # so that who was made a moment ago is no event


@pytest.fixture(scope="module")
def alone(django_db_setup: None) -> Iterator[SimpleNamespace]:
    """A stream process with a Redis of its own."""
    with own_redis(settings) as redis:
        stream = Stream({"STREAM_CONNECTIONS": "1003", "STREAM_PATIENCE_SECONDS": "3"})
        stream.start()
        yield SimpleNamespace(stream=stream, redis=redis)
        stream.stop()


def test_a_thousand_are_told_at_once_memory_stays_and_there_is_an_end(alone: SimpleNamespace) -> None:
    """Guard: the count of all in `Hub.arrived`."""
    stream: Stream = alone.stream
    alice = a_customer()
    callers = [tokens.client_token(a_client(), FIRM_SCOPES) for _ in range(51)]
    before = memory_kib(stream)
    readers = [stream.sse(callers[n % 50], OF_FROZEN) for n in range(1_000)]
    for one in readers:
        one.first("ready")
    connected = memory_kib(stream)
    freeze(alice, 8)
    told = [[event["guid"] for event in one.events(4)] for one in readers]
    after = memory_kib(stream)
    more = [stream.sse(callers[50]) for _ in range(3)]
    status, body, head = stream.sends(b"")
    for one in (*readers, *more):
        one.close()
    time.sleep(0.5)

    assert all(one == told[0] for one in told)
    assert (connected - before) / 1_000 < 40
    assert after - connected < 10_000
    assert (status, body["message_code"]) == (503, "unavailable")
    assert b"Retry-After" in head
    assert stream.sse(callers[50]).status == 200


def test_what_takes_too_long_is_ended_and_delays_nobody(alone: SimpleNamespace) -> None:
    """Guards: the patience in `Hub.every_second` and the waiting for readers (`Hub._tell_one`). Without the last a
    reader that reads nothing costs as much memory as it is told."""
    stream: Stream = alone.stream
    alice, bob = a_customer(), a_customer()
    start = events.guid_of(here()).hex
    before = memory_kib(stream)
    with ExitStack() as stack:
        half, silent = (stack.enter_context(socket.create_connection(("127.0.0.1", stream.port), 20)) for _ in "ab")
        half.sendall(b"GET /api/stream HTTP/1.1\r\nHost")
        silent.sendall(f"GET /api/stream HTTP/1.1\r\n{UPGRADE}\r\n".encode())
        asleep = stream.sse(a_firms_token(), OF_CUSTOMERS, takes=4_096)
        reads = stream.ws(a_firms_token(), OF_CUSTOMERS)
        asleep.first("ready")
        awake = stream.sse(token_of(bob), OF_CUSTOMERS, last=start)
        threads = stack.enter_context(ThreadPoolExecutor(1))
        of_bob = ("customer.frozen", bob.pk.hex)
        reading = threads.submit(reads.until, lambda one: (one.get("event_type"), one.get("object_guid")) == of_bob, 30)
        freeze(alice, 2_000, together=True)
        here()
        began = time.monotonic()
        freeze(bob)
        awake.events(1)
        latest = time.monotonic() - began
        told = reading.result(30)
        most = memory_kib(stream)
        late = half.recv(65_536), everything(silent)
        time.sleep(max(0.0, began + 5.5 - time.monotonic()))
        said = asleep.rest()

    assert latest < 4  # what is ended takes five
    assert len({one["guid"] for one in told if one["type"] == "event"}) >= 2_001
    assert most - before < 10_000
    assert b" 408 " in late[0]
    assert b"request_timeout" in late[1]
    assert said.count(b"event: event") < 1_500
    last = asleep_at(said)
    again = stream.sse(a_firms_token(), OF_CUSTOMERS, last=last)
    assert len(again.until(lambda one: one.get("object_guid") == bob.pk.hex)) > 500


def asleep_at(said: bytes) -> str:
    """The id of the last whole event that was sent."""
    return said[: said.rindex(b"\n\n")].rpartition(b"id: ")[2][:32].decode()


def test_redis_away_and_back_ends_nobody(alone: SimpleNamespace) -> None:
    stream, redis = alone.stream, alone.redis
    assert isinstance(redis, OwnRedis)
    btc_at("40_000.00")
    alice = a_customer()
    reader = stream.sse(token_of(alice), "?event_type=customer.frozen,prices")
    reader.first_price()
    redis.stop()
    freeze(alice)
    assert reader.events(1)[0]["event_type"] == "customer.frozen"
    redis.start()
    btc_at("41_000.00")

    again = reader.until(lambda one: one["type"] == "prices" and bool(one["prices"]))

    assert again[-1]["prices"][0]["sell_price"] == 4_100_000


@pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role")
def test_postgresql_away_and_back_ends_nobody_and_loses_nothing(alone: SimpleNamespace) -> None:
    stream: Stream = alone.stream
    alice = a_customer()
    token = token_of(alice)
    start = events.guid_of(here()).hex
    readers: list[Reader] = [
        stream.sse(token, OF_CUSTOMERS, last=start),
        stream.ws(token, f"{OF_CUSTOMERS}&after={start}"),
    ]
    for one in readers:
        one.first("ready")
    with no_connections():
        freeze(alice, 3)
        assert stream.sse(token).status == 503  # once it has waited for a connection
        assert all(one.is_quiet(0.1) for one in readers)

    told = [one.events(3) for one in readers]

    assert told[0] == told[1]
    assert {object_ for _, object_ in kinds(told[0])} == {alice.pk.hex}
    assert [one.is_quiet(0.3) for one in readers] == [True, True]


def test_a_process_that_is_stopped_says_goodbye(alone: SimpleNamespace) -> None:
    """The last of these tests, for it ends their process."""
    stream: Stream = alone.stream
    token = token_of(a_customer())
    by_sse, by_socket = stream.sse(token), stream.ws(token)
    for one in (by_sse, by_socket):
        one.first("ready")
    stream.signal(signal.SIGTERM)

    assert by_sse.first("error")["message_code"] == "unavailable"
    by_socket.first("error")
    with pytest.raises(ConnectionClosed) as said:
        by_socket.next()
    assert said.value.rcvd is not None
    assert said.value.rcvd.code == 1012
    assert stream.ended() == 0


@contextmanager
def no_connections() -> Iterator[None]:
    """The application's role gets no connection to this database, and loses those that it has; other databases of the
    server are other tests'."""
    role, name = settings.APPLICATION_ROLE, settings.DATABASES["default"]["NAME"]
    with psycopg.connect(urls_role(environment()["DATABASE_URL"], "postgres"), autocommit=True) as server:
        server.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC, "{role}"')
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s AND datname = %s", [role, name]
        )
        try:
            yield
        finally:
            server.execute(f'GRANT CONNECT ON DATABASE "{name}" TO PUBLIC')


def everything(wire: socket.socket) -> bytes:
    found = b""
    while piece := wire.recv(65_536):
        found += piece
    return found


def memory_kib(stream: Stream) -> int:
    lines = Path(f"/proc/{stream.pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
