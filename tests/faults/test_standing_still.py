"""Any process, the engine's PostgreSQL backend or Valkey stands still at random instants,
for 10 ms to 30 s, under load and with moving prices; the same with the clock of one process off by 25 minutes and
stepping.

No answered 408, 500 or 503 is contradicted afterwards, no deal's price is older than the instrument's limit at its
commit, no time in a row lies before a state that was read after it, and a minute after the last stop nothing waits.

Guards: PostgreSQL ends a tick that isn't committed by its nearest deadline (`accounts.clock.must_commit_by`), what was
read counts from before it was asked for, a command says until when it may have been received, and a tick of the feed
carries the moment it came. Where one of them is missing, some of a few hundred stops show it; `judged.py` has the
rules and their tolerances, `stops.py` the plan.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts import audit, json_codec
from accounts.clock import uptime
from quotes.models import Instrument
from tests.faults.judged import Verdict, judge_answers, judge_prices, judge_times, judge_trades
from tests.faults.own_redis import OwnRedis, own_redis
from tests.faults.recording import RecordingTrader, Records
from tests.faults.recording_feed import PriceHistory
from tests.faults.stepping_clock import COMPILER, SteppingClock
from tests.faults.stops import Step, Stopper, WholeSystem, plan, standing_still
from tests.faults.traders import SYMBOL, OrderTrader, SpotTrader, ThinTrader
from tests.faults.trading_customers import nothing_waits
from tests.given import a_customer, deposit
from tests.sizes import size
from trades.models import SettlementWindow, Trade

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("live"),
    pytest.mark.faults,
    pytest.mark.timeout(size(300, 3600)),
]

ROUNDS, STOPS = size(1, 4), size(14, 250)  # 1,000 stops in four systems, each with a seed of its own
STOPS_WITH_A_WRONG_CLOCK = size(6, 60)
LONGEST_STOP = size(6, 30)  # seconds
AROUND_THE_DEADLINES = size(0.7, 0.29)  # the share of stops of 1.2 to 8 s: so that few stops show what many do
TRADERS: list[type[RecordingTrader]] = [OrderTrader, OrderTrader, OrderTrader, OrderTrader, ThinTrader, SpotTrader]
PRICE_AGE_LIMIT = 3  # seconds: so short that stops around the deadlines make prices old
QUOTE_LIFE = 3
LARGEST_STEP_BPS = 15  # of each price, four a second: a stop 0.2 % away is mostly fired within ten seconds
CLOCK_OFF = 25 * 60  # seconds
SEAL_SECONDS = 5  # while a clock is wrong, so that what it seals too early is seen
SETTLES_SECONDS = 60  # after the last stop nothing waits
WITH_WRONG_CLOCKS = ["worker", "engine", "web", "feed"]


@pytest.mark.parametrize("seed", [193 + number for number in range(ROUNDS)])
def test_whichever_process_is_stopped_answers_stay_true_and_prices_are_current(settings: Any, seed: int) -> None:
    with a_system(settings) as system:
        system.plays(plan(seed, STOPS, LONGEST_STOP, AROUND_THE_DEADLINES), seed)

        system.settles()
        system.nothing_was_contradicted()


@pytest.mark.skipif(COMPILER is None, reason="no C compiler to make a wrong clock with")
@pytest.mark.parametrize("who", WITH_WRONG_CLOCKS[: size(1, len(WITH_WRONG_CLOCKS))])
def test_answers_stay_true_while_one_clock_is_25_minutes_off_and_jumps(settings: Any, tmp_path: Path, who: str) -> None:
    clock = SteppingClock(tmp_path)

    def steps(dice: random.Random) -> None:
        _seal_often()
        if dice.random() < 0.4:
            clock.set(dice.choice([0, CLOCK_OFF, -CLOCK_OFF, dice.randint(-CLOCK_OFF, CLOCK_OFF)]))

    with a_system(settings, {who: clock.environment}) as system:
        clock.set(CLOCK_OFF)  # not before: a host whose clock is wrong says that it isn't ready
        system.plays(plan(376, STOPS_WITH_A_WRONG_CLOCK, LONGEST_STOP, AROUND_THE_DEADLINES), 376, steps)

        system.settles()
        system.nothing_was_contradicted()


def _seal_often() -> None:
    """From now on every few seconds, until a beat starts anew and writes its own times down."""
    often, _ = IntervalSchedule.objects.get_or_create(every=SEAL_SECONDS, period=IntervalSchedule.SECONDS)
    for task in PeriodicTask.objects.filter(name="seal history").exclude(interval=often):
        task.interval = often
        task.save()


# --- the system ------------------------------------------------------------------------------------


class PausedSystem:
    """The whole system with people who trade on it, and what is found out about them afterwards."""

    def __init__(self, system: WholeSystem, redis: OwnRedis, ticks: Path) -> None:
        self.system = system
        self._redis = redis
        self._ticks = ticks
        self._records = Records()
        self._verdict = Verdict()
        self._stopper = Stopper(system, redis, 0)
        self._traders: list[RecordingTrader] = []
        self._began = time.time()

    def plays(self, steps: Sequence[Step], seed: int, between: Any = lambda dice: None) -> None:
        """People trade while the plan is carried out."""
        self._stopper = Stopper(self.system, self._redis, seed, between)
        self._wait_for_prices()
        for number, kind in enumerate(TRADERS, 1):
            customer = a_customer(f"trader-{number}", with_usd=kind.starts_with)
            deposit(customer, "BTC", "10")
            self._traders.append(kind(self.system, self._records, customer, number, seed))
        with standing_still(self._stopper):
            for trader in self._traders:
                trader.start()
            try:
                self._stopper.carry_out(steps)
            finally:
                self._stopper.everything_goes_on()
                self._ends_trading()
        self._stopper.died.update(self.system.start_what_died())

    def _ends_trading(self) -> None:
        for trader in self._traders:
            trader.halt()
        for trader in self._traders:
            trader.join(180)
        assert not any(trader.is_alive() for trader in self._traders)

    def _wait_for_prices(self) -> None:
        give_up = uptime() + 30
        with self.system.client() as client:
            while uptime() < give_up:
                answer = client.get("/api/v1/prices/latest")
                if answer.status_code == 200 and SYMBOL in answer.text:
                    return
                time.sleep(0.1)
        raise AssertionError(f"no prices:\n{self.system.log.read_text()[-3000:]}")

    # --- afterwards --------------------------------------------------------------------------------

    def settles(self) -> None:
        """Within a minute nothing waits: no command, no trade in storing, no key of somebody who gave up."""
        give_up = uptime() + SETTLES_SECONDS
        nothing_waits(seconds=SETTLES_SECONDS)
        while Trade.objects.filter(state="storing").exists():
            assert uptime() < give_up, "trades stand in storing"
            time.sleep(0.2)
        self._judge()
        for trader in self._traders:
            self._no_key_is_held(trader, give_up)

    def _judge(self) -> None:
        epoch_of_uptime = time.time() - uptime()
        self._verdict = Verdict(stood=self._stopper.stood, epoch_of_uptime=epoch_of_uptime)
        judge_answers(self._records.said, self._verdict)
        judge_prices(PriceHistory.read(self._ticks, epoch_of_uptime), PRICE_AGE_LIMIT, self._verdict)
        judge_times(self._verdict)
        judge_trades(self._verdict)

    def _no_key_is_held(self, trader: RecordingTrader, give_up: float) -> None:
        """Asks once more under the last keys. It may be done now, and is not judged any more."""
        with self.system.client(trader.token) as client:
            for key, (method, path, body) in list(trader.last.items())[-3:]:
                headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
                while True:
                    answer = client.request(method, path, content=json_codec.dumps(body), headers=headers)
                    if answer.status_code != 409 or "still running" not in answer.text:
                        break
                    assert uptime() < give_up, f"{key}: {answer.text}"
                    time.sleep(0.2)

    def nothing_was_contradicted(self) -> None:
        """The rules of `judged`, the audit with its seals, and no answer that nobody expects."""
        audited = audit.run(timezone.now(), verify=True)
        found = self._verdict.faults | {"unexpected": self._records.unexpected, "audit": audited.findings}
        text = self.told(found)
        print(text)
        assert not any(found.values()), text

    def told(self, found: Mapping[str, Sequence[Any]]) -> str:
        verdict, stopped = self._verdict, Counter(stop.who for stop in self._stopper.stood)
        lines = [
            f"{sum(stopped.values())} stops in {time.time() - self._began:.0f} s: {dict(stopped)}",
            f"died and started again: {dict(self._stopper.died)}",
            f"answers: {dict(sorted(self._records.answers.items()))}",
            f"judged: {dict(verdict.checked)}",
            f"contradicted: {len(verdict.contradicted)}, at an old price: {len(verdict.old)},"
            f" with too early a time: {len(verdict.early)}, accepted or cut out of time: {len(verdict.late)}",
            f"done after the client had given up: {len(verdict.after_giving_up)},"
            f" stopped inside of COMMIT itself: {len(verdict.seen_late)}",
            *(f"{kind}: {one}" for kind, sentences in found.items() for one in sentences[:12]),
            *(f"stopped inside of COMMIT: {one}" for one in verdict.seen_late[:5]),
        ]
        return "\n".join(lines)


@contextmanager
def a_system(settings: Any, environments: dict[str, dict[str, str]] | None = None) -> Iterator[PausedSystem]:
    """All five processes on this test's database and on a Valkey of its own, with prices that move and grow old."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW track_commit_timestamp")
        if cursor.fetchone() != ("on",):
            pytest.skip("PostgreSQL doesn't say when a row was committed (track_commit_timestamp)")
    with tempfile.TemporaryDirectory() as home, own_redis(settings) as redis, _lively_markets():
        ticks = Path(home) / "ticks"
        system = WholeSystem({}, environments or {})
        system.commands["feed"] = (*_module(system.commands["web"][0]), str(ticks))
        try:
            system.start()
            yield PausedSystem(system, redis, ticks)
        finally:
            redis.thaw()
            system.stop()


def _module(python: str) -> tuple[str, ...]:
    return (python, "-m", "tests.faults.recording_feed")


@contextmanager
def _lively_markets() -> Iterator[None]:
    """Larger steps, shorter lives, a cut of crypto trades every twenty minutes; as before afterwards."""
    instruments, windows = list(Instrument.objects.all()), list(SettlementWindow.objects.all())
    Instrument.objects.update(
        simulator_step_bps=LARGEST_STEP_BPS,
        price_age_limit_seconds=PRICE_AGE_LIMIT,
        quote_life_seconds=QUOTE_LIFE,
    )
    SettlementWindow.objects.update(cron="*/20 * * * *", time_zone="UTC", calendar="")
    try:
        yield
    finally:
        fields = ("simulator_step_bps", "price_age_limit_seconds", "quote_life_seconds")
        Instrument.objects.bulk_update(instruments, fields)
        SettlementWindow.objects.bulk_update(windows, ("cron", "time_zone", "calendar"))
