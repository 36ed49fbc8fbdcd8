"""The customer's page as this app adds to it: adjustments and erasures, which customers know nothing of."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action

from accounts import clock
from accounts.admin.base import may
from accounts.admin.dialogs import ReasonForm, carried_out, dialog, id_in
from accounts.admin.identity import CustomerAdmin
from accounts.models import Customer
from trades import client_classes, erasure
from trades.admin.client_classes import ClassForm
from trades.admin.corrections import ASK_ADJUSTMENT, AdjustmentForm, adjust

PAGE = "admin:accounts_customer_change"

admin.site.unregister(Customer)


@admin.register(Customer)
class AdjustableCustomerAdmin(CustomerAdmin):
    actions_detail: Any = ("propose_adjustment", "propose_class", "propose_erasure")
    has_propose_permission = may("propose_correction")
    has_erase_permission = may("propose_erasure")
    has_classify_permission = may("propose_client_class")

    @action(
        description="Propose adjustment",
        icon="add_card",
        permissions=["propose"],
        dialog=dialog(*ASK_ADJUSTMENT, AdjustmentForm),
    )
    def propose_adjustment(self, request: HttpRequest, form: AdjustmentForm, object_id: str) -> HttpResponse:
        customer_id = id_in(object_id)
        return adjust(request, customer_id, form.cleaned_data, PAGE, customer_id)

    @action(
        description="Propose class",
        icon="badge",
        permissions=["classify"],
        dialog=dialog(
            "Propose another client class?",
            "A second person applies it. It counts for orders that open from then on; what is open stays as it is.",
            "Propose",
            ClassForm,
        ),
    )
    def propose_class(self, request: HttpRequest, form: ClassForm, object_id: str) -> HttpResponse:
        customer_id, by, given = id_in(object_id), cast(UUID, request.user.pk), form.cleaned_data
        return carried_out(
            request,
            lambda: client_classes.propose(
                customer_id,
                given["client_class"],
                reason=given["reason"],
                by=by,
                at=clock.firm_now(),
                once=given["once"],
            ),
            "The class is proposed; a second person applies it.",
            PAGE,
            customer_id,
        )

    @action(
        description="Propose erasure",
        icon="person_remove",
        permissions=["erase"],
        dialog=dialog(
            "Propose to erase this customer's personal data?",
            "A second person carries it out, for good. Nothing may be owed either way. The reason stays, so it names"
            " nobody.",
            "Propose",
            ReasonForm,
        ),
    )
    def propose_erasure(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        customer_id, by = id_in(object_id), cast(UUID, request.user.pk)
        reason = form.cleaned_data["reason"]
        return carried_out(
            request,
            lambda: erasure.propose(customer_id, reason=reason, by=by, at=clock.firm_now()),
            "The erasure is proposed; a second person carries it out.",
            PAGE,
            customer_id,
        )
