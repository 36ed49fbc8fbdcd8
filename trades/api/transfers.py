"""/api/transfers: bring money in, take it out or move it between customers by a quote, and follow what became of it."""

from __future__ import annotations

from functools import partial
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock
from accounts.errors import BankAccountNotFound, CustomerNotVerified, SandboxOnly
from accounts.ledger import AVAILABLE
from accounts.models import Asset, LedgerAccount
from accounts.rest import fields
from accounts.rest.filters import At, Bank, ChangedSince, Filters, Guids, OneOf, Strings
from accounts.rest.viewsets import Resource
from accounts.services.customers import FIAT_ACCOUNT, TRADING_ACCOUNT
from quotes.errors import QuoteNotFound
from trades import selectors
from trades.api import examples, trades, wake_worker
from trades.errors import (
    AccountNotFound,
    AccountsDoNotFit,
    BankAccountDoesNotFit,
    BankAccountRequired,
    CustomerIsFrozen,
    PaymentNotFound,
    QuoteUsed,
    TransferNotOffered,
    TransferTypeDoesNotFit,
)
from trades.models import Payment
from trades.payments.execute import Accounts, execute
from trades.states import PAYMENTS_UNDER_WAY, PaymentFailure, PaymentState

NOT_OFFERED: Final = ("crypto", "instant_funding", "inter_account", "lightning")


class OfAccounts(trades.OfAccounts):
    """Transfers of these accounts' customers in their assets, and those that have moved money to them."""

    def condition(self, value: Any) -> Q:
        def of(customer: str) -> Q:
            accounts = LedgerAccount.objects.filter(pk__in=value, type=AVAILABLE, asset=OuterRef("asset"))
            return Q(Exists(accounts.filter(customer=OuterRef(customer))))

        return of("customer") | of("destination") & Q(state=PaymentState.COMPLETED)


class OfCustomers(Guids):
    """Transfers of these customers, and those that have moved money to them."""

    def condition(self, value: Any) -> Q:
        return selectors.payments_of([UUID(hex=guid) for guid in value])


class OnChain(Strings):
    """Hashes of transactions, separated by commas. No transfer here has one."""

    def condition(self, value: Any) -> Q:
        return Q(pk__in=[])


class TransferFilters(Filters):
    guid = Guids("pk")
    bank_guid = Bank()
    customer_guid = OfCustomers()
    account_guid = OfAccounts()
    quote_guid = Guids("quote_id")
    transfer_type = OneOf("type", [*Payment.Type.values, *NOT_OFFERED])
    asset = Strings("asset_id__in")
    side = OneOf("side", Payment.Side.values)
    state = OneOf("state", PaymentState.values)
    failure_code = OneOf("failure_code", PaymentFailure.values)
    external_id = Strings("external_id__in")
    label = Strings("labels__overlap")
    txn_hash = OnChain()
    created_at_gte = At("created_at__gte")
    created_at_lt = At("created_at__lt")
    updated_at_gte = ChangedSince("updated_at__gte")
    updated_at_lt = At("updated_at__lt")


def _between(type_: fields.Schema, account: str) -> fields.Schema:
    """A type of transfer, and of which type its accounts' guids are: texts, or null where there are none."""
    names = ("source_account_guid", "destination_account_guid")
    properties = {"transfer_type": type_, **{name: {"type": account} for name in names}}
    if account == "null":
        return {"properties": properties}
    return {"properties": properties | {"external_bank_account_guid": {"type": "null"}}, "required": [*names]}


class TransferIn(fields.Body):
    """`book` names both accounts, `funding` none. `expected_error` makes the transfer fail, in the sandbox."""

    quote_guid = fields.Guid(required=True)
    transfer_type = fields.Choice([*Payment.Type.values, *NOT_OFFERED], required=True)
    source_account_guid = fields.Guid(help_text="Of `book`: the account of the quote's customer, which delivers.")
    destination_account_guid = fields.Guid(help_text="Of `book`: another customer's account in the same asset.")
    external_bank_account_guid = fields.Guid(
        help_text="Of `funding`: the customer's bank account. What a bank is told to pay out needs one."
    )
    labels = fields.Labels()
    external_id = fields.Text(longest=64, help_text="The partner's own name for it.")
    expected_error = fields.Choice(PaymentFailure.values)
    rules = {"oneOf": [_between({"const": "book"}, "string"), _between({"not": {"const": "book"}}, "null")]}

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        is_book = attrs["transfer_type"] == Payment.Type.BOOK
        for name in ("source_account_guid", "destination_account_guid"):
            if is_book and name not in attrs:
                raise ValidationError(f"{name} is required for a transfer_type of book.")
            if not is_book and name in attrs:
                raise ValidationError(f"{name} goes with a transfer_type of book alone.")
        if is_book and "external_bank_account_guid" in attrs:
            raise ValidationError("external_bank_account_guid goes with a transfer_type of funding alone.")
        return attrs


_ACCOUNT: Final[fields.Schema] = {
    "type": "object",
    "required": ["type"],
    "additionalProperties": False,
    "properties": {
        "guid": fields.A_GUID,
        "type": {"type": "string", "enum": [FIAT_ACCOUNT, TRADING_ACCOUNT, "external_bank_account"]},
        "customer_guid": fields.A_GUID,
    },
}


