"""What a cut takes, what confirming and cancelling do, and what completing pays out."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import clock, ledger
from accounts.errors import KeyReused
from accounts.identity import SYSTEM, Actor
from accounts.ids import ID_LAG
from accounts.ledger import AVAILABLE, SETTLING
from accounts.ledger_select import post_selected
from accounts.models import Customer, LedgerAccount, Transfer, User
from tests.aged import aged
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    a_trade,
    balance,
    btc,
    btc_at,
    deposit,
    executes,
    exits,
    price_at,
    settle_everything,
    settles,
    states,
    stores,
    usd,
    what_the_audit_finds,
)
from tests.windows import scheduled
from trades import tasks
from trades.errors import BatchStateForbids, MakerIsChecker, NothingToCut
from trades.low_water import highest, low_water
from trades.models import SettlementBatch, SettlementLeg, SettlementWindow, Trade, TradeEvent
from trades.settlement.approval import cancel, confirm
from trades.settlement.cut import cut_due, cut_window
from trades.settlement.settle import settle_chunk

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    return a_customer(with_usd="100_000.00")


def window_of(kind: str, **changed: object) -> SettlementWindow:
    SettlementWindow.objects.filter(asset_kind=kind).update(**changed)
    return SettlementWindow.objects.get(asset_kind=kind)


def batch_of(trade: Trade) -> object:
    return Trade.objects.get(pk=trade.pk).batch_id


def legs_of(batch: SettlementBatch) -> dict[str, tuple[str, int, str]]:
    return {leg.asset_id: (leg.direction, int(leg.expected), leg.status) for leg in batch.legs.all()}


# --- the cut ---------------------------------------------------------------------------------------


def test_a_cut_takes_every_settling_trade_with_its_exit_and_nothing_else(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    taken_back = a_settling_buy(alice, btc("0.1"))
    sold = exits(taken_back)
    stored = executes(a_quote(alice, receive=1000))
    failed = a_trade(alice, receive=btc("900"))

    batch = a_cut()

    assert {batch_of(trade) for trade in (bought, taken_back, sold)} == {batch.pk}
    assert {batch_of(trade) for trade in (stored, failed)} == {None}
    assert (batch.state, batch.trades_count, batch.first_trade_id, batch.last_trade_id) == (
        "cut",
        3,
        bought.pk,
        sold.pk,
    )
    assert what_the_audit_finds() == []


def test_cutting_moves_no_money(alice):
    a_settling_buy(alice, btc("0.1"))
    before = Transfer.objects.count()

    a_cut()

    assert Transfer.objects.count() == before


def test_a_window_cuts_only_its_own_kind_of_asset(alice):
    coin = a_settling_buy(alice, btc("0.1"))
    gold = a_trade(alice, symbol="XAU-USD", receive=1_000_000)
    now = timezone.now()

    batch = cut_window(window_of("metal"), now, now)

    assert batch_of(gold) == batch.pk
    assert batch_of(coin) is None
    assert batch.asset_kinds == "metal"


def test_there_is_nothing_to_cut_by_hand_where_nothing_waits(alice):
    with pytest.raises(NothingToCut):
        a_cut()
    assert not SettlementBatch.objects.exists()


def test_a_window_that_finds_nothing_leaves_no_batch_but_remembers_its_cut(alice):
    window, now = window_of("crypto"), timezone.now()

    assert cut_window(window, now, now) is None

    window.refresh_from_db()
    assert window.last_cut_at == now.replace(microsecond=now.microsecond // 1000 * 1000)
    assert SettlementBatch.objects.count() == 0


def test_a_window_is_cut_once_for_each_of_its_times(alice):
    a_settling_buy(alice, btc("0.1"))
    window, now = window_of("crypto"), timezone.now()
    assert cut_window(window, now, now) is not None

    a_settling_buy(alice, btc("0.1"))
    assert cut_window(window, now, now) is None
    assert SettlementBatch.objects.get().trades_count == 1


@pytest.mark.parametrize(("is_automatic", "state"), [(True, "confirmed"), (False, "cut")])
def test_what_an_automatic_windows_schedule_asks_for_is_confirmed_and_anothers_waits_for_a_person(
    alice, is_automatic, state
):
    a_settling_buy(alice, btc("0.1"))
    window_of("crypto", is_automatic=is_automatic, cron="* * * * *", calendar="")

    (batch,) = cut_due(timezone.now() + timedelta(minutes=2))

    assert batch.state == SettlementBatch.objects.get().state == state


def test_an_automatic_window_that_is_cut_without_being_due_waits_for_a_person_as_well(alice):
    """A thief's: whoever may run `cut_batch` alone would otherwise settle alone."""
    bought = a_settling_buy(alice, btc("0.1"))
    now = timezone.now()

    assert cut_window(window_of("crypto", is_automatic=True), now, now).state == "cut"

    tasks.settle_open()
    assert states(bought) == ["settling"]


