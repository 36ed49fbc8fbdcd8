"""What must be true of every answer, price and time after processes stood still, whoever stood still and when.

PostgreSQL says when each row was committed (track_commit_timestamp), so nobody has to watch it happen. What is judged
are rows that are never changed: events, deals, stored answers, movements.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts import json_codec
from tests.faults.recording import CANCEL, CHANGE, CLOSE, CLOSE_ALL, CREATE, PART, TRADE, Attempt, plain
from tests.faults.recording_feed import PriceHistory
from tests.faults.stops import BACKEND, Stood

SLOWEST_TICK = 1.5
"""Seconds by which a row's time may lie before its commit. An engine reads the clock, then prepares, writes and
commits a tick within about a second of that, or not at all; the half is for a busy machine."""

AHEAD = 0.25
"""Seconds by which a row's time may lie after its commit: two servers' clocks of one machine, and milliseconds cut."""

AGE_TOLERANCE = 0.25
"""Seconds: the feed writes a tick down before it reads its own clock, and PostgreSQL's timers are no sharper."""

ID_TOLERANCE = 1.0
"""Seconds by which the time in an id may be off (accounts.ids)."""

INSIDE_COMMIT = 0.02
"""Seconds around the beginning of a backend's stop. PostgreSQL decides a commit's time, then makes it visible: a
backend that stands still between the two has committed in time and is seen late. No deadline helps there."""


SHORTLY_BEFORE = 10.0  # seconds


@dataclass(frozen=True)
class Effect:
    """What a command did to one order, told apart by what no other command of this customer does (`name`)."""

    customer: UUID
    what: str
    name: str
    order: str  # as in Attempt.undone
    command: UUID | None
    committed: float


@dataclass
class Verdict:
    """Sentences by kind. `contradicted`, `old`, `early` and `late` must be empty; the rest is told."""

    contradicted: list[str] = field(default_factory=list)
    after_giving_up: list[str] = field(default_factory=list)
    seen_late: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    early: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    stood: Sequence[Stood] = ()
    epoch_of_uptime: float = 0.0
    checked: Counter[str] = field(default_factory=Counter)

    @property
    def faults(self) -> dict[str, list[str]]:
        kinds = {"contradicted": self.contradicted, "old": self.old, "early": self.early, "late": self.late}
        return {kind: sentences for kind, sentences in kinds.items() if sentences}

    def around(self, moment: float) -> str:
        """Who stood still then or shortly before, for whoever reads a sentence."""
        at = moment - self.epoch_of_uptime
        near = [one for one in self.stood if one.began <= at <= one.ended + SHORTLY_BEFORE]
        return "; ".join(f"{one.who} stood {one.ended - one.began:.2f} s until {one.ended - at:+.2f} s" for one in near)

    def is_inside_commit(self, committed: float) -> bool:
        at = committed - self.epoch_of_uptime
        return any(one.who == BACKEND and abs(at - one.began) < INSIDE_COMMIT for one in self.stood)


# --- answers ---------------------------------------------------------------------------------------


def judge_answers(said: Iterable[Attempt], verdict: Verdict) -> None:
    """Nothing that was read as undone after an unclear answer is done by that command; what was answered 503 never."""
    asked: dict[tuple[UUID, str, str], list[Attempt]] = defaultdict(list)
    for one in said:
        asked[one.customer, one.what, one.name].append(one)
        if one.is_unclear:
            verdict.checked[f"answered {one.status}"] += 1
    for effect in _effects():
        one = _whose(effect, asked.get((effect.customer, effect.what, effect.name), []))
        if one is None or not one.is_unclear or (one.status != 503 and effect.order not in one.undone):
            continue
        later = effect.committed - one.answered
        sentence = f"{one}, but done {later:+.3f} s after the answer ({verdict.around(effect.committed)})"
        if one.status == 0:
            kind = verdict.after_giving_up
        elif one.undone and effect.committed < one.read_asked and verdict.is_inside_commit(effect.committed):
            kind = verdict.seen_late
        else:
            kind = verdict.contradicted
        if sentence not in kind:  # closing all has an effect on each order
            kind.append(sentence)


def _whose(effect: Effect, attempts: Sequence[Attempt]) -> Attempt | None:
    """The attempt that had this effect: the last one asked before the command got its id."""
    if effect.command is None or len(attempts) < 2:
        return attempts[-1] if attempts else None
    made = (effect.command.int >> 80) / 1000
    return next((one for one in reversed(attempts) if one.asked - ID_TOLERANCE <= made), attempts[0])


