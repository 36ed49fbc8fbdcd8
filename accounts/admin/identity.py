"""Users, their groups, and customers with their balances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import AdminPasswordChangeForm, BaseDialogForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import clock, deeds, services
from accounts.admin import shown
from accounts.admin.base import (
    BoundedAdmin,
    BoundedPaginator,
    ByDeed,
    NamesNobody,
    NeverDeleted,
    ReadOnlyAdmin,
    asked_once,
    does,
    is_administrator,
    may,
)
from accounts.admin.dialogs import ReasonAndCodeForm, ReasonForm, carried_out, dialog, id_in
from accounts.admin.once import WrittenOnce
from accounts.errors import Refusal
from accounts.models import Asset, Customer, LedgerAccount, User
from accounts.selectors import details_of
from accounts.services import logins, second_factor
from accounts.states import CUSTOMER_MOVES

STATES = {"verified": "success", "frozen": "danger", "rejected": "danger", "storing": "info", "unverified": "warning"}
HELD = (
    LedgerAccount.Type.AVAILABLE,
    LedgerAccount.Type.SETTLING,
    LedgerAccount.Type.MARGIN,
    LedgerAccount.Type.LEAVING,
)

USER = "admin:accounts_user_change"
MOST_MEMBERS = 50

admin.site.unregister(Group)


@admin.register(Group)
class RoleAdmin(ReadOnlyAdmin):
    """What each role does. Migrations write it (accounts/deeds.py); who has which stands on the user's page."""

    list_display = ("name", "count")
    ordering = ("name",)
    fields = readonly_fields = ("name", "does", "members")

    @admin.display(description="Deeds")
    def count(self, role: Group) -> int:
        return sum(role.name in deed.roles for deed in deeds.ALL)

    @admin.display(description="May")
    def does(self, role: Group) -> str:
        rows = [(deed.name, deed.sentence) for deed in deeds.ALL if role.name in deed.roles]
        return shown.table(("Deed", "What it is"), rows, "Read.")

    @admin.display(description="Who has it")
    @asked_once
    def members(self, role: Group) -> str:
        first = User.objects.filter(groups=role, is_staff=True).order_by("email")[:MOST_MEMBERS]
        links = [format_html("{}", shown.link("accounts_user", user.pk, user)) for user in first]
        return shown.joined(links) or "Nobody."


class StaffCreationForm(UserCreationForm):
    class Meta:
        model = User
        fields = ("email",)


class StaffChangeForm(UserChangeForm):
    class Meta:
        model = User
        fields = ("email", "name", "password", "is_staff", "is_superuser", "groups")
        labels = {"is_superuser": "Administrator", "groups": "Roles"}
        help_texts = {"is_superuser": "Does everything; two of them give roles.", "groups": ""}


