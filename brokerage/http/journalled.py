"""Whatever somebody does in the admin is in the journal, whichever page or dialog it is, and what they are refused.

A POST is written down before its view is called, and what came of it afterwards, each in a transaction of its own: a
refusal stays though the view's is undone, and a deed that was cut off is seen to have begun. What came of it is read
off the answer: a message of an error, a form that is shown again, 403, a way to another page. A view that knows more
says so by `accounts.admin.noting`.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from accounts.admin.noting import ONCE, deed_of, put
from accounts.identity import SYSTEM, Actor
from accounts.models import User
from accounts.services import journal, logins
from accounts.services.journal import AnsweredBefore, Deed, Outcome, Via

ADMIN: Final = "/admin/"
_LOGIN, _LOGOUT = "login", "logout"
_LIST, _CSV = "_changelist", "csv"
_NOT_FILLED_IN: Final = ("csrfmiddlewaretoken", ONCE, "once", "reason", "next", "code", ACTION_CHECKBOX_NAME)
_FORM = ("_add", "_change", "_password_change")
_AGAIN: Final = "This was sent already; {}."
_CAME_OF_IT: Final = {
    Outcome.DONE: "it was done",
    Outcome.REFUSED: "it was refused",
    Outcome.NOTHING: "nothing was done",
    Outcome.FAILED: "it failed",
}


class JournalMiddleware:
    """Stands outside of sessions and of the login's limits, so that it sees whatever they answer."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if request.path_info.startswith(ADMIN):
            _note(request, response)
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> HttpResponse | None:
        """Begin a deed. A dialog that was answered already isn't carried out again: its sender is told."""
        if not request.path_info.startswith(ADMIN) or request.method != "POST":
            return None
        user: Any = request.user
        name = request.resolver_match.url_name if request.resolver_match else None
        if not (user.is_authenticated and user.is_active and user.is_staff) or name == _LOGIN:
            return None
        try:
            put(request, _begun(request, name or request.path_info, view, kwargs))
        except AnsweredBefore as before:
            return _sent_already(request, before)
        return None


def _begun(request: HttpRequest, name: str, view: Any, kwargs: dict[str, Any]) -> Deed:
    page: Any = getattr(view, "model_admin", None)
    model: type[Model] | None = getattr(page, "model", None)
    pk = _key(model, kwargs.get("object_id", kwargs.get("id")))
    chosen = request.POST.getlist(ACTION_CHECKBOX_NAME) if pk is None and model else []
    action = request.POST.get("action") if chosen else None
    about = [journal.name_of(model, one) for one in ([pk] if pk is not None else chosen)] if model else []
    is_form = name.endswith(_FORM)
    given = {} if is_form else _filled_in(request)
    return journal.begin(
        f"{name.removesuffix(_LIST)}_{action}" if action else name,
        by=Actor(user_id=request.user.pk),
        via=Via.ADMIN,
        address=_address(request),
        objects=about,
        asked=journal.asked_of(given),
        reason=request.POST.get("reason", ""),
        once=_uuid(request.POST.get(ONCE, "")),
        model=model if pk is not None else None,
        pk=pk,
    )


def _filled_in(request: HttpRequest) -> dict[str, Any]:
    names = [name for name in request.POST if not name.startswith("_") and name not in _NOT_FILLED_IN]
    return {name: request.POST[name] for name in names} | dict.fromkeys(request.FILES, "a file")


def _note(request: HttpRequest, response: HttpResponseBase) -> None:
    deed = deed_of(request)
    if deed is not None:
        journal.end(deed, *_outcome(request, response))
    elif request.method == "POST" and _name(request) == _LOGIN:
        _note_login(request, response)
    elif _is_staff(request) and response.status_code == HTTPStatus.FORBIDDEN:
        _note_look(request, Outcome.REFUSED)
    elif _is_staff(request) and (file := response.headers.get("Content-Disposition", "")).startswith("attachment"):
        _note_look(request, Outcome.DONE, is_workbook=file.endswith('.xlsx"'))


