"""Customers' bank accounts outside: where they are paid, and from where they pay."""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.states import BankAccountState


class ExternalBankAccount(FixedColumns):
    """A customer's account at a bank, in one asset. What it says never changes, for what was paid there names it:
    another account is another row. It is deleted once, for good; only erasing its customer's personal data empties it.
    """

    fixed = frozenset(
        {"customer_id", "asset_id", "kind", "routing_type", "made_by_id", "made_by_client_id", "created_at"}
    )

    PERSONAL: ClassVar = ("name", "holder", "routing_number", "account_number", "email_address")

    State = BankAccountState

    class Kind(models.TextChoices):
        RAW_ROUTING_DETAILS = "raw_routing_details"

    class Routing(models.TextChoices):
        ABA = "ABA", "ABA routing number and account number"
        BIC = "BIC", "BIC and IBAN"
        CPA = "CPA", "CPA routing number and account number"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="bank_accounts")
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    name = models.CharField(max_length=128, blank=True, help_text="What its customer calls it.")
    kind = models.CharField(max_length=20, choices=Kind, default=Kind.RAW_ROUTING_DETAILS)
    holder = models.CharField(max_length=70, blank=True, help_text="Whose account it is, as the bank knows them.")
    routing_type = models.CharField(max_length=3, choices=Routing)
    routing_number = models.CharField(max_length=11, blank=True, help_text="The bank's: a routing number, or a BIC.")
    account_number = models.CharField(max_length=34, blank=True, help_text="Or IBAN.")
    address = models.JSONField(null=True, blank=True, help_text="The holder's.")
    email_address = models.CharField(max_length=254, blank=True)
    state = models.CharField(max_length=9, choices=BankAccountState, default=BankAccountState.COMPLETED)
    salt = models.UUIDField(
        default=uuid4,
        db_default=RandomUUID(),
        editable=False,
        help_text="Of the digests in its versions; replaced when the customer's personal data is erased.",
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True, editable=False, help_text="When the personal data was erased.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) & ~Q(holder="") & ~Q(routing_number="") & ~Q(account_number="")
                | Q(
                    erased_at__isnull=False,
                    state="deleted",
                    name="",
                    holder="",
                    routing_number="",
                    account_number="",
                    email_address="",
                    address__isnull=True,
                ),
                name="bank_account_is_whole_or_erased",
            ),
            models.UniqueConstraint(
                fields=["customer", "asset", "routing_type", "routing_number", "account_number"],
                condition=Q(state="completed"),
                name="one_bank_account_of_a_customer",
            ),
            known("bank_account", "kind", ["raw_routing_details"]),
            known("bank_account", "routing_type", ["ABA", "BIC", "CPA"]),
            known("bank_account", "state", BankAccountState.values),
        )

    @property
    def masked(self) -> str:
        """The end of its number, by which its customer knows it."""
        return f"…{self.account_number[-4:]}" if self.account_number else ""

    def __str__(self) -> str:
        return f"{self.asset_id} {self.masked}"
