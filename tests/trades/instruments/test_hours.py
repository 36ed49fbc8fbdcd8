"""Which hours a market keeps is a term that two persons change, and the book is run before."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from accounts import clock
from accounts.errors import Malformed
from quotes import symbols
from quotes.models import InstrumentChange
from tests.given import a_customer, price_at
from tests.hours import keeps
from tests.trades.engine_steps import opens
from tests.trades.instruments.staff import applies, now, proposes, somebody
from trades.errors import MakerIsChecker
from trades.instruments.selectors import changes_shown

pytestmark = pytest.mark.django_db


def test_hours_are_given_by_two_persons_and_count_at_once(django_capture_on_commit_callbacks):
    """Guards: the band of `trading_hours_id`, and `terms_beyond_band`, in which a name is no number."""
    maker = somebody()
    proposed = proposes("EUR-USD", by=maker, trading_hours_id="fx")
    assert (proposed.state, proposed.needs_checker, proposed.fires) == ("proposed", True, False)
    assert changes_shown(proposed) == "trading_hours_id always to fx"
    with pytest.raises(MakerIsChecker):
        applies(proposed, by=maker)
    with django_capture_on_commit_callbacks(execute=True):
        applies(proposed)
    assert now("EUR-USD").trading_hours_id == "fx"
    assert not symbols.hours_of("EUR-USD").hours.never_closes


def test_hours_change_beside_a_number_and_never_by_one_alone():
    proposed = proposes("EUR-USD", trading_hours_id="metals", fee_bps="11")
    assert proposed.needs_checker
    assert proposed.new == {"trading_hours_id": "metals", "fee_bps": "11.000"}
    alone = InstrumentChange(
        instrument_id="XAU-USD",
        old={"trading_hours_id": "always"},
        new={"trading_hours_id": "fx"},
        stated={},
        fires=False,
        needs_checker=False,
        reason="alone",
        made_by_id=somebody(),
        made_at=clock.now(),
    )
    alone.save()
    alone.state, alone.decided_at = InstrumentChange.State.APPLIED, clock.now()
    with pytest.raises(IntegrityError, match="needs a second person"), transaction.atomic():
        alone.save(update_fields=["state", "decided_at"])


@pytest.mark.parametrize("name", ["nowhere", "none", "", 1, None, "fx\0"])
def test_hours_that_nobody_made_are_refused(name):
    with pytest.raises(Malformed, match="there are no trading hours named"):
        proposes("EUR-USD", trading_hours_id=name)


def test_what_would_fire_once_it_is_open_is_stated():
    """Guard: HOURS among what the preview runs the book for. It rests now, and its last price is beyond a stop."""
    price_at("EUR-USD", "1.0875")
    opens(a_customer(with_usd="10_000.00"), symbol="EUR-USD", quantity="10000", leverage=100, stopLoss="1.08")
    keeps("EUR-USD", "fx")
    price_at("EUR-USD", "1.05")

    assert proposes("EUR-USD", trading_hours_id="always").stated["stop_losses"] == 1
