"""How a connection that is behind comes to follow: step by step, on a real database and a socket pair."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections import Counter

import pytest

from accounts import events, tokens
from accounts.identity import FIRM_SCOPES
from brokerage.stream.asking import Asked, Wanted
from brokerage.stream.connected import Connection, Phase
from brokerage.stream.hub import Hub
from brokerage.stream.reading import EVERYBODY, Reading
from brokerage.stream.threads import Threads
from tests.accounts.events.places import here
from tests.given import a_customer
from tests.stream.listening import Stream
from tests.stream.who import a_client, freeze

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]


def test_who_is_behind_is_read_to_by_one_and_joins_once_its_place_has_reached_the_hubs() -> None:
    """Guards: the places compared in `Reading._tell`, `is_queued` in `Hub.reads_again`. Without the first, what the
    hub has told since the page was read is lost; without the second two read the same page to it."""
    alice = a_customer()
    start = here()
    freeze(alice, 3)
    until = here()

    async def play() -> list[object]:
        hub = Hub(10, 10, 10)
        one, reading, threads = Connection(hub), Reading(hub, asyncio.Lock()), Threads("a test")
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: one, ours)
        one.asked = Asked(start)
        hub.admit(one, EVERYBODY, Wanted(frozenset(events.EVERY_KIND), None, orders=False, figures=False), is_new=True)
        hub.reads_again(one)
        hub.reads_again(one)
        queued = len(hub.behind)
        hub.place = (until[0] + 1_000_000, 0)  # as if it had been told more since the page was read
        await reading._catch_up([one], threads)
        too_early, hub.place = one.follows, one.place
        await reading._catch_up([one], threads)
        joined, said = one.follows, theirs.recv(65_536)
        one.cut_off()
        await asyncio.sleep(0)
        theirs.close()
        return [queued, too_early, joined, said.count(b"event: event")]

    assert asyncio.run(play()) == [1, False, True, 3]


def test_who_took_nothing_while_prices_went_is_told_that_they_are_gone() -> None:
    """Guards: `gone` in `Hub._tell_prices_to`, and that no prices at all aren't prices never read. Else a slow reader
    keeps the last price for a fresh one. Before anything was read nobody is told that anything is gone."""

    async def play() -> list[bytes]:
        hub = Hub(10, 10, 10)
        one = Connection(hub)
        ours, theirs = socket.socketpair()
        await asyncio.get_running_loop().connect_accepted_socket(lambda: one, ours)
        hub.admit(one, EVERYBODY, Wanted(frozenset(), frozenset({"BTC-USD"}), orders=False, figures=False), is_new=True)
        await hub.tell_prices({"BTC-USD": b"1"})
        one.pause_writing()
        await hub.tell_prices({})
        one.resume_writing()
        await hub.tell_prices({})
        said = theirs.recv(65_536)
        one.cut_off()
        await asyncio.sleep(0)
        theirs.close()
        return [line for line in said.splitlines() if b'"type":"prices"' in line]

    assert asyncio.run(play()) == [
        b'data: {"type":"prices","prices":[1],"gone":[]}',
        b'data: {"type":"prices","prices":[],"gone":["BTC-USD"]}',
    ]


def test_who_waits_for_postgresql_makes_no_room_for_who_has_shown_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard: `_asked` beside `_pending` in `Hub.asks`. Who makes room is cut off without a word."""
    monkeypatch.setattr("brokerage.stream.hub.MOST_PENDING", 2)

    async def play() -> list[Phase]:
        hub = Hub(5, 10, 10)
        shown, silent = [Connection(hub) for _ in range(3)], [Connection(hub) for _ in range(3)]
        for one in shown:
            hub.arrived(one)
            one.phase = Phase.ASKED
            hub.asks(one, Asked())
        for one in silent:
            hub.arrived(one)
        return [one.phase for one in (*shown, *silent)]

    assert asyncio.run(play()) == [Phase.ASKED] * 3 + [Phase.ENDED] + [Phase.HEAD] * 2


def test_who_comes_with_many_others_at_once_is_taken_in(stream: Stream) -> None:
    """Guard: in `Hub.arrived` nobody makes room while there is some. All of these are taken in before one is read."""
    callers = [tokens.client_token(a_client(), FIRM_SCOPES) for _ in range(90)]
    wires = []
    stream.signal(signal.SIGSTOP)
    try:
        for number in range(1_800):
            wire = socket.create_connection(("127.0.0.1", stream.port), 30)
            head = f"Host: x\r\nAuthorization: Bearer {callers[number % 90]}\r\n"
            wire.sendall(f"GET /api/events/stream?event_type=customer.frozen HTTP/1.1\r\n{head}\r\n".encode())
            wires.append(wire)
    finally:
        stream.signal(signal.SIGCONT)
    answers = Counter(wire.recv(12) for wire in wires)
    for wire in wires:
        wire.close()

    assert answers == {b"HTTP/1.1 200": 1_800}
