"""Filters of lists, for django-filter. A value that can't be meant is 400, and so is an unknown parameter.

    class QuoteFilters(Filters):
        guid = Guids("pk")
        side = OneOf("side", Quote.Side.values)
        label = Strings("labels__overlap")
        created_at_gte = At("issued_at__gte")

Each tells the JSON Schema of its parameter, and its docstring what the document says of it. Values are separated by
commas, or the parameter is repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final

import django_filters
from django import forms
from django.conf import settings
from django.db.models import BooleanField, Model, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import QueryDict
from django_filters.rest_framework import DjangoFilterBackend

from accounts import clock
from accounts.errors import Malformed
from accounts.rest.fields import A_TIME, NO_CONTROLS, Schema
from accounts.rest.queries import given, refuse_unknown
from accounts.timestamps import parse_timestamp

MOST_VALUES: Final = 100
LONGEST_STRING: Final = 64

Rows = QuerySet[Model]


class _AsGiven(forms.Widget):
    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        return given(data, name) if isinstance(data, QueryDict) else data.get(name) or ""


class _Parsed(forms.Field):
    """What a filter's `parse` makes of the text; nothing of a blank one."""

    widget = _AsGiven

    def __init__(self, *, parse: Callable[[str], Any], **options: Any) -> None:
        super().__init__(**options)
        self.parse = parse

    def clean(self, value: Any) -> Any:
        return self.parse(value) if value else None


class Filter(django_filters.Filter):
    """A parameter whose text `parse` reads; the rows' `lookup` takes what it gives."""

    field_class = _Parsed
    schema: Schema = {"type": "string"}

    def __init__(self, lookup: str = "", **options: Any) -> None:
        super().__init__(required=False, parse=self.parse, **options)
        self.lookup = lookup

    def parse(self, text: str) -> Any:
        """Raises ValidationError, whose message goes on after the parameter's name."""
        return text

    def condition(self, value: Any) -> Q:
        return Q(**{self.lookup: value})

    def filter(self, qs: Rows, value: Any) -> Rows:
        return qs if value is None else qs.filter(self.condition(value))


class Listed(Filter):
    """Values that are separated by commas, each of which is what `one`, a regular expression, says."""

    one: str
    wrong: str

    def __init__(self, lookup: str = "", **options: Any) -> None:
        super().__init__(lookup, **options)
        self.pattern = f"^ *{self.one} *(, *{self.one} *){{0,{MOST_VALUES - 1}}}$"
        self.schema = {"type": "string", "pattern": self.pattern}

    def parse(self, text: str) -> list[Any]:
        if re.search(self.pattern, text, re.ASCII) is None or text.endswith("\n"):
            raise forms.ValidationError(self.wrong)
        return [value.strip(" ") for value in text.split(",")]

    def condition(self, value: Any) -> Q:
        return Q(**{f"{self.lookup}__in": value})


class Guids(Listed):
    """Guids, separated by commas."""

    one = "[0-9a-f]{32}"
    wrong = "must be guids of 32 lowercase hex characters, separated by commas"


class Bank(Guids):
    """This installation is one bank: every row is its own, none is another bank's."""

    def condition(self, value: Any) -> Q:
        return Q() if settings.BANK_GUID in value else Q(pk__in=[])


class OneOf(Listed):
    """Values of a closed list, separated by commas."""

    def __init__(self, lookup: str, known: Collection[str], **options: Any) -> None:
        names = sorted(known)
        self.one = f"({'|'.join(names)})"
        self.wrong = f"must be one or more of {', '.join(names)}, separated by commas"
        super().__init__(lookup, **options)


class Strings(Listed):
    """Strings, separated by commas."""

    one = f"[^, {NO_CONTROLS}][^,{NO_CONTROLS}]{{0,{LONGEST_STRING - 1}}}"
    wrong = f"must be strings of 1 to {LONGEST_STRING} characters, separated by commas"

    def condition(self, value: Any) -> Q:
        return Q(**{self.lookup: value})


class At(Filter):
    """A time, in ISO 8601."""

    schema = A_TIME

    def parse(self, text: str) -> datetime:
        at = parse_timestamp(text)
        if at is None:
            raise forms.ValidationError("must be a time such as 2026-01-31T12:00:00.000Z")
        return at


class ChangedSince(At):
    """A time, in ISO 8601. Also what was changed before it and committed after it: who asks again from the latest
    `updated_at` that it has seen misses nothing, and sees some rows twice."""

    def filter(self, qs: Rows, value: Any) -> Rows:
        """A row's time, the firm's, is taken before its transaction is committed. Transactions that ran at that
        time are known by their numbers, of which each row carries the one that wrote it."""
        if value is None:
            return qs
        number = RawSQL(  # noqa: S611 - our own table
            _SINCE.format(qs.model._meta.db_table, clock.real_of_in_sql("%s")), [value], output_field=BooleanField()
        )
        return qs.filter(Q(**{self.lookup: value}) | Q(number))


_SINCE: Final = 'age("{}".xmin) <= (SELECT transactions_since({}))'


class TrueOrFalse(Filter):
    schema = {"type": "string", "enum": ["true", "false"]}

    def parse(self, text: str) -> bool:
        if text not in ("true", "false"):
            raise forms.ValidationError("must be true or false")
        return text == "true"


class Filters(django_filters.FilterSet):
    """The filters of one resource."""


class KnownFilters(DjangoFilterBackend):
    """A list's rows by the filters of its view, which names them in `filterset_class`."""

    filterset_base = Filters

    def filter_queryset(self, request: Any, queryset: Rows, view: Any) -> Rows:
        """Raises Malformed for an unknown parameter, and for a value that can't be meant."""
        filters = self.get_filterset(request, queryset, view)
        of_pages = view.paginator.parameters if view.paginator else ()
        names = [*of_pages, *(filters.filters if filters else ()), *view.parameters]
        refuse_unknown(request.query_params, names)
        if filters is None:
            return queryset
        for name, wrong in filters.errors.items():
            raise Malformed(f"{name} {wrong[0]}.")
        found: Rows = filters.qs
        return found
