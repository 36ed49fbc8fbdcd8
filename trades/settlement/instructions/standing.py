"""Counterparties, and where each gets its assets: proposed by one person, approved by another.

Whoever can change where money goes alone can take it; so nobody can, in the database neither. What is approved is never
edited: the next one replaces it from its time on. Which counterparty settles an asset is said by a standing
instruction, too (`is_default`): of those in force, the one that came into force last.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.bank_details import LONGEST_NAME, checked_name, printable
from accounts.errors import UnknownAsset
from accounts.models import Asset
from accounts.services.proposals import made_by_dialog, undecided
from trades.models import Counterparty, StandingInstruction
from trades.settlement.instructions.errors import (
    CounterpartyExists,
    CounterpartyNotFound,
    ProposerCantApprove,
    StandingInstructionDecided,
    StandingInstructionNotFound,
    StandingInstructionWaits,
)
from trades.settlement.instructions.formats import checked_lei, destination
from trades.states import StandingState

LONGEST_REASON: Final = 500


@conflicts.atomic
def add_counterparty(name: str, *, lei: str = "", is_own: bool = False, by: UUID, at: datetime) -> Counterparty:
    """A new counterparty; without a standing instruction nothing goes to it. Raises Malformed, CounterpartyExists."""
    said = checked_name(name.strip(), "A name") if is_own else printable(name.strip(), "A name", LONGEST_NAME)
    made = Counterparty(name=said, lei=checked_lei(lei), is_own=is_own, made_by_id=by, made_at=at)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        raise CounterpartyExists from None
    return made


@conflicts.atomic
def switch_counterparty(counterparty_id: UUID, *, on: bool) -> Counterparty:
    """Off: no new instruction is made for it. What was made stays. Raises CounterpartyNotFound."""
    found = Counterparty.objects.select_for_update(no_key=True).filter(pk=counterparty_id).first()
    if found is None:
        raise CounterpartyNotFound
    found.is_active = on
    found.save(update_fields=["is_active"])
    return found


@conflicts.atomic
def propose(
    counterparty_id: UUID,
    asset: str,
    given: Mapping[str, str],
    *,
    reason: str,
    by: UUID,
    at: datetime,
    is_default: bool = False,
    not_before: datetime | None = None,
    once: UUID | None = None,
) -> StandingInstruction:
    """Propose where a counterparty gets an asset from now on; `given` as for `formats.destination`.

    Raises CounterpartyNotFound, UnknownAsset, Malformed, StandingInstructionWaits, and KeyReused where the dialog
    (`once`) was answered otherwise before.
    """
    found = Asset.objects.filter(pk=asset).first()
    if found is None:
        raise UnknownAsset(f"There is no asset {asset[:10]!r}.")
    if not Counterparty.objects.filter(pk=counterparty_id).exists():
        raise CounterpartyNotFound
    wanted = StandingInstruction(
        counterparty_id=counterparty_id,
        asset=found,
        **destination(found, dict(given)).columns(),
        is_default=is_default,
        not_before=not_before,
        reason=printable(reason.strip(), "A reason", LONGEST_REASON),
        once=once,
        made_by_id=by,
        made_at=at,
    )
    if made := _made_before(wanted):
        return made
    try:
        with transaction.atomic():
            wanted.save(force_insert=True)
    except IntegrityError:
        if made := _made_before(wanted):  # sent twice at the same moment
            return made
        raise StandingInstructionWaits from None
    return wanted


@conflicts.atomic
def approve(standing_id: UUID, *, by: UUID, at: datetime) -> StandingInstruction:
    """Let it come into force, in the name of a second person; never for the time before.

    Raises StandingInstructionNotFound, StandingInstructionDecided, ProposerCantApprove.
    """
    standing = _undecided(standing_id)
    if standing.made_by_id == by:
        raise ProposerCantApprove
    standing.state, standing.checked_by_id, standing.decided_at = StandingState.APPROVED, by, at
    standing.in_force_from = max(at, standing.not_before or at)
    standing.save(update_fields=["state", "checked_by", "decided_at", "in_force_from"])
    return standing


@conflicts.atomic
def refuse(standing_id: UUID, *, by: UUID, at: datetime) -> StandingInstruction:
    """Decide against it; its maker withdraws it so. Raises StandingInstructionNotFound, StandingInstructionDecided."""
    standing = _undecided(standing_id)
    standing.state, standing.decided_at = StandingState.REFUSED, at
    standing.checked_by_id = None if standing.made_by_id == by else by
    standing.save(update_fields=["state", "checked_by", "decided_at"])
    return standing


def in_force(at: datetime, assets: Collection[str] | None = None) -> list[StandingInstruction]:
    """The newest that is in force of each active counterparty and asset, with its counterparty."""
    rows = StandingInstruction.objects.filter(
        state=StandingState.APPROVED, in_force_from__lte=at, counterparty__is_active=True
    )
    if assets is not None:
        rows = rows.filter(asset_id__in=assets)
    ordered = rows.order_by("asset_id", "counterparty_id", "-in_force_from", "-pk")
    return list(ordered.distinct("asset_id", "counterparty_id").select_related("counterparty"))


def defaults(at: datetime, assets: Collection[str]) -> dict[str, StandingInstruction]:
    """Where each of these assets is settled with others at that time; an asset that nobody settles is missing."""
    return _newest(one for one in in_force(at, assets) if one.is_default and not one.counterparty.is_own)


def own_accounts(at: datetime, assets: Collection[str]) -> dict[str, StandingInstruction]:
    """The firm's own account or wallet of each of these assets at that time."""
    return _newest(one for one in in_force(at, assets) if one.counterparty.is_own)


def _newest(found: Iterable[StandingInstruction]) -> dict[str, StandingInstruction]:
    return {one.asset_id: one for one in sorted(found, key=lambda one: (one.in_force_from, one.pk))}


def _undecided(standing_id: UUID) -> StandingInstruction:
    return undecided(
        StandingInstruction,
        standing_id,
        missing=StandingInstructionNotFound,
        decided=StandingInstructionDecided,
        called="standing instruction",
    )


def _made_before(wanted: StandingInstruction) -> StandingInstruction | None:
    said = {name: getattr(wanted, name) for name in StandingInstruction.fixed - {"made_at"}}
    return made_by_dialog(
        StandingInstruction, wanted.once, lambda made: all(getattr(made, name) == value for name, value in said.items())
    )
