"""Users whose rights two Administrators give: proposed on the user's page, applied under Controls."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from unfold.decorators import action
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from accounts import services
from accounts.admin import noting
from accounts.admin.base import is_administrator, leave_dialog, may
from accounts.admin.dialogs import OwnKeyForm, ReasonForm, dialog, id_in
from accounts.admin.identity import USER, StaffChangeForm, UserAdmin
from accounts.models import User
from trades import staff
from trades.admin.controls import proposed
from trades.models import ControlChange

TWO_PERSONS: Final = "That takes two Administrators: save it without, then propose it on their page."
PROPOSED: Final = "That takes two Administrators: propose it on this page."
_ONLY_PROPOSED: Final = ("enable_login", "reset_second_factor")


class TwoPersonsForm(StaffChangeForm):
    """Takes rights away, and gives none but to the first second Administrator."""

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = super().clean() or {}
        gained = {name for name in (staff.STAFF, staff.ADMINISTRATOR) if given.get(name) and not self.initial[name]}
        roles = set(given.get("groups", ())) - set(self.initial.get("groups", ()))
        is_alone = given.get(staff.STAFF) and given.get(staff.ADMINISTRATOR) and gained and staff.is_first_second()
        for name in sorted(gained if not is_alone else ()):
            self.add_error(name, TWO_PERSONS)
        if roles:
            self.add_error("groups", TWO_PERSONS)
        return given


class GiveForm(OwnKeyForm, ReasonForm):
    adds = forms.MultipleChoiceField(label="What", widget=UnfoldAdminCheckboxSelectMultipleWidget)
    field_order = ("adds", "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        user = User.objects.filter(pk=id_in(self.object_id)).first()
        can = staff.can_be_given(user) if user else set()
        self.fields["adds"].choices = [(one, staff.told(one)) for one in sorted(can)]


admin.site.unregister(User)


@admin.register(User)
class TwoPersonsUserAdmin(UserAdmin):
    """What a member of staff may do, and what lets them in, is given by two Administrators."""

    form = TwoPersonsForm
    actions_detail = (*UserAdmin.actions_detail, "propose_rights")
    has_propose_permission = may("manage_staff")

    @action(
        description="Propose rights",
        icon="shield_person",
        permissions=["propose"],
        dialog=dialog(
            "Propose that this user may do more?",
            "Another Administrator applies it; until then nothing changes. Be sure that it is the user who asks.",
            "Propose",
            GiveForm,
        ),
    )
    def propose_rights(self, request: HttpRequest, form: GiveForm, object_id: str) -> HttpResponse:
        self._somebody(request, object_id)
        return proposed(request, ControlChange.Kind.STAFF, object_id, form)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Nobody changes the e-mail address of who ever was staff but they: it is what a proposal names them by."""
        is_others = obj is not None and obj.pk != request.user.pk and services.was_ever_staff(obj.pk)
        return (*super().get_readonly_fields(request, obj), *(("email",) if is_others else ()))

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002 - Django names it
        """Of a login that never was one of staff. That of another member of staff is proposed."""
        user = User.objects.filter(pk=id_in(id)).first()
        if user is not None:
            noting.about(request, user)
        refused = self._by_two(request, user) if user is not None and is_administrator(request) else None
        return refused if refused is not None else super().user_change_password(request, id, form_url)

    def _by_two(self, request: HttpRequest, user: User) -> HttpResponse | None:
        """For whoever ever was staff: who takes a colleague's rights away doesn't take them over alone."""
        if user.pk == request.user.pk or not services.was_ever_staff(user.pk):
            return None
        noting.refused(request, PROPOSED)
        messages.error(request, PROPOSED)
        return leave_dialog(request, USER, user.pk)

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        user = self.get_object(request, str(object_id))  # None for an id that names nothing
        offered = super().get_actions_detail(request, object_id)
        is_by_two = user is not None and services.was_ever_staff(user.pk)
        hidden: tuple[str, ...] = _ONLY_PROPOSED if is_by_two else ()
        if user is None or user.pk == request.user.pk or not is_administrator(request):
            hidden = (*hidden, "propose_rights")
        return [one for one in offered if not one.action_name.endswith(hidden)] if hidden else offered
