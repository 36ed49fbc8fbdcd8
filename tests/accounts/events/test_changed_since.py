"""Lists by `updated_at_gte`: who asks again from the latest time that it has seen misses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.urls import get_resolver

from accounts import events
from accounts.models import EventHorizon
from accounts.models.event import LARGEST
from accounts.rest.filters import ChangedSince, Filters
from accounts.tasks import note_horizon
from quotes.models import Quote
from tests.accounts.events.places import here
from tests.caller import a_firm
from tests.given import a_customer, a_quote, btc, btc_at, executes
from tests.moved_clock import moved_ahead
from tests.roles import ONE_ROLE, application, refuses
from trades.models import Trade

__all__ = ["application"]

pytestmark = pytest.mark.django_db(transaction=True)


def shown(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def a_buy() -> Quote:
    return a_quote(a_customer(), receive=btc("0.1"))


def listed(**query: Any) -> list[str]:
    status, page = a_firm().get("/api/trades", **query)
    assert status == 200
    return [trade["guid"] for trade in page["objects"]]


@pytest.fixture(params=[timedelta(0), timedelta(days=1)], ids=["real time", "a day ahead"])
def _firms_time(request: pytest.FixtureRequest) -> Iterator[None]:
    with moved_ahead(request.param):
        yield


@pytest.mark.usefixtures("_firms_time")
def test_what_was_changed_earlier_and_committed_later_is_found() -> None:
    """Guards: the transactions' numbers in `ChangedSince`, and `real_of` there a day ahead. A poller saw the second
    trade while the first one, made before, was still held open; asking again from there must show the first one, too.
    """
    btc_at("40_000.00")
    long_ago = executes(a_buy())
    first, second = a_buy(), a_buy()
    here()
    note_horizon()
    made: list[Trade] = []
    is_made, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with closing(connection), transaction.atomic():
            made.append(executes(first))
            is_made.set()
            may_commit.wait(2)

    writer = threading.Thread(target=slow)
    writer.start()
    assert is_made.wait(10)
    note_horizon()
    later = executes(second)
    before = listed(updated_at_gte=shown(later.updated_at))
    may_commit.set()
    writer.join(10)
    note_horizon()

    assert made[0].updated_at < later.updated_at
    assert before == [later.pk.hex]
    after = listed(updated_at_gte=shown(later.updated_at))
    assert sorted(after) == sorted([made[0].pk.hex, later.pk.hex])
    assert long_ago.pk.hex not in after


def test_what_was_committed_long_before_is_not_shown_again() -> None:
    btc_at("40_000.00")
    old = executes(a_buy())
    here()
    note_horizon()
    new = executes(a_buy())

    assert listed(updated_at_gte=shown(new.updated_at)) == [new.pk.hex]
    assert listed(updated_at_gte=shown(old.updated_at)) == [new.pk.hex, old.pk.hex]


def test_before_the_first_note_times_alone_count() -> None:
    btc_at("40_000.00")
    trade = executes(a_buy())
    EventHorizon.objects.all().delete()

    assert listed(updated_at_gte=shown(trade.updated_at)) == [trade.pk.hex]
    assert listed(updated_at_gte="2999-01-01T00:00:00Z") == []


def test_every_list_by_what_has_changed_makes_the_same_promise() -> None:
    """Guard: `ChangedSince` in each resource's filters."""
    get_resolver().url_patterns  # noqa: B018 - which imports every resource
    by_change = {
        filters.__name__: filters.base_filters["updated_at_gte"]
        for filters in Filters.__subclasses__()
        if "updated_at_gte" in filters.base_filters
    }

    assert len(by_change) >= 6
    assert [name for name, one in by_change.items() if not isinstance(one, ChangedSince)] == []


def test_a_note_says_what_runs() -> None:
    events.note_horizon()
    last = EventHorizon.objects.latest("at")

    assert (last.transaction - 1, LARGEST) <= events.horizon()


@pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role")
def test_the_application_notes_what_runs_and_nothing_else(application: psycopg.Connection) -> None:
    """Guard: the triggers of accounts_eventhorizon. A note that is too high would make lists miss changes."""
    application.execute("SELECT note_event_horizon()")

    assert refuses(application, "INSERT INTO accounts_eventhorizon VALUES (now(), 1)")
    assert refuses(application, "UPDATE accounts_eventhorizon SET transaction = 9")
    assert refuses(application, "DELETE FROM accounts_eventhorizon")
