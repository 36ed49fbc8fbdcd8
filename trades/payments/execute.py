"""A quote to move money becomes a payment; what leaves is held in the same transaction, and what moves between two
customers has moved in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import conflicts
from accounts.errors import BankAccountNotFound, SandboxOnly
from accounts.identity import Caller
from accounts.ledger import AVAILABLE
from accounts.models import ExternalBankAccount, LedgerAccount
from accounts.money import MAX_POSTING
from accounts.states import BankAccountState
from quotes.errors import QuoteNotFound
from quotes.models import Quote
from quotes.selectors import quote_of
from trades.bank.references import new_remittance_reference
from trades.errors import (
    AccountNotFound,
    AccountsDoNotFit,
    BankAccountDoesNotFit,
    BankAccountRequired,
    QuoteUsed,
    TransferTypeDoesNotFit,
)
from trades.funding import refuse_to_pay_in, refuse_to_pay_out
from trades.models import Payment
from trades.payments import money, steps
from trades.payments.rails import rail_of
from trades.states import PaymentFailure

_TYPE_OF = {
    Quote.Product.FUNDING.value: Payment.Type.FUNDING.value,
    Quote.Product.BOOK_TRANSFER.value: Payment.Type.BOOK.value,
}


class Accounts(NamedTuple):
    """Between which two accounts a book transfer moves money."""

    source: UUID
    destination: UUID


@conflicts.atomic
def execute(
    *,
    by: Caller,
    quote_id: UUID,
    transfer_type: str,
    at: datetime,
    labels: Sequence[str] | None = None,
    external_id: str = "",
    expected_error: str = "",
    between: Accounts | None = None,
    bank_account_id: UUID | None = None,
    by_rail: str = "",
) -> Payment:
    """Write a quote down as a payment. What leaves is held from here on; a rail does the rest.

    It comes back `storing`, or already `failed`: the quote had expired, more is asked for than is moved at once, or the
    customer can't spend so much. Failing so, it has moved nothing. With a book_transfer quote it moves money `between`
    two customers' accounts, both of whom the caller acts for, and comes back `completed` or `failed`. A funding one may
    name its customer's bank account; what a bank is told to pay out must. `by_rail`: another one than new payments of
    its asset take.
    A quote is used once: of any number of parallel callers one gets the payment, because the payment's quote is unique.

    Raises QuoteNotFound (also for another customer's), TransferTypeDoesNotFit, SandboxOnly, AccountNotFound (also for
    an account of whom the caller doesn't act for), AccountsDoNotFit, BankAccountNotFound (also for another customer's),
    BankAccountDoesNotFit, BankAccountRequired, QuoteUsed, CustomerIsFrozen (of what leaves, and
    for both customers of a book transfer), CustomerNotVerified, and redis.RedisError where positions are open and no
    price can be read.
    """
    quote = quote_of(by, quote_id)
    if quote is None:
        raise QuoteNotFound
    if _TYPE_OF.get(quote.product_type) != transfer_type:
        raise TransferTypeDoesNotFit
    if expected_error and not settings.SANDBOX:
        raise SandboxOnly
    assert quote.asset is not None  # as its product has one, by constraint
    is_book = transfer_type == Payment.Type.BOOK
    destination_id = _destination(by, quote, between) if is_book else None
    rail = Payment.Rail.BOOK.value if is_book else by_rail or rail_of(quote.asset)
    payment = Payment(
        customer_id=quote.customer_id,
        quote=quote,
        type=transfer_type,
        side=quote.side,
        asset=quote.asset,
        deliver_amount=quote.deliver_amount,
        receive_amount=quote.receive_amount,
        fee=quote.fee,
        rail=rail,
        destination_id=destination_id,
        external_bank_account_id=_bank_account(quote, bank_account_id, rail),
        remittance_reference=new_remittance_reference() if rail == Payment.Rail.BANK_FILE else "",
        labels=list(labels) if labels is not None else None,
        external_id=external_id or None,
        expected_error=expected_error,
        created_at=at,
        updated_at=at,
    )
    (refuse_to_pay_out if payment.leaves or is_book else refuse_to_pay_in)(payment.customer_id)
    if destination_id is not None:
        refuse_to_pay_out(destination_id)  # nobody's money is moved to who couldn't move it on
    try:
        with transaction.atomic():
            steps.stored(payment, by.actor)
    except IntegrityError:
        if Payment.objects.filter(quote_id=quote.pk).exists():
            raise QuoteUsed from None
        _bank_account(quote, bank_account_id, rail)  # it may have been deleted since
        raise
    if (failure := _failure_of(payment, quote)) or (failure := _not_moved(payment)):
        steps.fail(payment, failure, at=at, is_held=False)
    elif is_book:
        steps.booked(payment, at=at, by=by.actor)
    return payment


def _destination(by: Caller, quote: Quote, between: Accounts | None) -> UUID:
    """To whom a book transfer of this quote moves money. Raises AccountNotFound, AccountsDoNotFit."""
    if between is None:
        raise AccountsDoNotFit
    seen = LedgerAccount.objects.filter(type=AVAILABLE, customer__isnull=False)
    seen = seen if by.customer_id is None else seen.filter(customer_id=by.customer_id)
    found = {account.pk: account for account in seen.filter(pk__in=between)}
    if len(found) < len(set(between)):
        raise AccountNotFound
    source, destination = (found[account] for account in between)
    is_quotes = (source.customer_id, source.asset_id) == (quote.customer_id, quote.asset_id)
    if not is_quotes or destination.asset_id != source.asset_id or destination.customer_id == source.customer_id:
        raise AccountsDoNotFit
    assert destination.customer_id is not None  # as only customers' were looked for
    return destination.customer_id


def _bank_account(quote: Quote, named: UUID | None, rail: str) -> UUID | None:
    """The bank account that is named, of the quote's own customer. A trigger looks once more, when it is written.

    Raises BankAccountNotFound, BankAccountDoesNotFit, BankAccountRequired.
    """
    if named is None:
        if rail == Payment.Rail.BANK_FILE and quote.side == Quote.Side.WITHDRAWAL:
            raise BankAccountRequired
        return None
    found = ExternalBankAccount.objects.filter(pk=named, customer_id=quote.customer_id).first()
    if found is None:
        raise BankAccountNotFound
    if found.asset_id != quote.asset_id or found.state != BankAccountState.COMPLETED:
        raise BankAccountDoesNotFit
    return found.pk


def _failure_of(payment: Payment, quote: Quote) -> PaymentFailure | None:
    if payment.created_at >= quote.expires_at:
        return PaymentFailure.EXPIRED
    if payment.is_book and payment.expected_error:  # no rail will ask for it
        return PaymentFailure(payment.expected_error)
    return PaymentFailure.LIMIT_EXCEEDED if payment.deliver_amount > MAX_POSTING else None


def _not_moved(payment: Payment) -> PaymentFailure | None:
    """Hold what leaves, move what goes to another customer; why not, where it can't be spent."""
    if not payment.leaves and not payment.is_book:
        return None
    does = money.book if payment.is_book else money.hold
    return None if does(payment, payment.created_at) else PaymentFailure.NON_SUFFICIENT_FUNDS
