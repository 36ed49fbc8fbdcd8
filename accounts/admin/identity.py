"""Users, their groups, and customers with their balances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import clock, services
from accounts.admin import shown
from accounts.admin.base import BoundedAdmin, BoundedPaginator, NamesNobody, NeverDeleted
from accounts.errors import Refusal
from accounts.models import Asset, Customer, LedgerAccount, User
from accounts.selectors import details_of
from accounts.states import CUSTOMER_MOVES

STATES = {"verified": "success", "frozen": "danger", "rejected": "danger", "storing": "info", "unverified": "warning"}
HELD = (
    LedgerAccount.Type.AVAILABLE,
    LedgerAccount.Type.SETTLING,
    LedgerAccount.Type.MARGIN,
    LedgerAccount.Type.LEAVING,
)

admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    list_fullwidth = True


class StaffCreationForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


class StaffChangeForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(NamesNobody, NeverDeleted, DjangoUserAdmin, ModelAdmin):
    """People who log in. Switching one off, or another password, ends every session of theirs at once."""

    actions = ("log_out_everywhere",)
    form, add_form, change_password_form = StaffChangeForm, StaffCreationForm, AdminPasswordChangeForm
    list_display = ("email", "name", "is_active", "is_staff", "is_superuser", "last_seen", "created")
    list_filter = ("is_active", "is_staff", "is_superuser")
    list_fullwidth = True
    list_per_page = 50
    paginator = BoundedPaginator
    show_full_result_count = False
    ordering = ("-pk",)
    sortable_by = ("email",)
    search_fields = ("email__istartswith",)
    readonly_fields = ("created", "last_seen")
    filter_horizontal = ("groups", "user_permissions")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May do", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Since", {"fields": ("created", "last_seen")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)

    @admin.action(description="Log out everywhere", permissions=("change",))
    def log_out_everywhere(self, request: HttpRequest, users: QuerySet[User]) -> None:
        chosen = list(users)
        services.log_out_everywhere([user.pk for user in chosen])
        for user in chosen:
            self.log_change(request, user, "Logged out everywhere.")
        messages.success(request, f"Logged out everywhere: {len(chosen)}.")

    @admin.display(description="Last login here")
    def last_seen(self, user: User) -> str:
        return shown.timestamp(user.last_login)

    @admin.display(description="Created")
    def created(self, user: User) -> str:
        return shown.timestamp(user.created_at)


class CustomerForm(forms.ModelForm):
    """Offers the states that are a legal move from the present one."""

    class Meta:
        model = Customer
        fields = ("name", "type", "state", "labels")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        state = self.fields.get("state")
        if isinstance(state, forms.ChoiceField):  # there is none where somebody may only look
            offered = {self.instance.state, *CUSTOMER_MOVES[self.instance.state]}
            state.choices = [choice for choice in Customer.State.choices if choice[0] in offered]


@admin.register(Customer)
class CustomerAdmin(NamesNobody, NeverDeleted, BoundedAdmin):
    """Whoever owns money. Customers come in through the API or `create_customer`, never from here."""

    form = CustomerForm
    formfield_overrides = {ArrayField: {"widget": UnfoldAdminTextInputWidget}}
    exports = True
    list_display = ("name_or_guid", "email", "type", "state_label", "short_guid", "created")
    list_filter = ("state", "type")
    related = ("user",)
    search_guids = ("pk", "user_id")
    search_customer = "pk"
    readonly_fields = (
        *("person", "guid", "login", "external_id", "partition", "balances", "belongings", "created", "updated"),
        "erased",
    )
    fieldsets = (
        (None, {"fields": ("name", "type", "state", "labels")}),
        ("Balances", {"fields": ("balances", "belongings")}),
        ("Person or business", {"fields": ("person", "erased")}),
        ("Identity", {"fields": ("guid", "login", "external_id", "partition", "created", "updated")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Customer, form: Any, change: bool) -> None:
        """What was changed and nothing else; the state by the service, from what it is now."""
        columns = [name for name in form.changed_data if name != "state"]
        if columns:
            obj.save(update_fields=[*columns, "updated_at"])
        if "state" in form.changed_data:
            try:
                services.decide_on_customer(obj.pk, form.cleaned_data["state"], clock.now())
            except Refusal as refusal:  # somebody else moved it since the page was opened
                messages.error(request, refusal.text)

    @admin.display(description="Customer")
    def name_or_guid(self, customer: Customer) -> str:
        return shown.cut(customer)

    @admin.display(description="Email")
    def email(self, customer: Customer) -> str:
        return customer.user.email if customer.user else shown.NOTHING

    @admin.display(description="State")
    def state_label(self, customer: Customer) -> str:
        return shown.chip(customer.state, STATES)

    @admin.display(description="Guid")
    def short_guid(self, customer: Customer) -> str:
        return shown.short_guid(customer.pk)

    @admin.display(description="Guid")
    def guid(self, customer: Customer) -> str:
        return shown.guid(customer.pk)

    @admin.display(description="Logs in as")
    def login(self, customer: Customer) -> str:
        return shown.link("accounts_user", customer.user_id, customer.user)

    @admin.display(description="Created")
    def created(self, customer: Customer) -> str:
        return shown.timestamp(customer.created_at)

    @admin.display(description="Changed")
    def updated(self, customer: Customer) -> str:
        return shown.timestamp(customer.updated_at)

    @admin.display(description="Money")
    def balances(self, customer: Customer) -> str:
        accounts = LedgerAccount.objects.filter(customer=customer).select_related("asset").order_by("asset_id")
        held: dict[str, dict[str, LedgerAccount]] = {}
        for account in accounts:
            held.setdefault(account.asset_id, {})[account.type] = account
        return shown.table(
            ("Asset", "Available", "Settling", "Margin", "Together"),
            [_balance_row(next(iter(of.values())).asset, of) for of in held.values()],
            "No account yet.",
        )

    @admin.display(description="Erased")
    def erased(self, customer: Customer) -> str:
        return shown.timestamp(customer.erased_at) if customer.erased_at else shown.NOTHING

    @admin.display(description="As the partner told")
    def person(self, customer: Customer) -> str:
        details = details_of(customer)
        if details is None:
            return shown.NOTHING
        fields = [field for field in details._meta.fields if field.name not in ("id", "customer")]
        told = [(field.verbose_name.capitalize(), field.value_from_object(details) or "") for field in fields]
        numbers = details.identification_numbers.order_by("pk")
        told += [(f"{one.get_type_display()}, {one.issuing_country_code}", one.masked) for one in numbers]
        return shown.table(("", ""), [row for row in told if row[1]], "Nothing.")

    @admin.display(description="Belonging to this customer")
    def belongings(self, customer: Customer) -> str:
        mine: Mapping[str, Any] = {"customer__id__exact": customer.pk}
        lists = {
            "trades_position": "open positions",
            "trades_order": "orders",
            "trades_trade": "trades",
            "quotes_quote": "quotes",
            "accounts_transfer": "transfers",
            "trades_correction": "corrections",
        }
        return shown.joined(shown.list_link(model, mine, text) for model, text in lists.items())


def _balance_row(asset: Asset, accounts: Mapping[str, LedgerAccount]) -> list[Any]:
    balances = [accounts[type_].balance if type_ in accounts else 0 for type_ in HELD]
    return [asset.name, *(shown.amount(balance, asset) for balance in (*balances, sum(balances)))]
