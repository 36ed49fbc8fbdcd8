"""Engines of several partitions open at once against one limit of the firm, and limits change while ticks run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Event

import pytest
from django.db import transaction

from accounts.ids import partition_of
from accounts.models import Customer
from quotes import prices
from tests.given import a_customer, btc_at, what_the_audit_finds
from tests.races.together import together, wait_until_waiting
from tests.sizes import size
from tests.trades.engine_steps import opening, opens
from trades import risk_limits
from trades.engine.apply import apply
from trades.engine.lease import Lease
from trades.margin.commands import Command
from trades.models import EngineLease, OpenExposure, Order

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def traders() -> Iterator[list[Customer]]:
    """One each of several partitions. The books are right afterwards."""
    btc_at("40_000.00")
    found: dict[int, Customer] = {}
    while len(found) < 6:
        customer = a_customer(f"trader-{len(found)}", with_usd="100_000.00")
        found.setdefault(partition_of(customer.pk), customer)
    yield list(found.values())
    assert what_the_audit_finds() == []


def ticks(*commands: Command) -> list[int]:
    """One tick of an engine; the statuses of its answers."""
    with transaction.atomic():
        return [one.status for one in apply(commands, prices.latest()).answers]


def bought() -> int:
    return int(sum(row.bought for row in OpenExposure.objects.all()))


def test_who_opens_second_counts_what_the_first_has_opened_in_another_partition(traders: list[Customer]) -> None:
    """Guard: `pg_advisory_xact_lock` in `engine/risk_limits.load`. Without it both see nothing open, and both open."""
    risk_limits.put("symbol", 4_000)
    has_opened = Event()

    def first() -> list[int]:
        with transaction.atomic():
            said = ticks(opening(traders[0]))
            has_opened.set()
            wait_until_waiting()
        return said

    def second() -> list[int]:
        assert has_opened.wait(60)
        return ticks(opening(traders[1]))

    assert together([first, second]) == [[200], [400]]
    assert bought() == 400_000


@pytest.mark.parametrize("kind", ["symbol", "firm", "symbol_net", "firm_net"])
def test_many_that_open_at_once_never_exceed_the_limit(kind: str, traders: list[Customer]) -> None:
    """Guards: the same lock, and the sums that are read after it. Each opens in several ticks."""
    risk_limits.put(kind, 20_000)
    turns = size(3, 50)
    done = together([partial(ticks, opening(who)) for who in traders for _ in range(turns)], threads=len(traders))

    assert sorted(one[0] for one in done if isinstance(one, list)) == [200] * 5 + [400] * (6 * turns - 5)
    assert bought() == 2_000_000


def test_a_limit_that_is_set_counts_what_a_tick_is_opening(traders: list[Customer]) -> None:
    """Guard: the trigger while_no_tick_runs. Without it the position is in no sum: the limit begins too low."""
    lease = Lease(0)
    EngineLease.objects.update(renewed_at=None)
    assert lease.take()
    has_opened = Event()

    def tick() -> None:
        with transaction.atomic():
            lease.check()
            ticks(opening(traders[0]))
            has_opened.set()
            wait_until_waiting()

    def sets() -> None:
        assert has_opened.wait(60)
        risk_limits.put("symbol", 5_000)

    assert together([tick, sets]) == [None, None]
    assert bought() == 400_000
    assert ticks(opening(traders[1])) == [400]


def test_a_tick_that_begins_while_a_limit_is_set_goes_by_it(traders: list[Customer]) -> None:
    """Guard: the same; a tick's lease waits, and what it reads afterwards is of the new version."""
    lease = Lease(0)
    EngineLease.objects.update(renewed_at=None)
    assert lease.take()
    opens(traders[0])
    is_set = Event()

    def sets() -> None:
        with transaction.atomic():
            risk_limits.put("symbol", 5_000)
            is_set.set()
            wait_until_waiting()

    def tick() -> list[int]:
        assert is_set.wait(60)
        with transaction.atomic():
            lease.check()
            return ticks(opening(traders[1]))

    assert together([sets, tick]) == [None, [400]]
    assert Order.objects.filter(status="OPEN").count() == 1
