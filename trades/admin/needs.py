"""What waits for the person who looks: each with since when, and the page on which they do something about it.

All that stands in PostgreSQL is found in one statement, no more than MOST rows of a kind. What somebody made themselves
and another one decides isn't theirs to decide; what they may not do isn't shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

import redis
from django.conf import settings
from django.db.models import CharField, DateTimeField, F, Q, QuerySet, UUIDField, Value
from django.db.models.functions import Cast
from django.http import HttpRequest
from django.urls import reverse

from accounts import deeds, streams
from accounts.models import Break, WebhookSubscription
from accounts.timestamps import from_milliseconds
from quotes import prices
from quotes.models import InstrumentChange
from trades import selectors
from trades.admin.navigation import may_see
from trades.margin.commands import stream_name
from trades.models import (
    ClientClassChange,
    ControlChange,
    Correction,
    DealersAction,
    Erasure,
    Payment,
    SettlementBatch,
    SettlementLeg,
    StandingInstruction,
    StatementEntry,
)
from trades.settlement.waiting import Oldest
from trades.states import BatchState, PaymentState

MOST: Final = 100  # of a kind
SHOWN: Final = 15


class Kind(NamedTuple):
    """A kind of what waits: what there is to do, on whose page (app_model), and by which deed (none: to look)."""

    does: str
    model: str
    deed: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing to do: what it is, about what, since when (None: nobody knows), and where. `is_to_come`: it may be done
    before that moment, which isn't over yet."""

    does: str
    about: str
    since: datetime | None
    url: str
    is_to_come: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """The oldest of them, and how many there are; `is_more`: some kind has more than MOST."""

    shown: list[Need]
    count: int
    is_more: bool

    @property
    def count_text(self) -> str:
        return f"{self.count}+" if self.is_more else str(self.count)


KINDS: Final = {
    "correction": Kind("Apply or reject a correction", "trades_correction", "apply_correction"),
    "change": Kind("Apply or refuse an instrument's change", "quotes_instrumentchange", "apply_instrument_change"),
    "action": Kind("Order or refuse a dealer's action", "trades_dealersaction", "decide_deal"),
    "class": Kind("Apply or refuse a client class", "trades_clientclasschange", "decide_client_class"),
    "control": Kind("Apply or refuse a control that is switched off", "trades_controlchange", "decide_control"),
    "standing": Kind(
        "Approve or refuse a standing instruction", "trades_standinginstruction", "decide_standing_instruction"
    ),
    "erasure": Kind("Carry out or refuse an erasure", "trades_erasure", "decide_erasure"),
    "batch": Kind("Confirm or cancel a batch", "trades_settlementbatch", "confirm_batch"),
    "payment": Kind("Agree to a payment", "trades_payment", "agree_to_payment"),
    "break": Kind("Explain your break", "accounts_break", "look_after_break"),
    "leg": Kind("Report a leg", "trades_settlementleg", "report_leg"),
    "entry": Kind("Decide on a statement's entry", "trades_statemententry", "match_entry"),
    "webhook": Kind("Look at a failing webhook", "accounts_webhooksubscription", "resend_webhooks"),
}
PRICE: Final = Kind("Look at a refused price", "quotes_instrument", "hold_price")
STUCK: Final = Kind("Look at a trade that is late", "trades_trade")
LETTERS: Final = Kind("Look at dead letters", "trades_enginelease")


def needs_of(request: HttpRequest, now: datetime, waiting: Sequence[Oldest]) -> Needs:
    """What waits for this person, the oldest first. `now` is the firm's time."""
    found = [*_rows(request, now), *_refused_prices(request), *_late(request, waiting), *_letters(request)]
    first = sorted(found, key=lambda need: (need.since is not None, need.since))
    per_kind = [sum(need.does == kind.does for need in found) for kind in KINDS.values()]
    listed = [replace(one, is_to_come=one.since is not None and one.since > now) for one in first[:SHOWN]]
    return Needs(listed, len(found), any(count >= MOST for count in per_kind))


def _rows(request: HttpRequest, now: datetime) -> Iterator[Need]:
    parts = [_part(name, *one) for name, one in _sources(request.user, now).items() if _may(request, KINDS[name])]
    if not parts:
        return
    first, *others = parts
    for name, pk, about, since in first.union(*others, all=True) if others else first:
        kind = KINDS[name]
        yield Need(kind.does, about, since, reverse(f"admin:{kind.model}_change", args=[pk]))


