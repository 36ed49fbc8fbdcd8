"""Instructions are made for the legs of a batch that begins to settle, or, netted, for those of a day's batches.

A leg is in one instruction that still counts, by constraint. Which counterparty an asset is settled with, and where it
goes, is what two persons last agreed to (`standing.py`); a leg of an asset for which nobody is named stays without, is
listed, and is reported by hand as ever: it never keeps a batch from settling.

Where a window carries forward, what is still missing of its earlier batches' legs goes along (`carry_forward.py`).

Order of locks: the batch, then the legs by id, earlier batches' among them, as in `settle.begin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from django.db.models import QuerySet

from accounts import conflicts
from accounts.identity import SYSTEM, Actor
from trades.bank.references import new_reference
from trades.errors import BatchNotFound, BatchStateForbids
from trades.models import (
    InstructionLeg,
    SettlementBatch,
    SettlementInstruction,
    SettlementLeg,
    SettlementWindow,
    StandingInstruction,
)
from trades.settlement.instructions import carry_forward, confirm, standing
from trades.settlement.instructions.errors import DayNotOver
from trades.settlement.value_dates import value_date_at
from trades.settlement.windows import next_cuts
from trades.states import BATCHES_UNDER_WAY, BatchState, InstructionState, LegStatus

INCOMING, OUTGOING = SettlementInstruction.Direction.INCOMING, SettlementInstruction.Direction.OUTGOING
_NOT_BEGUN = (BatchState.CUT, BatchState.CONFIRMED)


@dataclass(frozen=True, slots=True)
class Made:
    """What was made; `without`: legs of assets that no counterparty settles; `not_begun`: batches of the day that don't
    settle yet, whose legs are therefore in no instruction; `may_be_paid`: lines of instructions that have ended, and
    that the bank may pay all the same, so that their legs get no other one."""

    instructions: list[SettlementInstruction] = field(default_factory=list)
    may_be_paid: list[InstructionLeg] = field(default_factory=list)
    without: list[SettlementLeg] = field(default_factory=list)
    not_begun: list[UUID] = field(default_factory=list)


def at_begin(batch: SettlementBatch, at: datetime) -> None:
    """Make those of a batch that begins to settle, if its legs are reported and its window doesn't net by the day."""
    if not batch.legs_are_automatic and not _nets_by_day(batch):
        _make(_of_batch(batch), carry_forward.earlier_than(batch), SYSTEM, at, batch_id=batch.pk)


@conflicts.atomic
def make_for_batch(batch_id: UUID, *, by: Actor, at: datetime) -> Made:
    """Make what a batch's open legs are still without: after a counterparty was named, or an instruction failed.

    Raises BatchNotFound, and BatchStateForbids for one that doesn't settle, settles by itself or is netted by the day.
    """
    batch = SettlementBatch.objects.select_for_update(no_key=True, of=("self",)).filter(pk=batch_id).first()
    if batch is None:
        raise BatchNotFound
    if batch.state not in BATCHES_UNDER_WAY or batch.legs_are_automatic:
        raise BatchStateForbids(f"The batch is {batch.state}, its legs are {_how(batch)}.")
    if _nets_by_day(batch):
        raise BatchStateForbids("The batch's window nets across the batches of a day: net that day.")
    return _make(_of_batch(batch), carry_forward.earlier_than(batch), by, at, batch_id=batch.pk)


@conflicts.atomic
def net_day(day: date, *, by: Actor, at: datetime) -> Made:
    """Net the open legs of a value date's batches, one instruction for each asset, over legs of both directions.

    Of batches whose windows net by the day. Told again, it nets what has come since. Raises DayNotOver while a cut of
    such a window is still to come for that day.
    """
    windows = SettlementWindow.objects.filter(netting=SettlementWindow.Netting.DAY)
    for window in windows.filter(is_active=True, legs_are_automatic=False):
        if any(value_date_at(window, cut).day <= day for cut in next_cuts(window, at, 1)):
            raise DayNotOver(f"{window.name} still cuts a batch of that day.")
    of_day = SettlementLeg.objects.filter(batch__window__in=windows, batch__legs_are_automatic=False, value_date=day)
    waiting = set(of_day.filter(batch__state__in=_NOT_BEGUN).values_list("batch_id", flat=True))
    begun = of_day.filter(batch__state__in=BATCHES_UNDER_WAY)
    made = _make(begun, carry_forward.earlier_than_day(windows, day), by, at, batch_id=None)
    made.not_begun.extend(sorted(waiting))
    return made


def _how(batch: SettlementBatch) -> str:
    return "settled as expected" if batch.legs_are_automatic else "reported"


