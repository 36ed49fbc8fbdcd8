"""Corrections: what one person proposes, a second one applies, and the ledger writes as new movements."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from trades.states import CorrectionState

_FUNDING = ["deposit", "withdrawal", "capital_in", "profit_out", "fees_out"]
_BY_REFERENCE = [*_FUNDING, "payment_returned"]


class Correction(FixedColumns):
    """A reversal, an adjustment or money in and out: never an edit, always movements linked to it by their subject.

    The maker is not the checker: by constraint. What may do without a checker is an adjustment, a deposit or a
    withdrawal within its asset's limit, and a returned payment: by trigger (migration 0097), because the limit stands
    on the asset. What came back is no more than its payment had moved: by trigger as well.
    """

    fixed = frozenset(
        {
            "kind",
            "subject",
            "customer_id",
            "asset_id",
            "amount",
            "direction",
            "reason",
            "reference",
            "needs_checker",
            "made_by_id",
            "made_by_client_id",
            "made_at",
        }
    )

    class Kind(models.TextChoices):
        REVERSE_TRADE = "reverse_trade"
        REVERSE_BATCH = "reverse_batch"
        REVERSE_LEG = "reverse_leg"
        ADJUSTMENT = "adjustment"
        BREAK_PAID = "break_paid"
        BREAK_WRITTEN_OFF = "break_written_off"
        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"
        PAYMENT_RETURNED = "payment_returned", "payment that came back"
        CAPITAL_IN = "capital_in", "capital that came in"
        PROFIT_OUT = "profit_out", "profit paid out"
        FEES_OUT = "fees_out", "fees paid out"

    class Direction(models.TextChoices):
        CREDIT = "credit", "to the customer"
        DEBIT = "debit", "from the customer"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=20, choices=Kind)
    state = models.CharField(max_length=8, choices=CorrectionState, default=CorrectionState.PROPOSED)
    subject = models.UUIDField(
        null=True, blank=True, help_text="The trade, batch, leg, break or payment that it corrects."
    )
    customer = models.ForeignKey(
        "accounts.Customer", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    asset = models.ForeignKey(
        "accounts.Asset", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    amount = models.DecimalField(max_digits=38, decimal_places=0, null=True, blank=True, help_text="Base units.")
    direction = models.CharField(max_length=6, choices=Direction, blank=True)
    reason = models.CharField(max_length=500)
    reference = models.CharField(max_length=128, blank=True, help_text="The bank's or the provider's own.")
    once = models.UUIDField(
        null=True, blank=True, unique=True, editable=False, help_text="The one-time key of the dialog that made it."
    )
    needs_checker = models.BooleanField(default=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    checked_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True, help_text="When it was applied or rejected.")
    updated_at = models.DateTimeField(db_default=Now(), editable=False, help_text="Its latest step.")
    movements_count = models.PositiveIntegerField(default=0)
    trades_count = models.PositiveIntegerField(default=0, help_text="Of a batch's reversal: how many it takes back.")
    trades_done = models.PositiveIntegerField(default=0, help_text="How many of them it has taken back so far.")
    slice_ends = ArrayField(models.UUIDField(), default=list, help_text="The last customer of each slice of it.")
    slices_done = models.PositiveIntegerField(default=0, help_text="How many slices are done, from the first on.")
    waits_for = ArrayField(
        models.UUIDField(), default=list, help_text="Customers passed over: they can't pay back just now."
    )

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(made_by__isnull=True) | Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")),
                name="correction_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=Q(made_by_client__isnull=True)
                | Q(checked_by_client__isnull=True)
                | ~Q(made_by_client=F("checked_by_client")),
                name="correction_maker_client_is_not_checker",
            ),
            models.CheckConstraint(
                condition=Q(made_by__isnull=False) | Q(made_by_client__isnull=False), name="correction_has_a_maker"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["applying", "applied"])
                | Q(needs_checker=False)
                | Q(checked_by__isnull=False)
                | Q(checked_by_client__isnull=False),
                name="correction_applied_by_a_checker",
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True)
                | Q(state__in=["applying", "applied", "rejected"], decided_at__isnull=False),
                name="correction_decided_at_a_time",
            ),
            models.CheckConstraint(
                condition=~Q(kind="adjustment")
                | Q(customer__isnull=False, asset__isnull=False, amount__gt=0, direction__in=["credit", "debit"]),
                name="adjustment_says_whose_and_how_much",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["adjustment", *_FUNDING]) | Q(subject__isnull=False),
                name="correction_names_its_subject",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["deposit", "withdrawal"])
                | Q(customer__isnull=False, asset__isnull=False, amount__gt=0) & ~Q(reference=""),
                name="funding_says_whose_and_by_which_reference",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["capital_in", "profit_out", "fees_out"])
                | Q(customer__isnull=True, asset__isnull=False, amount__gt=0, needs_checker=True) & ~Q(reference=""),
                name="the_firms_own_money_takes_two_persons",
            ),
            models.UniqueConstraint(
                fields=["reference"],
                condition=Q(kind__in=_BY_REFERENCE, state__in=["proposed", "applied"]),
                name="one_funding_per_reference",
            ),
            models.CheckConstraint(
                condition=~Q(kind="payment_returned")
                | Q(customer__isnull=False, asset__isnull=False, amount__gt=0, direction__in=["credit", "debit"])
                & ~Q(reference=""),
                name="return_says_whose_and_by_which_reference",
            ),
            models.UniqueConstraint(
                fields=["subject"],
                condition=Q(kind="payment_returned", state__in=["proposed", "applied"]),
                name="a_payment_comes_back_once",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="correction_has_a_reason"),
            known(
                "correction",
                "kind",
                [
                    *("reverse_trade", "reverse_batch", "reverse_leg", "adjustment", "break_paid", "break_written_off"),
                    *_BY_REFERENCE,
                ],
            ),
            known("correction", "state", CorrectionState.values),
            known("correction", "direction", ["", "credit", "debit"]),
            models.UniqueConstraint(
                fields=["kind", "subject"],
                condition=Q(state__in=["proposed", "applying"], subject__isnull=False),
                name="one_open_proposal_per_subject",
            ),
            models.UniqueConstraint(
                fields=["subject"],
                condition=Q(kind="reverse_batch", state__in=["applying", "applied"]),
                name="a_batch_is_reversed_once",
            ),
            models.CheckConstraint(
                condition=~Q(state="applying") | Q(kind="reverse_batch"), name="only_a_batch_is_reversed_in_slices"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["proposed", "rejected"])
                | Q(movements_count=0, trades_count=0, trades_done=0, slices_done=0),
                name="correction_moves_nothing_undecided",
            ),
            models.CheckConstraint(
                condition=Q(state="applying", slices_done__lte=F("slice_ends__len"), trades_done__lte=F("trades_count"))
                | ~Q(state="applying")
                & Q(slices_done=F("slice_ends__len"), trades_done=F("trades_count"), waits_for__len=0),
                name="correction_is_applied_when_all_is_done",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}, {self.state}"
