"""/api/external_bank_accounts: customers' bank accounts, as the published clients of this API family write them down.

Those clients know ABA and CPA; a bank that is named by its BIC, and an account by its IBAN, is this installation's
own addition to their `bank_code_type`.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import clock
from accounts.api.personal_data import AN_ADDRESS, NameIn, one_text
from accounts.errors import (
    BankAccountExists,
    BankAccountNotFound,
    BankAccountNotOffered,
    CustomerNotFound,
    CustomerNotVerified,
    Forbidden,
    Malformed,
)
from accounts.models import ExternalBankAccount
from accounts.rest import fields
from accounts.rest.filters import Bank, Filters, Guids, OneOf, Strings
from accounts.rest.queries import TRUE_OR_FALSE, Query, is_true
from accounts.rest.viewsets import Resource
from accounts.services.bank_accounts import GivenAccount, add_bank_account, delete_bank_account

PII: Final = "external_bank_accounts:pii:read"
KINDS: Final = ("plaid", "plaid_processor_token", "raw_routing_details")
OFFERED: Final = tuple(ExternalBankAccount.Routing.values)
NOT_OFFERED: Final = ("CBU_CVU", "CLABE", "PIX", "PSE")
STATES: Final = ("storing", "completed", "failed", "refresh_required", "unverified", "deleting", "deleted")
IDENTIFIERS: Final = (
    *("CLABE", "PHONE_NUMBER", "EMAIL", "DEBIT_CARD", "CBU", "CVU", "RANDOM", "CPF", "CNPJ"),
    "IBAN",
)
RAILS: Final = ("EFT", "ACH", "RTP", "WIRE", "SPEI", "PIX", "COELSA", "PSE", "UNSPECIFIED")
_ADDRESS: Final = ("street", "street2", "city", "subdivision", "postal_code", "country_code")


class BankAccountFilters(Filters):
    guid = Guids("pk")
    bank_guid = Bank()
    customer_guid = Guids("customer_id")
    asset = Strings("asset_id__in")
    state = OneOf("state", STATES)


class DetailsIn(fields.Body):
    """`bank_code` names the bank: its ABA or CPA routing number, or its BIC; then `account_identifier` is an IBAN."""

    bank_code_type = fields.Choice([*OFFERED, *NOT_OFFERED], required=True)
    bank_code = fields.Text(longest=11)
    account_identifier = fields.Text(longest=42, required=True)
    account_identifier_type = fields.Choice(IDENTIFIERS)
    payment_rail = fields.Choice(RAILS, help_text="Isn't read: the firm's own rail moves the money.")


class HoldersAddressIn(fields.Body):
    street = fields.Text(longest=200)
    street2 = fields.Text(longest=200)
    city = fields.Text(longest=100)
    subdivision = fields.Text(longest=3, help_text="ISO 3166-2, without the country.")
    postal_code = fields.Text(longest=16)
    country_code = fields.Text(longest=2, help_text="ISO 3166 alpha-2.")


class BankAccountIn(fields.Body):
    """`raw_routing_details` alone is offered. What the published clients say of Plaid isn't read."""

    name = fields.Text(longest=128, required=True)
    account_kind = fields.Choice(KINDS, required=True)
    customer_guid = fields.Guid(help_text="Whose it is; a customer's token says it by itself.")
    asset = fields.Text(longest=16, help_text="A currency; the firm's own where it is absent.")
    counterparty_guid = fields.Guid(help_text="Isn't offered: 422.")
    counterparty_bank_account_details = DetailsIn(many=True, required=False, allow_null=True, help_text="One.")
    counterparty_name = NameIn(required=False, allow_null=True)
    counterparty_address = HoldersAddressIn(required=False, allow_null=True)
    counterparty_email_address = fields.Text(longest=254)


class BankAccountOut(fields.Shown):
    guid = fields.Guid(source="pk")
    name = fields.Text()
    asset = fields.Text(source="asset_id")
    account_kind = fields.Choice(ExternalBankAccount.Kind.values, source="kind")
    environment = fields.Of(
        lambda _: "sandbox" if settings.SANDBOX else "production", {"type": "string", "enum": ["sandbox", "production"]}
    )
    bank_guid = fields.Of(lambda _: settings.BANK_GUID, fields.A_GUID)
    customer_guid = fields.Guid(source="customer_id")
    created_at = fields.Time()
    updated_at = fields.Time()
    state = fields.Choice(ExternalBankAccount.State.values)


def _texts(*names: str) -> fields.Schema:
    return {"type": "object", "required": [*names], "properties": {name: {"type": "string"} for name in names}}


def _listed(items: fields.Schema) -> fields.Schema:
    return {"type": "array", "items": items}


