"""People who trade over HTTP while processes stand still, and write down what they were told.

After every answer that leaves it open what happened (408, 500, 503, or none at all) they read over HTTP, as the
contract tells them to, until they are answered, and write down what had not happened by then. Each has a customer of
their own and does one thing after the other, so nothing but their own commands and prices moves their orders. What a
command does can be told from what every other one does: each opens, closes a part or sets a limit with numbers that
nobody uses twice, and where there are no numbers (a whole close, a cancellation), two attempts lie seconds apart.
"""

from __future__ import annotations

import random
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import httpx

from accounts import json_codec
from accounts.clock import uptime
from accounts.models import Customer
from tests.given import token_of
from tests.live import Live

UNCLEAR = frozenset({0, 408, 500, 502, 503, 504})
GIVES_UP_SECONDS = 6.5  # the impatient: longer than any answer should take
TIMEOUT_SECONDS = 45.0  # the patient: longer than anything stands still
READ_SECONDS = 120.0  # for what must be read in the end
BETWEEN_ATTEMPTS = 2.0  # seconds: twice what the time in an id may be off
CREATE, PART, CLOSE, CHANGE, CANCEL, CLOSE_ALL = "create", "part", "close", "change", "cancel", "close_all"
TRADE = "trade"
NO_ANSWER = 0


@dataclass
class Attempt:
    """One command, its answer, and what was read right after it.

    `name` says which effect is this command's: see `judged.Effect`. `undone` are the orders (by code, or by
    `name` where there is no order yet) of which a reader was told that it had not happened.
    Times are epoch seconds.
    """

    customer: UUID
    what: str
    name: str
    key: str
    asked: float
    status: int = NO_ANSWER
    text: str = ""
    replayed: bool = False
    answered: float = 0.0
    read_asked: float = 0.0
    undone: frozenset[str] = frozenset()

    @property
    def is_unclear(self) -> bool:
        return self.status in UNCLEAR

    def __str__(self) -> str:
        took = self.answered - self.asked
        return f"{self.what} {self.name} -> {self.status} after {took:.2f} s, then read as undone: {set(self.undone)}"


@dataclass
class Records:
    """What all of them write down."""

    said: list[Attempt] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    def count(self, what: str, status: int) -> None:
        self.answers[f"{what} {status or 'no answer'}"] += 1


class RecordingTrader(threading.Thread):
    """One trader. `is_patient`: waits for every answer, however long it takes; else gives up after 6.5 s."""

    starts_with = "1_000_000.00"  # USD

    def __init__(self, live: Live, records: Records, customer: Customer, number: int, seed: int) -> None:
        super().__init__(name=f"trader-{number}", daemon=True)
        self.customer = customer
        self.is_patient = number % 2 == 0
        self._live, self._records = live, records
        self.token = token_of(customer)
        self._number = number
        self._dice = random.Random(f"{seed}:{number}")
        self._counter = 0
        self._halt = threading.Event()
        self.last: dict[str, tuple[str, str, Any]] = {}  # by key: what was asked under it

    def halt(self) -> None:
        self._halt.set()

    def run(self) -> None:
        try:
            with self._live.client(self.token) as self._client:
                while not self._halt.wait(self._dice.uniform(0.01, 0.1)):
                    self._do_something()
        except Exception:
            self._records.unexpected.append(f"{self.name} broke off:\n{traceback.format_exc()}")

    def _do_something(self) -> None:
        raise NotImplementedError

    # --- asking ------------------------------------------------------------------------------------

    def _next(self) -> int:
        self._counter += 1
        return self._number * 100_000 + self._counter

    def _perhaps_a_key(self) -> str:
        return f"k-{self._next()}" if self._dice.random() < 0.5 else ""

    def _ask(self, what: str, name: str, method: str, path: str, body: Mapping[str, Any], key: str = "") -> Attempt:
        said = Attempt(self.customer.pk, what, name, key, time.time())
        self._records.said.append(said)
        self._send(said, method, path, body)
        self._records.count(what, said.status)
        if key:
            self.last[key] = (method, path, body)
        return said

    def _send(self, said: Attempt, method: str, path: str, body: Mapping[str, Any]) -> None:
        headers = {"Idempotency-Key": said.key} if said.key else {}
        timeout = TIMEOUT_SECONDS if self.is_patient else GIVES_UP_SECONDS
        try:
            answer = self._client.request(
                method, path, content=json_codec.dumps(body), headers=headers | _JSON, timeout=timeout
            )
            said.status, said.text = answer.status_code, answer.text
            said.replayed = answer.headers.get("Idempotent-Replayed") == "true"
        except httpx.TransportError as lost:
            said.text = repr(lost)
        said.answered = time.time()
        if said.status not in _EXPECTED:
            self._records.unexpected.append(f"{said}: {said.text[:300]}")

    def _read(self, path: str) -> Any:
        """What a GET says in the end: who is told to try again does."""
        began, status = uptime(), 0
        while uptime() - began < READ_SECONDS:
            try:
                answer = self._client.get(path, timeout=TIMEOUT_SECONDS)
                status = answer.status_code
                if status == 200:
                    return json_codec.loads(answer.content)
            except httpx.TransportError:
                status = 0
            self._records.count("read", status)
            if status not in UNCLEAR:
                self._records.unexpected.append(f"GET {path}: {status}")
            time.sleep(0.1)
        raise AssertionError(f"GET {path} was not answered within {READ_SECONDS:.0f} s; lastly {status}")

    def _after(self, said: Attempt, undone: frozenset[str], asked: float) -> None:
        """Write down what was read, and wait so that another attempt can be told from this one."""
        said.read_asked, said.undone = asked, undone
        time.sleep(BETWEEN_ATTEMPTS)


def plain(number: Decimal) -> str:
    """The same text for the same number."""
    return f"{number.normalize():f}"


_JSON = {"Content-Type": "application/json"}
_EXPECTED = frozenset({200, 201, 400, 409, 422, *UNCLEAR})
