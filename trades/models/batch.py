"""Settlement: when a batch is cut, what is in it, and what moves between the firm and its providers."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.clock import about_now
from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.models.ledger import Asset
from trades.states import BatchState

MOST_VALUE_DAYS: Final = 30


class SettlementWindow(FixedColumns):
    """When a batch is cut for one kind of asset: a cron expression in a time zone, on business days.

    The database alone writes `schedule_since`, with its own clock: at the insert, and whenever the schedule, or what
    follows from a cut, changes.
    """

    fixed = frozenset({"asset_kind", "created_at"})

    class Netting(models.TextChoices):
        BATCH = "batch", "each batch by itself"
        DAY = "day", "across the batches of a day"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=60, unique=True)
    asset_kind = models.CharField(
        max_length=10,
        choices=Asset.Type,
        help_text="Trades whose base asset is of this kind: crypto, fiat or metal. It stays as it was made.",
    )
    cron = models.CharField(max_length=60, help_text="Five fields, in the time zone below, e.g. 0 9-17 * * *")
    time_zone = models.CharField(max_length=40, default="America/New_York")
    calendar = models.CharField(
        max_length=10, blank=True, help_text="No cut on weekends and this market's holidays, e.g. NYSE. Empty: any day."
    )
    is_active = models.BooleanField(default=True)
    is_automatic = models.BooleanField(default=True, help_text="Off: a second person confirms each batch.")
    legs_are_automatic = models.BooleanField(
        default=True,
        help_text="Legs settle at once, as expected. Off: each leg waits until it is reported settled or failed.",
    )
    netting = models.CharField(
        max_length=5,
        choices=Netting,
        default=Netting.BATCH,
        help_text="What an instruction to a counterparty nets: a batch's legs, or those of a day's batches, when told.",
    )
    carries_forward = models.BooleanField(
        default=False,
        help_text="What is still missing of a leg goes into the next batch's instruction, once its own one has ended."
        " Off: it waits until another one is made for it.",
    )
    completes_in_order = models.BooleanField(
        default=False,
        help_text="When a part of a leg has come, trades complete in order of time up to it. Off: none until all has.",
    )
    value_days = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(MOST_VALUE_DAYS)],
        help_text="Business days of the calendar from the cut to the legs' value date; 0: the day of the cut.",
    )
    last_cut_at = models.DateTimeField(null=True, editable=False, help_text="Its latest cut, also one without trades.")
    schedule_since = models.DateTimeField(
        db_default=Now(),
        editable=False,
        help_text="When it was made, its schedule changed or it was switched on: cut times up to here aren't due.",
    )
    waits_since = models.DateTimeField(
        null=True, editable=False, help_text="When a cut that was due began to wait for trades in storing."
    )
    created_at = models.DateTimeField(default=about_now, editable=False)

    class Meta:
        constraints = (
            known("window", "asset_kind", ["crypto", "fiat", "metal"]),
            known("window", "netting", ["batch", "day"]),
            models.CheckConstraint(condition=Q(value_days__lte=MOST_VALUE_DAYS), name="window_value_days_bounded"),
        )

    def __str__(self) -> str:
        return self.name


class LowWater(models.Model):
    """Where to begin looking for what waits: no trade below the mark does. Written by `trades/low_water.py`.

    The mark of a kind of asset: no trade of that kind below it is storing, or settling without a batch. The one named
    STORING: no trade at all below it is storing. A kind without a row has the lowest mark there is.
    """

    STORING = "storing"

    kind = models.CharField(primary_key=True, max_length=10)
    mark = models.UUIDField()
    raised_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(kind__in=["storing", "crypto", "fiat", "metal"]), name="low_water_kind_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} from {self.mark.hex}"


class SettlementBatch(FixedColumns):
    """The trades that settle together. Membership is frozen at the cut and stands on the trades."""

    fixed = frozenset(
        {
            *("window_id", "asset_kinds", "cut_at", "has_cut_off", "legs_are_automatic", "completes_in_order"),
            *("made_by_id", "made_by_client_id", "key", "created_at"),
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    window = models.ForeignKey(
        SettlementWindow, null=True, blank=True, on_delete=models.PROTECT, related_name="batches", db_index=False
    )
    asset_kinds = models.CharField(max_length=40, help_text="Comma-separated kinds of base asset it was cut for.")
    cut_at = models.DateTimeField(help_text="Members were accepted before.")
    has_cut_off = models.BooleanField(
        db_default=True, editable=False, help_text="Off: cut before there was a cut-off; members may be younger."
    )
    state = models.CharField(max_length=20, choices=BatchState, default=BatchState.CUT)
    first_trade_id = models.UUIDField(null=True, help_text="Members have ids from here …")
    last_trade_id = models.UUIDField(null=True, help_text="… to here.")
    trades_count = models.PositiveIntegerField(default=0, help_text="Members, without those left out since the cut.")
    customers_count = models.PositiveIntegerField(default=0)
    members_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="Of the members' terms as they were cut; see trades/settlement/membership.py.",
    )
    left_out_count = models.PositiveIntegerField(default=0, help_text="Taken out again before any money moved.")
    completed_count = models.PositiveIntegerField(default=0)
    legs_are_automatic = models.BooleanField(default=True)
    completes_in_order = models.BooleanField(default=False)
    symbols = ArrayField(models.CharField(max_length=20), default=list, help_text="The instruments of its members.")
    round = models.PositiveSmallIntegerField(
        default=0, help_text="Completion goes through the members once for each set of instruments that became ready."
    )
    round_symbols = ArrayField(
        models.CharField(max_length=20), default=list, help_text="The instruments of the round under way."
    )
    round_stops = ArrayField(
        models.UUIDField(),
        default=list,
        help_text="Of each of those, the first trade that has to wait; empty where none has to.",
    )
    parts_seen = models.JSONField(
        default=dict, help_text="By instrument, what had come of its legs when its last round began."
    )
    done_symbols = ArrayField(models.CharField(max_length=20), default=list, help_text="Those that are completed.")
    slice_ends = ArrayField(
        models.UUIDField(), default=list, help_text="The last customer of each slice of the round under way."
    )
    slices_done = ArrayField(
        models.PositiveIntegerField(), default=list, help_text="The places of those slices that are completed."
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    made_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    confirmed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    confirmed_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    confirmed_at = models.DateTimeField(null=True, blank=True)
    cancelled_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    cancelled_by_client = models.ForeignKey(
        "accounts.ApiClient", null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    key = models.CharField(
        max_length=128,
        null=True,
        blank=True,
        editable=False,
        help_text="Whoever cuts with this key again gets this batch.",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "settlement batches"
        indexes = (
            models.Index(
                fields=["cut_at", "id"],
                condition=~Q(state__in=["completed", "cancelled"]),
                name="batch_open",  # few are, of all that there ever were
            ),
        )
        constraints = (
            models.UniqueConstraint(fields=["key"], name="one_batch_per_key"),
            models.UniqueConstraint(fields=["window", "cut_at"], name="one_batch_per_window_and_cut"),
            models.CheckConstraint(
                condition=Q(completed_count__lte=F("trades_count")), name="batch_completes_no_more_than_it_has"
            ),
            models.CheckConstraint(
                condition=Q(slices_done__len__lte=F("slice_ends__len")), name="batch_does_no_more_slices_than_it_has"
            ),
            models.CheckConstraint(
                condition=Q(made_by__isnull=True) | Q(confirmed_by__isnull=True) | ~Q(made_by=F("confirmed_by")),
                name="batch_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=Q(made_by_client__isnull=True)
                | Q(confirmed_by_client__isnull=True)
                | ~Q(made_by_client=F("confirmed_by_client")),
                name="batch_maker_client_is_not_checker",
            ),
            models.CheckConstraint(
                condition=(Q(made_by__isnull=True) | Q(cancelled_by__isnull=True) | ~Q(made_by=F("cancelled_by")))
                & (
                    Q(made_by_client__isnull=True)
                    | Q(cancelled_by_client__isnull=True)
                    | ~Q(made_by_client=F("cancelled_by_client"))
                ),
                name="batch_maker_does_not_cancel",
            ),
            known("batch", "state", BatchState.values),
        )

    @property
    def percent(self) -> int:
        """How much of it is completed; 100 only when all of it is."""
        if not self.trades_count:
            return 100 if self.state == BatchState.COMPLETED else 0
        return self.completed_count * 100 // self.trades_count

    def __str__(self) -> str:
        return f"batch {self.pk.hex[:12]} cut {self.cut_at:%Y-%m-%d %H:%M}"


class BatchEvent(models.Model):
    """What became of a batch, and what it said of itself by then. Never changed, never removed.

    A trigger of the batches' table writes it, so no step is without its event.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    batch = models.ForeignKey(
        SettlementBatch, on_delete=models.PROTECT, related_name="events", db_constraint=False, db_index=False
    )
    became = models.CharField(max_length=20, choices=BatchState)
    window_id = models.UUIDField(null=True)
    asset_kinds = models.CharField(max_length=40)
    cut_at = models.DateTimeField()
    created_at = models.DateTimeField(help_text="The batch's.")
    confirmed_at = models.DateTimeField(null=True)
    trades_count = models.PositiveIntegerField()
    members_sha256 = models.CharField(max_length=64, blank=True)
    made_by = models.CharField(max_length=36, blank=True, help_text="The user or the client, as an id.")
    confirmed_by = models.CharField(max_length=36, blank=True)
    cancelled_by = models.CharField(max_length=36, blank=True)
    at = models.DateTimeField()
    request_id = models.CharField(max_length=128, null=True, help_text="The HTTP request that did it.")

    class Meta:
        constraints = (known("batch_event", "became", BatchState.values),)
        indexes = (models.Index(fields=["batch", "at"], name="batch_event_by_batch"),)

    def __str__(self) -> str:
        return f"{self.batch_id.hex} {self.became}"


