"""How the admin shows values: exact amounts in whole assets, times in UTC, ids that can be followed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from accounts.models import ApiClient, Asset, Customer, User
from accounts.money import at_scale, from_base_units

NOTHING = "–"
WIDEST_NAME = 24  # characters; admin.css cuts what is longer


def amount_text(amount: int | Decimal, asset: Asset) -> str:
    """Base units as an amount of the asset, every digit of it: 1,234.50 USD."""
    return f"{_digits(from_base_units(amount, asset.decimals), min(2, asset.decimals))} {asset.code}"


def amount(value: int | Decimal | None, asset: Asset) -> SafeString:
    """`amount_text`, aligned right in its column."""
    return _figure(NOTHING if value is None else amount_text(value, asset))


def gain(value: int | Decimal | None, asset: Asset) -> SafeString:
    """A signed amount, green above zero and red below."""
    if value is None:
        return _figure(NOTHING)
    return _figure(f"{'+' if value > 0 else ''}{amount_text(value, asset)}", _mood(value))


def number(value: Decimal | int | None, least_decimals: int = 0) -> SafeString:
    """A price or a quantity, every digit of it, aligned right in its column."""
    return _figure(NOTHING if value is None else _digits(Decimal(value), least_decimals))


def between(least: Decimal, most: Decimal) -> SafeString:
    return _figure(f"{_digits(least, 0)} – {_digits(most, 0)}")


def timestamp(at: datetime | None) -> SafeString | str:
    """To the second, UTC; the milliseconds in the tooltip."""
    if at is None:
        return NOTHING
    return format_html(
        '<time class="admin-time" datetime="{}" title="{}">{}</time>',
        at.isoformat(),
        at.isoformat(sep=" ", timespec="milliseconds"),
        at.strftime("%Y-%m-%d %H:%M:%S"),
    )


def for_how_long(duration: timedelta) -> str:
    """45 min, 7 h, 3 days."""
    seconds = max(0, int(duration.total_seconds()))
    if seconds < 7200:
        return f"{seconds // 60} min"
    return f"{seconds // 3600} h" if seconds < 172_800 else f"{seconds // 86_400} days"


def age(then: datetime | None, now: datetime) -> str:
    """How long ago, in words short enough for a card."""
    if then is None:
        return "never"
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"


def guid(value: UUID | None) -> SafeString | str:
    """The whole guid, as the API writes it."""
    return NOTHING if value is None else format_html('<span class="admin-id">{}</span>', value.hex)


def long(text: object) -> SafeString | str:
    """What may be long and without blanks, e.g. a reference that is a hash: it breaks where it has to."""
    return format_html('<span class="admin-long">{}</span>', text) if text else NOTHING


def day(value: date | None) -> SafeString | str:
    """A date, without a time."""
    return NOTHING if value is None else format_html('<span class="admin-time">{}</span>', value.isoformat())


def short_guid(value: UUID | None) -> SafeString | str:
    """The end of a guid, where time-ordered ones differ; the whole of it in the tooltip."""
    if value is None:
        return NOTHING
    return format_html('<span class="admin-id" title="{}">…{}</span>', value.hex, value.hex[-10:])


def cut(text: object) -> SafeString:
    """A name, no wider than some 24 characters; the whole of it in the tooltip."""
    if len(str(text)) <= WIDEST_NAME:
        return format_html("{}", text)
    return format_html('<span class="admin-cut" title="{}">{}</span>', text, text)


def path_of(model: str, pk: object) -> str:
    """A row's page; `model` is app_model."""
    return reverse(f"admin:{model}_change", args=[pk])


def link(model: str, pk: object, text: object) -> SafeString | str:
    """To a row's page."""
    if pk is None:
        return NOTHING
    return format_html('<a class="admin-link" href="{}">{}</a>', path_of(model, pk), text)


def list_link(model: str, query: Mapping[str, str | UUID], text: object) -> SafeString:
    """To a list, filtered."""
    url = f"{reverse(f'admin:{model}_changelist')}?{urlencode({name: str(value) for name, value in query.items()})}"
    return format_html('<a class="admin-link" href="{}">{}</a>', url, text)


def customer_link(customer: Customer | None) -> SafeString | str:
    return NOTHING if customer is None else link("accounts_customer", customer.pk, cut(customer))


def chip(text: str, moods: Mapping[str, str], reason: str = "") -> SafeString:
    """A state in its colour, and why; `moods` names success, info, warning or danger, anything else is grey."""
    state = format_html('<span class="admin-chip {}">{}</span>', moods.get(text, ""), text.replace("_", " ").lower())
    return format_html("{} {}", state, reason.lower()) if reason else state


def who(user: User | None, client: ApiClient | None = None, otherwise: str = "the system") -> str:
    """The person or the program that did something."""
    return str(user or client or otherwise)


def bar(percent: int, text: str) -> SafeString:
    """How far something is, as a bar with its figures beside it."""
    return format_html(
        '<span class="admin-progress"><progress class="admin-bar" max="100" value="{}" aria-label="{} %"></progress>'
        '<span class="admin-progress-text">{} % · {}</span></span>',
        percent,
        percent,
        percent,
        text,
    )


def joined(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join(" · ", "{}", ((part,) for part in parts))


def table(headers: Sequence[str], rows: Iterable[Sequence[Any]], nothing: str) -> str:
    """A small table inside a page, or a word where it would be empty."""
    listed = [list(row) for row in rows]
    if not listed:
        return nothing
    titles = [(header, "admin-figure" in str(listed[0][i])) for i, header in enumerate(headers)]
    return render_to_string("admin/plain_table.html", {"titles": titles, "rows": listed})


def more(table_: str, count: int, total: int) -> SafeString:
    """A table that shows the first of many."""
    return format_html("{}<p>The first {} of {}.</p>", table_, f"{count:,}", f"{total:,}")


def _digits(value: Decimal, least_decimals: int) -> str:
    return f"{at_scale(value, least_decimals):,f}"


def _figure(text: str, mood: str = "") -> SafeString:
    return format_html('<span class="admin-figure {}">{}</span>', mood, text)


def _mood(value: int | Decimal) -> str:
    return "admin-gain" if value > 0 else "admin-loss" if value < 0 else ""
