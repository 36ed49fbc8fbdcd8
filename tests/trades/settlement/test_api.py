"""/api/settlement_batches: the dry run, the cut, who is left out, and who may confirm."""

from __future__ import annotations

import pytest
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Customer
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at, exits, settles, states, usd
from trades.models import SettlementBatch, SettlementLeg, Trade
from trades.settlement import flags
from trades.settlement.approval import confirm
from trades.settlement.settle import settle_chunk

pytestmark = pytest.mark.django_db

BATCHES = "/api/settlement_batches"


@pytest.fixture
def maker() -> Api:
    return a_firm()


@pytest.fixture
def checker() -> Api:
    return a_firm()


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def bob() -> Customer:
    return a_customer("bob", with_usd="10_000.00")


def freeze(customer: Customer) -> None:
    Customer.objects.filter(pk=customer.pk).update(state="frozen")


def flag(trade: Trade) -> None:
    flags.flag(trade.pk, reason="looks odd", by=SYSTEM, at=timezone.now())


# --- the dry run -----------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_cut_and_cuts_nothing(maker, alice, bob):
    bought = a_settling_buy(alice, btc("0.1"))
    exits(bought)
    flag(a_settling_buy(alice, btc("0.02")))
    a_settling_buy(bob, btc("0.05"))
    freeze(bob)

    status, found = maker.post(f"{BATCHES}/preview")

    assert status == 200
    assert found["asset_kinds"] == ["crypto", "fiat", "metal"]
    assert (found["trades"], found["exits"], found["customers"]) == (2, 1, 1)
    assert found["left_out"] == [
        {"reason": "customer_frozen", "trades": 1},
        {"reason": "trade_flagged", "trades": 1},
    ]
    assert {leg["asset"]: (leg["direction"], leg["expected"]) for leg in found["legs"]} == {
        "BTC": ("incoming", 0),
        "USD": ("incoming", 0),
    }
    assert set(found["legs"][0]) == {"asset", "direction", "expected", "received", "delivered", "fees"}
    assert not SettlementBatch.objects.exists()


def test_what_the_dry_run_says_is_what_the_cut_then_takes(maker, alice, bob):
    exits(a_settling_buy(alice, btc("0.1")))
    a_settling_buy(bob, btc("0.05"))

    _, said = maker.post(f"{BATCHES}/preview")
    _, cut = maker.post(BATCHES)
    _, legs = maker.get(f"{BATCHES}/{cut['guid']}/legs")

    assert (said["trades"], said["customers"]) == (cut["trades_count"], cut["customers_count"]) == (3, 2)
    terms = set(said["legs"][0])
    assert said["legs"] == [{name: leg[name] for name in leg.keys() & terms} for leg in legs["objects"]]


def test_a_dry_run_of_some_kinds_leaves_the_others_out(maker, alice):
    a_settling_buy(alice, btc("0.1"))

    assert maker.post(f"{BATCHES}/preview", {"asset_kinds": ["metal"]})[1]["trades"] == 0
    assert maker.post(f"{BATCHES}/preview", {"asset_kinds": ["crypto", "metal"]})[1]["trades"] == 1


@pytest.mark.parametrize("kinds", ["crypto", ["bonds"], [], [1], {"a": 1}, [None], 7])
def test_kinds_that_nobody_could_mean_are_400(maker, kinds):
    assert code(maker.post(f"{BATCHES}/preview", {"asset_kinds": kinds})) == (400, "invalid_parameter")


def test_reading_suffices_for_a_dry_run_and_for_nothing_else(alice):
    reader = a_firm(frozenset({"settlements:read"}))

    assert reader.post(f"{BATCHES}/preview")[0] == 200
    assert code(reader.post(BATCHES)) == (403, "invalid_scope")
    assert code(a_firm(frozenset({"trades:read"})).post(f"{BATCHES}/preview")) == (403, "invalid_scope")


# --- the cut ---------------------------------------------------------------------------------------


def test_a_batch_says_all_about_itself(maker, alice):
    a_settling_buy(alice, btc("0.1"))

    _, cut = maker.post(BATCHES, {"legs_are_automatic": False})

    batch = SettlementBatch.objects.get()
    assert set(cut) == {
        *("created_at", "updated_at", "guid", "window", "asset_kinds", "cut_at", "state"),
        *("trades_count", "customers_count", "left_out_count", "completed_count", "percent"),
        *("members_sha256", "legs_are_automatic", "completes_in_order"),
        *("made_by_user_guid", "made_by_client_guid"),
        *("confirmed_by_user_guid", "confirmed_by_client_guid", "confirmed_at"),
        *("cancelled_by_user_guid", "cancelled_by_client_guid", "reversed_at", "reversed_by_guid"),
    }
    assert (cut["customers_count"], cut["left_out_count"], cut["percent"]) == (1, 0, 0)
    assert cut["legs_are_automatic"] is False
    assert cut["members_sha256"] == batch.members_sha256 != ""
    assert cut["made_by_client_guid"] == batch.made_by_client_id.hex
    assert cut["made_by_user_guid"] is cut["confirmed_by_client_guid"] is cut["confirmed_at"] is None