def test_a_switched_off_window_is_not_cut(alice):
    scheduled(is_active=False, cron="* * * * *", calendar="", since=timezone.now() - timedelta(hours=1))

    assert cut_due(timezone.now()) == []


def test_trades_of_a_frozen_customer_wait_for_a_later_batch(alice):
    frozen = a_settling_buy(alice, btc("0.1"))
    bob = a_customer("bob", with_usd="10_000.00")
    other = a_settling_buy(bob, btc("0.1"))
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    settle_everything()
    assert states(frozen, other) == ["settling", "completed"]

    Customer.objects.filter(pk=alice.pk).update(state="verified")
    settle_everything()
    assert states(frozen) == ["completed"]


def test_the_low_water_mark_never_passes_a_trade_that_waits(alice):
    window, now = window_of("crypto"), timezone.now()
    stored = aged(executes(a_quote(alice, receive=1000)), 2 * ID_LAG)

    cut_window(window, now, now)
    assert low_water(["crypto"]) == stored.pk

    stores(stored)
    later = now + timedelta(hours=1)
    assert cut_window(window, later, later).trades_count == 1
    assert stored.pk < low_water(["crypto"]) <= highest(clock.now())


def test_the_low_water_mark_stays_ten_minutes_back_for_slow_commits(alice):
    window, now = window_of("crypto"), timezone.now()

    cut_window(window, now, now)

    assert low_water(["crypto"]) == highest(now)
    assert cut_window(window, now + timedelta(seconds=1), now) is None
    assert low_water(["crypto"]) == highest(now)


def test_a_cut_by_a_clock_that_is_ahead_lifts_no_mark_past_the_databases_own_time(alice):
    """Guard: LEAST in `low_water._RAISE`. With the caller's time the mark would stand 25 minutes ahead."""
    ahead = timezone.now() + timedelta(minutes=35)

    cut_window(window_of("crypto"), ahead, ahead)

    assert low_water(["crypto"]) <= highest(clock.now())


def test_legs_are_the_net_of_what_the_house_owes_its_providers_and_leave_out_fees(alice):
    deposit(alice, "BTC", "5")
    a_settling_buy(alice, btc("0.3"))
    a_trade(alice, "sell", deliver=btc("0.1"))
    a_trade(alice, symbol="XAU-USD", receive=1_000_000)

    batch = a_cut()

    assert legs_of(batch) == {
        "BTC": ("incoming", btc("0.2"), "pending"),
        "USD": ("outgoing", usd("8_000.00") + usd("2_000.00"), "pending"),
        "XAU": ("incoming", 1_000_000, "pending"),
    }


def test_more_sold_than_bought_is_outgoing_and_an_exit_at_the_same_price_nets_to_zero(alice):
    deposit(alice, "BTC", "5")
    a_trade(alice, "sell", deliver=btc("0.1"))
    assert legs_of(a_cut()) == {
        "BTC": ("outgoing", btc("0.1"), "pending"),
        "USD": ("incoming", usd("4_000.00"), "pending"),
    }

    exits(a_settling_buy(alice, btc("0.1")))
    assert legs_of(a_cut()) == {"BTC": ("incoming", 0, "pending"), "USD": ("incoming", 0, "pending")}


# --- confirming and cancelling ---------------------------------------------------------------------


def test_whoever_cut_a_batch_can_not_confirm_it_not_even_around_the_service(alice):
    maker, checker = (User.objects.create_user(f"{name}@firm.example") for name in ("maker", "checker"))
    a_settling_buy(alice, btc("0.1"))
    batch = a_cut(by=Actor(maker.pk))

    with pytest.raises(MakerIsChecker):
        confirm(batch.pk, by=Actor(maker.pk), at=timezone.now())
    with pytest.raises(IntegrityError), transaction.atomic():
        SettlementBatch.objects.filter(pk=batch.pk).update(state="confirmed", confirmed_by=maker)

    assert confirm(batch.pk, by=Actor(checker.pk), at=timezone.now()).state == "confirmed"


