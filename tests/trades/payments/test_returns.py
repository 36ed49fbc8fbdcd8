"""Payments that come back: a deposit that the bank takes away again, a payout that it couldn't deliver."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import services
from accounts.errors import ActorRequired, InsufficientFunds, KeyReused, Malformed
from accounts.identity import SYSTEM, Actor
from accounts.models import Asset, Customer, Funding, LedgerAccount, Transfer
from quotes import prices
from tests.admin.actions import act, logged_in, offers, said
from tests.caller import Api, a_firm
from tests.commands import told
from tests.given import a_customer, a_payment, balance, btc_at, sends, token_of, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, applies, movements_of, somebody
from tests.trades.engine_steps import opens
from tests.trades.payments.test_sandbox import FEE, steps_of
from trades.corrections import decide
from trades.corrections.errors import AlreadyReturned
from trades.corrections.funding import propose_funding
from trades.corrections.propose import propose_adjustment, propose_payment_return
from trades.errors import MakerIsChecker, PaymentNotFound, PaymentStateForbids
from trades.models import Correction, Payment, PaymentEvent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def limit() -> None:
    Asset.objects.filter(pk="USD").update(adjustment_limit=usd("1_000.00"))


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="1_000.00")


def comes_back(payment: Payment, amount: int | None = None, by: Actor | None = None, **more: Any) -> Correction:
    whole = int(payment.receive_amount if payment.leaves else payment.deliver_amount)
    says = {"reference": f"back-{payment.pk.hex}", "reason": "the bank says so", "at": timezone.now(), **more}
    return propose_payment_return(payment.pk, whole if amount is None else amount, by=by or somebody(), **says)


def adjustments() -> int:
    return sum(one.balance for one in LedgerAccount.objects.filter(type="adjustments", asset="USD"))


def test_a_deposit_that_the_bank_takes_away_again_leaves_the_customer(alice: Customer) -> None:
    payment, ann = a_payment(alice, "deposit", usd("400.00"), fees=FEE), somebody()
    before = balance(alice)

    made = comes_back(payment, by=ann, reference="back-1")

    assert (made.state, made.direction, balance(alice)) == ("applied", "debit", before - usd("400.00"))
    assert movements_of(made) == [("payment_returned", "available", "external", usd("400.00"), "USD")]
    kept = Funding.objects.get(reference="back-1")
    assert (kept.made_by_id, kept.reason) == (ann.user_id, "the bank says so")
    payment.refresh_from_db()
    assert (payment.state, payment.updated_at) == ("completed", made.decided_at)
    assert steps_of(payment)[-1] == ("returned", made.pk.hex)
    assert what_the_audit_finds() == []


def test_a_payout_that_comes_back_is_the_customers_again_and_its_fee_stays(alice: Customer) -> None:
    payment = a_payment(alice, "withdrawal", usd("400.00"), fees=FEE)

    made = comes_back(payment, usd("390.00"))  # the bank has kept a little

    assert (made.state, balance(alice)) == ("applied", usd("990.00"))
    assert movements_of(made) == [("payment_returned", "external", "available", usd("390.00"), "USD")]
    assert what_the_audit_finds() == []


def test_what_comes_back_is_never_dated_before_what_it_follows(alice: Customer) -> None:
    """Guard: `max` in `carry_out_return`, for whoever looked at the clock before the payment completed."""
    payment = a_payment(alice, "deposit", usd("1.00"))

    comes_back(payment, at=payment.updated_at - timedelta(seconds=1))

    times = [event.at for event in PaymentEvent.objects.filter(payment=payment).order_by("pk")]
    assert times == sorted(times)
    assert what_the_audit_finds() == []


def test_the_transfer_shows_what_came_back_and_whoever_polls_sees_it(alice: Customer) -> None:
    firm, mine = a_firm(), Api(token_of(alice))
    payment = a_payment(alice, "withdrawal", usd("400.00"))
    shown = firm.get(f"/api/transfers/{payment.pk.hex}")[1]
    assert not {"returned_amount", "returned_at", "returned_by_guid"} & set(shown)

    made = comes_back(payment, usd("399.00"))

    later = firm.get("/api/transfers", updated_at_gte=shown["updated_at"])[1]["objects"][0]
    assert later == mine.get(f"/api/transfers/{payment.pk.hex}")[1]
    assert (later["state"], later["returned_amount"], later["returned_by_guid"]) == ("completed", 39_900, made.pk.hex)
    assert later["updated_at"] == later["returned_at"] > shown["updated_at"]
    (last,) = mine.get("/api/v1/statement", limit="100")[1]["message"][-1:]
    assert (last["kind"], last["text"], last["amount"]) == ("payment_returned", "A payment that came back", 399)


def test_above_the_limit_two_persons_decide(alice: Customer) -> None:
    """Guard: `is_within_limit` in `propose_payment_return`; the trigger `proposed_first` refuses it as well."""
    payment, ann = a_payment(alice, "deposit", usd("1_000.01")), somebody()

    made = comes_back(payment, by=ann)

    assert (made.state, balance(alice)) == ("proposed", usd("2_000.01"))
    with pytest.raises(MakerIsChecker):
        decide.apply(made.pk, by=ann, at=timezone.now())
    assert applies(made).state == "applied"
    assert balance(alice) == usd("1_000.00")
    assert what_the_audit_finds() == []


def test_what_is_split_over_payments_and_corrections_takes_two_all_the_same(alice: Customer) -> None:
    """Guard: PAYMENT_RETURNED in `ALONE`."""
    first, second = (a_payment(alice, "deposit", usd("600.00")) for _ in range(2))
    ann = somebody()

    assert comes_back(first, by=ann).state == "applied"
    assert comes_back(second, by=ann).state == "proposed"
    again = propose_adjustment(
        alice.pk, "USD", usd("600.00"), "credit", reason="x", by=ann, at=timezone.now()
    )  # fmt: skip
    assert again.state == "proposed"


def test_what_the_customer_has_spent_the_firm_bears_by_two_persons_and_nothing_else_leaves(alice: Customer) -> None:
    """Guards: `takes_two_to_return`, `_bear`. No balance goes below zero, and the bank's word isn't refused."""
    payment = a_payment(alice, "deposit", usd("400.00"))
    a_payment(alice, "withdrawal", usd("1_300.00"))

    made = comes_back(payment)

    assert (made.state, balance(alice)) == ("proposed", usd("100.00"))
    assert applies(made).state == "applied"
    assert movements_of(made) == [
        ("payment_return_borne", "adjustments", "available", usd("300.00"), "USD"),
        ("payment_returned", "available", "external", usd("400.00"), "USD"),
    ]
    assert (balance(alice), adjustments()) == (0, -usd("300.00"))
    assert Customer.objects.get(pk=alice.pk).state == "frozen"
    assert what_the_audit_finds() == []


def test_what_positions_have_lost_is_not_taken_from_them(alice: Customer) -> None:
    """Guard: `spendable_now`. 1,400.00 less 840.00 of margin less 500.00 lost leave 60.00."""
    payment = a_payment(alice, "deposit", usd("400.00"))
    btc_at("42_000.00")
    opens(alice, quantity="0.2", leverage=10)
    btc_at("39_500.00")

    made = applies(comes_back(payment))

    assert movements_of(made)[0] == ("payment_return_borne", "adjustments", "available", usd("340.00"), "USD")
    assert balance(alice) == usd("500.00")
    assert what_the_audit_finds() == []


def test_where_a_price_is_missing_it_waits_and_says_so(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", usd("400.00"))
    btc_at("42_000.00")
    opens(alice, quantity="0.01", leverage=10)
    prices.forget("BTC-USD")

    with pytest.raises(InsufficientFunds, match="no price of BTC-USD"):
        comes_back(payment)
    assert Correction.objects.count() == 0


@pytest.mark.parametrize("side", ["deposit", "withdrawal"])
def test_for_who_is_not_verified_it_takes_two_whatever_the_amount(alice: Customer, side: str) -> None:
    """Guard: `takes_two` in `takes_two_to_return`."""
    payment = a_payment(alice, side, usd("1.00"))
    Customer.objects.filter(pk=alice.pk).update(state="unverified")

    made = comes_back(payment)

    assert made.state == "proposed"
    assert applies(made).state == "applied"


def test_a_payment_comes_back_once_and_never_more_than_had_moved(alice: Customer) -> None:
    """Guards: `return_of`, the comparison in `returnable`."""
    payment = a_payment(alice, "withdrawal", usd("400.00"), fees=FEE)
    for wrong in (0, -1, int(payment.receive_amount) + 1):
        with pytest.raises(Malformed):
            comes_back(payment, wrong)
    comes_back(payment, 1)

    with pytest.raises(AlreadyReturned):
        comes_back(payment, 1, reference="another")
    assert Transfer.objects.filter(kind="payment_returned").count() == 1


def test_a_proposal_that_is_rejected_lets_another_one_be_made(alice: Customer) -> None:
    payment = a_payment(alice, "deposit", usd("1_000.01"))
    first = comes_back(payment)
    with pytest.raises(AlreadyReturned):
        comes_back(payment, reference="another")

    decide.reject(first.pk, by=somebody(), at=timezone.now())

    assert comes_back(payment).state == "proposed"
    assert not PaymentEvent.objects.filter(became="returned").exists()


def test_only_what_has_completed_outside_comes_back(alice: Customer) -> None:
    failed = a_payment(alice, "withdrawal", usd("1.00"), expected_error="refused")
    between = sends(alice, a_customer("bob"), usd("1.00"))

    for payment in (failed, between):
        with pytest.raises(PaymentStateForbids):
            comes_back(payment)
    done = a_payment(alice, "deposit", usd("1.00"))
    with pytest.raises(ActorRequired):
        comes_back(done, by=SYSTEM)
    with pytest.raises(PaymentNotFound):
        propose_payment_return(
            alice.pk, 1, reference="r", reason="x", by=somebody(), at=timezone.now()
        )  # fmt: skip


def test_a_reference_is_used_once_whoever_used_it(alice: Customer) -> None:
    """Guards: `is_taken`; BY_REFERENCE in `_living`. Else the second one would break on the unique index."""
    payment, other = a_payment(alice, "deposit", usd("1_000.01")), a_payment(alice, "deposit", usd("2.00"))
    services.deposit(alice, "USD", 1, "wire-1", timezone.now(), "test")
    for wrong in ("wire-1", payment.reference):
        with pytest.raises(KeyReused):
            comes_back(payment, reference=wrong)
    with pytest.raises(Malformed):
        comes_back(payment, reference="")
    comes_back(payment, reference="back-1")

    with pytest.raises(KeyReused):
        comes_back(other, reference="back-1")
    with pytest.raises(KeyReused):
        propose_funding(
            "deposit", alice.pk, "USD", 1, reference="back-1", reason="x", by=somebody(), at=timezone.now()
        )  # fmt: skip


@pytest.mark.parametrize(
    "forged",
    [{"amount": 40_001}, {"direction": "credit"}, {"asset_id": "EUR"}, {"other": True}, {"reference": ""},
     {"needs_checker": False, "amount": 200_000}],
)  # fmt: skip
def test_the_database_links_it_to_its_payment(alice: Customer, forged: dict[str, Any]) -> None:
    """Guards: the triggers `of_its_payment` and `proposed_first`, the constraint
    `return_says_whose_and_by_which_reference`."""
    payment = a_payment(alice, "deposit", usd("2_000.00") if "needs_checker" in forged else usd("400.00"))
    if forged.pop("other", False):
        forged = {"customer": a_customer("bob")}
    row = {
        "kind": "payment_returned",
        "subject": payment.pk,
        "customer": alice,
        "asset_id": "USD",
        "amount": usd("400.00"),
        "direction": "debit",
        "reference": "back-1",
        "reason": "x",
        "made_by": a_member_of_staff(),
        "made_at": timezone.now(),
    }
    with pytest.raises(IntegrityError), transaction.atomic():
        Correction.objects.create(**{**row, **forged})
    Correction.objects.create(**row)


def test_the_database_lets_a_payment_come_back_once(alice: Customer) -> None:
    """Guard: the unique `a_payment_comes_back_once`."""
    payment = a_payment(alice, "deposit", usd("400.00"))
    made = comes_back(payment, 1)

    again = Correction(
        kind=made.kind, subject=payment.pk, customer=alice, asset_id="USD", amount=1, direction="debit",
        reference="back-2", reason="x", made_by=a_member_of_staff(), made_at=timezone.now(),
    )  # fmt: skip
    with pytest.raises(IntegrityError, match="a_payment_comes_back_once"), transaction.atomic():
        again.save(force_insert=True)


def test_of_a_completed_payment_nothing_changes_but_its_time(alice: Customer) -> None:
    """Guard: the trigger `ended_for_good`."""
    payment = a_payment(alice, "deposit", usd("5.00"))
    failed = a_payment(alice, "withdrawal", usd("5.00"), expected_error="refused")
    Payment.objects.filter(pk=payment.pk).update(updated_at=timezone.now())

    for one, change in ((payment, {"needs_checker": True}), (failed, {"updated_at": timezone.now()})):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payment.objects.filter(pk=one.pk).update(**change)


def test_by_command_it_is_proposed_and_applied(alice: Customer) -> None:
    payment, ann, ben = a_payment(alice, "withdrawal", usd("30.00")), a_member_of_staff(), a_member_of_staff()
    words = ("correct", "propose", "payment-return", payment.pk.hex, "--reason", "no such account")

    with pytest.raises(CommandError, match="reference"):
        call_command(*words, "--by", ann.email)
    made = told(*words, "--reference", "back-1", "--amount", "29.50", "--by", ann.email)

    assert (made["kind"], made["state"], made["subject"]) == ("payment_returned", "applied", payment.pk.hex)
    assert balance(alice) == usd("999.50")
    with pytest.raises(CommandError, match="has come back already"):
        call_command(*words, "--reference", "back-2", "--by", ben.email)


def test_at_the_desk_a_completed_payment_comes_back_and_above_the_limit_it_is_proposed(alice: Customer) -> None:
    maker, checker = logged_in("maker@firm.example"), logged_in("checker@firm.example")
    small, large = a_payment(alice, "withdrawal", usd("30.00")), a_payment(alice, "deposit", usd("2_000.00"))
    why = {"reason": "no such account"}

    answer = act(maker, "trades_payment_came_back", small.pk, reference="back-1", amount="", **why)
    assert said(answer) == ["It is booked."]
    answer = act(maker, "trades_payment_came_back", large.pk, reference="back-2", amount="1,999.00", **why)
    assert "not an amount" in said(answer)[0]
    answer = act(maker, "trades_payment_came_back", large.pk, reference="back-2", amount="1999.00", **why)
    assert said(answer) == ["It is proposed; a second person applies it under Corrections."]
    assert offers(maker, "trades_payment", large.pk) == set()

    made = Correction.objects.get(reference="back-2")
    assert said(act(checker, "trades_correction_apply", made.pk)) == ["Applied: 1 movements."]
    assert balance(alice) == usd("1_001.00")
    assert b"returned" in maker.get(f"/admin/trades/payment/{large.pk}/change/").content


def test_who_may_only_look_says_of_nothing_that_it_came_back(alice: Customer) -> None:
    payment = a_payment(alice, "withdrawal", 100)
    client = logged_in("looks@firm.example", "trades.view_payment")

    assert client.get(f"/admin/trades/payment/{payment.pk}/came_back/").status_code in (302, 403, 404)
    assert not Correction.objects.exists()
