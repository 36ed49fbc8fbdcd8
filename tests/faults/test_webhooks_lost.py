"""PostgreSQL is shut down at once, Redis restarts empty, it is emptied, the worker is killed between a delivery and its
mark, the endpoint is down; and customers change all the while.

Every event that was committed arrives at least once, always under its own id and with the same bytes, and of each
object the first arrivals are in order.

Guards: `feeding._step` makes deliveries and moves the place in one transaction, `note` comes after `send`, a beat wakes
whoever has forgotten, and what is due is found in PostgreSQL alone.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import redis

from accounts.events import guid_of
from brokerage.stack.pids import process
from brokerage.stack.where import read_state
from tests.accounts.webhooks.receiver import Received, Receiver, until
from tests.sizes import size
from tests.stack.running import Up, end, eventually, free_port

pytestmark = [pytest.mark.faults, pytest.mark.timeout(size(240, 3600))]

ROUNDS = size(1, 20)  # of all faults, in an order of chance
CUSTOMERS = size(8, 40)
CHANGES_A_SECOND = size(20, 40)
MOVES = 10  # calls that come between two faults
COMES_SECONDS = size(60, 120)  # after a fault something arrives again, and in the end the next of what waits
WITHOUT = "proxy,stream,feed,engine"
MANAGE = (sys.executable, "manage.py")


class Changing:
    """Customers are frozen and released, one after the other, whether PostgreSQL is there or not."""

    def __init__(self, url: str, customers: list[str]) -> None:
        self._url, self._customers = url, customers
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        turns = itertools.cycle(self._customers)
        while not self._done.is_set():
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(self._url, autocommit=True) as server:
                while not self._done.wait(1 / CHANGES_A_SECOND):
                    server.execute(CHANGE, [next(turns)])
            time.sleep(0.1)


CHANGE = """
UPDATE accounts_customer SET state = CASE state WHEN 'frozen' THEN 'verified' ELSE 'frozen' END WHERE id = %s::uuid
"""


class System:
    """The real beat and worker, on servers of their own that `up` starts again; and the endpoint."""

    def __init__(self, up: Up, endpoint: Receiver) -> None:
        self.up, self.endpoint = up, endpoint
        self._taken: list[Received] = []  # before it was started anew
        self._began: dict[str, int] = {}
        state = read_state(up.data)
        self.database, self._redis = str(state["MIGRATION_DATABASE_URL"]), str(state["REDIS_URL"])

    # --- faults ------------------------------------------------------------------------------------

    def postgresql_is_shut_down_at_once(self) -> None:
        self._ends("postgres", signal.SIGQUIT)

    def redis_restarts_empty(self) -> None:
        """It keeps nothing on disk."""
        self._ends("valkey", signal.SIGKILL)

    def redis_is_emptied(self) -> None:
        with contextlib.closing(redis.Redis.from_url(self._redis)) as server:
            server.flushall()

    def the_worker_is_killed_between_a_delivery_and_its_mark(self) -> None:
        """The endpoint has the call, and answers only when the worker is gone."""
        held = self.endpoint.count + 1
        self.endpoint.answers(hold_from=held)
        until(self.endpoint, held, COMES_SECONDS)
        time.sleep(0.3)  # a call that came before the endpoint was told to hold is followed by one that it holds
        self._ends("worker", signal.SIGKILL)
        self.endpoint.answers()

    def the_endpoint_is_down(self) -> None:
        self.endpoint.answers(status=503)  # so that nothing is taken between what is read here and its end
        self._taken += self._taken_since()
        self.endpoint.kill()
        time.sleep(size(1, 8))
        self.endpoint.start()

    @property
    def faults(self) -> list[Callable[[], None]]:
        return [
            self.postgresql_is_shut_down_at_once,
            self.redis_restarts_empty,
            self.redis_is_emptied,
            self.the_worker_is_killed_between_a_delivery_and_its_mark,
            self.the_endpoint_is_down,
        ]

    def _ends(self, name: str, number: int) -> None:
        """Signal it, and wait until another one stands in its place."""
        before = self.up.child(name)
        running = process(before)
        assert running is not None
        running.signal(number)
        assert eventually(lambda: self.up.child(name) != before, 60), self.up.log

    # --- what came ---------------------------------------------------------------------------------

    def comes(self, calls: int) -> None:
        """Wait until so many more came."""
        until(self.endpoint, self.endpoint.count + calls, COMES_SECONDS)

    def everything_came(self) -> None:
        """Wait until nothing waits, as long as less and less does: of a long run thousands do, and a machine that is
        busy with something else is slow. What was committed came under its id, of each object in order."""
        while (waiting := self._waiting()) > 0:
            assert eventually(partial(self._are_fewer, waiting), COMES_SECONDS), f"{waiting} wait, and none comes"
        taken = self._taken + self._taken_since()
        bodies: dict[str, set[bytes]] = defaultdict(set)
        by_object: dict[str, list[str]] = defaultdict(list)
        for one in taken:
            id_, event = one.headers["webhook-id"], one.event
            assert event["guid"] == id_
            if id_ not in bodies:
                by_object[event["object_guid"]].append(id_)
            bodies[id_].add(one.body)
        committed = {guid_of((transaction, number)).hex for transaction, number in self._ask(EVENTS)}

        assert set(bodies) == committed
        assert all(len(different) == 1 for different in bodies.values())
        assert all(ids == sorted(ids) for ids in by_object.values())
        assert len(committed) > ROUNDS * len(self.faults) * MOVES

    def _taken_since(self) -> list[Received]:
        return [one for one in self.endpoint.got if 200 <= one.status < 300]

    def _waiting(self) -> int:
        [(waiting,)] = self._ask(OPEN)
        return int(waiting)

    def _are_fewer(self, than: int) -> bool:
        return self._waiting() < than

    def begins(self) -> None:
        """Whatever is committed from now on is to arrive."""
        self._began = dict(zip(("transaction", "number"), self._ask(PLACE)[0], strict=True))

    def _ask(self, sql: str) -> list[Any]:
        with psycopg.connect(self.database) as server:
            return server.execute(sql, self._began).fetchall()


PLACE = "SELECT transaction, number FROM accounts_webhooksubscription"
# Events for which there is no delivery, or one that wasn't made yet.
OF_CUSTOMERS = "SELECT transaction, number FROM accounts_event WHERE kind IN ('customer.frozen', 'customer.verified')"
EVENTS = f"""
SELECT e.transaction, e.number FROM ({OF_CUSTOMERS}) e
WHERE (e.transaction, e.number) > (%(transaction)s, %(number)s)
"""
OPEN = f"""
SELECT count(*) FROM ({EVENTS}) e
LEFT JOIN accounts_webhookdelivery d ON (d.transaction, d.number) = (e.transaction, e.number)
WHERE d.state IS DISTINCT FROM 'completed'
"""


@pytest.fixture
def system() -> Iterator[System]:
    data, endpoint = Path(tempfile.mkdtemp(prefix="webhooks-")), Receiver()
    data.chmod(0o711)  # PostgreSQL runs as an ordinary user where root starts it
    up = Up(data, *MANAGE, "up", "--port", str(free_port()), "--without", WITHOUT)
    try:
        up.says("ready after", 120)
        yield System(up, endpoint)
    finally:
        up.signal(signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            up.ends()
        end(data, [up])
        endpoint.kill()
        shutil.rmtree(data, ignore_errors=True)


def test_every_committed_event_arrives_in_order_whatever_dies(system: System) -> None:
    customers = subscribed(system)
    system.begins()
    dice = random.Random(14)
    with Changing(system.database, customers):
        system.comes(MOVES)
        for _ in range(ROUNDS):
            for fault in dice.sample(system.faults, len(system.faults)):
                fault()
                system.comes(MOVES)

    system.everything_came()


def subscribed(system: System) -> list[str]:
    """The endpoint, by the API; the customers that are going to change."""
    url = read_state(system.up.data)["up"]["url"]
    seeded = json.loads((system.up.data / "seed.json").read_text())["client"]
    asked = {name: seeded[name] for name in ("client_id", "client_secret")}
    with httpx.Client(base_url=url, timeout=20) as http:
        token = http.post("/oauth/token", json={"grant_type": "client_credentials", **asked}).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        made = [http.post("/api/customers", json={"type": "individual"}).json()["guid"] for _ in range(CUSTOMERS)]
        kinds = ["customer.frozen", "customer.verified"]
        body = {"name": "a shop", "type": "webhook", "environment": "sandbox", "url": system.endpoint.url}
        while any(http.get(f"/api/customers/{guid}").json()["state"] != "verified" for guid in made):
            time.sleep(0.1)
        assert http.post("/api/subscriptions", json={**body, "event_types": kinds}).status_code == 201
    return made
