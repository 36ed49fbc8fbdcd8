"""The ledger's tables. `accounts/ledger.py` says who writes transfers and balances, docs/ledger.md at which events."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from accounts.ids import uuid7
from accounts.kinds import KINDS
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.models.labels import few_labels


class Asset(FixedColumns):
    """Something that can be owned, counted in base units of 10**-decimals.

    Its kind and its limit are the owner's to change (`changed_by_owner`, a trigger), its decimals nobody's.
    """

    fixed = frozenset({"decimals", "type", "adjustment_limit"})

    class Type(models.TextChoices):
        FIAT = "fiat"
        CRYPTO = "crypto"
        METAL = "metal"

    code = models.CharField(primary_key=True, max_length=10)
    type = models.CharField(max_length=10, choices=Type)
    name = models.CharField(max_length=60)
    symbol = models.CharField(max_length=10, help_text="The sign shown before an amount, e.g. $.")
    decimals = models.PositiveSmallIntegerField()
    adjustment_limit = models.DecimalField(
        max_digits=38,
        decimal_places=0,
        default=0,
        help_text="A manual adjustment above this, in base units, needs a second person. 0: every one does.",
    )

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(decimals__lte=18), name="asset_at_most_18_decimals"),
            known("asset", "type", ["fiat", "crypto", "metal"]),
        )

    def __str__(self) -> str:
        return self.code


_ACCOUNT_TYPES = (
    "available",
    "settling",
    "margin",
    "leaving",
    "liquidity",
    "fees",
    "profit",
    "swap",
    "protection",
    "advances",
    "external",
    "between",
    "differences",
    "adjustments",
    "capital",
)


class LedgerAccount(FixedColumns):
    """One place where money can be. balance = credits - debits, in base units of the asset.

    A customer's account belongs to the customer; a house account to a bucket (one per customer
    partition), so that no two customers' transactions queue for the same house row.
    """

    fixed = frozenset({"customer_id", "bucket", "asset_id", "type", "created_at"})

    class Type(models.TextChoices):
        AVAILABLE = "available"
        SETTLING = "settling"
        MARGIN = "margin"
        LEAVING = "leaving"
        LIQUIDITY = "liquidity"
        FEES = "fees"
        PROFIT = "profit"
        SWAP = "swap"
        PROTECTION = "protection"
        ADVANCES = "advances"
        EXTERNAL = "external"
        BETWEEN = "between"
        DIFFERENCES = "differences"
        ADJUSTMENTS = "adjustments"
        CAPITAL = "capital"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer", null=True, blank=True, on_delete=models.PROTECT, related_name="ledger_accounts"
    )
    bucket = models.SmallIntegerField(null=True, blank=True)
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, db_index=False)
    type = models.CharField(max_length=12, choices=Type)
    name = models.CharField(max_length=128, blank=True)
    labels = ArrayField(models.CharField(max_length=64), null=True, blank=True)
    debits = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    credits = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)
    request_id = models.CharField(
        max_length=128,
        null=True,
        editable=False,
        help_text="The HTTP request that opened it, or named or labelled it last.",
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(
                "customer", "asset", "type", condition=Q(customer__isnull=False), name="one_account_per_customer"
            ),
            models.UniqueConstraint(
                "bucket", "asset", "type", condition=Q(customer__isnull=True), name="one_account_per_bucket"
            ),
            models.CheckConstraint(
                condition=Q(
                    customer__isnull=False, bucket__isnull=True, type__in=["available", "settling", "margin", "leaving"]
                )
                | Q(
                    customer__isnull=True,
                    bucket__isnull=False,
                    type__in=[
                        "liquidity",
                        "fees",
                        "profit",
                        "swap",
                        "protection",
                        "advances",
                        "external",
                        "between",
                        "differences",
                        "adjustments",
                        "capital",
                    ],
                ),
                name="account_owner_fits_type",
            ),
            models.CheckConstraint(condition=Q(debits__gte=0, credits__gte=0), name="account_totals_not_negative"),
            models.CheckConstraint(
                condition=Q(customer__isnull=True) | Q(credits__gte=F("debits")), name="customer_never_below_zero"
            ),
            known("account", "type", _ACCOUNT_TYPES),
            few_labels("account"),
        )
        # Labels don't change with a balance, so an account is still updated in place.
        indexes = (GinIndex(fields=["labels"], condition=Q(labels__isnull=False), name="account_by_label"),)

    @property
    def balance(self) -> int:
        return int(self.credits) - int(self.debits)  # as Decimals they would be rounded to 28 digits

    def __str__(self) -> str:
        owner = self.customer_id.hex if self.customer_id else f"house {self.bucket}"
        return f"{owner} {self.asset_id} {self.type}"


class Transfer(models.Model):
    """One movement: debits one account and credits another of the same asset. Never changed, never removed.

    The columns that name other rows carry no foreign key: `ledger.post` locks both accounts in the same
    transaction, a trigger forbids deleting an account, a customer or an asset that could be meant, and the
    audit recounts it all. Four lookups a row would cost more than the row (docs/decisions/).
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    debit_account = models.ForeignKey(
        LedgerAccount, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    credit_account = models.ForeignKey(
        LedgerAccount, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    asset = models.ForeignKey(Asset, on_delete=models.PROTECT, db_constraint=False, db_index=False)
    amount = models.DecimalField(max_digits=38, decimal_places=0)
    kind = models.CharField(max_length=32, help_text="What happened, e.g. order_margin; docs/ledger.md lists them.")
    key = models.CharField(max_length=160, help_text="The event's own name: asking twice moves money once.")
    customer = models.ForeignKey(
        "accounts.Customer",
        null=True,
        on_delete=models.PROTECT,
        related_name="transfers",
        db_constraint=False,
        db_index=False,
    )
    subject = models.UUIDField(null=True, help_text="The order, trade, payment or batch that this movement belongs to.")
    at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["customer", "key"], nulls_distinct=False, name="transfer_key_unique_per_customer"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="transfer_amount_positive"),
            models.CheckConstraint(
                condition=~Q(debit_account=F("credit_account")), name="transfer_between_two_accounts"
            ),
            known("transfer", "kind", KINDS),
        )
        indexes = (models.Index(fields=["customer", "id"], name="transfer_by_customer"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.asset_id}"
