"""The outbox: every change that a client may see is an event, and a reader misses none."""

from __future__ import annotations

import threading
from contextlib import closing
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import events
from accounts.identity import CUSTOMER_SCOPES, OWN_LOGIN, Caller
from accounts.models import Customer, Event, EventHorizon, EventShift
from quotes.models import Instrument
from quotes.services import hold_price, release_price
from tests.accounts.events.places import here
from tests.given import (
    a_customer,
    a_cut,
    a_payment,
    a_settling_buy,
    acting_for,
    btc,
    btc_at,
    exits,
    sends,
    settle_everything,
    settles,
    the_firm,
    usd,
)
from tests.trades.corrections.staff import somebody
from tests.trades.engine_steps import closing as closes
from tests.trades.engine_steps import opens, tick
from trades.corrections.propose import propose_payment_return
from trades.models import Payment, SettlementLeg

pytestmark = pytest.mark.django_db(transaction=True)


def told(caller: Caller, place: events.Place = events.FIRST) -> list[tuple[str, str]]:
    """Kinds and objects of the events that a caller sees after a place."""
    here()
    page = events.after(place, caller, events.kinds_seen_by(caller), (), 1000)
    assert not page.has_more
    return [(event.kind, event.object_id.hex) for event in page.events]


def a_trader(customer: Customer) -> Caller:
    return Caller(scopes=CUSTOMER_SCOPES | {OWN_LOGIN}, customer_id=customer.pk, user_id=customer.user_id)


def test_the_life_of_a_trade_and_its_exit_is_told_step_by_step() -> None:
    btc_at("40_000.00")
    alice = a_customer(with_usd="10_000.00")
    start = here()
    bought = a_settling_buy(alice, btc("0.1"))
    sold = exits(bought)
    settle_everything()

    steps = [(kind, guid) for kind, guid in told(acting_for(alice), start) if kind.startswith("trade.")]

    assert steps[:4] == [
        ("trade.storing", bought.pk.hex),
        ("trade.settling", bought.pk.hex),
        ("trade.storing", sold.pk.hex),
        ("trade.settling", sold.pk.hex),
    ]
    assert sorted(steps[4:]) == sorted(("trade.completed", trade.pk.hex) for trade in (bought, sold))
    assert ("quote.executed", bought.quote_id.hex) in told(acting_for(alice), start)


def test_the_life_of_a_transfer_is_told_step_by_step() -> None:
    alice = a_customer(with_usd="100.00")
    start = here()
    done = a_payment(alice, "withdrawal", usd("1.00"))
    failed = a_payment(alice, "withdrawal", usd("1_000.00"))

    found = told(acting_for(alice), start)

    assert [kind for kind, guid in found if guid == done.pk.hex] == [
        f"transfer.{state}" for state in ("storing", "pending", "settling", "completed")
    ]
    assert [kind for kind, guid in found if guid == failed.pk.hex] == ["transfer.storing", "transfer.failed"]
    assert ("quote.executed", done.quote_id.hex) in found


def test_a_book_transfer_is_told_to_both_once_it_has_moved_and_to_the_sender_alone_when_it_failed() -> None:
    alice, bob = a_customer(with_usd="100.00"), a_customer("bob")
    start = here()
    done, failed = sends(alice, bob, usd("1.00")), sends(alice, bob, usd("1_000.00"))

    def kinds(caller: Caller, payment: Payment) -> list[str]:
        return [kind for kind, guid in told(caller, start) if guid == payment.pk.hex]

    assert kinds(acting_for(alice), done) == ["transfer.storing", "transfer.completed"]
    assert kinds(acting_for(bob), done) == ["transfer.completed"]
    assert kinds(the_firm(), done) == ["transfer.storing", "transfer.completed", "transfer.completed"]
    assert kinds(acting_for(alice), failed) == ["transfer.storing", "transfer.failed"]
    assert kinds(acting_for(bob), failed) == []


def test_that_a_payment_came_back_is_told() -> None:
    alice = a_customer(with_usd="100.00")
    done = a_payment(alice, "withdrawal", usd("1.00"))
    start = here()

    propose_payment_return(done.pk, usd("1.00"), reference="r", reason="x", by=somebody(), at=timezone.now())

    assert told(acting_for(alice), start) == [("transfer.returned", done.pk.hex)]


