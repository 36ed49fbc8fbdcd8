"""The customer's page as this app adds to it: adjustments are corrections, which customers know nothing of."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from accounts.admin.base import may
from accounts.admin.dialogs import dialog, id_in
from accounts.admin.identity import CustomerAdmin
from accounts.models import Customer
from trades.admin.corrections import ASK_ADJUSTMENT, AdjustmentForm, adjust

admin.site.unregister(Customer)


@admin.register(Customer)
class AdjustableCustomerAdmin(CustomerAdmin):
    actions_detail: Any = ("propose_adjustment",)
    has_propose_permission = may("trades.add_correction")

    @action(
        description="Propose adjustment",
        icon="add_card",
        permissions=["propose"],
        dialog=dialog(*ASK_ADJUSTMENT, AdjustmentForm),
    )
    def propose_adjustment(self, request: HttpRequest, form: AdjustmentForm, object_id: str) -> HttpResponse:
        customer_id = id_in(object_id)
        return adjust(request, customer_id, form.cleaned_data, "admin:accounts_customer_change", customer_id)
