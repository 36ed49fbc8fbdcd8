"""Who the firm settles with, where money goes, and what is to go there: from counterparties to payment files."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from trades.states import InstructionState, StandingState


class Counterparty(FixedColumns):
    """A bank or a liquidity provider that the firm settles with; one row, `is_own`, is the firm itself.

    Name and LEI stay as they were made: whoever is called otherwise now is another row.
    """

    fixed = frozenset({"name", "lei", "is_own", "made_by_id", "made_at"})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=70, unique=True, help_text="As its bank knows it.")
    lei = models.CharField(max_length=20, blank=True, help_text="Legal Entity Identifier, ISO 17442.")
    is_own = models.BooleanField(default=False, help_text="The firm itself: the accounts that it pays from.")
    is_active = models.BooleanField(default=True, help_text="Off: no new instruction is made for it.")
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "counterparties"
        constraints = (
            models.UniqueConstraint(fields=["is_own"], condition=Q(is_own=True), name="the_firm_is_one_counterparty"),
            models.UniqueConstraint(fields=["lei"], condition=~Q(lei=""), name="one_counterparty_per_lei"),
        )

    def __str__(self) -> str:
        return self.name


class StandingInstruction(FixedColumns):
    """Where a counterparty gets one asset: a bank account or a wallet. Proposed by one person, approved by another.

    Never edited: another one replaces it from `in_force_from` on. Those that were approved stay for good, so whatever
    names one says for ever where money went.
    """

    fixed = frozenset(
        {
            "counterparty_id",
            "asset_id",
            "kind",
            "holder",
            "iban",
            "bic",
            "bank_name",
            "network",
            "address",
            "memo",
            "is_default",
            "not_before",
            "reason",
            "once",
            "made_by_id",
            "made_at",
        }
    )

    class Kind(models.TextChoices):
        BANK = "bank", "bank account"
        WALLET = "wallet"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    counterparty = models.ForeignKey(
        Counterparty, on_delete=models.PROTECT, related_name="standing_instructions", db_index=False
    )
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    state = models.CharField(max_length=8, choices=StandingState, default=StandingState.PROPOSED)
    kind = models.CharField(max_length=6, choices=Kind)
    holder = models.CharField(max_length=70, blank=True, help_text="Whose account it is, as the bank knows them.")
    iban = models.CharField(max_length=34, blank=True)
    bic = models.CharField(max_length=11, blank=True)
    bank_name = models.CharField(max_length=70, blank=True)
    network = models.CharField(max_length=20, blank=True)
    address = models.CharField(max_length=100, blank=True)
    memo = models.CharField(max_length=64, blank=True, help_text="A memo or a destination tag, where one is needed.")
    is_default = models.BooleanField(default=False, help_text="This counterparty settles the asset from then on.")
    not_before = models.DateTimeField(null=True, help_text="In force from then, or from its approval if that is later.")
    in_force_from = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500)
    once = models.UUIDField(
        null=True, unique=True, editable=False, help_text="The one-time key of the dialog that made it."
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")),
                name="standing_instruction_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | Q(checked_by__isnull=False),
                name="standing_instruction_approved_by_a_checker",
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True, checked_by__isnull=True)
                | Q(state__in=["approved", "refused"], decided_at__isnull=False),
                name="standing_instruction_decided_at_a_time",
            ),
            models.CheckConstraint(
                condition=Q(state="approved", in_force_from__gte=F("decided_at"))
                & (Q(not_before__isnull=True) | Q(in_force_from__gte=F("not_before")))
                | ~Q(state="approved") & Q(in_force_from__isnull=True),
                name="standing_instruction_in_force_once_approved",
            ),
            models.CheckConstraint(
                condition=Q(kind="bank", network="", address="", memo="") & ~Q(holder="") & ~Q(iban="") & ~Q(bic="")
                | Q(kind="wallet", holder="", iban="", bic="", bank_name="") & ~Q(network="") & ~Q(address=""),
                name="standing_instruction_is_an_account_or_a_wallet",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="standing_instruction_has_a_reason"),
            models.UniqueConstraint(
                fields=["counterparty", "asset"],
                condition=Q(state="proposed"),
                name="one_open_standing_instruction",
            ),
            known("standing_instruction", "state", StandingState.values),
            known("standing_instruction", "kind", ["bank", "wallet"]),
        )
        indexes = (
            models.Index(
                fields=["asset", "counterparty", "in_force_from"],
                condition=Q(state="approved"),
                name="standing_instruction_in_force",
            ),
        )

    def __str__(self) -> str:
        return f"{self.asset_id} to {self.iban or self.address}"


class PaymentFile(models.Model):
    """A file of outgoing instructions, or payouts, as it was handed out, byte for byte. Never changed, never removed.

    A repeat is the same bytes once more, with the same message id: a bank that has them already refuses them.
    """

    class Format(models.TextChoices):
        PAIN001 = "pain001", "pain.001.001.09"
        CSV = "csv", "CSV"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    format = models.CharField(max_length=7, choices=Format)
    message_id = models.CharField(max_length=35)
    repeat_of = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="repeats", db_index=False)
    instructions_count = models.PositiveIntegerField(help_text="Instructions, or payouts.")
    control_sums = models.JSONField(help_text="By asset, in base units, as texts.")
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["message_id"], condition=Q(repeat_of__isnull=True), name="one_payment_file_per_message_id"
            ),
            models.CheckConstraint(condition=Q(instructions_count__gt=0), name="payment_file_has_instructions"),
            known("payment_file", "format", ["pain001", "csv"]),
        )

    def __str__(self) -> str:
        return f"{self.message_id}, {self.get_format_display()}"


class SettlementInstruction(FixedColumns):
    """What is to move between the firm and a counterparty for one leg, or for several netted. Amounts are base units.

    Where it goes is `standing`, whose row never changes: what stood there when it was made stands there for ever.
    """

    fixed = frozenset(
        {
            "reference",
            "counterparty_id",
            "standing_id",
            "asset_id",
            "batch_id",
            "direction",
            "amount",
            "value_date",
            "made_by_id",
            "made_by_client_id",
            "made_at",
        }
    )

    class Direction(models.TextChoices):
        INCOMING = "incoming"
        OUTGOING = "outgoing"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    reference = models.CharField(max_length=35, unique=True, help_text="What the bank is told; its last is a check.")
    counterparty = models.ForeignKey(Counterparty, on_delete=models.PROTECT, related_name="+", db_index=False)
    standing = models.ForeignKey(StandingInstruction, on_delete=models.PROTECT, related_name="+", db_index=False)
    asset = models.ForeignKey("accounts.Asset", on_delete=models.PROTECT, related_name="+", db_index=False)
    batch = models.ForeignKey(
        "trades.SettlementBatch",
        null=True,
        on_delete=models.PROTECT,
        related_name="instructions",
        help_text="Empty: it nets the batches of a day.",
    )
    direction = models.CharField(max_length=8, choices=Direction)
    amount = models.DecimalField(max_digits=38, decimal_places=0)
    confirmed_amount = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    value_date = models.DateField()
    state = models.CharField(max_length=9, choices=InstructionState, default=InstructionState.MADE)
    may_be_paid = models.BooleanField(
        default=False,
        help_text="It was sent and has ended, and nobody has said that the bank won't pay it: its legs get no other"
        " one.",
    )
    payment_file = models.ForeignKey(PaymentFile, null=True, on_delete=models.PROTECT, related_name="instructions")
    note = models.CharField(max_length=200, blank=True, help_text="Why it failed or was cancelled.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.CheckConstraint(condition=Q(amount__gte=0), name="instruction_amount_not_negative"),
            models.CheckConstraint(
                condition=Q(confirmed_amount__gte=0, confirmed_amount__lte=F("amount")),
                name="instruction_confirmed_up_to_its_amount",
            ),
            models.CheckConstraint(
                condition=Q(state="confirmed", confirmed_amount=F("amount"))
                | ~Q(state="confirmed") & ~Q(confirmed_amount=F("amount")),
                name="instruction_confirmed_when_all_has_moved",
            ),
            models.CheckConstraint(
                condition=Q(payment_file__isnull=True) | Q(direction="outgoing") & ~Q(state__in=["made", "cancelled"]),
                name="instruction_in_a_file_is_outgoing_and_sent",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["failed", "cancelled"]) | ~Q(note=""), name="instruction_ends_with_a_reason"
            ),
            models.CheckConstraint(
                condition=Q(may_be_paid=False) | Q(direction="outgoing", state="failed"),
                name="instruction_may_be_paid_though_it_failed",
            ),
            known("instruction", "direction", ["incoming", "outgoing"]),
            known("instruction", "state", InstructionState.values),
        )
        indexes = (
            models.Index(fields=["value_date", "id"], name="instruction_by_value_date"),
            models.Index(fields=["id"], condition=Q(state__in=["made", "sent"]), name="instruction_open"),
            models.Index(fields=["id"], condition=Q(may_be_paid=True), name="instruction_may_be_paid"),
        )

    def __str__(self) -> str:
        return self.reference


class InstructionLeg(FixedColumns):
    """A leg that an instruction settles, and how much of it. Once the instruction failed, it is free for another.

    `carried_to`: it is what was still missing of an earlier batch's leg, carried forward to this leg of the same asset
    and window. By trigger that one is in the same instruction by itself. The row has versions, which are sealed.
    """

    fixed = frozenset({"instruction_id", "leg_id", "direction", "amount", "carried_to_id"})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instruction = models.ForeignKey(SettlementInstruction, on_delete=models.PROTECT, related_name="legs")
    leg = models.ForeignKey(
        "trades.SettlementLeg", on_delete=models.PROTECT, related_name="instruction_legs", db_index=False
    )
    direction = models.CharField(max_length=8, choices=SettlementInstruction.Direction, help_text="The leg's.")
    carried_to = models.ForeignKey(
        "trades.SettlementLeg", null=True, on_delete=models.PROTECT, related_name="carried", db_index=False
    )
    amount = models.DecimalField(max_digits=38, decimal_places=0, help_text="What was open of the leg.")
    reported = models.DecimalField(max_digits=38, decimal_places=0, default=0, help_text="What the leg was told of it.")
    is_live = models.BooleanField(default=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["leg"], condition=Q(is_live=True), name="one_live_instruction_per_leg"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="instruction_leg_amount_positive"),
            models.CheckConstraint(
                condition=Q(reported__gte=0, reported__lte=F("amount")), name="instruction_leg_reported_up_to_it"
            ),
            known("instruction_leg", "direction", ["incoming", "outgoing"]),
        )
        indexes = (models.Index(fields=["leg", "id"], name="instruction_leg_by_leg"),)

    def __str__(self) -> str:
        return f"{self.direction} {self.amount}"


class StatementFile(models.Model):
    """A bank's statement that was imported. The same bytes are imported once. Never changed, never removed."""

    class Format(models.TextChoices):
        CAMT053 = "camt053", "camt.053"
        CSV = "csv", "CSV"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    format = models.CharField(max_length=7, choices=Format)
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, unique=True)
    entries_count = models.PositiveIntegerField(help_text="How many it has, those known before among them.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    made_at = models.DateTimeField()

    class Meta:
        constraints = (known("statement_file", "format", ["camt053", "csv"]),)

    def __str__(self) -> str:
        return self.name


class StatementRelease(models.Model):
    """A second person's word that a statement that somebody imported is the bank's. Never changed, never removed.

    Nobody's (`released_by` empty) stands at files imported when one person alone booked what they say.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file = models.OneToOneField(StatementFile, on_delete=models.PROTECT, related_name="release")
    released_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    released_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.file_id.hex


NAMES_ITS_PAYMENT: Final = Q(state="matched", reason="", decided_by__isnull=True)
"""Of a payment's entry: it is that because it names it, and not because a person said so."""


class StatementEntry(FixedColumns):
    """One movement on an account of the firm's, as its bank told it; what came of it, or why it is listed.

    `key` is of the account and the bank's own reference, unique: an entry is kept once, however often it is imported.
    """

    fixed = frozenset(
        {
            "file_id",
            "number",
            "key",
            "facts",
            "account",
            "asset_id",
            "currency",
            "amount",
            "amount_text",
            "direction",
            "bank_reference",
            "names",
            "named",
            "other_account",
            "booked_on",
        }
    )

    class State(models.TextChoices):
        LISTED = "listed"
        MATCHED = "matched"
        EXPLAINED = "explained"
        SEND_BACK = "send_back", "to be sent back"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file = models.ForeignKey(StatementFile, on_delete=models.PROTECT, related_name="entries")
    number = models.PositiveIntegerField(help_text="Its place in the file.")
    key = models.CharField(max_length=64, unique=True)
    facts = models.CharField(max_length=64, help_text="SHA-256 of what it says.")
    account = models.CharField(max_length=100, blank=True)
    asset = models.ForeignKey("accounts.Asset", null=True, on_delete=models.PROTECT, related_name="+", db_index=False)
    currency = models.CharField(max_length=10, blank=True)
    amount = models.DecimalField(max_digits=38, decimal_places=0, null=True, help_text="Base units.")
    amount_text = models.CharField(max_length=40, blank=True, help_text="As the bank wrote it.")
    direction = models.CharField(max_length=8, blank=True)
    bank_reference = models.CharField(max_length=100, blank=True)
    names = models.JSONField(help_text="The texts in which an instruction's id may stand.")
    named = models.CharField(max_length=35, blank=True, help_text="The one instruction id in them.")
    other_account = models.CharField(max_length=100, blank=True)
    booked_on = models.DateField(null=True)
    state = models.CharField(max_length=9, choices=State, default=State.LISTED)
    reason = models.CharField(max_length=40, blank=True, help_text="Why it wasn't matched.")
    instruction = models.ForeignKey(
        SettlementInstruction, null=True, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    payment = models.ForeignKey(
        "trades.Payment", null=True, on_delete=models.PROTECT, related_name="entries", db_index=False
    )
    note = models.CharField(max_length=200, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "statement entries"
        constraints = (
            models.CheckConstraint(
                condition=Q(state="matched", amount__gt=0, asset__isnull=False)
                & (
                    Q(instruction__isnull=False, payment__isnull=True)
                    | Q(instruction__isnull=True, payment__isnull=False)
                )
                | ~Q(state="matched") & Q(instruction__isnull=True, payment__isnull=True),
                name="entry_matched_with_one_of_ours",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["explained", "send_back"]) | ~Q(note="") & Q(decided_at__isnull=False),
                name="entry_explained_with_a_reason",
            ),
            models.CheckConstraint(
                condition=~Q(state="send_back") | Q(direction="incoming", amount__gt=0), name="entry_sent_back_came_in"
            ),
            models.UniqueConstraint(fields=["file", "number"], name="one_entry_per_place"),
            models.UniqueConstraint(
                fields=["payment"], condition=Q(state="matched", reason=""), name="one_entry_completes_a_payment"
            ),
            models.UniqueConstraint(
                fields=["payment"],
                condition=Q(state="matched", reason="a_reversal"),
                name="one_entry_returns_a_payment",
            ),
            known("entry", "direction", ["", "incoming", "outgoing"]),
            known("entry", "state", ["listed", "matched", "explained", "send_back"]),
        )
        indexes = (
            models.Index(fields=["id"], condition=Q(state="listed"), name="entry_listed"),
            models.Index(fields=["instruction"], condition=Q(state="matched"), name="entry_by_instruction"),
        )

    @property
    def outside_reference(self) -> str:
        """The bank's own reference, or where it gave none a name of ours."""
        return self.bank_reference or self.pk.hex

    def __str__(self) -> str:
        return f"{self.direction} {self.amount_text} {self.currency}"
