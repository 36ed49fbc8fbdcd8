"""Lists of the quotes/trades API: `{total, page, per_page, objects}`, newest first, with filters.

A view gives its queryset in its final order, the request's query and what each filter means:

    FILTERS = {
        "guid": guids("pk"),
        "side": one_of("side", Quote.Side.values),
        "label": strings("labels__overlap"),
        "created_at_gte": timestamp("issued_at__gte"),
        "created_at_lt": timestamp("issued_at__lt"),
    }
    return Response(page_of(selectors.quotes_of(caller), request.query_params, FILTERS, quote_out))

Three queries whatever the page: the total, the page's ids, its rows. A value that can't be meant is 400
`invalid_parameter`, and so is an unknown parameter: a filter that is passed over shows rows that weren't asked for.
A blank one is absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.http import QueryDict

from accounts.errors import Malformed, NotFound
from accounts.ids import parse_guid

PER_PAGE: Final = 10
MOST_PER_PAGE: Final = 100
_MOST_VALUES: Final = 100

Filter = Callable[[str, str], Q]
"""Gives the condition that a parameter's name and text mean; raises Malformed."""

Row = TypeVar("Row", bound=Model)

_TIMESTAMP = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?\s?([Zz]|[+-]\d\d:?\d\d)?)?", re.ASCII
)


def page_of(
    rows: QuerySet[Row], query: QueryDict, filters: Mapping[str, Filter], show: Callable[[Row], dict[str, Any]]
) -> dict[str, Any]:
    """One page of `rows` as the contract's object; `show` must not query (select what it reads)."""
    only(query, "page", "per_page", *filters)
    page = whole_number(query, "page", default=0, least=0, most=10**9)
    per_page = whole_number(query, "per_page", default=PER_PAGE, least=1, most=MOST_PER_PAGE)
    for name, condition in filters.items():
        if text := given(query, name):
            rows = rows.filter(condition(name, text))
    first = page * per_page
    # The ids alone are found in the index; only the page's own rows are then read from the table.
    ids = list(rows.values_list("pk", flat=True)[first : first + per_page])
    found = {row.pk: row for row in rows.filter(pk__in=ids)} if ids else {}
    return {
        "total": rows.order_by().count(),
        "page": page,
        "per_page": per_page,
        "objects": [show(found[id_]) for id_ in ids if id_ in found],
    }


def only(query: QueryDict, *names: str) -> None:
    """Raises Malformed for a parameter that a list doesn't have, and names those that it has."""
    if unknown := query.keys() - set(names):
        raise Malformed(f"Unknown parameter {min(unknown)[:64]}; there are {', '.join(names)}.")


def given(query: QueryDict, name: str) -> str:
    """A parameter's text; one given several times means all of its values."""
    return ",".join(value for value in query.getlist(name) if value)


def whole_number(query: QueryDict, name: str, *, default: int, least: int, most: int) -> int:
    """A parameter as a whole number within bounds. Raises Malformed."""
    text = given(query, name)
    if not text:
        return default
    if re.fullmatch(r"[0-9]{1,10}", text) is None or not least <= int(text) <= most:
        raise Malformed(f"{name} must be a whole number from {least} to {most}.")
    return int(text)


def guid_in_path(text: str) -> UUID:
    """The guid of a path such as /api/quotes/<guid>. Raises NotFound: what can't be a guid names nothing."""
    guid = parse_guid(text)
    if guid is None:
        raise NotFound
    return guid


def parse_timestamp(text: str) -> datetime | None:
    """ISO 8601 with up to nine fractional digits and any offset (none means UTC), or None.

    Digits past the microsecond are cut off; a bare date is its midnight.
    """
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    day, clock, fraction, offset = match.groups()
    microseconds = (fraction or "0")[:6].ljust(6, "0")
    clock = clock or "00:00:00"
    if len(clock) == len("00:00"):
        clock += ":00"
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{microseconds}{(offset or 'Z').upper()}")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- what a filter can mean ------------------------------------------------------------------------


def guids(field: str) -> Filter:
    """Comma-separated guids: the row's field is one of them."""

    def condition(name: str, text: str) -> Q:
        ids = [parse_guid(value) for value in _values(name, text)]
        if None in ids:
            raise Malformed(f"{name} must be guids of 32 lowercase hex characters, separated by commas.")
        return Q(**{f"{field}__in": ids})

    return condition


def bank(guid: str) -> Filter:
    """This installation is one bank: every row is its own, none is another bank's."""

    def condition(name: str, text: str) -> Q:
        guids("pk")(name, text)
        return Q() if guid in _values(name, text) else Q(pk__in=[])

    return condition


def one_of(field: str, known: Collection[str]) -> Filter:
    """Comma-separated values of a closed list."""

    def condition(name: str, text: str) -> Q:
        values = _values(name, text)
        if not set(known).issuperset(values):
            raise Malformed(f"{name} must be one or more of {', '.join(sorted(known))}, separated by commas.")
        return Q(**{f"{field}__in": values})

    return condition


def strings(lookup: str) -> Filter:
    """Comma-separated strings handed to a lookup that takes a list, e.g. `labels__overlap`."""

    def condition(name: str, text: str) -> Q:
        values = _values(name, text)
        if not all(0 < len(value) <= 64 and value.isprintable() for value in values):
            raise Malformed(f"{name} must be strings of 1 to 64 characters, separated by commas.")
        return Q(**{lookup: values})

    return condition


def timestamp(lookup: str) -> Filter:
    """A time handed to a comparison, e.g. `created_at__gte`."""

    def condition(name: str, text: str) -> Q:
        at = parse_timestamp(text)
        if at is None:
            raise Malformed(f"{name} must be a time such as 2026-01-31T12:00:00.000Z.")
        return Q(**{lookup: at})

    return condition


def _values(name: str, text: str) -> list[str]:
    values = [value.strip() for value in text.split(",")]
    if len(values) > _MOST_VALUES:
        raise Malformed(f"{name} takes at most {_MOST_VALUES} values.")
    return values
