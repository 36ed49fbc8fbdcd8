"""Payments: money in or out, as a client asks for it; with one event row per step."""

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q

from accounts import request_id
from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from trades.states import PAYMENTS_UNDER_WAY, PaymentFailure, PaymentState


class Payment(FixedColumns):
    """A quote to move money that was used, on its way storing -> pending -> settling -> completed (or failed).

    What leaves is held from the first moment, in the customer's account `leaving`: failing gives it back, completing
    moves it outside. What comes in is credited by completing, and not before. Between two customers (`book`) it is
    completed or failed at once. `/api/transfers` shows these rows; the ledger's own rows are called transfers, too.
    """

    fixed = frozenset(
        {
            "customer_id",
            "quote_id",
            "type",
            "side",
            "asset_id",
            "deliver_amount",
            "receive_amount",
            "fee",
            "rail",
            "destination_id",
            "external_bank_account_id",
            "remittance_reference",
            "labels",
            "external_id",
            "expected_error",
            "created_at",
        }
    )

    class Type(models.TextChoices):
        FUNDING = "funding"
        BOOK = "book"

    class Side(models.TextChoices):
        DEPOSIT = "deposit"
        WITHDRAWAL = "withdrawal"

    class Rail(models.TextChoices):
        SANDBOX = "sandbox"
        MANUAL = "manual"
        BANK_FILE = "bank_file"
        BOOK = "book"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="payments", db_index=False)
    quote = models.OneToOneField("quotes.Quote", on_delete=models.PROTECT, related_name="payment")
    type = models.CharField(max_length=16, choices=Type)
    side = models.CharField(max_length=10, choices=Side)
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    deliver_amount = models.DecimalField(max_digits=38, decimal_places=0, help_text="What leaves where it was.")
    receive_amount = models.DecimalField(max_digits=38, decimal_places=0, help_text="What arrives: less by the fee.")
    fee = models.DecimalField(max_digits=38, decimal_places=0)
    rail = models.CharField(max_length=10, choices=Rail, help_text="By which way the money moves outside.")
    destination = models.ForeignKey(
        "accounts.Customer",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="To whom a book transfer moves it; empty where it comes from outside, or goes there.",
    )
    external_bank_account = models.ForeignKey(
        "accounts.ExternalBankAccount",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="The customer's, to which it goes, or from which it comes; by constraint and trigger theirs.",
    )
    remittance_reference = models.CharField(
        max_length=35, blank=True, help_text="What the payer writes, or the bank is told: an ISO 11649 reference."
    )
    labels = ArrayField(models.CharField(max_length=64), null=True, blank=True)
    external_id = models.CharField(
        max_length=64, null=True, blank=True, help_text="What the partner calls this payment."
    )
    expected_error = models.CharField(max_length=32, blank=True, help_text="Sandbox only: fail with this code.")

    state = models.CharField(max_length=10, choices=PaymentState, default=PaymentState.STORING)
    failure_code = models.CharField(max_length=32, choices=PaymentFailure, null=True, blank=True)
    reference = models.CharField(
        max_length=128, blank=True, help_text="The bank's or the provider's own name of what moved outside."
    )
    needs_checker = models.BooleanField(default=False, help_text="A second person must agree.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Who says that the money moved outside; of a payout by file, who approved it first.",
    )
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    is_agreed_unverified = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Of a payout by file: its second person agreed when its customer was frozen, or not verified.",
    )
    approved_at = models.DateTimeField(null=True, blank=True, help_text="Of a payout by file: since when.")
    is_left_by_release = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Of a deposit by file: its statement was released when its customer was frozen, or not verified.",
    )
    stopped_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="Of a payout that was sent: who says that the bank has refused or stopped it.",
    )
    stopped_at = models.DateTimeField(null=True, blank=True, help_text="When they said so.")
    stop_checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="The second person who says so.",
    )
    payment_file = models.ForeignKey(
        "trades.PaymentFile",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="payments",
        db_index=False,
        help_text="In which the bank was told to pay it out.",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(receive_amount__gt=0, fee__gte=0, deliver_amount=F("receive_amount") + F("fee")),
                name="payment_amounts_add_up",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["storing", "pending", "settling", "completed"], failure_code__isnull=True)
                | Q(state="failed", failure_code__isnull=False),
                name="payment_failed_with_a_code",
            ),
            models.CheckConstraint(
                condition=~Q(state="completed") | Q(type="book") | ~Q(reference=""),
                name="payment_completed_by_a_reference",
            ),
            models.CheckConstraint(
                condition=Q(made_by__isnull=True) | Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")),
                name="payment_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=Q(stop_checked_by__isnull=True)
                | Q(stopped_by__isnull=False) & ~Q(stopped_by=F("stop_checked_by")),
                name="payment_is_stopped_by_two_persons",
            ),
            models.CheckConstraint(
                condition=~Q(rail="manual", state="completed")
                | Q(made_by__isnull=False) & (Q(needs_checker=False) | Q(checked_by__isnull=False)),
                name="payment_by_hand_is_completed_by_persons",
            ),
            models.CheckConstraint(
                condition=Q(type="funding", destination__isnull=True, rail__in=["sandbox", "manual", "bank_file"])
                | Q(type="book", destination__isnull=False, side="deposit", rail="book", reference="")
                & ~Q(destination=F("customer")),
                name="payment_between_customers_says_to_whom",
            ),
            models.CheckConstraint(
                condition=Q(type="funding") | Q(external_bank_account__isnull=True),
                name="payment_of_a_bank_account_is_funding",
            ),
            models.CheckConstraint(
                condition=Q(rail="bank_file") ^ Q(remittance_reference=""), name="payment_by_file_has_a_reference"
            ),
            models.CheckConstraint(
                condition=~Q(rail="bank_file", side="withdrawal") | Q(external_bank_account__isnull=False),
                name="payout_by_file_goes_to_an_account",
            ),
            models.CheckConstraint(
                condition=Q(payment_file__isnull=True)
                | Q(rail="bank_file", side="withdrawal", state__in=["settling", "completed", "failed"]),
                name="payment_in_a_file_is_a_payout_that_was_sent",
            ),
            models.CheckConstraint(
                condition=~Q(rail="bank_file", side="withdrawal", state__in=["settling", "completed"])
                | Q(payment_file__isnull=False, made_by__isnull=False, approved_at__isnull=False)
                & (Q(needs_checker=False) | Q(checked_by__isnull=False)),
                name="payout_by_file_is_sent_once_approved",
            ),
            models.CheckConstraint(
                condition=~Q(rail="bank_file", state="completed", needs_checker=True) | Q(checked_by__isnull=False),
                name="payment_by_file_is_completed_by_its_checker",
            ),
            models.UniqueConstraint(fields=["reference"], condition=~Q(reference=""), name="one_payment_per_reference"),
            models.UniqueConstraint(
                fields=["remittance_reference"],
                condition=~Q(remittance_reference=""),
                name="one_payment_per_remittance_reference",
            ),
            known("payment", "type", ["funding", "book"]),
            known("payment", "side", ["deposit", "withdrawal"]),
            known("payment", "rail", ["sandbox", "manual", "bank_file", "book"]),
            known("payment", "state", PaymentState.values),
            known("payment", "failure_code", PaymentFailure.values),
        )
        # Payments are few beside trades, so an index may cover their state: it holds those under way alone.
        indexes = (
            models.Index(fields=["customer", "id"], name="payment_by_customer"),
            models.Index(fields=["id"], condition=Q(state__in=[*PAYMENTS_UNDER_WAY]), name="payment_under_way"),
            models.Index(
                fields=["external_id", "id"], condition=Q(external_id__isnull=False), name="payment_by_external_id"
            ),
            models.Index(
                fields=["destination", "id"], condition=Q(destination__isnull=False), name="payment_by_destination"
            ),
            models.Index(
                fields=["payment_file"], condition=Q(payment_file__isnull=False), name="payment_by_payment_file"
            ),
            GinIndex(fields=["labels"], condition=Q(labels__isnull=False), name="payment_by_label"),
        )

    @property
    def leaves(self) -> bool:
        """Whether it takes money from its customer to the outside: held first."""
        return self.side == self.Side.WITHDRAWAL

    @property
    def goes_by_file(self) -> bool:
        """Whether it is a payout that a bank is told of in a payment file."""
        return self.rail == self.Rail.BANK_FILE and self.leaves

    @property
    def is_approved(self) -> bool:
        """Of a payout by file: whether as many persons as it needs have approved it."""
        return self.made_by_id is not None and (not self.needs_checker or self.checked_by_id is not None)

    @property
    def is_book(self) -> bool:
        """Whether it moves money from its customer to another one."""
        return self.type == self.Type.BOOK

    def __str__(self) -> str:
        return self.pk.hex


class PaymentEvent(models.Model):
    """One step of a payment, and who took it. Never changed, never removed; a step can be written down once."""

    RETURNED = "returned"
    """No state of a payment: it came back, by the correction that `detail` names."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    payment = models.ForeignKey(
        Payment, on_delete=models.PROTECT, related_name="events", db_constraint=False, db_index=False
    )
    customer = models.ForeignKey(
        "accounts.Customer", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    became = models.CharField(max_length=10, choices=[*PaymentState.choices, (RETURNED, "Returned")])
    detail = models.CharField(
        max_length=128, blank=True, help_text="The failure code, the outside's reference, or the correction's guid."
    )
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
        help_text="Empty: a program, or the system itself.",
    )
    by_client = models.ForeignKey(
        "accounts.ApiClient",
        null=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    at = models.DateTimeField()
    request_id = models.CharField(
        max_length=128, null=True, editable=False, default=request_id.current, help_text="The HTTP request that did it."
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["payment", "became"], name="one_event_per_step_of_a_payment"),
            known("payment_event", "became", [*PaymentState.values, "returned"]),
        )

    def __str__(self) -> str:
        return f"{self.payment_id.hex} {self.became}"