def test_customers_accounts_batches_and_legs_are_told() -> None:
    btc_at("40_000.00")
    start = here()
    alice = a_customer(with_usd="10_000.00")
    a_settling_buy(alice, btc("0.1"))
    batch = settles(a_cut())
    Customer.objects.filter(pk=alice.pk).update(state="frozen")
    legs = {leg.hex for leg in SettlementLeg.objects.filter(batch=batch).values_list("pk", flat=True)}

    found = told(the_firm(), start)

    assert [kind for kind, guid in found if guid == alice.pk.hex] == ["customer.verified", "customer.frozen"]
    states = [kind for kind, guid in found if guid == batch.pk.hex]
    assert list(dict.fromkeys(states)) == [
        "settlement_batch.cut",
        "settlement_batch.confirmed",
        "settlement_batch.settling",
        "settlement_batch.completed",
    ]
    assert {guid for kind, guid in found if kind == "settlement_leg.settled"} == legs
    assert sum(kind == "account.created" for kind, _ in found) >= 2


def test_the_life_of_an_order_is_told_to_whoever_may_read_orders() -> None:
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    start = here()
    order = opens(alice)
    tick(closes(alice, order.code))

    life = [("order.opened", order.pk.hex), ("order.closed", order.pk.hex)]
    assert told(a_trader(alice), start) == told(acting_for(alice), start) == life
    without = Caller(scopes=CUSTOMER_SCOPES - {"orders:read"}, customer_id=alice.pk)
    assert told(without, start) == []


def test_nobody_sees_anothers_events_nor_what_their_scopes_dont_say() -> None:
    btc_at("40_000.00")
    alice, bob = a_customer(with_usd="10_000.00"), a_customer()
    start = here()
    bought = a_settling_buy(alice, btc("0.1"))
    settle_everything()

    assert told(acting_for(bob), start) == []
    seen = told(acting_for(alice), start)
    assert ("trade.completed", bought.pk.hex) in seen
    assert not [kind for kind, _ in seen if kind.startswith("settlement")]
    only_trades = Caller(scopes=frozenset({"trades:read"}), client_id=the_firm().client_id)
    assert {kind.partition(".")[0] for kind, _ in told(only_trades, start)} == {"trade"}


def test_a_reader_never_passes_a_transaction_that_commits_later() -> None:
    """Guard: the horizon in `events.after`. Without it the reader goes on past what committed first, and never sees
    what began earlier and was committed later."""
    alice, bob = a_customer(), a_customer()
    start = here()
    began, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        with closing(connection), transaction.atomic():
            Customer.objects.filter(pk=alice.pk).update(state="frozen")
            began.set()
            may_commit.wait(10)

    writer = threading.Thread(target=slow)
    writer.start()
    assert began.wait(10)
    Customer.objects.filter(pk=bob.pk).update(state="frozen")

    first = events.after(start, the_firm(), events.EVERY_KIND, (), 100)
    may_commit.set()
    writer.join(10)
    here()
    second = events.after(first.following, the_firm(), events.EVERY_KIND, (), 100)

    seen = [event.object_id for page in (first, second) for event in page.events]
    assert sorted(seen) == sorted([alice.pk, bob.pk])


def test_readers_miss_nothing_of_many_writers_that_commit_in_any_order() -> None:
    """Fault 54. Guard: the horizon, as above."""
    people = [a_customer() for _ in range(8)]
    start = here()
    done = threading.Event()
    pages: list[events.Page] = []

    def writes(customer: Customer, number: int) -> None:
        with closing(connection):
            for turn in range(25):
                with transaction.atomic(), connection.cursor() as cursor:
                    state = "frozen" if turn % 2 == 0 else "verified"
                    Customer.objects.filter(pk=customer.pk).update(state=state)
                    cursor.execute("SELECT pg_sleep(%s)", [0.001 * ((number * 7 + turn * 3) % 9)])

    def reads() -> None:
        with closing(connection):
            place = start
            while True:
                is_last = done.is_set()
                page = events.after(place, the_firm(), events.EVERY_KIND, (), 7)
                pages.append(page)
                place = page.following
                if is_last and not page.has_more:
                    return

    writers = [threading.Thread(target=writes, args=(one, number)) for number, one in enumerate(people)]
    reader = threading.Thread(target=reads)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join(60)
    here()
    done.set()
    reader.join(60)

    seen = [event.pk for page in pages for event in page.events]
    assert len(seen) == 8 * 25
    assert seen == sorted(set(seen))


