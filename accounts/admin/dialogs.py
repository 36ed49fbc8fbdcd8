"""What the admin asks before anything happens, and how it tells what came of it.

A dialog's answer is a POST to the action's own URL. The services decide; a refusal is shown in its own words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts import services
from accounts.admin import noting
from accounts.admin.base import leave_dialog
from accounts.errors import Refusal
from accounts.identity import Actor
from accounts.ids import uuid7


class ReasonForm(BaseDialogForm):
    """Why, in one line."""

    reason = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)


class ReasonAndReferenceForm(ReasonForm):
    """What proposes that money moves. `once` is made when the dialog opens: the same dialog answered twice is one."""

    once = forms.UUIDField(initial=uuid7, widget=forms.HiddenInput)
    reference = forms.CharField(
        max_length=128,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The bank's or the provider's own, if there is one.",
    )


def dialog(title: str, description: str, submit: str, form: type[BaseDialogForm] = BaseDialogForm) -> dict[str, Any]:
    """Unfold's description of a dialog."""
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
