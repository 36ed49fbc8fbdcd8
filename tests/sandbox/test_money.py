"""Money and settlement in a sandbox by API: an ordinary payment, and the services that schedules and banks use."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import audit, clock, tokens
from accounts.models import Customer, Transfer
from tests.caller import UNKNOWN, Api, a_firm, code
from tests.given import a_customer, a_settling_buy, balance, btc, exits, token_of, usd, what_the_audit_finds
from trades.models import BatchEvent, LegReport, Payment, PaymentEvent, SettlementBatch, SettlementLeg, SettlementWindow
from trades.settlement.settle import settle

pytestmark = pytest.mark.django_db

DEPOSITS = "/api/sandbox/deposits"
BATCHES = "/api/sandbox/settlement_batches"


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="10_000.00")


def settles_all() -> None:
    """As a worker that was woken."""
    for batch in SettlementBatch.objects.filter(state__in=["confirmed", "settling", "partially_settled"]):
        for _ in settle(batch.pk, clock=clock.now):
            pass


# --- deposits --------------------------------------------------------------------------------------


def test_one_call_brings_money_by_an_ordinary_payment(firm: Api, alice: Customer) -> None:
    status, told = firm.post(
        DEPOSITS,
        {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 12345, "external_id": "f-1", "labels": ["a"]},
    )

    assert (status, told["state"], told["amount"], told["external_id"]) == (201, "completed", 12345, "f-1")
    assert balance(alice) == usd("10_123.45")
    payment = Payment.objects.get(pk=told["guid"])
    assert (payment.rail, payment.type, payment.side) == ("sandbox", "funding", "deposit")
    became = list(PaymentEvent.objects.filter(payment=payment).order_by("pk").values_list("became", flat=True))
    assert became == ["storing", "pending", "settling", "completed"]
    assert Transfer.objects.filter(subject=payment.pk).get().kind == "deposit"
    assert firm.get(f"/api/transfers/{told['guid']}") == (200, told)
    assert what_the_audit_finds() == []


def test_it_goes_by_the_sandboxs_rail_where_new_payments_take_another(
    firm: Api, alice: Customer, settings: Any
) -> None:
    settings.PAYMENT_RAIL = "manual"
    told = firm.post(DEPOSITS, {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 1})[1]
    assert (told["state"], Payment.objects.get(pk=told["guid"]).rail) == ("completed", "sandbox")


def test_the_same_key_brings_it_once(firm: Api, alice: Customer) -> None:
    body = f'{{"customer_guid":"{alice.pk.hex}","asset":"USD","amount":100}}'
    said = [
        firm.http.post(DEPOSITS, body, content_type="application/json", headers={"Idempotency-Key": "fund"})
        for _ in range(2)
    ]
    assert said[0].content == said[1].content
    assert balance(alice) == usd("10_001.00")


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"customer_guid": UNKNOWN}, (404, "not_found")),
        ({"asset": "DOGE"}, (400, "invalid_parameter")),
        ({"amount": 0}, (400, "invalid_parameter")),
        ({"amount": -1}, (400, "invalid_parameter")),
        ({"amount": "1"}, (400, "invalid_parameter")),
        ({"amount": 10**38}, (400, "invalid_parameter")),
    ],
)
def test_what_cant_be_brought_is_refused(
    firm: Api, alice: Customer, change: dict[str, Any], refused: tuple[int, str]
) -> None:
    wanted = {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 1} | change
    assert code(firm.post(DEPOSITS, wanted)) == refused
    assert not Payment.objects.exists()


def test_who_is_not_verified_gets_none(firm: Api, alice: Customer) -> None:
    Customer.objects.filter(pk=alice.pk).update(state="unverified")
    wanted = {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 1}
    assert code(firm.post(DEPOSITS, wanted)) == (422, "customer_not_verified")


def test_a_trader_makes_no_money(alice: Customer) -> None:
    wanted = {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 1}
    assert code(Api(token_of(alice)).post(DEPOSITS, wanted)) == (403, "invalid_scope")


# --- settlement ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_one_call_cuts_and_confirms_and_a_worker_does_the_rest(firm: Api, alice: Customer) -> None:
    bought = a_settling_buy(alice, btc("0.1"))
    sold = exits(bought)

    status, told = firm.post(BATCHES)

    assert (status, told["state"], told["trades_count"], told["window"]) == (201, "confirmed", 2, None)
    assert told["confirmed_by_client_guid"] == tokens.verify(firm.http.defaults["HTTP_AUTHORIZATION"]).client_id.hex  # type: ignore[union-attr]
    assert (told["made_by_client_guid"], told["made_by_user_guid"]) == (None, None)
    assert None not in BatchEvent.objects.values_list("request_id", flat=True)
    settles_all()
    assert firm.get(f"/api/settlement_batches/{told['guid']}")[1]["state"] == "completed"
    assert {firm.get(f"/api/trades/{one.pk.hex}")[1]["state"] for one in (bought, sold)} == {"completed"}
    assert what_the_audit_finds() == []


def test_a_windows_own_kind_is_cut_and_settles_as_it_says(firm: Api, alice: Customer) -> None:
    a_settling_buy(alice, btc("0.1"))
    crypto, fiat = (SettlementWindow.objects.get(asset_kind=kind, is_active=True) for kind in ("crypto", "fiat"))

    assert code(firm.post(BATCHES, {"window_guid": fiat.pk.hex})) == (422, "nothing_to_cut")
    status, told = firm.post(BATCHES, {"window_guid": crypto.pk.hex})

    assert (status, told["window"], told["asset_kinds"]) == (201, crypto.name, ["crypto"])
    assert code(firm.post(BATCHES, {"window_guid": UNKNOWN})) == (404, "not_found")
    both = {"window_guid": crypto.pk.hex, "legs_are_automatic": False}
    assert code(firm.post(BATCHES, both)) == (400, "invalid_parameter")


def test_a_batch_that_was_only_cut_waits_until_it_is_settled(firm: Api, alice: Customer) -> None:
    a_settling_buy(alice, btc("0.1"))
    told = firm.post(BATCHES, {"settle": False})[1]
    assert told["state"] == "cut"

    assert firm.post(f"{BATCHES}/{told['guid']}/settle")[1]["state"] == "confirmed"
    settles_all()
    assert firm.post(f"{BATCHES}/{told['guid']}/settle")[1]["state"] == "completed"
    assert code(firm.post(f"{BATCHES}/{UNKNOWN}/settle")) == (404, "not_found")


def test_what_a_client_has_cut_itself_another_one_confirms_in_a_sandbox_too(firm: Api, alice: Customer) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = firm.post("/api/settlement_batches")[1]["guid"]

    assert code(firm.post(f"{BATCHES}/{batch}/settle"))[0] == 422
    assert a_firm().post(f"{BATCHES}/{batch}/settle")[1]["state"] == "confirmed"


def test_legs_are_reported_failed_and_then_settled_as_a_bank_would(firm: Api, alice: Customer) -> None:
    bought = a_settling_buy(alice, btc("0.1"))
    batch = firm.post(BATCHES, {"legs_are_automatic": False})[1]["guid"]

    failed = {"outcome": "failed", "asset": "BTC", "failure": "No such wallet.", "reason_code": "AC01"}
    assert firm.post(f"{BATCHES}/{batch}/report_legs", failed)[1]["state"] == "settling"
    told = {leg["asset"]: leg for leg in firm.get(f"/api/settlement_batches/{batch}/legs")[1]["objects"]}
    assert (told["BTC"]["status"], told["BTC"]["reason_code"], told["USD"]["status"]) == ("failed", "AC01", "pending")

    assert firm.post(f"{BATCHES}/{batch}/report_legs", {"outcome": "settled"})[0] == 200
    assert set(SettlementLeg.objects.values_list("status", flat=True)) == {"settled"}
    me = tokens.verify(firm.http.defaults["HTTP_AUTHORIZATION"]).client_id
    assert set(LegReport.objects.values_list("by_client_id", flat=True)) == {me}
    assert code(firm.post(f"{BATCHES}/{batch}/report_legs", {"outcome": "settled"})) == (422, "no_leg_waits")
    settles_all()
    assert firm.get(f"/api/trades/{bought.pk.hex}")[1]["state"] == "completed"
    assert list(audit.run(clock.now()).findings) == []


def test_legs_of_what_is_only_cut_cant_be_reported(firm: Api, alice: Customer) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = firm.post(BATCHES, {"settle": False, "legs_are_automatic": False})[1]["guid"]

    assert firm.post(f"{BATCHES}/{batch}/report_legs", {"outcome": "settled"})[0] == 422
    assert code(firm.post(f"{BATCHES}/{batch}/report_legs", {"outcome": "lost"})) == (400, "invalid_parameter")


def test_nothing_to_cut_is_said(firm: Api) -> None:
    assert code(firm.post(BATCHES)) == (422, "nothing_to_cut")


def test_a_trader_settles_nothing(alice: Customer) -> None:
    trader = Api(token_of(alice))
    for path in (BATCHES, f"{BATCHES}/{UNKNOWN}/settle", f"{BATCHES}/{UNKNOWN}/report_legs"):
        assert code(trader.post(path)) == (403, "invalid_scope")