def test_whoever_cut_a_batch_can_not_give_it_up_alone_either(alice):
    maker, checker = (User.objects.create_user(f"{name}@firm.example") for name in ("maker", "checker"))
    a_settling_buy(alice, btc("0.1"))
    batch = a_cut(by=Actor(maker.pk))

    for alone in (Actor(maker.pk), SYSTEM):
        with pytest.raises(MakerIsChecker):
            cancel(batch.pk, by=alone, at=timezone.now())
    for around in ({"cancelled_by": maker}, {}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SettlementBatch.objects.filter(pk=batch.pk).update(state="cancelled", **around)

    assert cancel(batch.pk, by=Actor(checker.pk), at=timezone.now()).cancelled_by == checker


def test_a_batch_that_a_person_made_is_not_confirmed_by_nobody_behind_the_services_back(alice):
    """Guards: the triggers `confirmed_by_a_second` and `made_unconfirmed`; a CHECK can't ask for the checker alone."""
    maker = User.objects.create_user("maker@firm.example")
    a_settling_buy(alice, btc("0.1"))
    batch = a_cut(by=Actor(maker.pk))

    for change in ({"state": "confirmed"}, {"made_by": None}):
        with pytest.raises(IntegrityError), transaction.atomic():
            SettlementBatch.objects.filter(pk=batch.pk).update(**change)
    with pytest.raises(IntegrityError), transaction.atomic():
        SettlementBatch.objects.create(
            asset_kinds="crypto",
            cut_at=batch.cut_at,
            state="confirmed",
            created_at=batch.cut_at,
            updated_at=batch.cut_at,
        )


def test_a_batch_that_is_only_cut_does_not_settle(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_cut()

    with pytest.raises(BatchStateForbids):
        settle_chunk(batch.pk, at=timezone.now())
    assert states(bought) == ["settling"]


@pytest.mark.parametrize("was_confirmed", [False, True])
def test_cancelling_gives_the_trades_back_to_be_exited_or_cut_again(alice, was_confirmed):
    window, now = window_of("crypto", is_automatic=was_confirmed), timezone.now()
    first, second = (aged(executes(a_quote(alice, receive=btc("0.1"))), 2 * ID_LAG) for _ in range(2))
    stores(first, second)
    batch = cut_window(window, now - timedelta(minutes=15), now)
    assert low_water(["crypto"]) > second.pk

    assert cancel(batch.pk, by=SYSTEM, at=now).state == "cancelled"

    assert exits(second).state == "settling"
    again = cut_window(window, timezone.now(), now)
    assert again.trades_count == 3
    settles(again)
    assert states(first, second) == ["completed", "completed"]
    assert what_the_audit_finds() == []


def test_a_batch_whose_money_moved_can_not_be_cancelled(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    a_settling_buy(alice, btc("0.1"))
    batch = a_cut()
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    settle_chunk(batch.pk, at=timezone.now(), chunk=1)

    with pytest.raises(BatchStateForbids):
        cancel(batch.pk, by=SYSTEM, at=timezone.now())
    assert states(bought) == ["completed"]


# --- completing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
def test_completing_pays_out_what_was_received_whatever_the_chunks(alice, chunk):
    bob = a_customer("bob", with_usd="50_000.00")
    deposit(bob, "BTC", "1")
    bought = [a_settling_buy(alice, btc("0.1")) for _ in range(3)]
    sold = [a_trade(bob, "sell", deliver=btc("0.2")) for _ in range(2)]
    back = [exits(bought[0]), exits(sold[0])]

    batch = settles(a_cut(), chunk=chunk)

    assert (batch.state, batch.completed_count, batch.trades_count) == ("completed", 7, 7)
    assert set(states(*bought, *sold, *back)) == {"completed"}
    assert balance(alice, asset="BTC") == btc("0.2")
    assert balance(bob, asset="BTC") == btc("0.6") + btc("0.2")
    assert balance(alice, SETTLING, "BTC") == balance(bob, SETTLING) == balance(bob, SETTLING, "BTC") == 0
    assert {status for _, _, status in legs_of(batch).values()} == {"settled"}
    assert all(leg.actual == leg.expected for leg in SettlementLeg.objects.filter(batch=batch))
    assert TradeEvent.objects.filter(became="completed", detail=batch.pk.hex).count() == 7
    assert what_the_audit_finds() == []


def test_a_customers_trades_of_one_chunk_are_paid_out_in_one_transfer_per_asset(alice):
    for _ in range(5):
        a_settling_buy(alice, btc("0.1"))

    batch = settles(a_cut())

    (transfer,) = Transfer.objects.filter(kind="trade_settled", subject=batch.pk)
    assert transfer.amount == btc("0.5")


def test_completing_costs_the_same_statements_however_large_the_chunk(alice):
    def statements(count: int) -> int:
        for _ in range(count):
            a_settling_buy(alice, 10_000)
        batch = a_cut()
        confirm(batch.pk, by=SYSTEM, at=timezone.now())
        with CaptureQueriesContext(connection) as queries:
            settle_chunk(batch.pk, at=timezone.now())
        return len(queries)

    statements(1)
    assert statements(20) == statements(2)


def test_a_completed_batch_settles_to_nothing_again(alice):
    a_settling_buy(alice, btc("0.1"))
    batch = settle_everything()
    before = Transfer.objects.count()

    settles(batch)

    assert Transfer.objects.count() == before
    assert batch.completed_count == 1


def test_progress_that_was_lost_does_not_pay_twice(alice):
    """Guard: only what is settling is moved and paid for. Put back, the progress names customers already done."""
    bob = a_customer("bob", with_usd="10_000.00")
    for customer in (alice, bob):
        a_settling_buy(customer, btc("0.1"))
    batch = a_cut()
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    settle_chunk(batch.pk, at=timezone.now(), chunk=1)
    SettlementBatch.objects.filter(pk=batch.pk).update(slices_done=[])

    batch.refresh_from_db()
    settles(batch, chunk=1)

    assert [balance(customer, asset="BTC") for customer in (alice, bob)] == [btc("0.1"), btc("0.1")]
    assert what_the_audit_finds() == []


def test_a_batch_whose_count_was_lost_is_never_called_completed(alice):
    """Guard: the last slice compares what moved with the members."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_cut()
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    SettlementBatch.objects.filter(pk=batch.pk).update(trades_count=2)

    with pytest.raises(RuntimeError, match="not settling"):
        settle_chunk(batch.pk, at=timezone.now())
    assert balance(alice, asset="BTC") == 0


# --- the ledger's way in for a SELECT --------------------------------------------------------------


def _posted(alice: Customer, amount: int) -> int:
    ledger.lock(ledger.customers(alice.pk, "USD", type_) for type_ in (AVAILABLE, SETTLING))
    return post_selected(
        "SELECT %(who)s::uuid AS customer_id, 'USD'::text AS asset_id, %(amount)s::numeric AS amount, 'a key' AS key,"
        " 'available'::text AS debited, 'settling'::text AS credited, NULL::int AS bucket",
        {"who": alice.pk, "amount": amount},
        kind="trade_settled",
        subject=None,
        at=timezone.now(),
    )


def test_a_selected_movement_moves_money_once_and_its_key_can_not_say_something_else(alice):
    assert [_posted(alice, 500), _posted(alice, 500)] == [1, 0]
    assert balance(alice, SETTLING) == 500

    with pytest.raises(KeyReused):
        _posted(alice, 501)


def test_a_selected_movement_can_not_take_an_account_below_zero(alice):
    with pytest.raises(IntegrityError, match="never_below_zero"), transaction.atomic():
        _posted(alice, usd("100_000.01"))
    assert not LedgerAccount.objects.filter(customer=alice, type=SETTLING).exists()


# --- the operator's commands -----------------------------------------------------------------------


def said(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_an_operator_cuts_and_settles_from_the_command_line(alice):
    bought = a_settling_buy(alice, btc("0.1"))

    cut = json.loads(said("cut_batch", "--json"))
    assert (cut["state"], cut["trades"]) == ("cut", 1)
    assert states(bought) == ["settling"]
    done = {"guid": cut["guid"], "state": "completed", "completed": 1, "trades": 1, "left_out": 0, "waits_for": []}
    assert json.loads(said("settle_batch", cut["guid"], "--json")) == {"batches": [done]}
    assert json.loads(said("settle_batch", cut["guid"], "--json")) == {"batches": [done], "nothing": True}
    assert states(bought) == ["completed"]


def test_an_operator_cuts_one_window_and_settles_whatever_is_open(alice):
    bought = a_settling_buy(alice, btc("0.1"))

    assert "1 trades" in said("cut_batch", "--window", "Crypto, hourly")
    assert "completed" in said("settle_batch", "--all")
    assert states(bought) == ["completed"]


@pytest.mark.parametrize(
    "command", [["cut_batch", "--window", "nobody's"], ["settle_batch"], ["settle_batch", "0" * 32]]
)
def test_the_commands_refuse_in_one_line(command):
    with pytest.raises(CommandError):
        said(*command)