def _own(payment: Payment) -> dict[str, Any]:
    """The customer's account here; without a guid while there is none."""
    return _account(payment, payment.customer_id, getattr(payment, "account_id", None))


def _theirs(payment: Payment) -> dict[str, Any]:
    """The account of the customer to whom it is moved."""
    return _account(payment, payment.destination_id, getattr(payment, "destination_account_id", None))


def _account(payment: Payment, customer_id: UUID | None, account_id: UUID | None) -> dict[str, Any]:
    guid = {} if account_id is None else {"guid": account_id}
    type_ = FIAT_ACCOUNT if payment.asset.type == Asset.Type.FIAT else TRADING_ACCOUNT
    return guid | {"type": type_, "customer_guid": customer_id}


def _outside(payment: Payment) -> dict[str, Any]:
    """The customer's bank account; without a guid where none is named."""
    guid = {} if payment.external_bank_account_id is None else {"guid": payment.external_bank_account_id}
    return guid | {"type": "external_bank_account", "customer_guid": payment.customer_id}


def _source(payment: Payment) -> dict[str, Any]:
    return (_own if payment.leaves or payment.is_book else _outside)(payment)


def _destination(payment: Payment) -> dict[str, Any]:
    if payment.is_book:
        return _theirs(payment)
    return (_outside if payment.leaves else _own)(payment)


class TransferOut(fields.Shown):
    """`estimated_amount` is what arrives; `amount` the same, once it has. `remittance_reference`: what the payer writes
    in a bank transfer, or the bank is told. `returned_…`: what of it came back later."""

    optional = frozenset(
        {
            *("external_id", "external_bank_account_guid", "remittance_reference", "reference"),
            *("returned_amount", "returned_at", "returned_by_guid"),
        }
    )

    created_at = fields.Time()
    updated_at = fields.Time()
    guid = fields.Guid(source="pk")
    transfer_type = fields.Choice(Payment.Type.values, source="type")
    bank_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    customer_guid = fields.Guid(source="customer_id")
    quote_guid = fields.Guid(source="quote_id")
    asset = fields.Text(source="asset_id")
    side = fields.Choice(Payment.Side.values)
    state = fields.Choice(PaymentState.values)
    failure_code = fields.Choice(PaymentFailure.values, allow_null=True)
    amount = fields.Of(
        lambda payment: payment.receive_amount if payment.state == PaymentState.COMPLETED else None,
        fields.Amount().schema | {"type": ["integer", "null"]},
    )
    estimated_amount = fields.Amount(source="receive_amount")
    fee = fields.Amount(least=0)
    source_account = fields.Of(_source, _ACCOUNT)
    destination_account = fields.Of(_destination, _ACCOUNT)
    external_bank_account_guid = fields.Guid(source="external_bank_account_id")
    remittance_reference = fields.Of(
        lambda payment: payment.remittance_reference or None, {"type": "string", "maxLength": 35}
    )
    reference = fields.Of(lambda payment: payment.reference or None, {"type": "string", "maxLength": 128})
    returned_amount = fields.Amount()
    returned_at = fields.Time()
    returned_by_guid = fields.Guid(source="returned_by")
    labels = fields.Labels(allow_null=True)
    external_id = fields.Text()


class TransferViewSet(ListModelMixin, RetrieveModelMixin, Resource):
    """Money in and out, and between customers. The code calls one a payment: a transfer of the ledger is a single
    movement."""

    queryset = selectors.payments()
    owner = "customer_id"
    not_found = PaymentNotFound
    scopes = {"list": "transfers:read", "retrieve": "transfers:read", "create": "transfers:execute"}
    refusals = {
        "create": (
            *(QuoteNotFound, QuoteUsed, TransferTypeDoesNotFit, TransferNotOffered, SandboxOnly),
            *(AccountNotFound, AccountsDoNotFit, CustomerIsFrozen, CustomerNotVerified),
            *(BankAccountNotFound, BankAccountDoesNotFit, BankAccountRequired),
        )
    }
    filterset_class = TransferFilters
    serializer_class = TransferOut

    def owned(self, rows: QuerySet[Payment]) -> QuerySet[Payment]:
        """A customer's own, and those that have moved money to them."""
        own = self.caller.customer_id
        return rows if own is None else rows.filter(selectors.payments_of([own]))

    @extend_schema(request=TransferIn, responses={201: TransferOut}, examples=examples.TRANSFERS)
    def create(self, request: Request) -> Response:
        """Use a quote. What leaves is held at once; a worker, or an operator, moves it on. What goes to another
        customer has moved at once, or failed."""
        body = self.body(TransferIn)
        if body["transfer_type"] in NOT_OFFERED:
            raise TransferNotOffered
        payment = execute(
            by=self.caller,
            quote_id=body["quote_guid"],
            transfer_type=body["transfer_type"],
            labels=body.get("labels"),
            external_id=body.get("external_id", ""),
            expected_error=body.get("expected_error", ""),
            bank_account_id=body.get("external_bank_account_guid"),
            between=Accounts(body["source_account_guid"], body["destination_account_guid"])
            if body["transfer_type"] == Payment.Type.BOOK
            else None,
            at=clock.firm_now(),
        )
        if payment.state in PAYMENTS_UNDER_WAY:
            transaction.on_commit(partial(wake_worker.to_carry, payment.pk))
        return self.shown(self.get_queryset().get(pk=payment.pk), status=201)
