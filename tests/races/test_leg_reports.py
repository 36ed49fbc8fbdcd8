"""Races of reports: one reference on two legs at once, one report twice at once."""

from __future__ import annotations

from functools import partial

import pytest
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Transfer
from tests.given import what_the_audit_finds
from tests.races.together import together
from tests.trades.settlement.test_leg_history import a_leg
from trades.errors import ReferenceUsed
from trades.models import LegReport, SettlementLeg
from trades.settlement.legs import settle_leg

pytestmark = pytest.mark.django_db(transaction=True)


def test_one_reference_that_is_reported_of_many_legs_at_once_settles_one():
    """Guard: the trigger `claim_reference`, whose INSERT waits for whoever claims the same. Without it each of them
    looks before any other has committed, and all are settled."""
    for time in range(5):
        legs = [a_leg() for _ in range(4)]
        reports = [
            partial(settle_leg, leg.pk, actual=5, reference=f"wire {time}", by=SYSTEM, at=timezone.now(), final=True)
            for leg in legs
        ]

        results = together(reports)

        assert [type(one) for one in results].count(SettlementLeg) == 1, results
        assert [type(one) for one in results].count(ReferenceUsed) == 3, results
    assert LegReport.objects.count() == 5
    assert what_the_audit_finds() == []


def test_one_report_that_comes_many_times_at_once_counts_once():
    """Guard: the leg's row is locked before it is looked at."""
    leg = a_leg()
    report = partial(settle_leg, leg.pk, actual=5, reference="wire 1", by=SYSTEM, at=timezone.now(), final=True)

    results = together([report] * 6)

    assert {getattr(one, "attempts", one) for one in results} == {1}
    assert LegReport.objects.count() == Transfer.objects.filter(kind="leg_settled").count() == 1
    assert what_the_audit_finds() == []


def test_one_part_that_comes_many_times_at_once_counts_once():
    """Guard: the leg's row is locked before its history is looked at. Without it `one_report_per_reference` refuses the
    second one, and somebody gets a 500 for what was noted."""
    leg = a_leg()
    part = partial(settle_leg, leg.pk, actual=5, reference="wire 1", by=SYSTEM, at=timezone.now())

    results = together([part] * 6)

    assert {getattr(one, "attempts", one) for one in results} == {1}
    leg.refresh_from_db()
    assert (int(leg.actual), leg.status) == (5, "partially_settled")
    assert what_the_audit_finds() == []


def test_parts_that_come_at_once_all_count():
    """Guard: the leg's row is locked, so nobody adds to what was there before another one's part."""
    leg = a_leg()
    parts = [
        partial(settle_leg, leg.pk, actual=number, reference=f"wire {number}", by=SYSTEM, at=timezone.now())
        for number in range(1, 9)
    ]

    results = together(parts)

    assert [one for one in results if isinstance(one, Exception)] == []
    leg.refresh_from_db()
    assert (int(leg.actual), leg.attempts) == (36, 8)
    assert what_the_audit_finds() == []
