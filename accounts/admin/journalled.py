"""What the journal says of one row, on its page *History*; and how its entries look wherever they are shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join

from accounts import deeds
from accounts.admin import noting, shown
from accounts.ids import parse_guid
from accounts.models import ApiClient, JournalEntry, User
from accounts.services import journal

PAGE = 50
OUTCOMES = {"done": "success", "refused": "warning", "failed": "danger", "begun": "danger", "nothing": ""}
BEFORE = "before"

Names = Mapping[UUID, str]


class Journalled:
    """A page of the admin: what it adds is named in the journal, and its *History* is read from there.

    That a deed is in the journal at all isn't this class' doing (brokerage/http/journalled.py). Stands first among a
    page's bases.
    """

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        noting.made(request, obj)
        return super().log_addition(request, obj, message)  # type: ignore[misc]

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Newest first, a page of 50 by the entries' ids."""
        page: Any = self
        row = page.get_object(request, unquote(object_id))
        if row is None:
            redirect: HttpResponse = page._get_obj_does_not_exist_redirect(request, page.opts, object_id)
            return redirect
        if not page.has_view_or_change_permission(request, row):
            raise PermissionDenied
        entries = journal.history_of(page.model, row.pk)
        if before := parse_guid(request.GET.get(BEFORE)):
            entries = entries.filter(pk__lt=before)
        found = list(entries[: PAGE + 1])
        context = {
            **page.admin_site.each_context(request),
            "title": f"History: {row}",
            "opts": page.opts,
            "table": table_of(found[:PAGE], whole=lambda entry: _is_told_whole(request, page.model, row.pk, entry)),
            "older": found[PAGE - 1].pk.hex if len(found) > PAGE else "",
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/journal_history.html", context)


def _is_told_whole(request: HttpRequest, model: type[Model], pk: object, entry: JournalEntry) -> bool:
    """Whether somebody who may read a row may read why this was done and what it changed.

    Where it was done on the row's own page and named no other row; else it is or was to be about rows of a list that
    may be closed to them, and only who reads the journal may.
    """
    is_own = entry.deed.startswith(f"{model._meta.app_label}_{model._meta.model_name}_")
    is_alone = entry.objects_named == [journal.name_of(model, pk)]
    is_done = entry.outcome == JournalEntry.Outcome.DONE
    return (is_own and is_alone and is_done) or deeds.does(cast(User, request.user), "read_journal")


def table_of(entries: Iterable[JournalEntry], whole: Callable[[JournalEntry], bool]) -> str:
    """Entries; with old and new values and the reason those that somebody may read as a whole."""
    listed = list(entries)
    names = names_of(listed)
    rows = [
        (
            format_html(
                '<div class="admin-entry">{} {}<br>{} {}<br>{} {}</div>',
                *(shown.timestamp(entry.at), who(entry, names), deed_link(entry), outcome(entry)),
                *((changes(entry), why(entry, names)) if whole(entry) else (shown.NOTHING, second(entry, names))),
            ),
        )
        for entry in listed
    ]
    return shown.table(("When and who, what, old → new, why and with whom",), rows, "Nothing yet.")


def names_of(entries: Iterable[JournalEntry]) -> Names:
    """The persons and clients that entries name, in two queries at the most."""
    listed = list(entries)
    users = {one for entry in listed for one in (entry.user_id, entry.second_id) if one}
    clients = {one for entry in listed for one in (entry.client_id, entry.second_client_id) if one}
    found = {user.pk: str(user) for user in User.objects.filter(pk__in=users)} if users else {}
    if clients:
        found |= {client.pk: str(client) for client in ApiClient.objects.filter(pk__in=clients)}
    return found


def who(entry: JournalEntry, names: Names) -> str:
    one = entry.user_id or entry.client_id
    if one is None:
        return "command line" if entry.via == JournalEntry.Via.COMMAND else "nobody known"
    return names.get(one, f"…{one.hex[-10:]}")


def second(entry: JournalEntry, names: Names) -> str:
    one = entry.second_id or entry.second_client_id
    return "" if one is None else f"with {names.get(one, f'…{one.hex[-10:]}')}"


def why(entry: JournalEntry, names: Names) -> str:
    """The reason, and the other one of two persons."""
    return " · ".join(filter(None, [entry.reason, second(entry, names)]))


def deed_text(entry: JournalEntry) -> str:
    """trades_correction_apply -> trades correction apply."""
    return entry.deed.replace("_", " ")


def deed_link(entry: JournalEntry) -> str:
    """To the entry's own page."""
    return shown.link("accounts_journalentry", entry.pk, deed_text(entry))


def outcome(entry: JournalEntry) -> str:
    if entry.outcome == JournalEntry.Outcome.BEGUN:
        return shown.chip("begun", OUTCOMES, "and nobody knows what came of it")
    return format_html("{} {}", shown.chip(entry.outcome, OUTCOMES), entry.said)


def changes(entry: JournalEntry, most: int = 100) -> str:
    """Column by column, as it was and as it is; `most` of them."""
    names = [*entry.before, *(name for name in entry.after if name not in entry.before)]
    if not names:
        return shown.NOTHING
    told = format_html_join(
        "",
        '<span class="admin-change">{}: {} → {}</span><br>',
        (
            (name.replace("_", " "), _value(entry.before.get(name)), _value(entry.after.get(name)))
            for name in names[:most]
        ),
    )
    return format_html("{}and {} more", told, len(names) - most) if len(names) > most else told


def _value(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or shown.NOTHING
    if value in (None, ""):
        return shown.NOTHING
    text = str(value)
    try:
        return shown.timestamp(datetime.fromisoformat(text)) if "T" in text else text
    except ValueError:
        return text
