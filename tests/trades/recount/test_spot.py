"""Quotes, trades, legs and batches: whoever changes one is found, and where sealed rows speak of it, named."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Customer
from quotes.quoting import FeeTerms
from tests.given import a_customer, a_cut, a_quote, a_settling_buy, a_trade, btc, btc_at, deposit, exits, settles
from tests.trades.recount.forging import forged, found, named, proven
from trades.models import SettlementBatch, SettlementLeg, Trade
from trades.settlement.approval import cancel

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="50_000.00")


@pytest.fixture
def traded(alice: Customer) -> dict[str, Trade]:
    """A completed buy, an exit with its original, one that waits for a batch, and one that failed."""
    completed = a_trade(alice, receive=btc("0.1"), fees=FeeTerms(25))
    original = a_settling_buy(alice, btc("0.2"))
    exit_ = exits(original)
    settles(a_cut())
    waiting = a_settling_buy(alice, btc("0.05"))
    failed = a_trade(alice, receive=btc("50"))
    traded = {"completed": completed, "original": original, "exit": exit_, "waiting": waiting, "failed": failed}
    for trade in traded.values():
        trade.refresh_from_db()
    assert (traded["failed"].state, found()) == ("failed", set())
    return traded


@pytest.mark.parametrize(
    ("which", "change"),
    [
        ("completed", "created_at = created_at - interval '1 second'"),
        ("completed", "batch_id = gen_random_uuid()"),
        ("waiting", "created_at = created_at + interval '1 day'"),
        ("waiting", "state = 'storing'"),
        ("failed", "created_at = created_at - interval '1 second'"),
        ("failed", "failure_code = 'expired_quote'"),
    ],
)
def test_a_trade_that_its_events_contradict_is_named(traded: dict[str, Trade], which: str, change: str) -> None:
    forged(f"UPDATE trades_trade SET {change} WHERE id = %s", traded[which].pk)

    assert traded[which].pk.hex in named()
    assert named() <= {
        traded[which].pk.hex,
        *(batch.hex for batch in SettlementBatch.objects.values_list("pk", flat=True)),
    }


@pytest.mark.parametrize(
    "change",
    [
        "receive_amount = receive_amount + 1",
        "deliver_amount = deliver_amount - 1",
        "fee = fee + 1",
        "side = 'sell'",
        "instrument_id = 'ETH-USD'",
        "deliver_asset_id = 'EUR'",
        "expected_error = 'expired_quote'",
    ],
)
def test_a_trade_that_its_quote_contradicts_is_found(traded: dict[str, Trade], change: str) -> None:
    forged(f"UPDATE trades_trade SET {change} WHERE id = %s", traded["waiting"].pk)

    assert ("trade quotes", traded["waiting"].pk.hex) in found()


def test_what_an_exit_took_from_settling_is_what_was_there(traded: dict[str, Trade]) -> None:
    forged("UPDATE trades_trade SET taken_from_settling = 1 WHERE id = %s", traded["exit"].pk)

    assert ("exit amounts", traded["exit"].pk.hex) in found()


@pytest.mark.parametrize(
    "change",
    [
        "price = price + 1",
        "price = price - 1",
        "receive_amount = receive_amount + 1",
        "fee = fee + 1",
        "fee_bps = 1",
    ],
)
def test_a_quote_that_was_changed_is_found(alice: Customer, change: str) -> None:
    quotes = [a_quote(alice, receive=btc("0.1"), fees=FeeTerms(25)) for _ in range(3)]
    assert found() == set()

    forged(f"UPDATE quotes_quote SET {change} WHERE id = %s", quotes[1].pk)

    assert found() == {("quotes", quotes[1].pk.hex)}


def test_the_price_of_a_quote_that_was_used_is_found_there_and_nowhere_else(traded: dict[str, Trade]) -> None:
    quote = traded["completed"].quote_id

    forged("UPDATE quotes_quote SET price = price * 1.01 WHERE id = %s", quote)

    assert found() == {("quotes", quote.hex)}


def test_a_quote_whose_life_was_shortened_after_it_was_used_is_found_at_its_trade(traded: dict[str, Trade]) -> None:
    trade = traded["completed"]

    forged("UPDATE quotes_quote SET expires_at = issued_at WHERE id = %s", trade.quote_id)

    assert found() == {("trade quotes", trade.pk.hex)}


# --- batches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        "cut_at = cut_at - interval '1 hour'",
        "created_at = created_at - interval '1 hour'",
        "confirmed_at = confirmed_at + interval '1 hour'",
        "state = 'partially_settled'",
        "members_sha256 = repeat('0', 64)",
        "made_by_client_id = NULL, confirmed_by_client_id = NULL, made_by_id = NULL, asset_kinds = 'fiat'",
    ],
)
def test_a_batch_that_was_changed_is_named(traded: dict[str, Trade], change: str) -> None:
    """Guard: the trigger `noted` writes an event for each step. Without it every batch is found, and none named."""
    batch = SettlementBatch.objects.get()

    forged(f"UPDATE trades_settlementbatch SET {change} WHERE id = %s", batch.pk)

    assert named() == {batch.pk.hex}


def test_each_step_of_a_batch_is_an_event(alice: Customer) -> None:
    a_settling_buy(alice, btc("0.1"))
    done = settles(a_cut())
    a_settling_buy(alice, btc("0.1"))
    gone = a_cut()
    cancel(gone.pk, by=SYSTEM, at=timezone.now())

    assert {*done.events.values_list("became", flat=True)} == {"cut", "confirmed", "settling", "completed"}
    assert {*gone.events.values_list("became", flat=True)} == {"cut", "cancelled"}
    assert found() == set()


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("expected = expected + 1", "batch legs"),
        ("received = received + 1", "batch legs"),
        ("delivered = delivered + 1", "batch legs"),
        ("fees = fees + 1", "batch legs"),
        ("direction = CASE direction WHEN 'incoming' THEN 'outgoing' ELSE 'incoming' END", "batch legs"),
        ("settled_at = settled_at - interval '1 hour'", "leg times"),
    ],
)
def test_a_leg_that_was_changed_is_found(traded: dict[str, Trade], change: str, check: str) -> None:
    leg = SettlementLeg.objects.filter(asset_id="USD").get()

    forged(f"UPDATE trades_settlementleg SET {change} WHERE id = %s", leg.pk)

    assert (check, leg.pk.hex) in found()
    assert named() == {leg.pk.hex}


@pytest.mark.parametrize(
    ("sql", "check"),
    [
        ("UPDATE trades_trade SET fee = fee + 1 WHERE id = %s", "trade quotes"),
        ("UPDATE trades_settlementleg SET settled_at = settled_at - interval '1 hour' WHERE id = %s", "leg times"),
    ],
)
def test_what_a_sealed_row_contradicts_is_named_by_the_check_itself(
    traded: dict[str, Trade], sql: str, check: str
) -> None:
    """Guards: the proofs of these two checks. The versions name a leg as well, where there are any."""
    row = traded["waiting"].pk if check == "trade quotes" else SettlementLeg.objects.get(asset_id="USD").pk

    forged(sql, row)

    assert proven() == {(check, row.hex)}


def test_a_deposit_changes_nothing_of_it(alice: Customer, traded: dict[str, Trade]) -> None:
    deposit(alice, "EUR", "5.00")

    assert found() == set()