_PII: Final = _listed(
    {
        "type": "object",
        "properties": {
            **{name: _listed({"type": "string"}) for name in ("names", "email_addresses", "phone_numbers")},
            "addresses": _listed(AN_ADDRESS),
            "account_details": _listed(_texts("account_number")),
            "routing_details": _listed(_texts("routing_number_type", "routing_number")),
        },
    }
)


def _pii(account: ExternalBankAccount) -> list[dict[str, Any]]:
    """One holder; nothing of an account whose customer was erased."""
    if account.erased_at is not None:
        return []
    address = [{part: account.address.get(part) for part in _ADDRESS}] if account.address else []
    return [
        {
            "names": [account.holder],
            "addresses": address,
            "email_addresses": [account.email_address] if account.email_address else [],
            "phone_numbers": [],
            "account_details": [{"account_number": account.account_number}],
            "routing_details": [
                {"routing_number_type": account.routing_type, "routing_number": account.routing_number}
            ],
        }
    ]


class WholeBankAccountOut(BankAccountOut):
    """With `include_pii=true`: holder and numbers."""

    optional = frozenset({"pii"})

    pii = fields.Of(_pii, _PII)


class BankAccountQuery(Query):
    include_pii = fields.Choice(TRUE_OR_FALSE, help_text=f"Show holder and numbers; asks for {PII}, too.")
    include_balances = fields.Choice(TRUE_OR_FALSE, help_text="Isn't read: no bank is asked.")
    force_balance_refresh = fields.Choice(TRUE_OR_FALSE, help_text="Isn't read: no bank is asked.")


class ExternalBankAccountViewSet(ListModelMixin, Resource):
    """Where customers are paid, and from where they pay. A deleted one is still shown, as `deleted`."""

    queryset = ExternalBankAccount.objects.order_by("-pk")
    owner = "customer_id"
    not_found = BankAccountNotFound
    scopes = {
        "list": "external_bank_accounts:read",
        "retrieve": "external_bank_accounts:read",
        "create": "external_bank_accounts:execute",
        "destroy": "external_bank_accounts:execute",
    }
    refusals = {"create": (BankAccountExists, BankAccountNotOffered, CustomerNotFound, CustomerNotVerified)}
    filterset_class = BankAccountFilters
    serializer_class = BankAccountOut

    @extend_schema(request=BankAccountIn, responses={201: BankAccountOut})
    def create(self, request: Request) -> Response:
        """Write a bank account down. Another one is another object: none is ever changed."""
        body = self.body(BankAccountIn)
        customer = self.customer(body.get("customer_guid"))
        given = _given(body, customer.pk)
        return self.shown(add_bank_account(given, by=self.caller.actor, at=clock.now()), status=201)

    @extend_schema(parameters=[BankAccountQuery], responses=WholeBankAccountOut)
    def retrieve(self, request: Request, guid: str) -> Response:
        """One bank account; holder and numbers only where that is asked for."""
        if not is_true(BankAccountQuery.read(request.query_params).get("include_pii")):
            return self.shown(self.get_object())
        if not self.caller.may(PII):
            raise Forbidden
        return Response(WholeBankAccountOut(self.get_object()).data)

    @extend_schema(request=None, responses={200: BankAccountOut})
    def destroy(self, request: Request, guid: str) -> Response:
        """Have nothing paid there any more. What a bank has been told already may still be paid."""
        return self.shown(delete_bank_account(self.get_object().pk, at=clock.now()))


def _given(body: dict[str, Any], customer_id: Any) -> GivenAccount:
    """Raises Malformed, BankAccountNotOffered."""
    if body["account_kind"] != ExternalBankAccount.Kind.RAW_ROUTING_DETAILS or "counterparty_guid" in body:
        raise BankAccountNotOffered
    details = body.get("counterparty_bank_account_details") or []
    if len(details) != 1:
        raise Malformed("counterparty_bank_account_details has exactly one of them.")
    (one,) = details
    is_iban = one["bank_code_type"] == ExternalBankAccount.Routing.BIC
    if one["bank_code_type"] not in OFFERED or one.get("account_identifier_type") not in (
        None,
        *(["IBAN"] if is_iban else []),
    ):
        raise BankAccountNotOffered
    if "bank_code" not in one:
        raise Malformed("bank_code is required.")
    holder = one_text(body.get("counterparty_name") or {})
    if not holder:
        raise Malformed("counterparty_name is required.")
    return GivenAccount(
        customer_id=customer_id,
        asset=body.get("asset") or settings.ACCOUNT_CURRENCY,
        name=body["name"],
        holder=holder,
        routing_type=one["bank_code_type"],
        routing_number=one["bank_code"],
        account_number=one["account_identifier"],
        address=body.get("counterparty_address") or None,
        email_address=body.get("counterparty_email_address", ""),
    )
