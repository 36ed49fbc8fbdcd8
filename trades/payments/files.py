"""Payment files of approved payouts, each in one file only.

A payout that is in a file is settling, in the same transaction: killed before, there is neither; afterwards
`repeat_file` hands out the same bytes once more. What was sent may still be paid: nothing ends it but the bank's
statement, or a person who says that the bank has stopped it.

Order of locks: the payouts by id, their bank accounts, their assets, their customers by id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.db.models import F, Q

from accounts import conflicts
from accounts.identity import Actor
from accounts.models import Asset, Customer, ExternalBankAccount
from accounts.states import BankAccountState, CustomerState
from trades.bank import pain001
from trades.bank.references import new_reference
from trades.models import Payment, PaymentFile
from trades.payments import payout_csv, steps
from trades.settlement.instructions import files
from trades.settlement.instructions.errors import NothingToSend
from trades.states import PaymentState

Format = PaymentFile.Format
_CLEARING: Final = {ExternalBankAccount.Routing.ABA.value: "USABA", ExternalBankAccount.Routing.CPA.value: "CACPA"}


@dataclass(frozen=True, slots=True)
class Made:
    """A file, and which approved payouts are not in it though they wait: their bank account was deleted, their customer
    is frozen or not verified and nobody has agreed to that, or they are above a limit that was lowered since one person
    alone approved."""

    file: PaymentFile
    passed_over: Sequence[Payment]


@conflicts.atomic
def make_file(form: str, *, asset: str | None = None, by: Actor, at: datetime) -> Made:
    """A new file of the approved payouts that wait, of one asset or of all.

    Raises NothingToSend, NoOwnAccount, AmountTooLong.
    """
    waiting = _waiting(asset)
    limits = _limits({payment.asset_id for payment in waiting})
    verified = _verified({payment.customer_id for payment in waiting})
    going: list[Payment] = []
    held_up: list[Payment] = []
    for payment in waiting:
        (going if _may_go(payment, verified, limits) else held_up).append(payment)
    if not going:
        raise NothingToSend("No approved payout waits to be sent." if not held_up else _why(held_up))
    own = files.own_accounts({payment.asset_id for payment in going}, at, must=True)
    message_id = new_reference(files.PREFIX)
    orders = [_order(payment, at) for payment in going]
    payer = files.payer(own)
    content = (
        pain001.build(message_id, orders, payer, at) if form == Format.PAIN001 else payout_csv.build(orders, payer)
    )
    amounts = [(payment.asset_id, int(payment.receive_amount)) for payment in going]
    made = files.handed_out(form, message_id, content, amounts, by=by, at=at)
    steps.sent(going, made, at=at, by=by)
    return Made(made, held_up)


@conflicts.atomic
def repeat_file(form: str, *, asset: str | None = None, by: Actor, at: datetime) -> PaymentFile:
    """The newest file of payouts once more, the same bytes: a bank that has them refuses them.

    Raises NothingToSend where there was none.
    """
    sent = Payment.objects.filter(payment_file__format=form)
    sent = sent if asset is None else sent.filter(asset=asset)
    first = PaymentFile.objects.filter(pk__in=sent.values("payment_file")).order_by("-pk").first()
    if first is None:
        raise NothingToSend("There was no such file yet.")
    return files.handed_out_again(first, by=by, at=at)


def _waiting(asset: str | None) -> list[Payment]:
    """Approved payouts that no bank was told of, locked with their bank accounts in the order of ids: of two who ask,
    one gets each, and no account is deleted meanwhile."""
    found = Payment.objects.filter(
        Q(needs_checker=False) | Q(checked_by__isnull=False),
        rail=Payment.Rail.BANK_FILE,
        side=Payment.Side.WITHDRAWAL,
        state=PaymentState.PENDING,
        made_by__isnull=False,
    )
    found = found if asset is None else found.filter(asset=asset)
    # An account isn't joined by an outer join, which PostgreSQL locks nothing of.
    found = found.filter(external_bank_account__customer_id=F("customer_id"))
    locked = found.order_by("pk").select_for_update(no_key=True, of=("self", "external_bank_account"))
    return list(locked.select_related("asset", "external_bank_account"))


def _verified(customers: Collection[UUID]) -> set[UUID]:
    """Those of these customers who are verified, and stay so until the transaction ends."""
    rows = Customer.objects.filter(pk__in=customers).order_by("pk").select_for_update(no_key=True)
    return {pk for pk, state in rows.values_list("pk", "state") if state == CustomerState.VERIFIED}


def _limits(assets: Collection[str]) -> dict[str, Decimal]:
    """What one person moves alone of each asset, which stays so until the transaction ends."""
    rows = Asset.objects.filter(pk__in=assets).order_by("pk").select_for_update(no_key=True)
    return dict(rows.values_list("pk", "adjustment_limit"))


def _may_go(payment: Payment, verified: Collection[UUID], limits: Mapping[str, Decimal]) -> bool:
    assert payment.external_bank_account is not None  # as it is a payout by file, by constraint
    is_there = payment.external_bank_account.state == BankAccountState.COMPLETED
    is_within = payment.checked_by_id is not None or payment.deliver_amount <= limits[payment.asset_id]
    return is_there and is_within and (payment.customer_id in verified or payment.is_agreed_unverified)


def _why(held_up: Sequence[Payment]) -> str:
    names = ", ".join(payment.remittance_reference for payment in held_up[:5])
    return (
        f"{len(held_up)} approved payouts can't go ({names}): their bank account was deleted, their customer is"
        " frozen or not verified, or one person alone approved what is above the limit now. Refuse them, or agree to"
        " them as the second person."
    )


def _order(payment: Payment, at: datetime) -> pain001.Order:
    account = payment.external_bank_account
    assert account is not None
    is_iban = account.routing_type == ExternalBankAccount.Routing.BIC
    to = pain001.Account(
        account.holder,
        account.account_number,
        bic=account.routing_number if is_iban else "",
        clearing=_CLEARING.get(account.routing_type, ""),
        member="" if is_iban else account.routing_number,
    )
    day = at.astimezone(UTC).date()
    return pain001.Order(payment.remittance_reference, day, payment.asset, int(payment.receive_amount), to)
