"""What partners, customers and operators' machines see of a correction, and what they don't."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.models import Customer, EventHorizon
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.commands import ran, told
from tests.given import a_customer, a_settling_buy, a_trade, btc, btc_at, deposit, exits, token_of
from tests.trades.corrections.staff import a_completed_batch, applies, carried_on, somebody, why
from trades.corrections import decide
from trades.corrections.propose import propose_adjustment, propose_batch_reversal, propose_trade_reversal
from trades.models import Correction, TradeEvent

pytestmark = pytest.mark.django_db

TRADES, CORRECTIONS, BATCHES = "/api/trades", "/api/corrections", "/api/settlement_batches"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


def listed(api: Api, path: str, **query: str) -> list[str]:
    status, page = api.get(path, **query)
    assert status == 200, page
    return [one["guid"] for one in page["objects"]]


@pytest.mark.parametrize("of", ["trade", "batch"])
def test_a_reversal_shows_on_the_trade_and_its_exit_and_nothing_else_of_them_changes(alice, of):
    firm = a_firm()
    bought = a_settling_buy(alice, btc("0.1"))
    sold = exits(bought)
    batch = a_completed_batch()
    before = {one.pk: firm.get(f"{TRADES}/{one.pk.hex}")[1] for one in (bought, sold)}
    since = timezone.now()
    EventHorizon.objects.all().delete()  # times alone count: the whole test is one transaction, which runs

    proposed = propose_trade_reversal(sold.pk, **why()) if of == "trade" else propose_batch_reversal(batch.pk, **why())
    done = applies(proposed)

    for one in (bought, sold):
        told = firm.get(f"{TRADES}/{one.pk.hex}")[1]
        assert set(told) - set(before[one.pk]) == {"reversed_at", "reversed_by_guid"}
        assert {name for name, value in before[one.pk].items() if told[name] != value} == {"updated_at"}
        assert (told["state"], told["reversed_by_guid"]) == ("completed", done.pk.hex)
        assert told["updated_at"] == told["reversed_at"] > told["settled_at"]
        assert TradeEvent.objects.get(trade=one, became="reversed").detail == done.pk.hex
    assert set(listed(firm, TRADES, updated_at_gte=since.isoformat())) == {bought.pk.hex, sold.pk.hex}
    assert firm.get(f"/api/settlement_batches/{batch.pk.hex}/trades", reversed="true")[1]["total"] == 2


def test_reversed_trades_are_found_and_so_are_the_others_and_those_of_one_correction(alice):
    firm = a_firm()
    first, second, third = (a_settling_buy(alice, btc("0.01")) for _ in range(3))
    batch = a_completed_batch()
    alone = applies(propose_trade_reversal(second.pk, **why()))

    assert listed(firm, TRADES, reversed="true") == [second.pk.hex]
    assert listed(firm, TRADES, reversed="false") == [third.pk.hex, first.pk.hex]
    whole = applies(propose_batch_reversal(batch.pk, **why()))
    assert listed(firm, TRADES, reversed_by_guid=alone.pk.hex) == [second.pk.hex]
    assert listed(firm, TRADES, reversed_by_guid=whole.pk.hex) == [third.pk.hex, first.pk.hex]
    assert listed(firm, TRADES, reversed_by_guid=f"{whole.pk.hex},{alone.pk.hex}", per_page="1") == [third.pk.hex]
    assert listed(firm, TRADES, reversed_by_guid=UNKNOWN) == []
    assert code(firm.get(TRADES, reversed="yes")) == (400, "invalid_parameter")
    assert code(firm.get(TRADES, reversed_by_guid="x")) == (400, "invalid_parameter")


def test_a_batch_says_from_its_reversal_s_begin_by_what_and_at_its_end_when(alice):
    """Guard: `reversed_at` waits for the last slice. Without that it is told while trades still wait."""
    firm = a_firm()
    bob = a_customer("bob", with_usd="100_000.00")
    a_settling_buy(alice, btc("0.1"))
    a_settling_buy(bob, btc("0.1"))
    batch = a_completed_batch()
    path = f"{BATCHES}/{batch.pk.hex}"
    before = firm.get(path)[1]
    assert before["reversed_at"] is before["reversed_by_guid"] is None
    proposed = propose_batch_reversal(batch.pk, **why())
    assert firm.get(path)[1] == before

    decide.apply(proposed.pk, by=somebody(), at=timezone.now())
    a_trade(alice, "sell", deliver=btc("0.1"))  # what would be taken back
    carried_on(proposed)

    under_way = firm.get(path)[1]
    assert (under_way["reversed_at"], under_way["reversed_by_guid"]) == (None, proposed.pk.hex)
    assert "being reversed by correction" in ran("batch", "show", batch.pk.hex)[1]
    deposit(alice, "BTC", "0.1")
    done = carried_on(proposed)
    after = firm.get(path)[1]
    assert (after["state"], after["reversed_by_guid"]) == ("completed", done.pk.hex)
    assert after["reversed_at"] == after["updated_at"] > under_way["updated_at"] > before["updated_at"]
    assert told("batch", "show", batch.pk.hex)["reversed_by_guid"] == done.pk.hex
    assert {name for name in after if after[name] != before[name]} == {"reversed_at", "reversed_by_guid", "updated_at"}


def test_reversed_batches_are_found_and_so_are_the_others(alice):
    firm = a_firm()
    first, second = ((a_settling_buy(alice, btc("0.01")), a_completed_batch())[1] for _ in range(2))
    done = applies(propose_batch_reversal(first.pk, **why()))

    assert listed(firm, BATCHES, reversed="true") == [first.pk.hex]
    assert listed(firm, BATCHES, reversed="false") == [second.pk.hex]
    assert listed(firm, BATCHES, reversed_by_guid=done.pk.hex) == [first.pk.hex]
    assert listed(firm, BATCHES, reversed_by_guid=UNKNOWN) == []
    assert code(firm.get(BATCHES, reversed="yes")) == (400, "invalid_parameter")


def test_a_customer_sees_that_its_own_trade_was_reversed_and_nothing_of_the_correction(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    a_completed_batch()
    done = applies(propose_trade_reversal(bought.pk, **why()))
    hers, mallorys = Api(token_of(alice)), Api(token_of(a_customer("mallory")))

    assert hers.get(f"{TRADES}/{bought.pk.hex}")[1]["reversed_by_guid"] == done.pk.hex
    for one in (hers, mallorys, a_firm(frozenset({"trades:read"}))):
        assert code(one.get(CORRECTIONS)) == (403, "invalid_scope")
        assert code(one.get(f"{CORRECTIONS}/{done.pk.hex}")) == (403, "invalid_scope")
    assert listed(mallorys, TRADES, reversed_by_guid=done.pk.hex) == []
    assert listed(mallorys, TRADES, reversed="true") == []


def test_a_correction_tells_what_why_whose_and_by_whom(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    a_completed_batch()
    reader = a_firm(frozenset({"settlements:read"}))
    proposed = propose_trade_reversal(bought.pk, **why())
    path = f"{CORRECTIONS}/{proposed.pk.hex}"
    _, before = reader.get(path)
    done = applies(proposed)

    status, after = reader.get(path)

    assert status == 200
    assert before["created_at"] == before["updated_at"] < after["updated_at"] == after["decided_at"]
    assert {name for name in before if before[name] != after[name]} == {
        *("state", "updated_at", "decided_at", "checked_by_user_guid", "movements_count")
    }
    del after["created_at"], after["updated_at"], after["decided_at"]
    assert after == {
        "guid": done.pk.hex,
        "kind": "reverse_trade",
        "state": "applied",
        "subject_guid": bought.pk.hex,
        "customer_guid": alice.pk.hex,
        "asset": None,
        "amount": None,
        "direction": None,
        "reason": "the price was wrong",
        "reference": "",
        "needs_checker": True,
        "made_by_user_guid": done.made_by_id.hex,
        "made_by_client_guid": None,
        "checked_by_user_guid": done.checked_by_id.hex,
        "checked_by_client_guid": None,
        "movements_count": done.movements_count,
        "trades_count": 0,
        "trades_done": 0,
        "customers_waiting_count": 0,
    }
    assert code(reader.get(f"{CORRECTIONS}/{UNKNOWN}")) == (404, "not_found")


def test_corrections_are_listed_newest_first_and_filtered(alice, django_assert_max_num_queries):
    bob = a_customer("bob")
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_completed_batch()
    credit = propose_adjustment(bob.pk, "USD", 100, "credit", reference="wire 7", **why())
    waiting = propose_adjustment(bob.pk, "USD", 10**9, "credit", **why())
    of_trade = propose_trade_reversal(bought.pk, **why())
    of_batch = propose_batch_reversal(batch.pk, **why())
    Correction.objects.filter(pk=of_batch.pk).update(reason=of_batch.reason)  # what says nothing new is no step
    firm = a_firm()

    def found(**query: str) -> list[str]:
        return listed(firm, CORRECTIONS, **query)

    assert found() == [one.pk.hex for one in (of_batch, of_trade, waiting, credit)]
    assert found(kind="reverse_trade,reverse_batch") == [of_batch.pk.hex, of_trade.pk.hex]
    assert found(state="applied") == [credit.pk.hex]
    assert found(subject_guid=batch.pk.hex) == [of_batch.pk.hex]
    assert found(customer_guid=alice.pk.hex) == [of_trade.pk.hex]
    assert found(customer_guid=bob.pk.hex) == [waiting.pk.hex, credit.pk.hex]
    assert found(reference="wire 7") == found(guid=credit.pk.hex) == [credit.pk.hex]
    at = of_trade.made_at.isoformat()
    assert found(created_at_gte=at) == [of_batch.pk.hex, of_trade.pk.hex]
    assert found(created_at_lt=at) == [waiting.pk.hex, credit.pk.hex]
    since = timezone.now()
    EventHorizon.objects.all().delete()  # as above
    applies(waiting)
    assert found(updated_at_gte=since.isoformat()) == [waiting.pk.hex]
    assert found(updated_at_lt=since.isoformat(), per_page="2", page="1") == [credit.pk.hex]
    with django_assert_max_num_queries(5):
        found()
    for query in ({"state": "done"}, {"kind": "theft"}, {"reason": "x"}):
        assert code(firm.get(CORRECTIONS, **query)) == (400, "invalid_parameter")
    assert firm.post(CORRECTIONS)[0] == 405
