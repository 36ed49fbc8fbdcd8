"""Changes of instruments in the admin: one proposes and sees what would fire, another one decides."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from quotes.models import Instrument, InstrumentChange
from quotes.models.instrument import MOVING
from tests.admin.actions import act, edited, hidden, logged_in, offers, page, said, sent, shown
from tests.trades.instruments.staff import BTC, a_hedger, any_spread_counts, now

pytestmark = pytest.mark.django_db

CHANGE = "quotes_instrumentchange"
PROPOSE = f"{CHANGE}_propose"
WIDE = {"instrument": BTC, "reason": "a thin market", "spread_bps": "9999"}


@pytest.fixture(autouse=True)
def _any_spread_counts(db: None) -> None:
    any_spread_counts()


def proposed(client: Client, **changed: Any) -> list[str]:
    return said(act(client, PROPOSE, **WIDE | changed))


def test_one_proposes_what_would_fire_is_shown_and_another_applies(maker: Client, checker: Client) -> None:
    a_hedger()

    assert proposed(maker) == [
        "The change is proposed; a second person applies it. What it would fire stands on its page."
    ]
    one = InstrumentChange.objects.get()
    text = shown(checker.get(page(CHANGE, one.pk)))
    assert "spread_bps 5 9999" in text
    assert "At 20007.00 / 60013.00: 2 positions closed by their stop loss" in text
    assert "losses of customers: 4002.60" in text
    assert offers(checker, CHANGE, one.pk) == {"apply", "refuse"}

    assert said(act(maker, f"{CHANGE}_apply", one.pk)) == ["Whoever proposed a change can't apply it."]
    assert now().spread_bps == 5
    for _ in range(2):
        assert said(act(checker, f"{CHANGE}_apply", one.pk)) == ["The change is applied."]
    assert now().spread_bps == Decimal("9999")
    assert offers(checker, CHANGE, one.pk) == set()
    assert "fires" in shown(maker.get(reverse(f"admin:{CHANGE}_changelist")))


def test_a_change_within_the_band_is_applied_at_once(maker: Client) -> None:
    assert proposed(maker, spread_bps="6", fee_bps="26") == [
        "The change is applied: it is within the band, and nothing fires."
    ]
    assert (now().spread_bps, now().fee_bps) == (6, 26)
    assert "within the band" in shown(maker.get(page(CHANGE, InstrumentChange.objects.get().pk)))


def test_a_refused_change_changes_nothing(maker: Client, checker: Client) -> None:
    proposed(maker)
    one = InstrumentChange.objects.get()

    assert said(act(checker, f"{CHANGE}_refuse", one.pk)) == ["The change is refused; nothing changed."]
    assert now().spread_bps == 5


def test_a_dialog_answered_twice_is_one_proposal(maker: Client) -> None:
    """Guard: `once`. Without it the second answer is refused, and who clicked twice thinks that nothing was done."""
    url = reverse(f"admin:{PROPOSE}")
    unseen = hidden(maker.get(url))

    answers = [said(maker.post(url, {**unseen, **WIDE}, follow=True)) for _ in range(2)]

    assert answers[0] == answers[1]
    assert InstrumentChange.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"spread_bps": "-1"},
        {"spread_bps": ""},
        {"spread_bps": " 9"},
        {"spread_bps": "\uff19"},
        {"spread_bps": "5"},
        {"leverage_cap": "1.5"},
        {"instrument": "XXX-USD"},
        {"reason": ""},
        {"once": "x"},
    ],
)
def test_what_makes_no_sense_is_said_and_proposes_nothing(maker: Client, wrong: dict[str, str]) -> None:
    url = reverse(f"admin:{PROPOSE}")
    answer = maker.post(url, {**hidden(maker.get(url)), **WIDE, **wrong}, follow=True)

    assert answer.status_code == 200
    assert not InstrumentChange.objects.exists()


def test_the_instrument_s_page_shows_its_moving_terms_and_takes_none(browser: Client) -> None:
    """A form that is sent all the same changes nothing of them."""
    url = page("quotes_instrument", BTC)
    text = browser.get(url).content.decode()
    assert not [name for name in MOVING if f'name="{name}"' in text]
    assert f"{reverse(f'admin:{CHANGE}_changelist')}?instrument__symbol__exact=BTC-USD" in text
    assert browser.get(f"{reverse(f'admin:{CHANGE}_changelist')}?instrument__symbol__exact=BTC-USD").status_code == 200
    row = Instrument.objects.get(pk=BTC)
    form = {"name": "Bitcoin!", "is_active": "on", "min_quantity": "0.00001", "max_quantity": "1000", "image_url": ""}

    answer = edited(browser, url, {**form, "spread_bps": "9999", "leverage_cap": "1", "agreed": "{}"})

    assert answer.status_code == 302
    assert (now().name, now().spread_bps, now().leverage_cap) == ("Bitcoin!", row.spread_bps, row.leverage_cap)


def test_who_may_neither_propose_nor_decide_sees_no_buttons(maker: Client) -> None:
    proposed(maker)
    one = InstrumentChange.objects.get()
    reader = logged_in("reader@firm.example", "quotes.view_instrumentchange", "quotes.view_instrument")

    assert offers(reader, CHANGE, one.pk) == set()
    assert reader.get(reverse(f"admin:{PROPOSE}")).status_code == 403
    assert reader.post(reverse(f"admin:{CHANGE}_apply", args=[one.pk]), sent()).status_code == 403
    assert InstrumentChange.objects.get().state == "proposed"