def _outcome(request: HttpRequest, response: HttpResponseBase) -> tuple[Outcome, str]:
    status = response.status_code
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Outcome.FAILED, str(status)
    if status >= HTTPStatus.BAD_REQUEST:
        return Outcome.REFUSED, str(status)
    if errors := [str(one.message) for one in _told(request) if one.level >= messages.ERROR]:
        return Outcome.REFUSED, errors[-1]
    moved_on = status in (HTTPStatus.FOUND, HTTPStatus.SEE_OTHER) or "HX-Redirect" in response.headers
    if moved_on or response.headers.get("Content-Disposition", "").startswith("attachment"):
        return Outcome.DONE, ""
    if _name(request) == _LOGOUT:
        return Outcome.DONE, ""
    if (_name(request) or "").endswith(_FORM):
        return Outcome.REFUSED, "The form was shown again."
    return Outcome.NOTHING, ""


def _note_login(request: HttpRequest, response: HttpResponseBase) -> None:
    """Of whom: the member of staff whose address was given. Of another address nothing is kept, nor of a customer's."""
    came_in = response.status_code == HTTPStatus.FOUND
    email = logins.account_meant(request.POST.get("username", ""))
    who = User.objects.filter(email=email, is_staff=True).values_list("pk", flat=True).first()
    refused = response.status_code if response.status_code >= HTTPStatus.BAD_REQUEST else ""
    journal.record(
        _LOGIN,
        by=Actor(user_id=who) if who else SYSTEM,
        via=Via.ADMIN,
        outcome=Outcome.DONE if came_in else Outcome.REFUSED,
        address=_address(request),
        said="" if came_in else f"{refused or 'The address or the password is wrong, or it is nobody of staff.'}",
    )


def _note_look(request: HttpRequest, outcome: Outcome, *, is_workbook: bool = False) -> None:
    match = request.resolver_match
    key = match.kwargs.get("object_id") if match else None
    model = getattr(getattr(match.func, "model_admin", None), "model", None) if match else None
    pk = _key(model, key)
    name, is_taken = _name(request) or request.path_info, outcome == Outcome.DONE
    if is_taken and (name.endswith(_LIST) or _CSV in request.GET):
        name = f"{name.removesuffix(_LIST)}_export"
    filters = {key.partition("__")[0]: value for key, value in request.GET.items() if key != _CSV}
    filters |= {"format": "xlsx"} if is_workbook else {}
    journal.record(
        name,
        by=Actor(user_id=request.user.pk),
        via=Via.ADMIN,
        outcome=outcome,
        address=_address(request),
        asked=journal.asked_of(filters) if is_taken else {},
        objects=[journal.name_of(model, pk)] if model is not None and pk is not None else [],
        said="" if outcome == Outcome.DONE else f"{request.method} is not allowed to this person.",
    )


def _sent_already(request: HttpRequest, before: AnsweredBefore) -> HttpResponse:
    came_of_it = journal.outcome_of(before.entry)
    said = _CAME_OF_IT.get(came_of_it, "it is still being done") if came_of_it else "it is still being done"
    messages.info(request, _AGAIN.format(said))
    parts = request.path_info.rstrip("/").rsplit("/", 1)[0] + "/"  # the page that the dialog stands on
    try:
        resolve(parts)
    except Resolver404:
        parts = ADMIN
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": parts})
    return HttpResponseRedirect(parts)


def _told(request: HttpRequest) -> list[Any]:
    return list(getattr(messages.get_messages(request), "_queued_messages", []))


def _is_staff(request: HttpRequest) -> bool:
    user: Any = getattr(request, "user", None)  # there is none where the request was answered before sessions
    return bool(user is not None and user.is_authenticated and user.is_staff)


def _name(request: HttpRequest) -> str | None:
    if request.resolver_match is not None:
        return request.resolver_match.url_name
    try:  # what was answered before a view was looked for
        return resolve(request.path_info).url_name
    except Resolver404:
        return None


def _key(model: type[Model] | None, text: object) -> object:
    """A row's key in a path; None for what can't be one."""
    if model is None or text is None or "\0" in str(text):
        return None
    try:
        return model._meta.pk.to_python(unquote(str(text)))
    except ValidationError:
        return None


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _address(request: HttpRequest) -> str:
    """The outermost of our proxies saw it (brokerage/http/request_bytes.py)."""
    return str(request.META.get("REMOTE_ADDR", ""))