def _effects() -> list[Effect]:
    orders = _rows(
        "SELECT e.customer_id, e.kind, o.code, o.client_order_id, o.close_reason, o.parent_id IS NOT NULL,"
        " e.detail::text, e.command_id, pg_xact_commit_timestamp(e.xmin)"
        " FROM trades_orderevent e JOIN trades_order o ON o.id = e.order_id WHERE e.command_id IS NOT NULL"
    )
    trades = _rows(
        "SELECT t.customer_id, t.quote_id, pg_xact_commit_timestamp(e.xmin)"
        " FROM trades_tradeevent e JOIN trades_trade t ON t.id = e.trade_id WHERE e.became = 'storing'"
    )
    found = [effect for row in orders if (effect := _effect(*row)) is not None]
    return found + [
        Effect(customer, TRADE, quote.hex, quote.hex, None, at.timestamp()) for customer, quote, at in trades
    ]


def _effect(
    customer: UUID,
    kind: str,
    code: str,
    client_order_id: str | None,
    close_reason: str,
    is_part: bool,
    detail_text: str | None,
    command: UUID,
    committed: datetime,
) -> Effect | None:
    detail: Any = json_codec.loads(detail_text.encode()) if detail_text else {}
    at = committed.timestamp()
    if kind in ("placed", "opened") and client_order_id:
        return Effect(customer, CREATE, client_order_id, client_order_id, command, at)
    if kind == "reduced":
        return Effect(customer, PART, f"{code}:{plain(Decimal(detail['quantity']))}", code, command, at)
    if kind == "changed":
        return Effect(customer, CHANGE, f"{code}:{plain(Decimal(detail['takeProfit'][1]))}", code, command, at)
    if kind == "cancelled":
        return Effect(customer, CANCEL, code, code, command, at)
    if kind == "closed" and not is_part:
        sweeps = close_reason == "close_all"
        return Effect(customer, CLOSE_ALL if sweeps else CLOSE, "" if sweeps else code, code, command, at)
    return None


# --- prices and times ------------------------------------------------------------------------------


def judge_prices(history: PriceHistory, limit_seconds: float, verdict: Verdict) -> None:
    """Every deal's price came from the feed within the instrument's limit before the deal was committed."""
    deals = _rows(
        "SELECT o.code, o.instrument_id, d.kind, o.side, d.price, d.reason, pg_xact_commit_timestamp(d.xmin)"
        " FROM trades_deal d JOIN trades_order o ON o.id = d.order_id"
    )
    for code, symbol, kind, side, price, reason, committed in deals:
        verdict.checked[f"deals {reason or 'that opened'}"] += 1
        market = "ask" if (side == "buy") == (kind == "open") else "bid"
        age = history.age_at(symbol, market, price, committed.timestamp() + AGE_TOLERANCE)
        if age is None or age > limit_seconds + 2 * AGE_TOLERANCE:
            how_old = "never came" if age is None else f"came {age - AGE_TOLERANCE:.2f} s before"
            around = verdict.around(committed.timestamp())
            verdict.old.append(
                f"{code} {kind} {reason or 'asked'}: its price {price:f} {how_old} its commit ({around})"
            )


_TIMES = {
    "order events": "SELECT kind || ' ' || coalesce(order_id, customer_id)::text, at, xmin FROM trades_orderevent",
    "deals' times": "SELECT kind || ' ' || order_id::text, at, xmin FROM trades_deal",
    "stored answers": "SELECT key, at, xmin FROM trades_idempotentanswer",
    "order movements": "SELECT key, at, xmin FROM accounts_transfer WHERE key LIKE 'order:%'",
}


def judge_times(verdict: Verdict) -> None:
    """No time of the engine's rows lies before a state that anybody could have read after it, or is still to come."""
    for what, rows in _TIMES.items():
        found = _rows(f"SELECT r.*, pg_xact_commit_timestamp(r.xmin) FROM ({rows}) r")
        for name, at, _, committed in found:
            verdict.checked[what] += 1
            earlier = (committed - at).total_seconds()
            if not -AHEAD <= earlier <= SLOWEST_TICK:
                around = verdict.around(committed.timestamp())
                verdict.early.append(f"{what}, {name}: its time is {earlier:.2f} s before its commit ({around})")


def judge_trades(verdict: Verdict) -> None:
    """No trade went on whose quote had expired when it was committed; no batch was cut before its time."""
    trades = _rows(
        "SELECT t.id, q.expires_at, pg_xact_commit_timestamp(e.xmin) FROM trades_trade t"
        " JOIN quotes_quote q ON q.id = t.quote_id"
        " JOIN trades_tradeevent e ON e.trade_id = t.id AND e.became = 'storing'"
        " WHERE t.state IN ('settling', 'completed')"
    )
    for id_, expired, committed in trades:
        verdict.checked["trades"] += 1
        if (after := (committed - expired).total_seconds()) > SLOWEST_TICK:
            verdict.late.append(f"trade {id_.hex} was accepted {after:.2f} s after its quote had expired")
    for id_, due, now in _rows("SELECT id, cut_at, clock_timestamp() FROM trades_settlementbatch"):
        verdict.checked["batches"] += 1
        made = min(now.timestamp(), (id_.int >> 80) / 1000)
        if due.timestamp() > made + ID_TOLERANCE:
            verdict.late.append(f"batch {id_.hex} was cut {due.timestamp() - made:.0f} s before its time")


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
