"""What is written by a form is written once, and from what it was made of (docs/decisions/0090-once.md).

A form that edits a row carries the row's version: a digest of each column. Where one says something else when it is
sent, somebody else changed the row since the form was opened, and nothing is saved. A form that makes a row, and every
dialog, carries a one-time key, which the journal takes once (brokerage/http/journalled.py).
"""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django import forms
from django.core import signing
from django.db.models import Model
from django.http import HttpRequest

from accounts.admin.journalled import Journalled, names_of, who
from accounts.admin.noting import ONCE
from accounts.ids import uuid7
from accounts.models import JournalEntry
from accounts.services import journal
from accounts.services.row_facts import digests, facts_of

VERSION: Final = "version_seen"
WITHOUT: Final = "This form doesn't say what it was made from: open it anew."
_SALT: Final = "the version of a row"


class OnceField(forms.UUIDField):
    """A one-time key. A form that is shown again, for something in it was wrong, has another one."""

    widget = forms.HiddenInput

    def __init__(self, **options: Any) -> None:
        super().__init__(initial=uuid7, **options)

    def bound_data(self, data: Any, initial: Any) -> UUID:
        return uuid7()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class VersionField(forms.CharField):
    """No column of the row's: it is never among what was changed."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        return False


class WrittenOnce(Journalled):
    """The base of every page with a form. Stands first among a page's bases."""

    change_form_before_template = "admin/form_version.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """The page's form, with its version where it changes a row, with a one-time key where it makes one."""
        form = super().get_form(request, obj, change=change, **kwargs)  # type: ignore[misc]
        return type(form.__name__, (_Versioned if change else _Keyed, form), {"asked_by": request.user.pk})


class _Keyed(forms.BaseForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[ONCE] = OnceField(required=False)


class _Versioned(forms.BaseForm):
    instance: Model
    asked_by: UUID

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields[VERSION] = VersionField(required=False, initial=version_of(type(self.instance), self.instance.pk))

    def clean(self) -> Any:
        """Raises ValidationError where the row isn't any more what the form was made from. It stays locked."""
        given = super().clean()
        model, pk = type(self.instance), self.instance.pk
        try:
            seen = signing.loads(self.data.get(VERSION, ""), salt=_SALT)
        except signing.BadSignature:
            raise forms.ValidationError(WITHOUT) from None
        now = digests(facts_of(model, pk, lock=True) or {})
        changed = [name for name in now if seen.get(name) != now[name]]
        if changed:
            raise forms.ValidationError(what_changed(model, pk, changed, self.asked_by))
        return given


def version_of(model: type[Model], pk: object) -> str:
    """What a row says now, as a form carries it: nothing can be read from it."""
    return signing.dumps(digests(facts_of(model, pk) or {}), salt=_SALT, compress=True)


def what_changed(model: type[Model], pk: object, names: list[str], asked_by: UUID) -> str:
    """The refusal: which columns changed, to what, by whom and when, as far as the journal knows."""
    newest = journal.history_of(model, pk).filter(outcome=JournalEntry.Outcome.DONE)[:20]
    by = next((entry for entry in newest if set(names) & {*entry.before, *entry.after}), None)
    said = {} if by is None else by.after
    columns = ", ".join(
        f"{_words(name)} (now {said[name]})" if said.get(name) not in (None, "", "changed") else _words(name)
        for name in names
    )
    if by is None:
        whom = "by a command, by API or by the system itself"
    else:
        name = "yourself, in another page" if by.user_id == asked_by else who(by, names_of([by]))
        whom = f"by {name} at {by.at:%Y-%m-%d %H:%M:%S} UTC"
    return f"Nothing was saved: since this form was opened, {columns} changed, {whom}. Open it anew, and look again."


def _words(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")
