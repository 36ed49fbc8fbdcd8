"""Dealers' actions: what one person may order alone, what takes two, and what an engine does of it, and what not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.ids import uuid7
from accounts.models import Customer, User
from quotes.models import Instrument
from quotes.services import hold_price
from quotes.symbols import instruments
from tests.given import a_customer, btc_at, price_at, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import became, closing, now, opens, places, tick
from trades.dealing import order as dealing
from trades.dealing import send
from trades.dealing.errors import ActionDecided, ActionTooOld, NothingToDo, ProposalTooOld
from trades.dealing.order import Wanted
from trades.errors import MakerIsChecker
from trades.margin.commands import Command, Poison, decode, encode
from trades.margin.decide import ORDERED_FOR
from trades.margin.kinds import Actor
from trades.models import DealersAction, Order, OrderEvent

pytestmark = pytest.mark.django_db

Kind, State = DealersAction.Kind, DealersAction.State


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


@pytest.fixture
def dealer(db: None) -> User:
    return a_member_of_staff("dealer")


def proposes(by: User, wanted: Wanted, at: datetime | None = None, **said: Any) -> DealersAction:
    return dealing.propose(wanted, **({"reason": "a wrong price", "by": by.pk, "at": at or timezone.now()} | said))


def the_close_of(order: Order) -> Wanted:
    return Wanted(Kind.CLOSE, order.customer_id, order.code)


def command(action: DealersAction, customer_id: UUID | None = None) -> Command:
    """As it is sent; and read from the stream again."""
    sent = send._command(action, customer_id or action.customer_id or uuid7(), ttl_ms=1000)
    assert decode(encode(sent)) == sent
    return sent


def refuses(statement: Any) -> bool:
    try:
        with transaction.atomic():
            statement()
    except IntegrityError:
        return True
    return False


def test_a_position_within_the_limit_is_closed_by_one_like_any_close_and_only_once(alice, dealer):
    order = opens(alice, quantity="0.1")
    action = proposes(dealer, the_close_of(order))
    assert (action.state, action.worth, action.positions_count) == (State.ORDERED, 400_000, 1)

    first, again = tick(command(action))[0], tick(command(action))[0]

    assert (first.status, first.body["order"]["closeReason"]) == (200, "operator")
    assert (again.text, again.replayed) == (first.text, True)
    assert became(order) == ("CLOSED", "operator")
    event = OrderEvent.objects.get(order_id=order.pk, kind="closed")
    assert event.detail == {"action": action.pk.hex}
    assert send.outcome(action).is_done
    assert what_the_audit_finds() == []


def test_a_pending_order_is_cancelled_and_what_is_open_is_not(alice, dealer):
    waiting, open_one = places(alice, "buy limit", "39000"), opens(alice)
    action = proposes(dealer, Wanted(Kind.CANCEL, alice.pk, waiting.code))
    assert (action.state, action.worth) == (State.ORDERED, 0)

    assert tick(command(action))[0].status == 200

    assert became(waiting) == ("CANCELLED", "operator")
    with pytest.raises(NothingToDo):
        proposes(dealer, Wanted(Kind.CANCEL, alice.pk, open_one.code))
    assert what_the_audit_finds() == []


def test_all_of_a_customer_and_all_of_a_symbol(alice, dealer):
    bob = a_customer("bob", with_usd="10_000.00")
    mine, his = [opens(alice, quantity="0.1"), opens(alice, quantity="0.2")], opens(bob, quantity="0.1")
    action = proposes(dealer, Wanted(Kind.CLOSE_ALL, alice.pk))
    assert (action.state, action.positions_count) == (State.ORDERED, 2)

    assert tick(command(action))[0].status == 200

    assert {became(one) for one in mine} == {("CLOSED", "operator")}
    assert now(his).status == "OPEN"
    everybody = proposes(dealer, Wanted(Kind.CLOSE_ALL, symbol="BTC-USD"))
    assert (everybody.state, everybody.needs_checker) == (State.PROPOSED, True)
    everybody = dealing.order(everybody.pk, by=a_member_of_staff().pk, at=timezone.now())
    assert list(send._customers_left(everybody)) == [bob.pk]
    assert tick(command(everybody, bob.pk))[0].status == 200
    assert became(his) == ("CLOSED", "operator")
    assert not send.is_sendable(everybody, timezone.now())


def test_what_one_does_alone_within_a_day_is_added_up(alice, dealer, settings):
    """Guard: `_alone_lately`. Without it a dealer alone closes in small pieces what takes two in one."""
    settings.DEALER_ALONE_LIMIT = Decimal(10_000)
    at = timezone.now()
    orders = [opens(alice, quantity="0.1") for _ in range(4)]

    states = [proposes(dealer, the_close_of(one), at).state for one in orders[:3]]

    assert states == [State.ORDERED, State.ORDERED, State.PROPOSED]
    assert proposes(a_member_of_staff(), the_close_of(orders[3]), at).state == State.ORDERED
    assert proposes(dealer, the_close_of(orders[2]), at + timedelta(days=1, seconds=1)).state == State.ORDERED


@pytest.mark.parametrize(("symbol", "held"), [("BTC-USD", "BTC-USD"), ("USD-JPY", "USD-JPY"), ("EUR-GBP", "GBP-USD")])
def test_at_a_price_that_somebody_holds_nobody_closes_alone(alice, dealer, symbol, held):
    """Guard: `_is_held` in `worth_of`. Without it a dealer holds a price near nothing, and closes all they like by it
    alone."""
    for name in {symbol, held}:
        price_at(name, f"{instruments()[name].simulator_price:f}")
    order = opens(alice, symbol=symbol, quantity="0.01" if symbol == "BTC-USD" else "1000")
    hold_price(Instrument.objects.get(pk=held), Decimal("0.01"), Decimal("0.01"))

    action = proposes(dealer, the_close_of(order))

    assert (action.state, action.worth) == (State.PROPOSED, None)


def test_a_position_is_worth_no_less_than_when_it_opened(alice, dealer, settings):
    """Guard: `max` in `worth_of`. Without it a price that fell, or was accepted, lets one person close the more."""
    settings.DEALER_ALONE_LIMIT = Decimal(3_000)
    order = opens(alice, quantity="0.1")
    btc_at("20_000.00")

    action = proposes(dealer, the_close_of(order))

    assert (action.state, action.worth) == (State.PROPOSED, 400_000)


def test_what_opens_after_an_action_was_made_is_not_closed_by_it(alice, dealer):
    """Guard: `opened_at` in `closing.close_all`, and in `_LEFT`. Without it the limit binds what was open, and not what
    is closed."""
    bob = a_customer("bob", with_usd="100_000.00")
    before = opens(alice, quantity="0.1")
    mine = proposes(dealer, Wanted(Kind.CLOSE_ALL, alice.pk))
    all_of_a_symbol = proposes(dealer, Wanted(Kind.CLOSE_ALL, symbol="BTC-USD"))
    all_of_a_symbol = dealing.order(all_of_a_symbol.pk, by=a_member_of_staff().pk, at=timezone.now())
    after, his = opens(alice, quantity="2"), opens(bob, quantity="0.1")
    assert send.positions_left(mine) == 1

    assert {told.status for told in tick(command(mine), command(all_of_a_symbol, bob.pk))} == {200}

    assert became(before) == ("CLOSED", "operator")
    assert {now(after).status, now(his).status} == {"OPEN"}
    assert (list(send._customers_left(all_of_a_symbol)), send.positions_left(all_of_a_symbol)) == ([], 0)


def test_a_proposal_of_more_than_a_day_ago_is_ordered_by_nobody(alice, dealer, settings):
    """Guard: `ORDERED_WITHIN`. Its worth, by which the second person decides, is of then."""
    settings.DEALER_ALONE_LIMIT = Decimal(0)
    at = timezone.now()
    action = proposes(dealer, the_close_of(opens(alice)), at - timedelta(days=1, seconds=1))

    with pytest.raises(ProposalTooOld):
        dealing.order(action.pk, by=a_member_of_staff().pk, at=at)

    assert dealing.refuse(action.pk, by=dealer.pk, at=at).state == State.REFUSED


def test_what_was_refused_counts_for_nothing(alice, dealer, settings):
    """Guard: the answers in `_alone_lately`. Without it a dealer can't close what they may, after a price was old."""
    settings.DEALER_ALONE_LIMIT = Decimal(5_000)
    order = opens(alice, quantity="0.1")
    refused = proposes(dealer, the_close_of(order))
    assert proposes(dealer, the_close_of(order)).state == State.PROPOSED  # nobody has refused it yet
    price_at("BTC-USD", "40_000.00", at=timezone.now() - timedelta(minutes=1))
    assert tick(command(refused))[0].status == 400
    btc_at("40_000.00")

    again = proposes(dealer, the_close_of(order))

    assert again.state == State.ORDERED
    assert tick(command(again))[0].status == 200
    assert proposes(dealer, the_close_of(opens(alice, quantity="0.1"))).state == State.PROPOSED


