"""Who is in a batch, who is left out and why, and what a dry run says."""

from __future__ import annotations

import hashlib

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import audit, clock
from accounts.errors import Malformed
from accounts.identity import SYSTEM, Actor
from accounts.ids import ID_LAG
from accounts.models import Customer, User
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
from trades.errors import FlagNotFound, TradeFlagged, TradeNotFound, TradeNotHoldable
from trades.low_water import highest, low_water, raise_low_water
from trades.models import LeftOut, SettlementBatch, SettlementLeg, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import EVERY_KIND, preview
from trades.settlement.flags import clear, flag
from trades.settlement.membership import fingerprint
from trades.settlement.settle import begin

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    price_at("XAU-USD", "2_000.00")
    return a_customer(with_usd="100_000.00")


@pytest.fixture
def bob() -> Customer:
    return a_customer("bob", with_usd="100_000.00")


@pytest.fixture
def operator() -> Actor:
    return Actor(User.objects.create_user("operator@firm.example").pk)


def freezes(customer: Customer, state: str = "frozen") -> None:
    Customer.objects.filter(pk=customer.pk).update(state=state)


def flags(trade: Trade, by: Actor) -> None:
    flag(trade.pk, reason="The source of funds is being asked for.", by=by, at=timezone.now())


def left_out(batch: SettlementBatch) -> list[tuple[object, str, str]]:
    return list(LeftOut.objects.filter(batch=batch).order_by("trade_id").values_list("trade_id", "stage", "reason"))


# --- at the cut ------------------------------------------------------------------------------------


def test_a_cut_writes_down_what_it_holds(alice, bob):
    deposit(bob, "BTC", "1")
    a_settling_buy(alice, btc("0.3"))
    exits(a_settling_buy(alice, btc("0.1")))
    a_trade(bob, "sell", deliver=btc("0.1"))

    batch = a_cut()

    assert (batch.trades_count, batch.customers_count, batch.symbols) == (4, 2, ["BTC-USD"])
    leg = SettlementLeg.objects.get(batch=batch, asset_id="BTC")
    assert (leg.received, leg.delivered, leg.fees) == (btc("0.4"), btc("0.2"), 0)
    assert (leg.direction, leg.expected) == ("incoming", btc("0.2"))


def test_the_fingerprint_is_the_sha256_of_what_copy_prints(alice):
    a_settling_buy(alice, btc("0.3"))
    exits(a_settling_buy(alice, btc("0.1")))
    batch = a_cut()

    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY (SELECT id, customer_id, side, receive_asset_id, receive_amount, deliver_asset_id, deliver_amount,"
            " fee, taken_from_settling, reference_trade_id FROM trades_trade"
            f" WHERE batch_id = '{batch.pk}' ORDER BY id) TO STDOUT"
        ) as copy,
    ):
        printed = b"".join(bytes(data) for data in copy)
    assert batch.members_sha256 == hashlib.sha256(printed).hexdigest()
    assert printed.count(b"\n") == 3


def test_a_member_that_was_changed_or_swapped_no_longer_fits_the_fingerprint(alice):
    bought = a_settling_buy(alice, btc("0.3"))
    batch = settles(a_cut())
    assert fingerprint(batch) == batch.members_sha256

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE trades_trade DISABLE TRIGGER USER")
        cursor.execute("UPDATE trades_trade SET receive_amount = receive_amount + 1 WHERE id = %s", [bought.pk])
    assert fingerprint(batch) != batch.members_sha256


def test_nobody_moves_a_trade_from_batch_to_batch_or_rewrites_the_fingerprint(alice):
    bought = a_settling_buy(alice, btc("0.3"))
    first = a_cut()
    a_settling_buy(alice, btc("0.3"))
    second = settles(a_cut())

    with pytest.raises(IntegrityError), transaction.atomic():
        Trade.objects.filter(pk=bought.pk).update(batch=second)
    with pytest.raises(IntegrityError), transaction.atomic():
        Trade.objects.filter(batch=second).update(batch=None)
    with pytest.raises(IntegrityError), transaction.atomic():
        SettlementBatch.objects.filter(pk=first.pk).update(members_sha256="0" * 64)


def test_a_frozen_customers_trades_are_left_out_with_the_reason_and_wait(alice, bob):
    frozen, other = a_settling_buy(alice, btc("0.1")), a_settling_buy(bob, btc("0.1"))
    gone = exits(frozen)
    freezes(alice)

    batch = settle_everything()

    assert states(frozen, gone, other) == ["settling", "settling", "completed"]
    assert left_out(batch) == [(frozen.pk, "cut", "customer_frozen"), (gone.pk, "cut", "customer_frozen")]
    freezes(alice, "verified")
    assert settle_everything().trades_count == 2
    assert what_the_audit_finds() == []


def test_a_flagged_trade_is_left_out_with_its_exit_until_the_flag_is_cleared(alice, operator):
    bought, free = a_settling_buy(alice, btc("0.1")), a_settling_buy(alice, btc("0.2"))
    sold = exits(bought)
    flags(sold, operator)  # on the exit: its original is held back with it

    batch = settle_everything()

    assert states(bought, sold, free) == ["settling", "settling", "completed"]
    assert {row.detail for row in LeftOut.objects.filter(batch=batch)} == {"The source of funds is being asked for."}
    clear(sold.pk, by=operator, at=timezone.now())
    settle_everything()
    assert states(bought, sold) == ["completed", "completed"]
    assert what_the_audit_finds() == []


