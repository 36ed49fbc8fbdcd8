"""A filter by the days on which rows were made: a range of their time-ordered key, so it costs what its rows cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.db.models import QuerySet
from django.http import HttpRequest

from accounts import clock
from accounts.ids import floor_of

FROM, TO = "made_from", "made_to"
FIRST, LAST = date(2000, 1, 1), date(2999, 12, 31)
_LEFT_BEHIND: Final = frozenset({FROM, TO, "p", "before", "e"})  # the way to a page of another range


class MadeFilter(admin.ListFilter):
    """UTC days of the firm's time. Only for tables whose key is a UUIDv7."""

    title = "day"
    template = "admin/filter_days.html"

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.days: dict[str, str] = {}
        for name in (FROM, TO):
            given = params.pop(name, "")
            text = given[-1] if isinstance(given, list) else given
            if text:
                self.days[name] = self.used_parameters[name] = text
        self.others = [(name, value) for name, value in request.GET.items() if name not in _LEFT_BEHIND]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [FROM, TO]

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield {
            "first": self.days.get(FROM, ""),
            "last": self.days.get(TO, ""),
            "others": self.others,
            "without": changelist.get_query_string(remove=sorted(_LEFT_BEHIND)),
        }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Raises IncorrectLookupParameters, with a message, for what is no day."""
        try:
            first, last = (self._day(name) for name in (FROM, TO))
        except ValueError:
            messages.error(request, f"A day is one from {FIRST} to {LAST}, written as 2026-01-31.")
            raise IncorrectLookupParameters from None
        if first and last and first > last:
            messages.error(request, "The first day is after the last one.")
            raise IncorrectLookupParameters
        return made_within(queryset, first, last, self.real)

    def real(self, at: datetime) -> datetime:
        """The real time of a moment of the list's: ids have that."""
        return clock.real_of(at)

    def _day(self, name: str) -> date | None:
        text = self.days.get(name)
        if text is None:
            return None
        day = date.fromisoformat(text)
        if day.isoformat() != text or not FIRST <= day <= LAST:
            raise ValueError(text)
        return day


class RealDayFilter(MadeFilter):
    """UTC days of real time, as the rows have it, also where a sandbox's clock was moved."""

    def real(self, at: datetime) -> datetime:
        return as_it_is(at)


def made_within(
    rows: QuerySet[Any], first: date | None, last: date | None, real: Callable[[datetime], datetime]
) -> QuerySet[Any]:
    """Those made from the first UTC day to the last one, both included; None: no bound. A range of the primary key.

    `real` gives the real time of a moment of these days: ids have that.
    """
    if first is not None:
        rows = rows.filter(pk__gte=floor_of(real(_begin_of(first))))
    if last is not None:
        rows = rows.filter(pk__lt=floor_of(real(_begin_of(last) + timedelta(days=1))))
    return rows


def as_it_is(at: datetime) -> datetime:
    """The real time of a moment that is real."""
    return at


def _begin_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC)