@pytest.mark.parametrize("wrong", ["yes", 1, [], {}, "true"])
def test_automatic_is_true_or_false(maker, alice, wrong):
    a_settling_buy(alice, btc("0.1"))

    assert code(maker.post(BATCHES, {"legs_are_automatic": wrong})) == (400, "invalid_parameter")
    assert code(maker.post(BATCHES, [])) == (400, "invalid_parameter")
    assert not SettlementBatch.objects.exists()


def test_a_program_may_not_confirm_what_it_cut_and_another_one_may(maker, checker, alice):
    """Guard: the comparison of maker and checker in approval.confirm, and the constraint behind it."""
    a_settling_buy(alice, btc("0.1"))
    path = f"{BATCHES}/{maker.post(BATCHES)[1]['guid']}"

    assert code(maker.post(f"{path}/confirm")) == (422, "maker_is_checker")
    assert maker.get(path)[1]["state"] == "cut"

    status, confirmed = checker.post(f"{path}/confirm")
    assert (status, confirmed["state"]) == (200, "confirmed")
    assert confirmed["confirmed_by_client_guid"] not in (None, confirmed["made_by_client_guid"])
    assert confirmed["confirmed_at"] is not None


def test_how_far_a_batch_is_can_be_seen_in_percent(maker, alice, bob):
    for customer in (alice, bob, a_customer("carol", with_usd="10_000.00")):
        a_settling_buy(customer, btc("0.01"))
    batch = a_cut()
    confirm(batch.pk, by=SYSTEM, at=timezone.now())

    settle_chunk(batch.pk, at=timezone.now(), chunk=1)
    assert maker.get(f"{BATCHES}/{batch.pk.hex}")[1]["percent"] == 33

    settles(SettlementBatch.objects.get())
    assert maker.get(f"{BATCHES}/{batch.pk.hex}")[1]["percent"] == 100


# --- who is left out -------------------------------------------------------------------------------


def test_who_is_left_out_is_listed_with_the_reason_and_when(maker, checker, alice, bob):
    flagged, frozen, good = a_settling_buy(alice, 10_000), a_settling_buy(bob, 10_000), a_settling_buy(alice, 20_000)
    flag(flagged)
    path = f"{BATCHES}/{maker.post(BATCHES)[1]['guid']}"
    freeze(bob)
    checker.post(f"{path}/confirm")
    settles(SettlementBatch.objects.get())

    _, left = checker.get(f"{path}/left_out")

    told = [(one["trade_guid"], one["stage"], one["reason"], one["detail"]) for one in left["objects"]]
    assert told == [
        (frozen.pk.hex, "settling", "customer_frozen", ""),
        (flagged.pk.hex, "cut", "trade_flagged", "looks odd"),
    ]
    assert left["objects"][0]["customer_guid"] == bob.pk.hex
    assert checker.get(path)[1]["left_out_count"] == 1  # taken out again after the cut
    assert checker.get(f"{path}/left_out", reason="trade_flagged")[1]["total"] == 1
    assert checker.get(f"{path}/left_out", per_page="1", page="1")[1]["objects"] == left["objects"][1:]
    assert code(checker.get(f"{path}/left_out", stage="later")) == (400, "invalid_parameter")
    assert states(good, flagged, frozen) == ["completed", "settling", "settling"]


def test_what_was_left_out_is_in_the_next_batch(maker, alice):
    waiting, good = a_settling_buy(alice, 10_000), a_settling_buy(alice, 20_000)
    flag(waiting)
    assert maker.post(BATCHES)[1]["trades_count"] == 1
    flags.clear(waiting.pk, by=SYSTEM, at=timezone.now())

    _, second = maker.post(BATCHES)

    assert [one["guid"] for one in maker.get(f"{BATCHES}/{second['guid']}/trades")[1]["objects"]] == [waiting.pk.hex]
    assert good.pk != waiting.pk


def test_a_list_of_batches_and_of_legs_costs_the_same_however_long(maker, alice, django_assert_max_num_queries):
    for _ in range(5):
        a_settling_buy(alice, 1_000)
        maker.post(BATCHES)

    for path in (BATCHES, "/api/settlement_legs"):
        with django_assert_max_num_queries(5):
            assert len(maker.get(path)[1]["objects"]) >= 5


def test_amounts_past_64_bits_are_still_json_integers(maker, alice):
    a_settling_buy(alice, btc("0.1"))
    batch = maker.post(BATCHES)[1]["guid"]
    SettlementLeg.objects.filter(asset="BTC").update(received=10**30, expected=10**30)

    (leg,) = maker.get(f"{BATCHES}/{batch}/legs", asset="BTC")[1]["objects"]

    assert leg["expected"] == leg["received"] == 10**30
    assert usd("1.00") == 100


def test_an_unknown_batch_has_no_one_left_out(maker):
    assert code(maker.get(f"{BATCHES}/{UNKNOWN}/left_out")) == (404, "not_found")