def test_a_flag_is_set_once_on_what_still_waits_and_has_a_reason(alice, operator):
    bought = a_settling_buy(alice, btc("0.1"))
    flags(bought, operator)
    with pytest.raises(TradeFlagged):
        flags(bought, operator)
    clear(bought.pk, by=operator, at=timezone.now())
    with pytest.raises(FlagNotFound):
        clear(bought.pk, by=operator, at=timezone.now())
    settle_everything()
    with pytest.raises(TradeNotHoldable):
        flags(bought, operator)
    with pytest.raises(TradeNotFound):
        flag(operator.user_id, reason="nobody's", by=operator, at=timezone.now())
    with pytest.raises(Malformed):
        flag(bought.pk, reason="", by=operator, at=timezone.now())


# --- between the cut and the money -----------------------------------------------------------------


def test_who_is_frozen_or_flagged_after_the_cut_is_taken_out_before_money_moves(alice, bob, operator):
    frozen, other = a_settling_buy(alice, btc("0.1")), a_settling_buy(bob, btc("0.2"))
    flagged = a_settling_buy(bob, btc("0.3"))
    batch = a_cut()
    sealed = batch.members_sha256
    freezes(alice)
    flags(flagged, operator)

    settles(batch)

    assert states(frozen, other, flagged) == ["settling", "completed", "settling"]
    assert (batch.trades_count, batch.left_out_count, batch.customers_count) == (1, 2, 1)
    assert {stage for _, stage, _ in left_out(batch)} == {"settling"}
    leg = SettlementLeg.objects.get(batch=batch, asset_id="BTC")
    assert (leg.status, leg.expected, leg.actual) == ("settled", btc("0.2"), btc("0.2"))
    assert (batch.members_sha256, fingerprint(batch)) == (sealed, sealed)  # it tells what was cut, for good
    assert what_the_audit_finds() == []

    freezes(alice, "verified")
    clear(flagged.pk, by=operator, at=timezone.now())
    assert settle_everything().trades_count == 2
    assert balance(alice, asset="BTC") == btc("0.1")
    assert what_the_audit_finds() == []


def test_a_batch_whose_members_were_all_taken_out_completes_with_nothing(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_cut()
    freezes(alice)

    settles(batch)

    assert (batch.state, batch.trades_count, batch.left_out_count) == ("completed", 0, 1)
    assert states(bought) == ["settling"]
    assert set(SettlementLeg.objects.filter(batch=batch).values_list("expected", flat=True)) == {0}
    assert what_the_audit_finds() == []


def test_what_was_taken_out_is_found_by_the_next_cut_though_the_mark_had_passed_it(alice):
    """Guard: the low-water mark is lowered with it."""
    bought = aged(executes(a_quote(alice, receive=btc("0.1"))), 2 * ID_LAG)
    stores(bought)
    batch = a_cut()
    raise_low_water(["crypto"], highest(clock.now()))
    assert low_water(["crypto"]) > bought.pk
    freezes(alice)
    settles(batch)
    freezes(alice, "verified")

    assert settle_everything().trades_count == 1


def test_once_it_has_begun_to_settle_a_batch_keeps_its_members(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_cut()
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    freezes(alice)

    settles(SettlementBatch.objects.get(pk=batch.pk))

    assert states(bought) == ["completed"]


# --- the dry run -----------------------------------------------------------------------------------


def test_a_preview_says_what_the_cut_then_takes_and_changes_nothing(alice, bob):
    deposit(bob, "BTC", "1")
    a_settling_buy(alice, btc("0.3"))
    exits(a_settling_buy(alice, btc("0.1")))
    a_trade(bob, "sell", deliver=btc("0.1"))
    a_trade(alice, symbol="XAU-USD", deliver=usd("100.00"))
    carol = a_customer("carol", with_usd="10_000.00")
    a_settling_buy(carol, btc("0.1"))
    freezes(carol)

    seen = preview(EVERY_KIND, timezone.now())

    assert SettlementBatch.objects.count() == 0
    assert Trade.objects.exclude(batch=None).count() == 0
    assert (seen.trades, seen.exits, seen.customers, seen.left_out) == (5, 1, 2, [("customer_frozen", 1)])
    assert (preview(["metal"], timezone.now()).trades, preview(["fiat"], timezone.now()).trades) == (1, 0)
    batch = a_cut()
    assert (batch.trades_count, batch.customers_count) == (5, 2)
    legs = SettlementLeg.objects.filter(batch=batch).order_by("asset_id")
    assert [(net.asset, net.direction, net.expected) for net in seen.nets] == [
        (leg.asset_id, leg.direction, leg.expected) for leg in legs
    ]


# --- looked at again -------------------------------------------------------------------------------


def test_verifying_names_the_batch_whose_members_were_tampered_with(alice, bob):
    a_settling_buy(alice, btc("0.3"))
    settles(a_cut())
    a_settling_buy(bob, btc("0.1"))
    wrong = a_cut()
    assert audit.run(timezone.now(), verify=True).findings == []

    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE trades_trade DISABLE TRIGGER USER")
        cursor.execute("UPDATE trades_trade SET fee = fee + 1 WHERE batch_id = %s", [wrong.pk])

    found = audit.run(timezone.now(), verify=True).findings
    assert [(one["check"], one["row"]) for one in found if one["tampered"]] == [("batch fingerprints", wrong.pk.hex)]
