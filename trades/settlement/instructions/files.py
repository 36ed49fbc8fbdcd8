"""Payment files: the outgoing instructions of a batch or a day, each in one file only.

An instruction that is in a file is sent, in the same transaction. Asked for again, nothing waits: `repeat_file` hands
out the same bytes once more and writes that down. Bytes, hash and control sums are kept as they were handed out.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from uuid import UUID

from django.db.models import QuerySet

from accounts import conflicts
from accounts.identity import Actor
from trades.bank import pain001
from trades.bank.references import new_reference
from trades.models import PaymentFile, SettlementInstruction, StandingInstruction
from trades.settlement.instructions import payment_csv, standing
from trades.settlement.instructions.errors import NoOwnAccount, NothingToSend
from trades.states import InstructionState

PREFIX = "PF"
Format = PaymentFile.Format


@conflicts.atomic
def make_file(
    form: str, *, batch_id: UUID | None = None, day: date | None = None, by: Actor, at: datetime
) -> PaymentFile:
    """A new file of what waits to be sent of a batch, of a value date, or of all; a pain.001 has bank payments only.

    Raises NothingToSend, NoOwnAccount, AmountTooLong.
    """
    waiting = _waiting(form, batch_id, day)
    if not waiting:
        raise NothingToSend
    own = own_accounts({one.asset_id for one in waiting}, at, must=form == Format.PAIN001)
    message_id = new_reference(PREFIX)
    if form == Format.PAIN001:
        content = pain001.build(message_id, [_order(one) for one in waiting], payer(own), at)
    else:
        content = payment_csv.build(waiting, own)
    amounts = [(one.asset_id, int(one.amount)) for one in waiting]
    made = handed_out(form, message_id, content, amounts, by=by, at=at)
    SettlementInstruction.objects.filter(pk__in=[one.pk for one in waiting]).update(
        payment_file=made, state=InstructionState.SENT, updated_at=at
    )
    return made


@conflicts.atomic
def repeat_file(
    form: str, *, batch_id: UUID | None = None, day: date | None = None, by: Actor, at: datetime
) -> PaymentFile:
    """The newest file of that batch or day once more, the same bytes: a bank that has them refuses them.

    Raises NothingToSend where there was none.
    """
    of_scope = _of_scope(batch_id, day).filter(payment_file__format=form)
    first = PaymentFile.objects.filter(pk__in=of_scope.values("payment_file")).order_by("-pk").first()
    if first is None:
        raise NothingToSend("There was no such file yet.")
    return handed_out_again(first, by=by, at=at)


def handed_out(
    form: str, message_id: str, content: bytes, amounts: Sequence[tuple[str, int]], *, by: Actor, at: datetime
) -> PaymentFile:
    """Keep a new file as it is handed out; `amounts`: of each payment its asset, and base units."""
    return PaymentFile.objects.create(
        format=form,
        message_id=message_id,
        instructions_count=len(amounts),
        control_sums=_control_sums(amounts),
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        made_by_id=by.user_id,
        made_at=at,
    )


def handed_out_again(first: PaymentFile, *, by: Actor, at: datetime) -> PaymentFile:
    """The same bytes once more, written down as a repeat."""
    return PaymentFile.objects.create(
        format=first.format,
        message_id=first.message_id,
        repeat_of=first,
        instructions_count=first.instructions_count,
        control_sums=first.control_sums,
        content=first.content,
        sha256=first.sha256,
        made_by_id=by.user_id,
        made_at=at,
    )


def own_accounts(assets: Collection[str], at: datetime, *, must: bool) -> dict[str, StandingInstruction]:
    """The firm's own account of each of these assets; where it `must` have them all, raises NoOwnAccount."""
    own = standing.own_accounts(at, assets)
    if must and (missing := sorted(set(assets) - set(own))):
        raise NoOwnAccount(f"The firm has no account of its own for {', '.join(missing)}: agree on one first.")
    return own


def payer(own: Mapping[str, StandingInstruction]) -> pain001.Payer:
    """The firm, as it pays from these accounts, of which there is one at least."""
    firm = next(iter(own.values())).counterparty
    return pain001.Payer(firm.name, {asset: _account(one) for asset, one in own.items()}, lei=firm.lei)


def name_of(made: PaymentFile) -> str:
    """What it is called on a disk."""
    ending = "xml" if made.format == Format.PAIN001 else "csv"
    return f"{made.message_id}{'-repeat' if made.repeat_of_id else ''}.{ending}"


def _waiting(form: str, batch_id: UUID | None, day: date | None) -> list[SettlementInstruction]:
    """What is made, outgoing and in no file yet, locked in the order of ids: of two who ask, one gets each."""
    found = _of_scope(batch_id, day).filter(
        state=InstructionState.MADE, direction=SettlementInstruction.Direction.OUTGOING
    )
    if form == Format.PAIN001:
        found = found.filter(standing__kind=StandingInstruction.Kind.BANK)
    locked = found.order_by("pk").select_for_update(no_key=True, of=("self",))
    return list(locked.select_related("asset", "standing", "counterparty"))


def _of_scope(batch_id: UUID | None, day: date | None) -> QuerySet[SettlementInstruction]:
    found = SettlementInstruction.objects.all()
    if batch_id is not None:
        found = found.filter(batch=batch_id)
    return found if day is None else found.filter(value_date=day)


def _order(one: SettlementInstruction) -> pain001.Order:
    return pain001.Order(one.reference, one.value_date, one.asset, int(one.amount), _account(one.standing))


def _account(one: StandingInstruction) -> pain001.Account:
    return pain001.Account(one.holder, one.iban, bic=one.bic, bank_name=one.bank_name)


def _control_sums(amounts: Sequence[tuple[str, int]]) -> dict[str, str]:
    sums: dict[str, int] = defaultdict(int)
    for asset, amount in amounts:
        sums[asset] += amount
    return {asset: str(amount) for asset, amount in sorted(sums.items())}
