"""Races of changes of instruments. Each names its guard and was seen to fail without it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.errors import KeyReused
from quotes.models import Instrument, InstrumentChange
from tests.races.together import together
from tests.trades.instruments.staff import BTC, any_spread_counts, now, proposes, somebody
from trades.instruments import change
from trades.instruments.errors import ChangeDecided, ChangeWaits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    """Instruments are reference data: no test empties them."""
    before = {row.symbol: row for row in Instrument.objects.all()}
    any_spread_counts()
    yield
    for symbol, row in before.items():
        Instrument.objects.filter(pk=symbol).update(
            spread_bps=row.spread_bps,
            max_spread_percent=row.max_spread_percent,
            fee_bps=row.fee_bps,
            agreed=row.agreed,
        )


def test_ten_checkers_at_once_apply_a_change_once():
    """Guard: the change's row is locked before its state is looked at. Without it several carry it out, and the
    triggers break their transactions instead of refusing them."""
    proposed = proposes(spread_bps="9999")

    results = together([partial(change.apply, proposed.pk, by=somebody(), at=timezone.now()) for _ in range(10)])

    assert Counter(type(result) for result in results) == {InstrumentChange: 1, ChangeDecided: 9}, results
    assert now().spread_bps == 9999


def test_one_applies_and_one_refuses_at_once():
    """Guard: the same lock."""
    for _ in range(5):
        Instrument.objects.filter(pk=BTC).update(spread_bps=5)
        proposed = proposes(spread_bps="9999")
        calls = [partial(does, proposed.pk, by=somebody(), at=timezone.now()) for does in (change.apply, change.refuse)]

        results = together(calls)

        assert Counter(type(result) for result in results) == {InstrumentChange: 1, ChangeDecided: 1}, results
        proposed.refresh_from_db()
        assert now().spread_bps == (9999 if proposed.state == "applied" else 5)


def test_ten_narrow_steps_at_once_are_each_judged_by_what_the_others_left():
    """Guard: the instrument's row is locked before its terms are read. Without it two read the same terms, and a
    trigger breaks the second's transaction."""
    results = together([partial(proposes, by=somebody(), spread_bps=f"{5 + n / 4}") for n in range(1, 11)])

    assert {type(result) for result in results} == {InstrumentChange}, results
    assert Counter(result.state for result in results) == {"applied": 10}
    assert InstrumentChange.objects.filter(state="applied").count() == 10
    assert now().agreed == {"spread_bps": "5.000"}


def test_ten_proposals_at_once_are_one():
    """Guard: the same lock; without it the constraint one_open_change_per_instrument breaks the others."""
    results = together([partial(proposes, by=somebody(), spread_bps="9999") for _ in range(10)])

    assert Counter(type(result) for result in results) == {InstrumentChange: 1, ChangeWaits: 9}, results


@pytest.mark.parametrize(("spread_bps", "state"), [("6", "applied"), ("9999", "proposed")])
def test_a_dialog_that_is_answered_ten_times_at_once_makes_one_change(spread_bps, state):
    """Guard: the dialog's key is looked for with the instrument's row locked. Without that a double click is told that
    another change waits, or that nothing changes."""
    answer = {"by": somebody(), "once": uuid4(), "spread_bps": spread_bps}

    results = together([partial(proposes, **answer) for _ in range(10)])

    assert {getattr(result, "pk", result) for result in results} == {InstrumentChange.objects.get().pk}
    assert InstrumentChange.objects.get().state == state


def test_a_dialog_that_is_answered_for_two_instruments_at_once_makes_one_change():
    """Guard: `quotes_instrumentchange.once` is unique, and who it refuses is told of the reused key. Two instruments'
    rows are locked, so nothing else is between the two."""
    any_spread_counts("ETH-USD")
    maker = somebody()
    for _ in range(5):
        calls = [partial(proposes, symbol, by=maker, spread_bps="9999") for symbol in (BTC, "ETH-USD")]
        once = uuid4()

        results = together([partial(call, once=once) for call in calls])

        assert Counter(type(result) for result in results) == {InstrumentChange: 1, KeyReused: 1}, results
        change.refuse(InstrumentChange.objects.get(once=once).pk, by=maker, at=timezone.now())