@admin.register(User)
class UserAdmin(WrittenOnce, NamesNobody, NeverDeleted, ByDeed, DjangoUserAdmin, ModelAdmin):
    """People who log in. Only an Administrator changes one, and nobody what they themselves may do."""

    actions_detail: Any = ("disable_login", "enable_login", "log_out_everywhere", "let_in", "reset_second_factor")
    has_let_in_permission = has_reset_permission = may("manage_staff")
    has_disable_permission = may("disable_login")
    has_log_out_permission = may("log_out")
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
    readonly_fields = ("is_active", "created", "last_seen", "has_second_factor")
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("May do", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("Since", {"fields": ("created", "last_seen", "has_second_factor")}),
    )
    add_fieldsets = ((None, {"classes": ("wide",), "fields": ("email", "password1", "password2")}),)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_administrator(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_administrator(request)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        mine = ("is_staff", "is_superuser", "groups") if obj is not None and obj.pk == request.user.pk else ()
        return (*self.readonly_fields, *mine)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django names it
        """Of somebody else. One's own is changed where the present one is asked for."""
        if request.user.pk == id_in(id):
            messages.error(request, "Your own password is changed here, where the present one is asked for.")
            return HttpResponseRedirect(reverse("admin:password_change"))
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        return answer

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Roles are those of staff: who isn't has none."""
        super().save_related(request, form, formsets, change)
        if not form.instance.is_staff:
            form.instance.groups.clear()

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            with services.keeping_an_administrator():
                answer: HttpResponse = super().changeform_view(request, *args, **kwargs)
        except Refusal as refusal:  # the last administrator, or what another tab was quicker with
            messages.error(request, refusal.text)
            return HttpResponseRedirect(request.path)
        return answer

    @action(
        description="Disable login",
        icon="no_accounts",
        variant=ActionVariant.DANGER,
        permissions=["disable"],
        dialog=dialog(
            "Disable this login?",
            "Every session and token of it ends at once, and nobody logs in with it until it is enabled again. Orders"
            " and positions stay.",
            "Disable it",
            ReasonForm,
        ),
    )
    def disable_login(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        return self._switched(request, object_id, form.cleaned_data["reason"], on=False)

    @action(
        description="Enable login",
        icon="how_to_reg",
        permissions=["disable"],
        dialog=dialog("Enable this login?", "Its owner can log in again.", "Enable it", ReasonAndCodeForm),
    )
    def enable_login(self, request: HttpRequest, form: ReasonAndCodeForm, object_id: str) -> HttpResponse:
        return self._switched(request, object_id, form.cleaned_data["reason"], on=True)

    @action(
        description="Log out everywhere",
        icon="logout",
        permissions=["log_out"],
        dialog=dialog("Log this user out everywhere?", "Every session and token of theirs ends at once.", "Log out"),
    )
    def log_out_everywhere(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        user = self._somebody(request, object_id)

        def ended() -> None:
            services.log_out_everywhere([user.pk])
            self.log_change(request, user, "Logged out everywhere.")

        return carried_out(request, ended, "Logged out everywhere.", USER, user.pk)

    @action(
        description="Let in",
        icon="lock_open",
        permissions=["let_in"],
        dialog=dialog(
            "Let this user try again at once?",
            "The logins that failed are forgotten. Be sure that it is the owner who asks.",
            "Let in",
            ReasonForm,
        ),
    )
    def let_in(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        user = self._somebody(request, object_id)

        def done() -> None:
            logins.let_in_again(user.email, list(user.known_addresses.values_list("address", flat=True)))
            self.log_change(request, user, f"Forgot the failed logins: {form.cleaned_data['reason']}")

        return carried_out(request, done, "The failed logins are forgotten.", USER, user.pk)

    @action(
        description="Reset second factor",
        icon="phonelink_erase",
        variant=ActionVariant.DANGER,
        permissions=["reset"],
        dialog=dialog(
            "Take this user's second factor away?",
            "Their sessions end, and at the next login they add another one by their password alone. Be sure that it is"
            " the owner who asks.",
            "Reset it",
            ReasonAndCodeForm,
        ),
    )
    def reset_second_factor(self, request: HttpRequest, form: ReasonAndCodeForm, object_id: str) -> HttpResponse:
        user = self._somebody(request, object_id)
        if (refused := self._by_two(request, user)) is not None:
            return refused

        def done() -> None:
            second_factor.reset(user.pk, by=cast(UUID, request.user.pk))
            self.log_change(request, user, f"Reset the second factor: {form.cleaned_data['reason']}")

        return carried_out(request, done, "The second factor is taken away.", USER, user.pk)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        user = self.get_object(request, str(object_id))  # None for an id that names nothing
        if user is None or (user.is_staff and not is_administrator(request)):
            return []
        hidden: tuple[str, ...] = ("enable_login" if user.is_active else "disable_login",)
        if user.pk == request.user.pk:
            hidden = ("disable_login", "enable_login", "let_in", "reset_second_factor")
        return [one for one in super().get_actions_detail(request, object_id) if not one.action_name.endswith(hidden)]

    def _switched(self, request: HttpRequest, object_id: str, reason: str, *, on: bool) -> HttpResponse:
        user = self._somebody(request, object_id)
        if on and (refused := self._by_two(request, user)) is not None:
            return refused

        def switched() -> None:
            services.switch_login(user.pk, on=on, by=cast(UUID, request.user.pk))
            self.log_change(request, user, f"{'Enabled' if on else 'Disabled'} the login: {reason}")

        done = "The login is enabled." if on else "The login is disabled: every session of it has ended."
        return carried_out(request, switched, done, USER, user.pk)

    def _by_two(self, request: HttpRequest, user: User) -> HttpResponse | None:
        """What is answered where it takes two persons to let this user in; None where one is enough."""
        return None

    def _somebody(self, request: HttpRequest, object_id: str) -> User:
        """Whom an action is about. Raises Http404, and PermissionDenied for staff where one is no Administrator."""
        user = User.objects.filter(pk=id_in(object_id)).first()
        if user is None:
            raise Http404
        if user.is_staff and not is_administrator(request):
            raise PermissionDenied
        return user

    @admin.display(description="Second factor", boolean=True)
    @asked_once
    def has_second_factor(self, user: User) -> bool:
        return second_factor.is_enrolled(user)

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

    asked_by: ClassVar[HttpRequest]  # of the form that a request is given

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        state = self.fields.get("state")
        if isinstance(state, forms.ChoiceField):  # there is none where somebody may only look
            now = self.instance.state
            moves = {to for to in CUSTOMER_MOVES[now] if does(self.asked_by, _deed_of(now, to))}
            offered = {now, *moves}
            state.choices = [choice for choice in Customer.State.choices if choice[0] in offered]


def _deed_of(before: str, after: str) -> str:
    """Which deed it is to move a customer from a state to another."""
    return "freeze_customer" if Customer.State.FROZEN in (before, after) else "verify_customer"


_OF_CUSTOMERS = ("edit_customer", "verify_customer", "freeze_customer")


@admin.register(Customer)
class CustomerAdmin(NamesNobody, NeverDeleted, BoundedAdmin):
    """Whoever owns money. Customers come in through the API or `create_customer`, never from here."""

    form = CustomerForm
    formfield_overrides = {ArrayField: {"widget": UnfoldAdminTextInputWidget}}
    list_display = ("name_or_guid", "email", "type", "state_label", "short_guid", "created")
    list_filter = ("state", "type")
    related = ("user",)
    search_guids = ("pk", "user_id")
    search_customer = "pk"
    readonly_fields = (
        *("person", "guid", "login", "external_id", "partition", "balances", "belongings", "created", "updated"),
        "erased",
        "client_class",
    )
    fieldsets = (
        (None, {"fields": ("name", "type", "state", "client_class", "labels")}),
        ("Balances", {"fields": ("balances", "belongings")}),
        ("Person or business", {"fields": ("person", "erased")}),
        ("Identity", {"fields": ("guid", "login", "external_id", "partition", "created", "updated")}),
    )

    has_change_permission = may(*_OF_CUSTOMERS)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.asked_by = request
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        words = () if does(request, "edit_customer") else ("name", "type", "labels")
        state = () if does(request, "verify_customer", "freeze_customer") else ("state",)
        return (*self.readonly_fields, *words, *state)

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
