"""Ctrl-K: whatever somebody has before them, found by an index, ten rows at the most.

It stands in the place of Unfold's own view, which keeps results for five minutes by the term in small letters: what was
made since isn't found, references can't be, and our cache holds no such objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.dataclasses import SearchResult

from accounts.ids import pasted_guid
from accounts.models import Customer, Funding, Transfer, User
from quotes.models import Quote
from trades.admin.navigation import GROUPS, PAGES, may_see
from trades.models import Correction, DealersAction, Order, Payment, SettlementBatch, SettlementLeg, Trade

MOST: Final = 10
LONGEST: Final = 128
_CODE: Final = re.compile(r"(?:…|\.\.\.)?(ord_[0-9a-f]{16})", re.IGNORECASE | re.ASCII)
_WAITING_FUNDING: Final = Q(
    kind__in=["deposit", "withdrawal", "capital_in", "profit_out", "fees_out", "payment_returned"],
    state__in=["proposed", "applied"],
)


class Place(NamedTuple):
    """A table that is looked into: what a row is called, its page (app_model), its icon."""

    called: str
    model: str
    icon: str


CUSTOMER: Final = Place("customer", "accounts_customer", "groups")
USER: Final = Place("user", "accounts_user", "person")
ORDER: Final = Place("order", "trades_order", "receipt_long")
TRADE: Final = Place("trade", "trades_trade", "swap_horiz")
PAYMENT: Final = Place("payment", "trades_payment", "payments")
TRANSFER: Final = Place("transfer", "accounts_transfer", "sync_alt")
CORRECTION: Final = Place("correction", "trades_correction", "undo")

BY_GUID: Final[tuple[tuple[type[Model], Place], ...]] = (
    (Customer, CUSTOMER),
    (Order, ORDER),
    (Trade, TRADE),
    (Payment, PAYMENT),
    (SettlementBatch, Place("batch", "trades_settlementbatch", "inventory_2")),
    (SettlementLeg, Place("leg", "trades_settlementleg", "compare_arrows")),
    (Correction, CORRECTION),
    (DealersAction, Place("dealer's action", "trades_dealersaction", "gavel")),
    (Quote, Place("quote", "quotes_quote", "request_quote")),
    (Transfer, TRANSFER),
    (User, USER),
)


def search(request: HttpRequest) -> HttpResponse:
    """What the search box shows below it, rows first, then pages whose name has the term in it."""
    term = request.GET.get("s", "").strip()[:LONGEST]
    if not term or "\x00" in term:
        return HttpResponse()
    found = list(islice(found_by(request, term), MOST))
    extended = "extended" in request.GET
    template = "unfold/helpers/command_results.html" if extended else "unfold/helpers/search_results.html"
    paginator = Paginator(found, MOST)
    context = {
        "page_obj": paginator,
        "results": paginator.page(1),
        "page_counter": 0,
        "execution_time": 0,
        "command_show_history": False,
    }
    return TemplateResponse(request, template, context, headers={"HX-Trigger": "search", "Cache-Control": "no-store"})


def found_by(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    """Everything that a term names and this person may see: each way to find it asks the database only when its turn
    comes."""
    guid = pasted_guid(term)
    if guid is not None:
        yield from _by_guid(request, guid)
        return
    for rows, place in _sources(term):
        if may_see(request, place.model):
            for row in rows[:MOST]:
                yield _result(row, place)
    yield from _pages(request, term.lower())


def _sources(term: str) -> Iterator[tuple[QuerySet[Any], Place]]:
    if code := _CODE.fullmatch(term):
        yield Order.objects.filter(code=code[1].lower()), ORDER
        return
    small = term.lower()
    customers = Customer.objects.select_related("user")
    yield customers.filter(user__email__startswith=small).order_by("user__email"), CUSTOMER
    yield (
        customers.alias(small=Lower("name")).exclude(name="").filter(small__startswith=small).order_by("small"),
        CUSTOMER,
    )
    yield User.objects.filter(email__startswith=small, is_staff=True).order_by("email"), USER
    yield customers.filter(external_id=term), CUSTOMER
    yield Order.objects.filter(client_order_id=term), ORDER
    for column in ("reference", "remittance_reference", "external_id"):
        yield Payment.objects.filter(**{column: term}), PAYMENT
    yield Trade.objects.filter(external_id=term), TRADE
    yield Transfer.objects.filter(pk__in=Funding.objects.filter(reference=term).values("transfer_id")), TRANSFER
    yield Correction.objects.filter(_WAITING_FUNDING, reference=term), CORRECTION


def _by_guid(request: HttpRequest, guid: UUID) -> Iterator[SearchResult]:
    for model, place in BY_GUID:
        if may_see(request, place.model):
            for row in model._default_manager.filter(pk=guid):
                yield _result(row, place)


def _pages(request: HttpRequest, term: str) -> Iterator[SearchResult]:
    pages = [(group, title, page, model) for group, title, _, page, model in PAGES]
    lists = [
        (group, title, f"admin:{model}_changelist", model) for group, entries in GROUPS for title, _, model in entries
    ]
    for group, title, page, model in (*pages, *lists):
        if term in title.lower() and may_see(request, model):
            yield SearchResult(title, group, reverse(page), "tag")


def _result(row: Any, place: Place) -> SearchResult:
    return SearchResult(
        _title(row), _told(row, place), reverse(f"admin:{place.model}_change", args=[row.pk]), place.icon
    )


def _title(row: Any) -> str:
    return str(row.code if isinstance(row, Order) else row)


def _told(row: Any, place: Place) -> str:
    match row:
        case Customer():
            return " · ".join(filter(None, [place.called, row.user.email if row.user else "", row.state]))
        case Order():
            return f"{place.called} · {row.side} {row.instrument_id} · {row.status.lower()}"
        case Trade() | Payment():
            return f"{place.called} · {row.state}"
    return place.called


view = admin.site.admin_view(search)