def test_what_is_undone_is_no_event() -> None:
    alice = a_customer()
    start = here()
    with transaction.atomic():
        Customer.objects.filter(pk=alice.pk).update(state="frozen")
        transaction.set_rollback(True)

    assert told(the_firm(), start) == []


def test_every_kind_that_the_database_writes_is_known() -> None:
    """What isn't in `events.KINDS` would be seen by nobody."""
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    tick(closes(alice, opens(alice).code))
    a_settling_buy(alice, btc("0.1"))
    settle_everything()

    assert set(Event.objects.values_list("kind", flat=True)) <= set(events.EVERY_KIND)


@pytest.mark.parametrize("statement", ["UPDATE accounts_event SET kind = 'x'", "DELETE FROM accounts_event"])
def test_an_event_is_never_changed_or_removed(statement: str) -> None:
    a_customer()

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_restored_database_goes_on_behind_the_events_that_it_has() -> None:
    """Guard: `events.go_on_behind`, which `migrate` calls. A new server counts its transactions from the beginning."""
    alice = a_customer()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_event (transaction, kind, object_id, customer_id, at)"
            " SELECT event_transaction() + 1000000, 'customer.verified', id, id, now() FROM accounts_customer"
        )
    [last] = Event.objects.order_by("-transaction")[:1]
    try:
        events.go_on_behind()
        Customer.objects.filter(pk=alice.pk).update(state="frozen")

        assert told(the_firm(), (last.transaction, last.number)) == [("customer.frozen", alice.pk.hex)]
    finally:
        EventShift.objects.update(shift=0)


def test_a_restored_database_goes_on_behind_the_notes_that_it_has() -> None:
    """Guard: the notes in `events.go_on_behind`. A note that lies ahead of every transaction tells lists of none."""
    a_customer()
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO accounts_eventhorizon SELECT clock_timestamp(), event_transaction() + 1000000")
        try:
            events.go_on_behind()
            cursor.execute("SELECT transactions_since(clock_timestamp()), age(xmin) FROM accounts_customer")
            since, written = cursor.fetchone()
        finally:
            EventShift.objects.update(shift=0)
            EventHorizon.objects.all().delete()

    assert written <= since


def test_pages_of_many_readers_are_what_each_would_get_alone() -> None:
    """Guard: `_AFTER_FOR_EACH` says what `_whose` says: the customer's, and what is everybody's."""
    start = here()
    people = [a_customer(name) for name in ("alice", "bob", "carol")]
    btc_at("40_000.00")
    a_settling_buy(a_customer("dave", with_usd="10_000.00"), btc("0.1"))
    a_cut()  # of no customer, and nobody's business
    for number, one in enumerate(people * 3):
        Customer.objects.filter(pk=one.pk).update(state="frozen" if number < 3 or number > 5 else "verified")
        if number == 4:
            middle = here()
            instrument = Instrument.objects.get(symbol="BTC-USD")
            hold_price(instrument, Decimal("40000"), Decimal("40010"), reason="a test")
            release_price(instrument, reason="a test")
    end = here()
    readers = [(place, one.pk) for place in (start, middle, end, events.FIRST) for one in people]

    for limit in (1, 3, 100):
        alone = [
            events.after(place, Caller(CUSTOMER_SCOPES, customer_id=id_), events.EVERY_KIND, (), limit)
            for place, id_ in readers
        ]
        together = events.after_for_each(readers, limit)
        assert [page.events for page in together] == [page.events for page in alone]
        assert [page.has_more for page in together] == [page.has_more for page in alone]
        assert [page.following for page in together if page.has_more] == [
            page.following for page in alone if page.has_more
        ]
