"""Switching a control off takes two persons; switching it on again is one person's."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import deeds, services
from accounts.models import ApiClient
from tests.admin.actions import act, browser_with, edited, offers, page, said, shown
from tests.without_guards import without_guards
from trades.models import ControlChange, SettlementWindow

pytestmark = pytest.mark.django_db

CONTROL = "trades_controlchange"


@pytest.fixture
def window() -> SettlementWindow:
    """One whose batches a person confirms."""
    one = SettlementWindow.objects.order_by("name").first()
    SettlementWindow.objects.filter(pk=one.pk).update(is_automatic=False, legs_are_automatic=False)
    return one


@pytest.fixture
def client_() -> ApiClient:
    return services.create_api_client("partner", ["trades:read"], timezone.now())[0]


def proposed(maker: Client, window: SettlementWindow) -> ControlChange:
    told = said(
        act(maker, "trades_settlementwindow_propose_automatic", window.pk, adds=["is_automatic"], reason="slow")
    )
    assert told == ["It is proposed; a second person applies it."]
    return ControlChange.objects.get()


def test_a_window_becomes_automatic_by_two_persons_and_stops_by_one(maker, checker, window):
    change = proposed(maker, window)
    assert offers(maker, CONTROL, change.pk) == {"refuse"}
    assert said(act(maker, f"{CONTROL}_apply", change.pk)) == [
        "Whoever proposed to switch a control off can't apply it."
    ]

    text = shown(checker.get(reverse(f"admin:{CONTROL}_apply", args=[change.pk])))
    assert "Proposed by maker@firm.example" in text
    assert "its batches are confirmed by nobody" in text
    assert said(act(checker, f"{CONTROL}_apply", change.pk)) == ["The control is switched off."]
    window.refresh_from_db()
    assert (window.is_automatic, window.legs_are_automatic) == (True, False)

    kept = {"name": window.name, "cron": window.cron, "time_zone": window.time_zone, "calendar": window.calendar}
    kept |= {"netting": "batch", "value_days": "0", "is_active": "on"}
    edited(maker, page("trades_settlementwindow", window.pk), kept)
    window.refresh_from_db()
    assert not window.is_automatic
    refused = edited(maker, page("trades_settlementwindow", window.pk), {**kept, "is_automatic": "on"})
    assert "That takes two persons" in shown(refused)


def test_a_new_window_begins_with_a_person(maker):
    given = {"name": "new", "asset_kind": "crypto", "cron": "0 9 * * *", "time_zone": "UTC", "calendar": ""}
    given |= {"netting": "batch", "value_days": "0", "is_active": "on"}

    refused = maker.post(reverse("admin:trades_settlementwindow_add"), {**given, "legs_are_automatic": "on"})
    assert "That takes two persons" in shown(refused)
    assert maker.post(reverse("admin:trades_settlementwindow_add"), given).status_code == 302
    made = SettlementWindow.objects.get(name="new")
    assert (made.is_automatic, made.legs_are_automatic) == (False, False)


def test_scopes_that_do_something_are_added_by_two_persons(maker, checker, client_):
    scopes = ["trades:read", "trades:execute", "quotes:read"]
    refused = maker.post(
        page("accounts_apiclient", client_.pk), {"name": "partner", "is_active": "on", "scopes": scopes}
    )
    assert "That takes two persons: save it without trades:execute" in shown(refused)
    refused = maker.post(reverse("admin:accounts_apiclient_add"), {"name": "other", "scopes": scopes})
    assert "That takes two persons" in shown(refused)
    assert ApiClient.objects.count() == 1

    act(maker, "accounts_apiclient_propose_scopes", client_.pk, adds=["trades:execute"], reason="they trade now")
    act(checker, f"{CONTROL}_apply", ControlChange.objects.get().pk)
    client_.refresh_from_db()
    assert client_.scopes == ["trades:execute", "trades:read"]
    edited(
        maker,
        page("accounts_apiclient", client_.pk),
        {"name": "partner", "is_active": "on", "scopes": ["trades:read"]},
    )
    client_.refresh_from_db()
    assert client_.scopes == ["trades:read"]


def test_the_database_loosens_nothing_without_two_persons(maker, checker, window, client_):
    """Guards: the triggers loosened_by_two, proposed_first and stamped, and control_maker_is_not_checker. An applied
    proposal of before loosens nothing again."""
    change = proposed(maker, window)
    mine = ControlChange.objects.filter(pk=change.pk)
    windows, clients = SettlementWindow.objects.filter(pk=window.pk), ApiClient.objects.filter(pk=client_.pk)
    for loosens in (
        lambda: windows.update(is_automatic=True),
        lambda: windows.update(legs_are_automatic=True),
        lambda: clients.update(scopes=["trades:execute"]),
        lambda: mine.update(state="applied", decided_at=timezone.now(), checked_by=change.made_by_id),
        lambda: mine.update(state="applied", decided_at=timezone.now()),
        lambda: ControlChange.objects.create(
            kind="window", subject=client_.pk, adds=["is_automatic"], state="applied", reason="x",
            made_by=change.made_by, made_at=timezone.now(), decided_at=timezone.now(),
        ),
    ):  # fmt: skip
        with pytest.raises(IntegrityError), transaction.atomic():
            loosens()

    act(checker, f"{CONTROL}_apply", change.pk)
    windows.update(is_automatic=False)
    # The test is one transaction: as if it had been applied in another.
    without_guards("trades_controlchange", "UPDATE trades_controlchange SET applied_in = '1'")
    with pytest.raises(IntegrityError, match="two persons"), transaction.atomic():
        windows.update(is_automatic=True)
    clients.update(scopes=["trades:read", "quotes:read"])  # what only reads is one person's


def test_who_decides_is_risk_or_an_administrator_and_what_is_there_already_is_not_proposed(maker, window):
    change = proposed(maker, window)

    assert offers(browser_with(deeds.RISK), CONTROL, change.pk) == {"apply", "refuse"}
    assert offers(browser_with(deeds.MAKER), CONTROL, change.pk) == set()
    again = act(maker, "trades_settlementwindow_propose_automatic", window.pk, adds=["is_automatic"], reason="slow")
    assert said(again) == ["Another proposal about it waits to be decided on."]
    act(maker, f"{CONTROL}_refuse", change.pk)
    assert ControlChange.objects.get().checked_by is None