def test_whoever_proposed_cannot_order_and_what_is_decided_stays(alice, dealer, settings):
    """Guards: MakerIsChecker; the CHECKs and triggers of trades_dealersaction, each by a statement around Python."""
    settings.DEALER_ALONE_LIMIT = Decimal(0)
    action = proposes(dealer, the_close_of(opens(alice)))
    row, at = DealersAction.objects.filter(pk=action.pk), timezone.now()

    with pytest.raises(MakerIsChecker):
        dealing.order(action.pk, by=dealer.pk, at=at)
    assert refuses(lambda: row.update(state="ordered", decided_at=at))  # dealers_action_ordered_by_a_checker
    assert refuses(lambda: row.update(state="ordered", decided_at=at, checked_by=dealer))  # maker_is_not_checker
    assert refuses(lambda: row.update(needs_checker=False))  # never_changed
    for forged in (
        {"state": "ordered", "decided_at": at},  # proposed_first
        {"customer": None, "order_code": "", "kind": "close_all", "instrument_id": "BTC-USD"},  # that_takes_two
        {"worth": None},  # that_takes_two
        {"reason": ""},
        {"kind": "close_all"},  # says_what
    ):
        said = {"kind": "close", "customer": alice, "order_code": "ord_0123456789abcdef", "worth": 1, "reason": "x"}
        new = DealersAction(**{**said, "needs_checker": False, "made_by": dealer, "made_at": at, **forged})
        assert refuses(new.save), forged
    ordered = dealing.order(action.pk, by=a_member_of_staff().pk, at=at)
    assert ordered.state == State.ORDERED
    assert refuses(lambda: row.update(decided_at=at + timedelta(hours=1)))  # decided_for_good
    assert refuses(row.delete)  # never_deleted
    with pytest.raises(ActionDecided):
        dealing.refuse(action.pk, by=a_member_of_staff().pk, at=at)