def _sources(user: Any, now: datetime) -> dict[str, tuple[QuerySet[Any], str, str]]:
    """By kind: its rows, the column that says what it is about, and that of since when."""
    me = user.pk
    of_others = ~Q(made_by=me) | Q(made_by__isnull=True)
    waits_for_second = Q(made_by__isnull=False, needs_checker=True, checked_by__isnull=True) & ~Q(made_by=me)
    is_stopped = Q(stopped_by__isnull=False, stop_checked_by__isnull=True) & ~Q(stopped_by=me)
    under_way = Payment.objects.filter(state__in=[PaymentState.PENDING, PaymentState.SETTLING])
    return {
        "correction": (Correction.objects.filter(of_others, state="proposed"), "kind", "made_at"),
        "change": (InstrumentChange.objects.filter(of_others, state="proposed"), "instrument_id", "made_at"),
        "action": (DealersAction.objects.filter(of_others, state="proposed"), "reason", "made_at"),
        "class": (ClientClassChange.objects.filter(of_others, state="proposed"), "becomes", "made_at"),
        "control": (ControlChange.objects.filter(of_others, _for(user), state="proposed"), "reason", "made_at"),
        "standing": (StandingInstruction.objects.filter(of_others, state="proposed"), "asset_id", "made_at"),
        "erasure": (Erasure.objects.filter(of_others, state="proposed"), "reason", "made_at"),
        "batch": (SettlementBatch.objects.filter(of_others, state=BatchState.CUT), "asset_kinds", "created_at"),
        "payment": (under_way.filter(waits_for_second | is_stopped), "side", "updated_at"),
        "break": (Break.objects.filter(owner=me, state=Break.State.OPEN), "asset_id", "opened_at"),
        "leg": (SettlementLeg.objects.filter(selectors.is_due(now)), "asset_id", "due_by"),
        "entry": (StatementEntry.objects.filter(state=StatementEntry.State.LISTED), "bank_reference", "file__made_at"),
        "webhook": (
            WebhookSubscription.objects.filter(
                Q(state=WebhookSubscription.State.FAILED) | Q(failing_since__isnull=False), deleted_at=None
            ),
            "name",
            "failing_since",
        ),
    }


def _for(user: Any) -> Q:
    """Of controls those that somebody can decide on: of staff only an Administrator does, and nobody of themselves."""
    of_staff = Q(kind=ControlChange.Kind.STAFF)
    return ~of_staff | ~Q(subject=user.pk) if user.is_superuser else ~of_staff


def _part(name: str, rows: QuerySet[Any], about: str, since: str) -> Any:
    return (
        rows.annotate(
            need=Value(name, CharField()),
            need_pk=Cast("pk", UUIDField()),
            need_about=Cast(about, CharField()),
            need_since=Cast(F(since), DateTimeField()),
        )
        .order_by("need_since")
        .values_list("need", "need_pk", "need_about", "need_since")[:MOST]
    )


def _refused_prices(request: HttpRequest) -> Iterator[Need]:
    """What a feed said that jumped too far, or was too wide."""
    if not _may(request, PRICE):
        return
    try:
        refused = prices.refused()
    except redis.RedisError:
        return
    for symbol, price in sorted(refused.items()):
        yield Need(PRICE.does, symbol, price.at, reverse(_page(PRICE), args=[symbol]))


def _late(request: HttpRequest, waiting: Sequence[Oldest]) -> Iterator[Need]:
    if not _may(request, STUCK):
        return
    for one in waiting:
        if one.is_late and one.trade_id is not None:
            about = one.what if one.what == "storing" else f"settling, {one.what}"
            yield Need(STUCK.does, about, one.since, reverse(_page(STUCK), args=[one.trade_id]))


def _letters(request: HttpRequest) -> Iterator[Need]:
    """Commands that no engine could execute; docs/operations.md says how they are read."""
    if not _may(request, LETTERS):
        return
    names = [f"{stream_name(partition)}:dead" for partition in range(settings.ENGINE_PARTITIONS)]
    pipe = streams.prompt_client().pipeline(transaction=False)
    for name in names:
        pipe.xlen(name)
        pipe.xrange(name, count=1)
    try:
        told = pipe.execute(raise_on_error=False)
    except redis.RedisError:
        return
    for count, first in zip(told[::2], told[1::2], strict=True):
        if isinstance(count, int) and count and isinstance(first, list) and first:
            since = from_milliseconds(int(first[0][0].partition("-")[0]))
            yield Need(LETTERS.does, f"{count:,}", since, reverse(f"admin:{LETTERS.model}_changelist"))


def _page(kind: Kind) -> str:
    return f"admin:{kind.model}_change"


def _may(request: HttpRequest, kind: Kind) -> bool:
    return may_see(request, kind.model) and (not kind.deed or deeds.does(request.user, kind.deed))