class LeftOut(models.Model):
    """A trade that could not settle with a batch, and why. It waits for the next one. Never changed or removed."""

    class Stage(models.TextChoices):
        CUT = "cut", "at the cut"
        SETTLING = "settling", "after the cut, before any money moved"

    class Reason(models.TextChoices):
        CUSTOMER_FROZEN = "customer_frozen"
        TRADE_FLAGGED = "trade_flagged"
        EXITED_LATER = "exited_later", "exited after the cut time"
        STILL_STORING = "still_storing", "still storing, or its exit is"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    batch = models.ForeignKey(SettlementBatch, on_delete=models.PROTECT, related_name="left_out", db_index=False)
    trade = models.ForeignKey(
        "trades.Trade", on_delete=models.PROTECT, related_name="left_out", db_constraint=False, db_index=False
    )
    customer = models.ForeignKey(
        "accounts.Customer", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    stage = models.CharField(max_length=8, choices=Stage)
    reason = models.CharField(max_length=20, choices=Reason)
    detail = models.CharField(max_length=200, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "left out"
        constraints = (
            models.UniqueConstraint(fields=["batch", "trade"], name="left_out_of_a_batch_once"),
            known("left_out", "stage", ["cut", "settling"]),
            known("left_out", "reason", ["customer_frozen", "trade_flagged", "exited_later", "still_storing"]),
        )
        indexes = (models.Index(fields=["trade", "id"], name="left_out_by_trade"),)

    def __str__(self) -> str:
        return f"{self.trade_id.hex} {self.reason}"


class TradeFlag(FixedColumns):
    """An operator's hold on a trade: it is left out of settlement until the flag is cleared."""

    fixed = frozenset({"trade_id", "reason", "flagged_by_id", "flagged_at"})

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    trade = models.ForeignKey(
        "trades.Trade", on_delete=models.PROTECT, related_name="flags", db_constraint=False, db_index=False
    )
    reason = models.CharField(max_length=200)
    flagged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    flagged_at = models.DateTimeField()
    cleared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    cleared_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["trade"], condition=Q(cleared_at__isnull=True), name="one_open_flag_per_trade"
            ),
        )
        indexes = (models.Index(fields=["trade", "id"], name="flags_by_trade"),)

    def __str__(self) -> str:
        return self.reason
