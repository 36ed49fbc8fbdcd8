"""Who stands still, when and for how long: processes and servers that get SIGSTOP and, later, SIGCONT.

The plan is made of a seed. What is stopped at which instruction of its own is chance all the same.
"""

from __future__ import annotations

import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.db import connection

from accounts.clock import uptime
from brokerage.stack.pids import Process, process
from tests.faults.own_redis import OwnRedis
from tests.live import Live

BACKEND, VALKEY = "backend", "valkey"
PROCESSES = ("proxy", "web", "engine", "worker", "beat", "feed")
OFTEN: Mapping[str, int] = {"engine": 5, BACKEND: 3, VALKEY: 4, "proxy": 2, "web": 3, "feed": 3, "worker": 1, "beat": 1}
ENGINES_NAME = "the-engine"  # by which its PostgreSQL backends are known
SHORTEST, SHORT, LONG, LONGEST = 0.01, 2.0, 8.0, 30.0  # seconds
AROUND_THE_DEADLINES = 1.2  # a Valkey that is silent for a second is away; answers come by 3 and 5 seconds
VERY_LONG = 0.03  # the share of stops that is longer than any deadline
PAUSE = (0.1, 1.2)  # seconds between two steps, in which everything runs


@dataclass(frozen=True)
class Stop:
    who: str
    seconds: float


Step = Sequence[Stop]  # one, or two at once


@dataclass(frozen=True)
class Stood:
    """A stop that was: from when to when, by `uptime`."""

    who: str
    began: float
    ended: float


def plan(seed: int, stops: int, longest: float = LONGEST, around_the_deadlines: float = 0.29) -> list[Step]:
    """So many stops, cut off at `longest` seconds: that share of them between 1.2 and 8 s, 3 of 100 longer, the others
    between 10 ms and 2 s, as many below as above 0.14 s. One step in seven stops two at once."""
    dice = random.Random(seed)
    steps: list[Step] = []
    while (left := stops - sum(map(len, steps))) > 0:
        count = 2 if left > 1 and dice.random() < 1 / 7 else 1
        names: list[str] = []
        while len(names) < count:
            (who,) = dice.choices(list(OFTEN), list(OFTEN.values()))
            if who not in names:
                names.append(who)
        steps.append([Stop(who, min(longest, _seconds(dice, around_the_deadlines))) for who in names])
    return steps


def _seconds(dice: random.Random, around_the_deadlines: float) -> float:
    kind = dice.random()
    if kind < VERY_LONG:
        return dice.uniform(LONG, LONGEST)
    if kind < VERY_LONG + around_the_deadlines:
        return dice.uniform(AROUND_THE_DEADLINES, LONG)
    return SHORTEST * (SHORT / SHORTEST) ** dice.random()


class WholeSystem(Live):
    """All five processes. `environments`: of single ones, beside what all have."""

    def __init__(self, extra: Mapping[str, str], environments: Mapping[str, Mapping[str, str]]) -> None:
        super().__init__(PROCESSES, extra)
        self._environments = dict(environments)
        self._environments["engine"] = {
            "DATABASE_URL": f"{self.environment['DATABASE_URL']}?application_name={ENGINES_NAME}",
            **self._environments.get("engine", {}),
        }

    def start_one(self, name: str, *, called: str = "", extra: Mapping[str, str] | None = None) -> None:
        super().start_one(name, called=called, extra={**self._environments.get(name, {}), **(extra or {})})

    def start_what_died(self) -> list[str]:
        """As the supervisor does; the names."""
        died = [name for name in self.names if self._running[name].poll() is not None]
        for name in died:
            self.start_one(name)
        return died


@dataclass
class Stopper:
    """Carries a plan out. Whatever happens, everything it stopped goes on in the end."""

    system: WholeSystem
    redis: OwnRedis
    seed: int
    between: Callable[[random.Random], None] = lambda dice: None  # called before each step
    stood: list[Stood] = field(default_factory=list)
    died: Counter[str] = field(default_factory=Counter)

    def carry_out(self, steps: Sequence[Step]) -> None:
        dice = random.Random(self.seed + 1)
        for step in steps:
            time.sleep(dice.uniform(*PAUSE))
            self.died.update(self.system.start_what_died())
            self.between(dice)
            self._stop(step)
        connection.close()

    def _stop(self, step: Step) -> None:
        # Looked up first: PostgreSQL may not answer while one of its processes stands still.
        backends = _engines_backends() if any(stop.who == BACKEND for stop in step) else []
        began = uptime()
        with contextlib.ExitStack() as all_go_on:
            for stop in step:
                if stop.who == BACKEND and not backends:
                    continue
                all_go_on.callback(self._signal, stop.who, signal.SIGCONT, backends)
                self._signal(stop.who, signal.SIGSTOP, backends)
            for stop in sorted(step, key=lambda stop: stop.seconds):
                time.sleep(max(0.0, began + stop.seconds - uptime()))
                self._signal(stop.who, signal.SIGCONT, backends)
                if stop.who != BACKEND or backends:
                    self.stood.append(Stood(stop.who, began, uptime()))

    def _signal(self, who: str, number: signal.Signals, backends: Sequence[Process]) -> None:
        if who == VALKEY:
            self.redis.freeze() if number == signal.SIGSTOP else self.redis.thaw()
        elif who == BACKEND:
            for one in backends:
                one.signal(number)
        else:
            with contextlib.suppress(ProcessLookupError):  # it has died meanwhile
                self.system.signal(who, number)

    def everything_goes_on(self) -> None:
        for name in PROCESSES:
            with contextlib.suppress(ProcessLookupError, KeyError):
                self.system.signal(name, signal.SIGCONT)
        self.redis.thaw()


def _engines_backends() -> list[Process]:
    """The processes of PostgreSQL that serve the engine; none where it runs on another machine."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = current_database()",
            [ENGINES_NAME],
        )
        pids = [pid for (pid,) in cursor.fetchall()]
    return [found for pid in pids if _is_postgres(pid) and (found := process(pid)) is not None]


def _is_postgres(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").readlink().name == "postgres"
    return False


@contextlib.contextmanager
def standing_still(stopper: Stopper) -> Iterator[Stopper]:
    """Everything goes on afterwards, before anybody waits for it to end."""
    try:
        yield stopper
    finally:
        stopper.everything_goes_on()
