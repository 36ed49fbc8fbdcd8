"""The customer's page as this app adds to it: the margin account, tabs with what they have, and what is done there."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from accounts import clock, services
from accounts.admin import shown
from accounts.admin.base import asked_once, may, may_read
from accounts.admin.dialogs import ReasonAndCodeForm, ReasonForm, carried_out, dialog, id_in
from accounts.admin.identity import CustomerAdmin
from accounts.models import Customer
from accounts.selectors import assets
from accounts.states import CustomerState
from trades import client_classes, erasure
from trades.admin import customer_tabs
from trades.admin.charts import SCRIPTS
from trades.admin.client_classes import ClassForm
from trades.admin.corrections import ASK_ADJUSTMENT, AdjustmentForm, adjust
from trades.admin.dealing import ASK_CLOSE_ALL, SymbolForm, deal, may_deal
from trades.admin.navigation import may_see
from trades.admin.order_events import account_currency
from trades.dealing.order import Wanted
from trades.models import DealersAction
from trades.reads.statement import Statement
from trades.reads.statement_csv import as_csv

PAGE = "admin:accounts_customer_change"
TABS = (
    ("Positions", "trades_position"),
    ("Orders", "trades_order"),
    ("Trades", "trades_trade"),
    ("Money", "accounts_transfer"),
    ("Corrections", "trades_correction"),
    ("Logins", "accounts_user"),
)

admin.site.unregister(Customer)


@admin.register(Customer)
class AdjustableCustomerAdmin(CustomerAdmin):
    """A header, and below it tabs, each for whom may see the list that it is taken from."""

    actions_detail: Any = (
        *("freeze", "thaw", "close_positions"),
        {
            "title": "More",
            "icon": "more_horiz",
            "items": [
                *("propose_adjustment", "propose_class", "statement"),
                *("log_out", "disable_login", "enable_login", "propose_erasure"),
            ],
        },
    )

    class Media:
        js = SCRIPTS

    has_propose_permission = may("propose_correction")
    has_erase_permission = may("propose_erasure")
    has_classify_permission = may("propose_client_class")
    has_freeze_permission = may("freeze_customer")
    has_login_permission = may("disable_login")
    has_log_out_permission = may("log_out")
    has_deal_permission = may_deal
    has_read_money_permission = may_read("accounts_transfer")
    readonly_fields: Any = (
        *CustomerAdmin.readonly_fields,
        *("equity_shown", "level_shown", "called"),
        *(f"{name}_tab" for name in ("positions", "orders", "trades", "money", "corrections", "logins")),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Customer | None = None) -> Any:
        fieldsets: Any = CustomerAdmin.fieldsets
        header, *others = fieldsets
        account = (None, {"fields": (("equity_shown", "level_shown"), "called")})
        tabs = [
            (title, {"classes": ["tab"], "fields": (f"{title.lower()}_tab",)})
            for title, model in TABS
            if may_see(request, model)
        ]
        return [header, account, *tabs, *((title, {**part, "classes": ["tab"]}) for title, part in others)]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Customer | None:
        """Read once for a page, whoever asks for it."""
        kept: dict[str, Customer | None] = request.__dict__.setdefault("_customers", {})
        if object_id not in kept:
            kept[object_id] = super().get_object(request, object_id, from_field)
        return kept[object_id]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """What would change nothing isn't offered."""
        customer = self.get_object(request, str(object_id))  # None for an id that names nothing
        if customer is None:
            return []
        user, hidden = customer.user, {"freeze"} if customer.state != "verified" else {"thaw"}
        if customer.state != "frozen":
            hidden.add("thaw")
        if user is None:
            hidden |= {"disable_login", "enable_login", "log_out"}
        else:
            hidden.add("enable_login" if user.is_active else "disable_login")
        actions = super().get_actions_detail(request, object_id)
        return [one for one in actions if str(one.action_name).rsplit("_customer_", 1)[-1] not in hidden]

    @admin.display(description="Equity")
    def equity_shown(self, customer: Customer) -> str:
        return shown.amount(customer_tabs.account_of(customer)[1].equity, account_currency())

    @admin.display(description="Margin level, %")
    def level_shown(self, customer: Customer) -> str:
        return shown.number(customer_tabs.account_of(customer)[1].level, 2)

    @admin.display(description="Called since")
    def called(self, customer: Customer) -> str:
        return shown.timestamp(customer_tabs.account_of(customer)[0].called_at)

    @admin.display(description="Open positions")
    @asked_once
    def positions_tab(self, customer: Customer) -> str:
        return customer_tabs.positions(customer)

    @admin.display(description="Orders")
    @asked_once
    def orders_tab(self, customer: Customer) -> str:
        return customer_tabs.orders(customer)

    @admin.display(description="Trades")
    @asked_once
    def trades_tab(self, customer: Customer) -> str:
        return customer_tabs.trades(customer)

    @admin.display(description="Movements")
    @asked_once
    def money_tab(self, customer: Customer) -> str:
        return customer_tabs.money(customer)

    @admin.display(description="Corrections")
    @asked_once
    def corrections_tab(self, customer: Customer) -> str:
        return customer_tabs.corrections(customer)

    @admin.display(description="Logins")
    @asked_once
    def logins_tab(self, customer: Customer) -> str:
        return customer_tabs.logins(customer)

    @action(
        description="Freeze",
        icon="ac_unit",
        variant=ActionVariant.DANGER,
        permissions=["freeze"],
        dialog=dialog(
            "Freeze this customer?",
            "They open nothing and are paid nothing out; what is open stays open, and can be closed.",
            "Freeze",
            ReasonForm,
        ),
    )
    def freeze(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, CustomerState.VERIFIED, CustomerState.FROZEN)

    @action(
        description="Unfreeze",
        icon="wb_sunny",
        permissions=["freeze"],
        dialog=dialog("Let this customer trade again?", "They become verified, as they were.", "Unfreeze", ReasonForm),
    )
    def thaw(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, CustomerState.FROZEN, CustomerState.VERIFIED)

    def _decide(
        self, request: HttpRequest, form: ReasonForm, object_id: str, only_from: CustomerState, state: CustomerState
    ) -> HttpResponse:
        customer_id = id_in(object_id)

        def decide() -> None:
            customer = services.decide_on_customer(customer_id, state, clock.now(), only_from=only_from)
            self.log_change(request, customer, f"Became {state.value}: {form.cleaned_data['reason']}")

        return carried_out(request, decide, f"The customer is {state.value}.", PAGE, customer_id)

    @action(
        description="Disable login",
        icon="no_accounts",
        variant=ActionVariant.DANGER,
        permissions=["login"],
        dialog=dialog(
            "Disable this customer's login?",
            "Every session of theirs ends at once, and nobody logs in until it is enabled again. Positions stay open.",
            "Disable",
            ReasonForm,
        ),
    )
    def disable_login(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._switch(request, form, object_id, is_on=False)

    @action(
        description="Enable login",
        icon="how_to_reg",
        permissions=["login"],
        dialog=dialog("Enable this customer's login?", "The password stays what it was.", "Enable", ReasonAndCodeForm),
    )
    def enable_login(self, request: HttpRequest, form: ReasonAndCodeForm, object_id: str) -> HttpResponse:
        return self._switch(request, form, object_id, is_on=True)

    def _switch(self, request: HttpRequest, form: ReasonForm, object_id: str, *, is_on: bool) -> HttpResponse:
        customer_id, word = id_in(object_id), "on" if is_on else "off"

        def switch() -> None:
            user = services.login_of(customer_id)
            services.switch_login(user.pk, on=is_on, by=cast(UUID, request.user.pk))
            self.log_change(request, user, f"Login {word}: {form.cleaned_data['reason']}")

        return carried_out(request, switch, f"The login is {word}.", PAGE, customer_id)

    @action(
        description="Log out everywhere",
        icon="logout",
        permissions=["log_out"],
        dialog=dialog("End every session of this customer?", "They may log in again.", "Log out everywhere"),
    )
    def log_out(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        customer_id = id_in(object_id)

        def end() -> None:
            user = services.login_of(customer_id)
            services.log_out_everywhere([user.pk])
            self.log_change(request, user, "Logged out everywhere.")

        return carried_out(request, end, "Logged out everywhere.", PAGE, customer_id)

    @action(
        description="Close positions",
        icon="close",
        variant=ActionVariant.DANGER,
        permissions=["deal"],
        dialog=dialog(*ASK_CLOSE_ALL, SymbolForm),
    )
    def close_positions(self, request: HttpRequest, form: SymbolForm, object_id: str) -> HttpResponse:
        customer_id, given = id_in(object_id), form.cleaned_data
        wanted = Wanted(DealersAction.Kind.CLOSE_ALL, customer_id, symbol=given["symbol"] or None)
        return deal(request, wanted, given, PAGE, customer_id)

    @action(description="Statement (CSV)", icon="download", permissions=["read_money"])
    def statement(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Of the account currency, or of `?asset=`, from the beginning until now; written while it is read."""
        customer_id, asset = id_in(object_id), request.GET.get("asset", "")
        is_known = not asset or asset in {one.code for one in assets()}
        if not is_known or not Customer.objects.filter(pk=customer_id).exists():
            raise Http404
        statement = Statement(customer_id, None, None, asset)
        return as_csv(statement, statement.opening())

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
