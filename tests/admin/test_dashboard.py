"""The dashboard: what waits for who looks, the oldest first, and whether each part of the system is well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from accounts import events, streams
from accounts.models import Break, EventHorizon, ReconciliationRun, User
from brokerage.beat import ScheduleEntry, Scheduler
from tests.admin.actions import logged_in, page, shown
from tests.given import a_customer, btc_at
from tests.quotes.test_refused_prices_admin import feed_says
from tests.trades.engine_steps import opens
from trades.dealing import order as dealing
from trades.dealing.order import Wanted
from trades.models import Correction, DealersAction, SwapRun

pytestmark = pytest.mark.django_db

STREAM = "orders:{0}"


def the(client: Client) -> Any:
    return client.get("/admin/").context


def needs(client: Client) -> list[tuple[str, str]]:
    return [(need.does, need.about) for need in the(client)["needs"].shown]


def card(client: Client, title: str) -> tuple[str, str]:
    return next((card.value, card.mood) for card in the(client)["cards"] if card.title == title)


@pytest.fixture(autouse=True)
def _streams() -> Any:
    yield
    streams.client().delete(STREAM, f"{STREAM}:dead")


def user_of(client: Client) -> User:
    return User.objects.get(pk=client.session["_auth_user_id"])


def test_what_waits_for_me_comes_oldest_first_and_what_i_made_waits_for_another(maker: Client, checker: Client) -> None:
    """Guard: `of_others`. Without it a maker is sent to what they may not decide."""
    at, alice = timezone.now(), a_customer()
    mine, theirs = user_of(checker), user_of(maker)
    terms: dict[str, Any] = {"kind": "adjustment", "customer": alice, "asset_id": "USD", "amount": 1}
    terms |= {"direction": "credit", "reason": "x", "made_by": theirs}
    young = Correction.objects.create(**terms, made_at=at)
    old = Break.objects.create(
        kind="leg_difference", asset_id="BTC", amount=1, owner=mine, opened_at=at - timedelta(hours=2)
    )
    Break.objects.create(kind="leg_difference", asset_id="USD", amount=1, owner=theirs, opened_at=at)

    assert needs(checker) == [("Explain your break", "BTC"), ("Apply or reject a correction", "adjustment")]
    assert needs(maker) == [("Explain your break", "USD")]
    found = the(checker)["needs"]
    assert [need.url for need in found.shown] == [page("accounts_break", old.pk), page("trades_correction", young.pk)]
    answer = checker.get("/admin/")
    assert "<title>" in answer.content.decode()
    assert "(2) Dashboard" in answer.content.decode()
    assert "dashboard.js" in answer.content.decode()


def test_nobody_is_sent_to_what_they_may_not_do() -> None:
    at = timezone.now()
    Correction.objects.create(
        kind="capital_in", asset_id="USD", amount=1, reason="x", reference="r", made_at=at,
        made_by=User.objects.create_user("maker@firm.example", is_staff=True),
    )  # fmt: skip
    looks = logged_in("looks@firm.example", "trades.view_correction")
    decides = logged_in("decides@firm.example", "trades.view_correction", "accounts.apply_correction")

    assert (needs(looks), needs(decides)) == ([], [("Apply or reject a correction", "capital_in")])
    assert "Nothing waits for you." in shown(looks.get("/admin/"))


def test_a_dealers_action_a_refused_price_and_dead_letters_need_somebody(
    maker: Client, checker: Client, settings: Any
) -> None:
    btc_at("40_000.00")
    alice = a_customer(with_usd="100_000.00")
    opens(alice)
    wanted = Wanted(DealersAction.Kind.CLOSE_ALL, symbol="BTC-USD")
    dealing.propose(wanted, reason="delisted", by=user_of(maker).pk, at=timezone.now())
    feed_says("420000", "420100")
    streams.client().xadd(f"{STREAM}:dead", {"reason": "x"})

    found = needs(checker)
    assert ("Order or refuse a dealer's action", "delisted") in found
    assert ("Look at a refused price", "BTC-USD") in found
    assert ("Look at dead letters", "1") in found
    assert ("Order or refuse a dealer's action", "delisted") not in needs(maker)


def test_a_dead_worker_a_dead_beat_and_a_dead_engine_are_seen_within_twenty_seconds(browser: Client) -> None:
    """Both could be dead for 45 s with everything green."""
    every = IntervalSchedule.objects.create(every=1, period="seconds")
    task = PeriodicTask.objects.create(name="x", task="x", interval=every, last_run_at=timezone.now())
    EventHorizon.objects.all().delete()
    assert card(browser, "Workers")[0] == "not seen yet"
    events.note_horizon()
    streams.client().xadd(STREAM, {"c": "x"}, id="1-1")

    assert card(browser, "Workers") == ("running", "admin-good")
    assert card(browser, "Scheduler") == ("running", "admin-good")
    assert card(browser, "Commands") == ("1", "admin-bad")

    EventHorizon.objects.all().delete()
    EventHorizon.objects.create(at=timezone.now() - timedelta(seconds=21), transaction=1)
    PeriodicTask.objects.filter(pk=task.pk).update(last_run_at=timezone.now() - timedelta(seconds=21))
    streams.client().delete(STREAM)
    assert card(browser, "Workers") == ("silent", "admin-bad")
    assert card(browser, "Scheduler") == ("silent", "admin-bad")
    assert card(browser, "Commands") == ("none wait", "admin-good")
    assert [one.title for one in the(browser)["unwell"]][:1] == ["Price feed"]
    assert "Well: Margin calls" in shown(browser.get("/admin/"))


def test_beat_notes_a_run_and_leaves_what_somebody_has_changed_meanwhile() -> None:
    """Guard: `ScheduleEntry.save` writes two columns. Beat, every five seconds, would undo an operator's edit."""
    assert Scheduler.sync_every == 5
    every = IntervalSchedule.objects.create(every=1, period="seconds")
    task = PeriodicTask.objects.create(name="x", task="x", interval=every)
    entry = ScheduleEntry(task)
    PeriodicTask.objects.filter(pk=task.pk).update(enabled=False, description="off for tonight")
    entry.model.last_run_at, entry.model.total_run_count = timezone.now(), 7

    entry.save()

    after = PeriodicTask.objects.get(pk=task.pk)
    assert (after.enabled, after.description, after.total_run_count) == (False, "off for tonight", 7)
    task.delete()
    with pytest.raises(PeriodicTask.DoesNotExist):
        entry.save()


def test_a_night_that_is_not_done_and_a_statement_that_differs_are_unwell(browser: Client) -> None:
    at = timezone.now()
    assert card(browser, "Last night's swap")[1] == card(browser, "Reconciliation")[1] == ""
    old = {"cutoff": at, "prices": {}, "started_at": at}
    SwapRun.objects.create(partition=0, night=(at - timedelta(days=9)).date(), done_at=at, **old)
    ReconciliationRun.objects.create(as_of=at, at=at, made_by=user_of(browser), source="bank.csv", ok=False)

    assert card(browser, "Last night's swap") == ("not begun", "admin-bad")
    assert card(browser, "Reconciliation") == ("differs", "admin-bad")
    assert reverse("admin:trades_swaprun_changelist") in browser.get("/admin/").content.decode()