def _nets_by_day(batch: SettlementBatch) -> bool:
    return batch.window is not None and batch.window.netting == SettlementWindow.Netting.DAY


def _of_batch(batch: SettlementBatch) -> QuerySet[SettlementLeg]:
    return SettlementLeg.objects.filter(batch=batch)


def _open_legs(leg_ids: Iterable[UUID]) -> list[SettlementLeg]:
    """Those with something left to move that no live instruction has, locked in the order of their ids.

    Who has one is asked once they are locked, by a statement of its own: it sees what whoever held them has made.
    """
    found = SettlementLeg.objects.filter(pk__in=list(leg_ids), expected__gt=0).exclude(status=LegStatus.SETTLED)
    rows = found.order_by("pk").select_related("batch").select_for_update(no_key=True, of=("self",))
    legs = list(rows)
    instructed = set(InstructionLeg.objects.filter(leg__in=legs, is_live=True).values_list("leg_id", flat=True))
    return [leg for leg in legs if leg.pk not in instructed and confirm.open_of(leg) > 0]


def _may_be_paid(legs: Sequence[SettlementLeg]) -> list[InstructionLeg]:
    """Asked once the legs are locked, as whoever ends an instruction has them."""
    lines = InstructionLeg.objects.filter(leg__in=legs, instruction__may_be_paid=True)
    return list(lines.select_related("instruction").order_by("pk"))


def _make(
    own: QuerySet[SettlementLeg],
    earlier: QuerySet[SettlementLeg],
    by: Actor,
    at: datetime,
    *,
    batch_id: UUID | None,
) -> Made:
    """One instruction for each asset of the open legs in `own`, with what is carried forward to them from `earlier`."""
    ids = set(own.values_list("pk", flat=True))
    legs = _open_legs(ids | set(earlier.values_list("pk", flat=True)))
    may_be_paid = _may_be_paid(legs)
    held = {line.leg_id for line in may_be_paid}
    legs = [leg for leg in legs if leg.pk not in held]
    going = standing.defaults(at, {leg.asset_id for leg in legs})
    mine = [leg for leg in legs if leg.pk in ids]
    made = Made(without=[leg for leg in mine if leg.asset_id not in going], may_be_paid=may_be_paid)
    carried = carry_forward.carried_to(
        [leg for leg in mine if leg.asset_id in going], [leg for leg in legs if leg.pk not in ids], going
    )
    groups: dict[str, list[SettlementLeg]] = {}
    for leg in legs:
        if leg.pk in carried or (leg.pk in ids and leg.asset_id in going):
            groups.setdefault(leg.asset_id, []).append(leg)
    for asset, group in groups.items():
        made.instructions.append(_made_of(group, carried, going[asset], batch_id, by, at))
    return made


def _made_of(
    legs: Sequence[SettlementLeg],
    carried: Mapping[UUID, UUID],
    where: StandingInstruction,
    batch_id: UUID | None,
    by: Actor,
    at: datetime,
) -> SettlementInstruction:
    """One instruction over these legs of one asset, on the value date of those that aren't carried forward.

    What nets to nothing is confirmed at once.
    """
    first = next(leg for leg in legs if leg.pk not in carried)
    net = sum(confirm.open_of(leg) * (1 if leg.direction == INCOMING else -1) for leg in legs)
    instruction = SettlementInstruction.objects.create(
        reference=new_reference(),
        counterparty=where.counterparty,
        standing=where,
        asset_id=first.asset_id,
        batch_id=batch_id,
        direction=INCOMING if net >= 0 else OUTGOING,
        amount=abs(net),
        state=InstructionState.MADE if net else InstructionState.CONFIRMED,
        value_date=first.value_date,
        made_by_id=by.user_id,
        made_by_client_id=by.client_id,
        made_at=at,
        updated_at=at,
    )
    oldest_first = sorted(legs, key=lambda leg: (leg.batch.cut_at, leg.pk))
    InstructionLeg.objects.bulk_create(_lines(instruction, oldest_first, carried))
    if not net:
        confirm.report_legs(instruction, reference=instruction.reference, by=by, at=at)
    return instruction


def _lines(
    instruction: SettlementInstruction, legs: Iterable[SettlementLeg], carried: Mapping[UUID, UUID]
) -> list[InstructionLeg]:
    return [
        InstructionLeg(
            instruction=instruction,
            leg=leg,
            direction=leg.direction,
            amount=confirm.open_of(leg),
            carried_to_id=carried.get(leg.pk),
        )
        for leg in legs
    ]
