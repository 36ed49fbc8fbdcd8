"""What the admin asks before anything happens, and how it tells what came of it.

A dialog's answer is a POST to the action's own URL. The services decide; a refusal is shown in its own words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import services
from accounts.admin import noting
from accounts.admin.base import leave_dialog
from accounts.admin.once import OnceField
from accounts.errors import Refusal
from accounts.identity import Actor
from accounts.services import second_factor


class DialogForm(BaseDialogForm):
    """The base of every dialog's form: its one-time key. The same dialog answered twice is carried out once."""

    once_only = OnceField()


class ReasonForm(DialogForm):
    """Why, in one line."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)


class OwnKeyForm(DialogForm):
    """One whose key is kept in the row that it makes: answered twice with the same, it tells the same both times."""

    once_only = None  # type: ignore[assignment]
    once = OnceField()


class ReasonAndReferenceForm(OwnKeyForm, ReasonForm):
    """What proposes that money moves."""

    reference = forms.CharField(
        max_length=128,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The bank's or the provider's own, if there is one.",
    )


class FreshCodeForm(DialogForm):
    """What applies, confirms or moves money at once, and what lets somebody in.

    Asks for a code of the second factor that wasn't used, where settings demand one.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if settings.SECOND_FACTOR:
            attributes = {"autocomplete": "one-time-code", "spellcheck": "false"}
            self.fields["code"] = forms.CharField(
                max_length=20,
                label="A fresh code of your second factor",
                widget=UnfoldAdminTextInputWidget(attrs=attributes),
            )

    def _post_clean(self) -> None:
        """The code is used up last, once all else that was given is right, by each form's own `clean`, too."""
        super()._post_clean()
        if settings.SECOND_FACTOR and not self.errors:
            try:
                second_factor.must_be_fresh(self.request.user.pk, self.cleaned_data["code"])
            except Refusal as refusal:
                noting.refused(self.request, refusal.text)
                self.add_error("code", refusal.text)


class ReasonAndCodeForm(ReasonForm, FreshCodeForm):
    """What lets somebody in."""


def dialog(title: str, description: str, submit: str, form: type[BaseDialogForm] = DialogForm) -> dict[str, Any]:
    """Unfold's description of a dialog. Raises TypeError for a form without a one-time key."""
    if not issubclass(form, DialogForm):
        raise TypeError(f"{form.__name__} is no DialogForm.")
    return {"title": title, "description": description, "form_class": form, "form_submit_text": submit}


def actor(request: HttpRequest) -> Actor:
    """Who is logged in to the admin."""
    return Actor(user_id=request.user.pk)


def id_in(object_id: object) -> UUID:
    """The id in an action's path; what can't be one names nothing."""
    try:
        return UUID(str(object_id))
    except ValueError:
        raise Http404 from None


def carried_out(
    request: HttpRequest, action: Callable[[], Any], done: str | Callable[[Any], str], to: str, *args: object
) -> HttpResponse:
    """Do it, say what came of it, and go to a page; `done` is the sentence, or makes one of its result."""
    try:
        result = action()
    except Refusal as refusal:
        noting.refused(request, refusal.text)
        messages.error(request, refusal.text)
    else:
        noting.made(request, result)
        messages.success(request, done if isinstance(done, str) else done(result))
    return leave_dialog(request, to, *args)


def base_units(asset: str, text: str, *, may_be_zero: bool = False) -> int:
    """An amount in units of its asset as base units; what is none is said at its field."""
    try:
        return services.base_units(asset, text, may_be_zero=may_be_zero)
    except Refusal as refusal:
        raise ValidationError(refusal.text) from None
