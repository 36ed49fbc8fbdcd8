"""The journal, to read: who did what to what, when and from where, and what they were refused."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from unfold.views import ChangeList

from accounts import clock
from accounts.admin import shown
from accounts.admin.base import ReadOnlyAdmin, does
from accounts.admin.by_day import RealDayFilter, as_it_is, made_within
from accounts.admin.journalled import changes, deed_text, names_of, outcome, second, who, why
from accounts.ids import pasted_guid
from accounts.models import JournalEntry, User
from accounts.services import journal
from trades.admin.keyset import KeysetList

LIST = "accounts_journalentry"


class OutcomeFilter(admin.SimpleListFilter):
    """Only says what is wanted: the list applies it, no further than a page may look."""

    title, parameter_name = "outcome", "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(JournalEntry.Outcome.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class ViaFilter(OutcomeFilter):
    title, parameter_name = "from", "via"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return list(JournalEntry.Via.choices)


class DayFilter(admin.SimpleListFilter):
    """UTC days of real time, as the rows have it, also where a sandbox's clock was moved."""

    title, parameter_name = "day", "day"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("today", "Today"), ("yesterday", "Yesterday"), ("week", "Last 7 days")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        today = clock.now().date()
        back, days = {"today": (0, 1), "yesterday": (1, 1), "week": (6, 7)}.get(self.value() or "", (0, 0))
        return of_real_days(queryset, today - timedelta(days=back), days) if days else queryset


class DeedFilter(admin.SimpleListFilter):
    """Logins, and what else has a name of its own; every other deed by the link in its row."""

    title, parameter_name = "deed", "deed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        common = ["login", "logout"]
        chosen = request.GET.get(self.parameter_name, "")
        return [(one, one.replace("_", " ")) for one in [*common, *([chosen] if chosen not in ("", *common) else [])]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(deed=self.value()) if self.value() else queryset


class JournalList(KeysetList):
    unindexed = ("outcome", "via")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        tell_names(self.result_list)


def tell_names(entries: Any) -> None:
    """To each entry who the persons are that all of them name."""
    names = names_of(entries)
    for entry in entries:
        entry.names, entry.is_alone = names, False


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    """Search by person (e-mail address), object (guid), deed or day (2026-01-31), or by several of them at once."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return does(request, "read_journal")

    list_display = ("when", "who_it_was", "what", "came_of_it", "changed", "reason_told")
    list_filter = (DeedFilter, OutcomeFilter, ViaFilter, DayFilter, RealDayFilter)
    search_guids = ("pk",)
    search_help_text = "person's e-mail, object's guid, deed, day"
    fieldsets = (
        (None, {"fields": ("when", "who_it_was", "second_person", "via", "address", "deed", "came_of_it", "reason")}),
        ("What", {"fields": ("about", "filled_in", "changed")}),
        ("Where it is found", {"fields": ("guid", "began", "request_id")}),
    )
    readonly_fields = (
        *("when", "who_it_was", "second_person", "via", "address", "deed", "came_of_it", "reason", "about"),
        *("filled_in", "changed", "guid", "began", "request_id"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[JournalEntry]:
        """A deed is one line: what came of it, or where nothing did, that it began."""
        match = request.resolver_match
        return journal.entries(every=match is not None and "object_id" in match.kwargs)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JournalList

    def before_export(self, rows: list[Any]) -> None:
        tell_names(rows)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        entry = super().get_object(request, object_id, from_field)
        if entry is not None:
            entry.names, entry.is_alone = names_of([entry]), True
        return entry

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        for word in search_term.split():
            queryset = _with(queryset, word)
        return queryset, False

    @admin.display(description="At")
    def when(self, entry: JournalEntry) -> str:
        return shown.timestamp(entry.at)

    @admin.display(description="Who")
    def who_it_was(self, entry: Any) -> str:
        name = who(entry, entry.names)
        return name if entry.user_id is None else shown.list_link(LIST, {"q": entry.user_id.hex}, name)

    @admin.display(description="Second person")
    def second_person(self, entry: Any) -> str:
        return second(entry, entry.names).removeprefix("with ") or shown.NOTHING

    @admin.display(description="What")
    def what(self, entry: JournalEntry) -> str:
        return format_html(
            "{}<br>{}<br>{}",
            deed_text(entry),
            self.about(entry),
            shown.list_link(LIST, {"deed": entry.deed}, "all such"),
        )

    @admin.display(description="Object")
    def about(self, entry: JournalEntry) -> str:
        links = [(shown.list_link(LIST, {"q": one}, _short(one)),) for one in entry.objects_named[:5]]
        more = len(entry.objects_named) - len(links)
        named = format_html_join(", ", "{}", links)
        return format_html("{} and {} more", named, more) if more > 0 else named or shown.NOTHING

    @admin.display(description="Outcome")
    def came_of_it(self, entry: JournalEntry) -> str:
        return outcome(entry)

    @admin.display(description="Old → new")
    def changed(self, entry: Any) -> str:
        """On a list the first few: the entry's own page has all."""
        return changes(entry, 100 if entry.is_alone else 3)

    @admin.display(description="Filled in")
    def filled_in(self, entry: JournalEntry) -> str:
        rows = [(name.replace("_", " "), value) for name, value in entry.asked.items()]
        return shown.table(("", ""), rows, shown.NOTHING)

    @admin.display(description="Why")
    def reason_told(self, entry: Any) -> str:
        return why(entry, entry.names) or shown.NOTHING

    @admin.display(description="Began as")
    def began(self, entry: JournalEntry) -> str:
        return shown.guid(entry.begun_id)

    @admin.display(description="Guid")
    def guid(self, entry: JournalEntry) -> str:
        return shown.guid(entry.pk)


def of_real_days(entries: QuerySet[Any], first: date, days: int = 1) -> QuerySet[Any]:
    """Those of `days` UTC days from `first` on: a range of the primary key."""
    return made_within(entries, first, first + timedelta(days=days - 1), as_it_is)


def _with(entries: QuerySet[Any], word: str) -> QuerySet[Any]:
    """The entries that one word of a search means, by an index."""
    if "\x00" in word:
        return entries.none()
    try:
        return of_real_days(entries, date.fromisoformat(word))
    except (ValueError, OverflowError):
        pass
    if "@" in word:
        user = User.objects.filter(email=word.lower()).values_list("pk", flat=True).first()
        return entries.filter(user_id=user) if user else entries.none()
    guid = pasted_guid(word)
    if guid is not None and User.objects.filter(pk=guid, is_staff=True).exists():
        return entries.filter(user_id=guid)
    if guid is not None or ":" in word:
        return entries.filter(objects_named__contains=[guid.hex if guid else word])
    return entries.filter(deed=word)


def _short(name: str) -> str:
    return f"…{name[-10:]}" if len(name) == 32 else name.partition(":")[2] or name
