"""Nights of swap: at which prices, how far they came, whether they are done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin
from trades.models import SwapRun

STATES = {"done": "success", "under way": "warning"}


class DoneFilter(admin.SimpleListFilter):
    title, parameter_name = "state", "done"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "Under way"), ("yes", "Done")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("yes", "no"):
            return queryset
        return queryset.filter(done_at__isnull=self.value() == "no")


@admin.register(SwapRun)
class SwapRunAdmin(ReadOnlyAdmin):
    """One a night and partition of customers. An installation's first one is noted only: nobody is charged in it."""

    list_display = ("evening", "partition", "state_label", "orders_shown", "cut_off", "started", "done")
    list_filter = (DoneFilter,)
    fields = (
        ("evening", "partition", "state_label"),
        ("cut_off", "started", "done"),
        ("orders_shown", "through"),
        "prices_shown",
    )
    readonly_fields = tuple(name for row in fields for name in ((row,) if isinstance(row, str) else row))

    @admin.display(description="Night")
    def evening(self, run: SwapRun) -> str:
        return run.night.isoformat()

    @admin.display(description="State")
    def state_label(self, run: SwapRun) -> str:
        return shown.chip("done" if run.done_at else "under way", STATES)

    @admin.display(description="Orders looked at")
    def orders_shown(self, run: SwapRun) -> str:
        return shown.number(run.orders_count)

    @admin.display(description="Cut-off")
    def cut_off(self, run: SwapRun) -> str:
        return shown.timestamp(run.cutoff)

    @admin.display(description="Started")
    def started(self, run: SwapRun) -> str:
        return shown.timestamp(run.started_at)

    @admin.display(description="Done")
    def done(self, run: SwapRun) -> str:
        return shown.timestamp(run.done_at)

    @admin.display(description="Came as far as customer")
    def through(self, run: SwapRun) -> str:
        return shown.guid(run.through_customer_id)

    @admin.display(description="Valued at")
    def prices_shown(self, run: SwapRun) -> str:
        rows = [(symbol, shown.number(Decimal(text))) for symbol, text in sorted(run.prices.items())]
        return shown.table(("Symbol", "Mid price"), rows, "There was no price of any symbol.")
