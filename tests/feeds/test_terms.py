"""What an instrument asks of its sources: the database refuses what makes no sense, and Python says it in words."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, transaction

from accounts.errors import Malformed
from quotes.models import Instrument
from tests.trades.instruments.staff import proposes

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("wrong", "constraint"),
    [
        ({"markup_bps": -1}, "instrument_markup_is_a_part"),
        ({"markup_bps": 10_000}, "instrument_markup_is_a_part"),
        ({"least_sources": 0}, "instrument_least_sources_are_some"),
        ({"least_sources": 17}, "instrument_least_sources_are_some"),
        ({"outlier_percent": 0}, "instrument_outlier_percent_positive"),
    ],
)
def test_the_database_refuses_terms_that_make_no_sense(wrong, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Instrument.objects.filter(pk="BTC-USD").update(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"markup_bps": "10000"}, {"least_sources": "0"}, {"least_sources": "1.5"}, {"outlier_percent": "0"}]
)
def test_who_proposes_them_is_told(wrong):
    with pytest.raises(Malformed):
        proposes(**wrong)
