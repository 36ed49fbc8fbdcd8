"""Dealers' actions: what one person ordered or proposed, what a second one decides, and what the engines did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts import clock
from accounts.admin import noting, shown
from accounts.admin.base import ReadOnlyAdmin, asked_once, does, leave_dialog, may, names_in, withdraws_or
from accounts.admin.dialogs import FreshCodeForm, OwnKeyForm, dialog, id_in
from accounts.errors import Refusal
from quotes import symbols
from trades.admin.order_events import account_currency
from trades.admin.proposals import ProposalColumns, decided_once
from trades.dealing import order as dealing
from trades.dealing import send
from trades.dealing.errors import ActionDecided
from trades.dealing.order import Wanted
from trades.models import DealersAction, Order

PAGE = "admin:trades_dealersaction_change"
Kind, State = DealersAction.Kind, DealersAction.State

# Who may act as a dealer, and who may decide: asked here alone.
may_deal = may("deal")
may_decide = may("decide_deal")


class DealForm(OwnKeyForm, FreshCodeForm):
    """Why; it is read by whoever asks later."""

    reason = forms.CharField(max_length=dealing.LONGEST_REASON, widget=UnfoldAdminTextInputWidget)


class SymbolForm(DealForm):
    """A symbol, or all of them."""

    everything = "All symbols"
    symbol = forms.ChoiceField(required=False, widget=UnfoldAdminSelectWidget)
    field_order: Any = ("symbol", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = [(symbol, symbol) for symbol in sorted(symbols.instruments())]
        self.fields["symbol"].choices = [("", self.everything), *known]


class OneSymbolForm(SymbolForm):
    everything = "Choose a symbol"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["symbol"].required = True


ASK_CLOSE = (
    "Close this position?",
    "The engine closes it at the market price, like any close; its reason is then: operator. Above what one person may"
    " close alone in a day, a second person orders it.",
    "Close it",
)
ASK_CANCEL = ("Cancel this order?", "It never opens. The engine cancels it; its reason is then: operator.", "Cancel it")
ASK_CLOSE_ALL = (
    "Close this customer's positions?",
    "The engine closes them at the market price; one without a price stays open. Above what one person may close alone"
    " in a day, a second person orders it.",
    "Close them",
)
ASK_CLOSE_SYMBOL = (
    "Close all customers' positions of a symbol?",
    "A second person orders it. Then the engines close each of them at the market price.",
    "Propose",
)


def deal(request: HttpRequest, wanted: Wanted, given: dict[str, Any], to: str, *args: object) -> HttpResponse:
    """Propose it, have it done where that is all, and tell what came of it."""
    by = cast(UUID, request.user.pk)
    at = clock.firm_now()
    return _told(
        request, lambda: dealing.propose(wanted, reason=given["reason"], by=by, at=at, once=given["once"]), to, *args
    )


def _told(request: HttpRequest, decides: Callable[[], DealersAction], to: str, *args: object) -> HttpResponse:
    made = None
    try:
        made = decides()
        noting.made(request, made)
        level, text = _became(made)
        messages.add_message(request, level, text)
    except Refusal as refusal:
        noting.refused(request, refusal.text)
        if made is not None:  # it was ordered, and the engines have it not
            to, args = PAGE, (made.pk,)
        messages.error(request, refusal.text)
    return leave_dialog(request, to, *args)


def _became(made: DealersAction) -> tuple[int, str]:
    if made.state == State.PROPOSED:
        return messages.SUCCESS, "It is proposed; a second person orders it."
    if made.state == State.REFUSED:
        return messages.SUCCESS, "It is refused; nothing happened."
    found = send.send(made, clock.firm_now())
    if made.customer_id is None:
        return messages.SUCCESS, "It is ordered; the engines close the positions now. The page says how many are left."
    if found is None:
        return messages.WARNING, "It is ordered; no engine has answered yet. The page of the action says what came."
    if not found.is_done:
        return messages.ERROR, found.refusal
    return messages.SUCCESS, _sentence(found)


def _sentence(found: send.Outcome) -> str:
    results = found.said.get("results")
    if not isinstance(results, list):
        return f"{found.said['message']}."
    still = [one for one in results if "error" in one]
    closed = f"Closed: {len(results) - len(still):,}."
    return f"{closed} Still open: {len(still):,}. {still[0]['error']}." if still else closed


@admin.register(DealersAction)
class DealersActionAdmin(ProposalColumns, ReadOnlyAdmin):
    states = {"proposed": "warning", "ordered": "success", "refused": ""}
    nothing = (
        "No dealer has closed a position or cancelled an order yet. That is done on the page of a customer, of a margin"
        " account or of an order, and for a whole symbol by Close a symbol, above."
    )
    list_display = ("made_when", "what", "about", "worth_shown", "state_label", "maker", "checker", "reason")
    list_filter = ("state", "kind")
    related = ("customer", "instrument", "made_by", "checked_by")
    search_guids = ("pk", "customer_id")
    search_texts = ("order_code",)
    search_customer = "customer_id"
    fieldsets = (
        (None, {"fields": (("guid", "state_label"), ("kind", "about"), ("worth_shown", "positions_count"), "reason")}),
        ("Two persons", {"fields": (("maker", "made_when"), ("checker", "decided_when"))}),
        ("What came of it", {"fields": (("came_of_it", "left"),)}),
    )
    readonly_fields = names_in(fieldsets)
    actions_list = ("close_symbol",)
    actions_detail = ("order", "refuse", "send_again")
    has_deal_permission = may_deal
    has_decide_permission = may_decide
    has_refuse_permission = may("decide_deal", "deal")

    @admin.display(description="Action")
    def what(self, one: DealersAction) -> str:
        return shown.link("trades_dealersaction", one.pk, one.get_kind_display())

    @admin.display(description="Of")
    @asked_once
    def about(self, one: DealersAction) -> str:
        symbol = one.instrument_id or ""
        if one.customer is None:
            return f"{symbol}, all customers"
        parts = [shown.customer_link(one.customer)]
        if one.order_code:
            parts.append(shown.list_link("trades_order", {"q": one.order_code}, one.order_code))
        return shown.joined([*parts, *([symbol] if symbol else [])])  # type: ignore[list-item]

    @admin.display(description="Worth")
    def worth_shown(self, one: DealersAction) -> str:
        return shown.amount(one.worth, account_currency())

    def alone(self, one: DealersAction) -> str:
        return "within the limit" if one.state == State.ORDERED and not one.needs_checker else ""

    @admin.display(description="Made at")
    def made_when(self, one: DealersAction) -> str:
        return shown.timestamp(one.made_at)

    @admin.display(description="The engine's answer")
    @asked_once
    def came_of_it(self, one: DealersAction) -> str:
        if one.state != State.ORDERED:
            return shown.NOTHING
        if one.customer_id is None:
            return shown.list_link("trades_order", {"close_reason__exact": "operator"}, "orders that operators ended")
        found = send.outcome(one)
        if found is None:
            return "none yet"
        return _sentence(found) if found.is_done else found.refusal

    @admin.display(description="Positions left")
    @asked_once
    def left(self, one: DealersAction) -> str:
        return shown.number(send.positions_left(one))

    @action(
        description="Close a symbol",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["deal"],
        dialog=dialog(*ASK_CLOSE_SYMBOL, OneSymbolForm),
    )
    def close_symbol(self, request: HttpRequest, form: OneSymbolForm) -> HttpResponse:
        wanted = Wanted(Kind.CLOSE_ALL, symbol=form.cleaned_data["symbol"])
        return deal(request, wanted, form.cleaned_data, "admin:trades_dealersaction_changelist")

    @action(
        description="Order it",
        icon="verified",
        variant=ActionVariant.SUCCESS,
        permissions=["decide"],
        dialog=dialog(
            "Order this action?",
            "The engines do it now. Whoever proposed it can't order it.",
            "Order it",
            FreshCodeForm,
        ),
    )
    def order(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return _decide(request, object_id, dealing.order, State.ORDERED)

    @action(
        description="Refuse",
        icon="block",
        variant=ActionVariant.DANGER,
        permissions=["refuse"],
        dialog=dialog("Refuse this action?", "Nothing happens. Its maker withdraws it this way.", "Refuse"),
    )
    def refuse(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        withdraws_or(request, "decide_deal", DealersAction, id_in(object_id))
        return _decide(request, object_id, dealing.refuse, State.REFUSED)

    @action(
        description="Send again",
        icon="replay",
        permissions=["deal"],
        dialog=dialog(
            "Send this action to the engines again?",
            "What was done isn't done twice. Ten minutes after it was ordered no engine does it any more.",
            "Send",
        ),
    )
    def send_again(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        action_id = id_in(object_id)
        return _told(request, lambda: _ordered(action_id), PAGE, action_id)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        one = self.get_object(request, str(object_id))  # None for an id that names nothing
        if one is None:
            return []
        offered = set()
        if one.state == State.PROPOSED:
            mine, decides = one.made_by_id == request.user.pk, does(request, "decide_deal")
            offered = {"refuse"} if mine else {"order", "refuse"} if decides else set()
        elif send.is_sendable(one, clock.firm_now()):
            offered = {"send_again"}
        return [each for each in super().get_actions_detail(request, object_id) if _name(each) in offered]


def _name(each: Any) -> str:
    return str(each.action_name).rsplit("_dealersaction_", 1)[-1]


def _ordered(action_id: UUID) -> DealersAction:
    found = DealersAction.objects.filter(pk=action_id, state=State.ORDERED).first()
    if found is None:
        raise ActionDecided("The action isn't ordered.")
    return found


def _decide(
    request: HttpRequest, object_id: str, decides: Callable[..., DealersAction], wanted: DealersAction.State
) -> HttpResponse:
    """Decide; whoever answers the dialog a second time is told what they did the first time."""
    action_id, by = id_in(object_id), cast(UUID, request.user.pk)
    mine = DealersAction.objects.filter(pk=action_id, state=wanted, checked_by=by)
    return _told(
        request,
        lambda: decided_once(lambda: decides(action_id, by=by, at=clock.firm_now()), ActionDecided, mine),
        PAGE,
        action_id,
    )


def of_order(order: Order) -> set[str]:
    """Which of an order's actions its page offers."""
    return {"OPEN": {"close_position"}, "PENDING": {"cancel_order"}}.get(order.status, set())