@pytest.mark.parametrize("forged", ["no row", "not ordered", "another order", "a part", "another maker", "too late"])
def test_the_stream_alone_closes_nothing(alice, dealer, settings, forged):
    """Guard: `decide._was_ordered`, by the row that the tick has read itself. Whoever writes to Redis gets a 401."""
    order, other = opens(alice), opens(alice)
    if forged == "not ordered":
        settings.DEALER_ALONE_LIMIT = Decimal(0)
    at = timezone.now() - ORDERED_FOR - timedelta(seconds=5) if forged == "too late" else timezone.now()
    sent = command(proposes(dealer, the_close_of(order), at))
    sent = {
        "no row": replace(sent, action_id=uuid7()),
        "another order": replace(sent, terms={"orderId": other.code, "quantity": None}),
        "a part": replace(sent, terms={"orderId": order.code, "quantity": "0.01"}),
        "another maker": replace(sent, asker_id=a_member_of_staff().pk),
    }.get(forged, sent)

    assert tick(sent)[0].status == 401
    assert {now(order).status, now(other).status} == {"OPEN"}


def test_an_operator_without_an_action_and_a_trader_with_one_are_no_commands(alice, dealer):
    """Guard: `commands.decode`. With a checksum of its own, the answer kept of a forged close would be another's: the
    dealer's own would be refused, and they told that nothing was done."""
    order = opens(alice)
    asked = closing(alice, order.code)
    action = proposes(dealer, the_close_of(order))
    forged = (
        replace(asked, actor=Actor.OPERATOR),
        replace(asked, action_id=action.pk),
        replace(command(action), key="mine", request_sha256="0" * 64),
        replace(command(action), request_sha256="0" * 64),
    )
    for one in forged:
        with pytest.raises(Poison):
            decode(encode(one))


def test_a_position_without_a_price_takes_two_and_an_old_order_is_not_sent(alice, dealer):
    order = opens(alice)
    action = proposes(dealer, the_close_of(order), timezone.now() - ORDERED_FOR - timedelta(seconds=5))
    with pytest.raises(ActionTooOld):
        send.send(action, timezone.now())
    assert dealing.worth_of([order], None) is None
    assert not send.is_sendable(action, timezone.now())


def test_two_at_once_are_added_up_one_after_the_other(alice, dealer):
    """Guard: the maker's row is locked before their sum is read (tests/races shows such a lock at work)."""
    order = opens(alice)
    with CaptureQueriesContext(connection) as asked:
        proposes(dealer, the_close_of(order))
    texts = [query["sql"] for query in asked.captured_queries]
    locked = next(n for n, text in enumerate(texts) if "FOR NO KEY UPDATE" in text and "accounts_user" in text)
    assert locked < next(n for n, text in enumerate(texts) if "SUM(" in text)
