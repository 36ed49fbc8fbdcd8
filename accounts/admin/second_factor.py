"""The pages of the second factor: add an authenticator, and show its code after the password."""

from __future__ import annotations

from typing import Any, cast

import django_otp
import segno
from django import forms
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from unfold.widgets import UnfoldAdminTextInputWidget

from accounts.admin import noting
from accounts.errors import WrongCode
from accounts.models import User
from accounts.services import second_factor

ATTRIBUTES = {"autocomplete": "one-time-code", "autofocus": "", "spellcheck": "false"}

BEGUN = "second_factor_begun"  # in the session: the id of the authenticator that it shows


class CodeForm(forms.Form):
    code = forms.CharField(
        max_length=20, widget=UnfoldAdminTextInputWidget(attrs=ATTRIBUTES), help_text="Six digits, or a recovery code."
    )


@never_cache
@sensitive_post_parameters("code")
def show(request: HttpRequest) -> HttpResponse:
    """Ask for a code, after the password."""
    if not admin.site.has_permission(request):
        return redirect_to_login(reverse("admin:index"), reverse("admin:login"))
    user = cast(User, request.user)
    if not second_factor.is_enrolled(user):
        return HttpResponseRedirect(reverse("second_factor_enrol"))
    form = CodeForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        device = second_factor.matched(user, form.cleaned_data["code"])
        if device is not None:
            return _verified(request, device)
        _wrong(request, form)
    return _page(request, "admin/second_factor.html", {"title": "Second factor", "form": form})


@never_cache
@sensitive_post_parameters("code")
def enrol(request: HttpRequest) -> HttpResponse:
    """Add an authenticator, where somebody has none, and show the recovery codes once."""
    if not admin.site.has_permission(request):
        return redirect_to_login(reverse("admin:index"), reverse("admin:login"))
    user = cast(User, request.user)
    if second_factor.is_enrolled(user):
        return HttpResponseRedirect(reverse("second_factor"))
    form = CodeForm(request.POST or None)
    form.fields["code"].help_text = "The six digits that it shows now."
    if request.method == "POST" and form.is_valid():
        done = second_factor.finish(user, request.session.get(BEGUN), form.cleaned_data["code"])
        if done is not None:
            device, codes = done
            _verified(request, device)
            noting.done(request)  # by a page that is no other one
            return _page(request, "admin/recovery_codes.html", {"title": "Recovery codes", "codes": codes})
        _wrong(request, form)
    device = second_factor.begin(user, request.session.get(BEGUN))
    request.session[BEGUN] = device.pk
    picture = segno.make(device.config_url).svg_inline(scale=4, light="white")
    key = device.config_url.partition("secret=")[2].partition("&")[0]
    context = {"title": "Add a second factor", "form": form, "picture": mark_safe(picture), "key": key}  # noqa: S308
    return _page(request, "admin/second_factor_enrol.html", context)


def _wrong(request: HttpRequest, form: CodeForm) -> None:
    noting.refused(request, WrongCode.sentence)
    form.add_error("code", WrongCode.sentence)


def _verified(request: HttpRequest, device: Any) -> HttpResponse:
    request.session.cycle_key()  # whoever knew the key of before has shown no code
    django_otp.login(request, device)
    return HttpResponseRedirect(reverse("admin:index"))


def _page(request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
    context = {**admin.site.each_context(request), **context}
    return TemplateResponse(request, template, context)