class DealsWithOrders:
    """The two buttons on an order's page."""

    actions_detail = ("close_position", "cancel_order")
    has_deal_permission = may_deal

    @action(
        description="Close position",
        icon="close",
        variant=ActionVariant.DANGER,
        permissions=["deal"],
        dialog=dialog(*ASK_CLOSE, DealForm),
    )
    def close_position(self, request: HttpRequest, form: DealForm, object_id: str) -> HttpResponse:
        return _with_order(request, form, object_id, Kind.CLOSE)

    @action(
        description="Cancel order",
        icon="close",
        variant=ActionVariant.DANGER,
        permissions=["deal"],
        dialog=dialog(*ASK_CANCEL, DealForm),
    )
    def cancel_order(self, request: HttpRequest, form: DealForm, object_id: str) -> HttpResponse:
        return _with_order(request, form, object_id, Kind.CANCEL)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        order = self.get_object(request, str(object_id))  # type: ignore[attr-defined]
        offered = of_order(order) if order is not None else set()
        actions = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        return [each for each in actions if any(str(each.action_name).endswith(name) for name in offered)]


def _with_order(request: HttpRequest, form: DealForm, object_id: str, kind: DealersAction.Kind) -> HttpResponse:
    order = Order.objects.filter(pk=id_in(object_id)).first()
    if order is None:
        messages.error(request, "There is no such order.")
        return leave_dialog(request, "admin:trades_order_changelist")
    wanted = Wanted(kind, order.customer_id, order.code)
    return deal(request, wanted, form.cleaned_data, "admin:trades_order_change", order.pk)
