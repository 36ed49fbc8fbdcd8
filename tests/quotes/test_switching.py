"""An operator's halt: who does it, what it says, and what nobody can do."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.urls import reverse

from accounts import clock
from accounts.errors import Malformed
from accounts.events import OF_EVERYBODY
from accounts.identity import SYSTEM, Actor
from accounts.models import Event, User
from quotes import symbols
from quotes.errors import SwitchedAlready, UnknownSymbol
from quotes.hours import Phase, Switch
from quotes.models import MarketSwitch, TradingHours
from quotes.switching import switch_market
from tests.admin.actions import act, logged_in, offers, said
from tests.commands import ran
from tests.given import every_price_at_its_start
from tests.hours import keeps

pytestmark = pytest.mark.django_db


def phase(symbol: str = "BTC-USD") -> Phase:
    symbols.forget()
    return symbols.hours_of(symbol).state_at(clock.firm_now()).phase


def switches(to: Switch, **more: Any) -> MarketSwitch:
    wanted = {"by": SYSTEM, "reason": "a test", "at": clock.firm_now()} | more
    return switch_market("BTC-USD", to, **wanted)


def test_the_last_word_counts_and_all_of_them_stay():
    assert phase() is Phase.OPEN
    for to, is_now in ((Switch.HALTED, Phase.HALTED), (Switch.CLOSE_ONLY, Phase.CLOSE_ONLY), (Switch.NONE, Phase.OPEN)):
        switches(to)
        assert phase() is is_now
    assert list(MarketSwitch.objects.order_by("number").values_list("number", "switch")) == [
        (1, "halted"),
        (2, "close_only"),
        (3, "none"),
    ]
    assert phase("ETH-USD") is Phase.OPEN


def test_each_switch_is_an_event_of_everybody():
    """Guard: the trigger `tells_made` of quotes_marketswitch."""
    for to in (Switch.HALTED, Switch.CLOSE_ONLY, Switch.NONE):
        switches(to)

    told = Event.objects.order_by("transaction", "number").values_list("kind", "detail", "customer", "object_id")
    made = MarketSwitch.objects.order_by("number").values_list("pk", flat=True)
    kinds = ("market.halted", "market.close_only", "market.resumed")
    assert list(told) == [(kind, "BTC-USD", None, pk) for kind, pk in zip(kinds, made, strict=True)]
    assert set(kinds) <= set(OF_EVERYBODY)


def test_what_makes_no_sense_is_refused_and_writes_nothing():
    switches(Switch.HALTED)
    with pytest.raises(SwitchedAlready):
        switches(Switch.HALTED)
    for reason in ("", " ", "r" * 201, "two\nlines"):
        with pytest.raises(Malformed):
            switches(Switch.NONE, reason=reason)
    with pytest.raises(UnknownSymbol):
        switch_market("NO-SUCH", Switch.HALTED, by=SYSTEM, reason="a test", at=clock.firm_now())
    assert MarketSwitch.objects.count() == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE quotes_marketswitch SET switch = 'none'",
        "DELETE FROM quotes_marketswitch",
        "UPDATE quotes_tradinghours SET sessions = 'always' WHERE name = 'fx'",
        "DELETE FROM quotes_tradinghours WHERE name = 'metals'",
    ],
)
def test_history_and_hours_are_never_changed(sql):
    """Guards: `append_only` of the one, `never_changed` and `never_deleted` of the other. Changed hours would go round
    the two persons of a term."""
    switches(Switch.HALTED)
    with pytest.raises(DatabaseError, match=r"append-only|never|change"), transaction.atomic():
        connection.cursor().execute(sql)


def test_the_command_tells_and_switches():
    assert ran("market", "BTC", "halt", "--reason", "a test") == (0, "BTC-USD (always): halted\n", "")
    assert ran("market", "BTC", "halt", "--reason", "a test")[0] == 3
    assert ran("market", "BTC", "close-only") == (2, "", "Say why: --reason.")
    assert ran("market", "BTC", "resume", "--reason", "it is over") == (0, "BTC-USD (always): open\n", "")
    assert "EUR-USD (always): open\n" in ran("market")[1]
    assert ran("market", "NO-SUCH")[0] == 3


def test_the_desk_halts_in_its_own_name():
    every_price_at_its_start()
    client = logged_in("ann@firm.example")
    assert "switch" in offers(client, "quotes_instrument", "BTC-USD")

    answer = act(client, "quotes_instrument_switch", "BTC-USD", switch="halted", reason="a test")

    assert said(answer) == ["Switched: it counts everywhere within a second."]
    made = MarketSwitch.objects.get()
    assert (phase(), made.by and made.by.email) == (Phase.HALTED, "ann@firm.example")
    assert "halted" in client.get(reverse("admin:quotes_instrument_changelist")).content.decode()
    assert "halted" in client.get(reverse("admin:index")).content.decode()
    looker = logged_in("bob@firm.example", "quotes.view_instrument")
    assert looker.post(reverse("admin:quotes_instrument_switch", args=["BTC-USD"])).status_code == 403


def test_hours_are_made_at_the_desk_and_not_changed_there(client):
    client.force_login(User.objects.create_superuser("ann@firm.example", "a long enough word"))
    add = reverse("admin:quotes_tradinghours_add")
    given = {"name": "stocks", "time_zone": "America/New_York", "sessions": "mon-fri 09:30-16:00"}
    more = {"calendar": "NYSE", "closed_days": "", "pre_open_minutes": "30"}

    client.post(add, given | more | {"sessions": "whenever"})
    assert not TradingHours.objects.filter(name="stocks").exists()
    client.post(add, given | more)
    assert TradingHours.objects.get(name="stocks").as_hours().pre_open.total_seconds() == 1800

    page = reverse("admin:quotes_tradinghours_change", args=["stocks"])
    assert client.post(page, given | more | {"sessions": "always"}).status_code == 403


def test_hours_that_can_t_be_read_any_more_keep_their_market_closed(caplog):
    """Guard: `_readable`. A calendar that a new version of its package has lost would stop every process."""
    TradingHours.objects.create(name="lost", sessions="mon 09:00-10:00", calendar="NOWHERE")
    keeps("BTC-USD", "lost")
    state = symbols.hours_of("BTC-USD").state_at(clock.firm_now())
    assert (state.phase, state.next_open) == (Phase.CLOSED, None)
    assert symbols.hours_of("ETH-USD").state_at(clock.firm_now()).opens
    assert "There is no calendar NOWHERE." in caplog.text


def test_a_second_person_is_named_by_the_switch():
    bob = User.objects.create_superuser("bob@firm.example", "a long enough word")
    assert switches(Switch.HALTED, by=Actor(user_id=bob.pk)).by == bob
