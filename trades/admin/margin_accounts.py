"""Margin accounts, the lowest level first: who is called, and who is next."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import InvalidPage
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.views import ChangeList

from accounts.admin import shown
from accounts.admin.base import MOST_COUNTED, BoundedPaginator, ReadOnlyAdmin, asked_once, names_in
from accounts.admin.dialogs import dialog, id_in
from accounts.ids import pasted_guid
from accounts.models import Customer
from trades.admin.dealing import ASK_CLOSE_ALL, SymbolForm, deal, may_deal
from trades.admin.margin_levels import figures_of, lowest_first
from trades.admin.order_events import account_currency, events_of_account
from trades.admin.orders import prices_or_none
from trades.dealing.order import Wanted
from trades.models import DealersAction, MarginAccount
from trades.reads.figures import Figures


class CalledFilter(admin.SimpleListFilter):
    title, parameter_name = "margin call", "called"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Called")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(called_at__isnull=False) if self.value() == "yes" else queryset


class LevelList(ChangeList):
    """Every customer with open positions, whether the engine has noted anything of theirs or not.

    So the rows come from the positions, and the queryset only says which customers the filter and the search leave.
    """

    def get_results(self, request: HttpRequest) -> None:
        if not 0 < self.page_num * self.list_per_page <= MOST_COUNTED:  # PostgreSQL knows no such OFFSET
            raise IncorrectLookupParameters
        currency, now = account_currency(), prices_or_none()
        page, total = lowest_first(
            currency, now, self.list_per_page, (self.page_num - 1) * self.list_per_page, self._only(request)
        )
        customers = Customer.objects.in_bulk(page)
        found = figures_of(page, currency, now)
        self.result_list = [_shown(customer, *found[pk]) for pk in page if (customer := customers.get(pk)) is not None]
        self.paginator = BoundedPaginator(range(total), self.list_per_page)
        try:
            self.paginator.page(self.page_num)
        except InvalidPage as wrong:
            raise IncorrectLookupParameters from wrong
        self.result_count = self.full_result_count = total
        self.show_full_result_count = self.show_admin_actions = self.can_show_all = False
        self.multi_page = total > self.list_per_page

    def _only(self, request: HttpRequest) -> list[UUID] | None:
        """The customers that are asked for; None for all."""
        sought = _customer(self.query.strip()) if self.query else None
        if request.GET.get("called") != "yes":
            return sought
        called = list(self.queryset.order_by("called_at").values_list("pk", flat=True)[:MOST_COUNTED])
        return called if sought is None else [pk for pk in called if pk in sought]


@admin.register(MarginAccount)
class MarginAccountAdmin(ReadOnlyAdmin):
    """Valued at the latest prices, however old, as the engine judges it and the customer sees it."""

    exports = False  # its rows are made from positions, not read from a table
    list_display = (
        "customer_label",
        "level_shown",
        "called",
        "equity_shown",
        "balance_shown",
        "used_shown",
        "free_shown",
        "floating_shown",
    )
    list_filter = (CalledFilter,)
    search_guids = ("pk",)
    search_customer = "pk"
    fieldsets = (
        (None, {"fields": (("customer_link", "called"), ("level_shown", "closeout_shown"))}),
        (
            "Now",
            {
                "fields": (
                    ("balance_shown", "floating_shown", "equity_shown"),
                    ("used_shown", "free_shown"),
                    ("drawn_shown", "hedged_shown"),
                    ("owed_shown", "owed_since"),
                )
            },
        ),
        ("Orders", {"fields": ("positions", "orders")}),
        ("History", {"fields": ("events",)}),
    )
    readonly_fields = names_in(fieldsets)
    actions_detail = ("close_positions",)
    has_deal_permission = may_deal

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return LevelList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return queryset, False  # the list looks for the customer itself

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> MarginAccount | None:
        """Of any customer, also where the engine has noted nothing yet."""
        pk = pasted_guid(object_id)
        customer = Customer.objects.filter(pk=pk).first() if pk else None
        if customer is None:
            return None
        return _shown(customer, *figures_of([customer.pk], account_currency(), prices_or_none())[customer.pk])

    @admin.display(description="Customer")
    def customer_label(self, account: MarginAccount) -> str:
        return shown.cut(account.customer)

    @admin.display(description="Customer")
    def customer_link(self, account: MarginAccount) -> str:
        return shown.customer_link(account.customer)

    @admin.display(description="Margin level, %")
    def level_shown(self, account: MarginAccount) -> str:
        return shown.number(_figures(account).level, 2)

    @admin.display(description="Towards the stop-out, %")
    def closeout_shown(self, account: MarginAccount) -> str:
        return shown.number(_figures(account).closeout_percent, 2)

    @admin.display(description="Called since")
    def called(self, account: MarginAccount) -> str:
        return shown.timestamp(account.called_at)

    @admin.display(description="Equity")
    def equity_shown(self, account: MarginAccount) -> str:
        return _left(_figures(account).equity)

    @admin.display(description="Balance")
    def balance_shown(self, account: MarginAccount) -> str:
        return _left(_figures(account).balance)

    @admin.display(description="Used margin")
    def used_shown(self, account: MarginAccount) -> str:
        return shown.amount(_figures(account).margin, account_currency())

    @admin.display(description="Free margin")
    def free_shown(self, account: MarginAccount) -> str:
        return _left(_figures(account).free_margin)

    @admin.display(description="Floating profit")
    def floating_shown(self, account: MarginAccount) -> str:
        return shown.gain(_figures(account).unrealized, account_currency())

    @admin.display(description="Margin consumed by losses")
    def drawn_shown(self, account: MarginAccount) -> str:
        return shown.amount(account.drawn, account_currency())

    @admin.display(description="Not reserved, as positions hedge each other")
    def hedged_shown(self, account: MarginAccount) -> str:
        return shown.amount(account.hedged, account_currency())

    @admin.display(description="Advanced by the firm, not repaid yet")
    def owed_shown(self, account: MarginAccount) -> str:
        return shown.amount(account.owed, account_currency())

    @admin.display(description="Last advanced")
    def owed_since(self, account: MarginAccount) -> str:
        return shown.timestamp(account.owed_at)

    @admin.display(description="Positions")
    def positions(self, account: MarginAccount) -> str:
        return shown.list_link("trades_position", {"q": account.pk.hex}, "open positions")

    @admin.display(description="Orders")
    def orders(self, account: MarginAccount) -> str:
        pending = {"q": account.pk.hex, "status__exact": "PENDING"}
        return shown.joined(
            [
                shown.list_link("trades_order", pending, "pending orders"),
                shown.list_link("trades_order", {"q": account.pk.hex}, "all orders"),
            ]
        )

    @admin.display(description="Events")
    @asked_once
    def events(self, account: MarginAccount) -> str:
        return events_of_account(account.pk)

    @action(
        description="Close positions",
        icon="close",
        variant=ActionVariant.DANGER,
        permissions=["deal"],
        dialog=dialog(*ASK_CLOSE_ALL, SymbolForm),
    )
    def close_positions(self, request: HttpRequest, form: SymbolForm, object_id: str) -> HttpResponse:
        given = form.cleaned_data
        wanted = Wanted(DealersAction.Kind.CLOSE_ALL, id_in(object_id), symbol=given["symbol"] or None)
        return deal(request, wanted, given, "admin:trades_marginaccount_change", object_id)


def _shown(customer: Customer, account: MarginAccount, figures: Figures) -> MarginAccount:
    account.customer = customer
    account.figures = figures  # type: ignore[attr-defined]
    return account


def _left(amount: int) -> SafeString:
    """What there is: in red where it is less than nothing."""
    return (shown.gain if amount < 0 else shown.amount)(amount, account_currency())


def _figures(account: MarginAccount) -> Figures:
    return account.figures  # type: ignore[attr-defined, no-any-return]


def _customer(term: str) -> list[UUID]:
    """The customer that a search means, by guid or e-mail address; nobody where there is none."""
    if "@" in term:
        return list(Customer.objects.filter(user__email=term.lower()).values_list("pk", flat=True))
    guid = pasted_guid(term)
    return [guid] if guid else []
