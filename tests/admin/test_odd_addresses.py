"""Whatever stands in a page's address: the page, or the way to it, and never a fault of the server."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db

NAMES = sorted(f"{model._meta.app_label}_{model._meta.model_name}" for model in admin.site._registry)
LOOKUPS = {"exact": "\0", "in": "\0,", "gte": "never", "year": "99999999999", "isnull": "perhaps", "lt": "-"}
WHOLE = (
    *("p=-5", "p=1000000000000000000000", "p=x", "o=999.1", "o=-99999999999999999999999", "all=", "_facets=x"),
    *("q=%00", "q=" + "a" * 5_000, "q=%ED%A0%80", "before=%00", "before=zzz", "called=%00", "pk__in=,,,"),
)


def odd_parameters(name: str) -> list[str]:
    """Those of every list, and of this one's filters."""
    page = next(
        page
        for model, page in admin.site._registry.items()
        if name == f"{model._meta.app_label}_{model._meta.model_name}"
    )
    fields = {field for field in page.list_filter if isinstance(field, str)} | {"created_at", "id"}
    return [*WHOLE, *(f"{field}__{lookup}={quote(value)}" for field in fields for lookup, value in LOOKUPS.items())]


@pytest.mark.parametrize("name", NAMES)
def test_no_odd_parameter_of_a_list_is_a_fault_of_the_server(browser: Client, name: str) -> None:
    """Guard: `OddAddressMiddleware`."""
    url = reverse(f"admin:{name}_changelist")

    found = {odd: browser.get(f"{url}?{odd}") for odd in odd_parameters(name)}

    assert {odd: answer.status_code for odd, answer in found.items() if answer.status_code not in (200, 302, 400)} == {}
    assert {answer["Location"].partition("?")[0] for answer in found.values() if answer.status_code == 302} <= {url, ""}


@pytest.mark.parametrize("name", NAMES)
def test_no_odd_key_is_a_fault_of_the_server(browser: Client, name: str) -> None:
    found = {
        (page, key): browser.get(reverse(f"admin:{name}_{page}", args=["KEY"]).replace("KEY", quote(key))).status_code
        for page in ("change", "history", "delete")
        for key in ("\0", "abc", "9" * 40, "_00")
    }

    assert set(found.values()) <= {302, 403, 404}, found


def test_who_asked_for_something_that_cant_be_gets_the_page_and_is_told(
    browser: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Guard: `OddAddressMiddleware`."""
    url = reverse("admin:trades_order_changelist")

    with caplog.at_level(logging.WARNING, "brokerage.http.odd_addresses"):
        answer = browser.get(f"{url}?created_at__year=99999999999", follow=True)

    assert answer.redirect_chain == [(url, 302)]
    assert "can&#x27;t be; this is the page without it" in answer.text
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_a_fault_of_ours_is_none_of_the_address(browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ChangeList, request: Any) -> None:
        raise ValueError("ours")

    url = reverse("admin:trades_order_changelist")
    monkeypatch.setattr(ChangeList, "get_queryset", broken)

    with pytest.raises(ValueError, match="ours"):
        browser.get(url)
    with pytest.raises(ValueError, match="ours"):
        browser.post(f"{url}?p=1", {"action": "x"})
