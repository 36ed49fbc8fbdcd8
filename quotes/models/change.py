"""Changes of an instrument's terms that move prices or customers' money: stated, proposed, decided."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class TermBand(FixedColumns):
    """How far one person alone may move a term from what two persons last agreed to. The tables' owner writes it.

    To either side by so many percent of the agreed value, and by `most` at the most. A term without room takes two.
    """

    fixed = frozenset({"down_percent", "up_percent", "most"})

    term = models.CharField(primary_key=True, max_length=40, help_text="A column of the instrument.")
    down_percent = models.PositiveSmallIntegerField(default=0)
    up_percent = models.PositiveSmallIntegerField(default=0)
    most = models.DecimalField(max_digits=12, decimal_places=3, default=0, help_text="In the term's own unit.")

    def __str__(self) -> str:
        return self.term


class InstrumentChange(FixedColumns):
    """A proposal to give terms of an instrument other values, and what became of it. Never removed.

    `old` and `new` are the values of the changed columns by name, numbers as texts. `stated` is what the change would
    fire as it was proposed (see trades/instruments/statement.py), `stated_when_applied` the same once more under lock.
    A trigger writes the instrument when the row becomes applied; the application's role can't do it otherwise.
    """

    fixed = frozenset(
        {
            "instrument_id",
            "old",
            "new",
            "stated",
            "fires",
            "needs_checker",
            "reason",
            "once",
            "made_by_id",
            "made_at",
        }
    )

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPLIED = "applied"
        REFUSED = "refused"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    instrument = models.ForeignKey("quotes.Instrument", on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State, default=State.PROPOSED)
    old = models.JSONField()
    new = models.JSONField()
    stated = models.JSONField()
    fires = models.BooleanField(help_text="Whether it would stop, call, open or cancel anything.")
    needs_checker = models.BooleanField(default=True)
    reason = models.CharField(max_length=500)
    once = models.UUIDField(
        null=True, unique=True, editable=False, help_text="The one-time key of the dialog that made it."
    )
    made_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+", db_index=False)
    made_at = models.DateTimeField()
    checked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    decided_at = models.DateTimeField(null=True, help_text="When it was applied or refused.")
    stated_when_applied = models.JSONField(null=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(checked_by__isnull=True) | ~Q(made_by=F("checked_by")),
                name="instrument_change_maker_is_not_checker",
            ),
            models.CheckConstraint(
                condition=~Q(state="applied") | Q(needs_checker=False) | Q(checked_by__isnull=False),
                name="instrument_change_applied_by_a_checker",
            ),
            models.CheckConstraint(
                condition=Q(needs_checker=True) | Q(fires=False), name="instrument_change_that_fires_takes_two"
            ),
            models.CheckConstraint(
                condition=Q(state="proposed", decided_at__isnull=True, checked_by__isnull=True)
                | Q(state__in=["applied", "refused"], decided_at__isnull=False),
                name="instrument_change_decided_at_a_time",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="instrument_change_has_a_reason"),
            models.UniqueConstraint(
                fields=["instrument"], condition=Q(state="proposed"), name="one_open_change_per_instrument"
            ),
            known("instrument_change", "state", ["proposed", "applied", "refused"]),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id}, {self.state}"
