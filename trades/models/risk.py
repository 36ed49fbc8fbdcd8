"""How much may be open: limits, what is open against those of the firm, and a name for how they stand now."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns


class RiskLimit(FixedColumns):
    """How much an order, a customer, a symbol or the firm may have open. All that apply hold, so the lowest counts.

    Measured in exposure, margin x leverage, in whole units of the account currency. One person lowers a limit; that it
    is raised, or taken away, is refused by a trigger but in the transaction in which a ControlChange that says just
    that becomes applied. Whatever changes here, triggers let no tick run meanwhile, count what is open anew, and give
    the limits another name (`LimitVersion`), which every tick looks at.
    """

    fixed = frozenset({"kind", "customer_id", "instrument_id"})

    class Kind(models.TextChoices):
        ORDER = "order", "of one order"
        CUSTOMER = "customer", "of a customer"
        SYMBOL = "symbol", "of a symbol, long and short together"
        FIRM = "firm", "of the firm, long and short together"
        SYMBOL_NET = "symbol_net", "of a symbol, net"
        FIRM_NET = "firm_net", "of the firm, each symbol net"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    kind = models.CharField(max_length=10, choices=Kind)
    customer = models.ForeignKey(
        "accounts.Customer",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Of this customer alone; empty: of each.",
    )
    instrument = models.ForeignKey(
        "quotes.Instrument",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        db_index=False,
        help_text="Of this symbol alone; empty: of each.",
    )
    amount = models.PositiveBigIntegerField(
        null=True, help_text="In whole units of the account currency; empty: no limit any more."
    )

    class Meta:
        constraints = (
            known("risk_limit", "kind", ["order", "customer", "symbol", "firm", "symbol_net", "firm_net"]),
            models.CheckConstraint(
                condition=(Q(customer__isnull=True) | Q(kind="customer"))
                & (Q(instrument__isnull=True) | Q(kind__in=["order", "symbol", "symbol_net"])),
                name="risk_limit_of_what_it_bounds",
            ),
            models.CheckConstraint(
                condition=Q(amount__isnull=True) | Q(amount__lte=10**15), name="risk_limit_amount_in_bounds"
            ),
            models.UniqueConstraint(
                fields=["kind", "customer", "instrument"], nulls_distinct=False, name="one_risk_limit_of_a_kind"
            ),
        )

    def __str__(self) -> str:
        of = self.customer_id.hex if self.customer_id else self.instrument_id
        return f"{self.get_kind_display()}{f', {of}' if of else ''}"


class OpenExposure(models.Model):
    """What a partition's customers have open in a symbol, margin x leverage, base units of the account currency.

    Only while there is a limit of a symbol or of the firm. Written with every order that opens and closes, by the
    engine of the partition alone, so engines don't wait for each other; who opens adds all partitions up (decision
    0096). By the sixteen partitions that never change.
    """

    id = models.BigAutoField(primary_key=True)
    partition = models.PositiveSmallIntegerField()
    instrument = models.ForeignKey(
        "quotes.Instrument", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    bought = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    sold = models.DecimalField(max_digits=38, decimal_places=0, default=0)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["partition", "instrument"], name="one_open_exposure_per_symbol"),
        )

    def __str__(self) -> str:
        return f"{self.instrument_id}, partition {self.partition}"


class LimitVersion(models.Model):
    """One row, once there was a limit: another name after each change of one."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.UUIDField()

    class Meta:
        constraints = (models.CheckConstraint(condition=Q(id=1), name="one_limit_version"),)

    def __str__(self) -> str:
        return self.version.hex
