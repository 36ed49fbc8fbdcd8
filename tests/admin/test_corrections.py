"""Corrections, breaks and reconciliation in the admin: one proposes, another one decides."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.ids import uuid7
from accounts.models import Break, Customer, ReconciliationRun, Transfer
from accounts.services.reconciliation import LONGEST_STATEMENT
from tests.admin.actions import act, logged_in, offers, page, said, sent, shown
from tests.given import (
    a_customer,
    a_settling_buy,
    a_trade,
    balance,
    btc,
    btc_at,
    settle_everything,
    usd,
    what_the_audit_finds,
)
from tests.trades.corrections.staff import a_break
from trades.models import Correction, SettlementBatch, SettlementLeg
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import settle

pytestmark = pytest.mark.django_db

CORRECTION, BREAK, RUN = "trades_correction", "accounts_break", "accounts_reconciliationrun"
WHY = {"reason": "the price was wrong"}


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def completed(alice):
    bought = a_settling_buy(alice, btc("0.1"))
    settle_everything()
    bought.refresh_from_db()
    return bought


@pytest.fixture
def broken(alice) -> Break:
    """A leg came 0.01 BTC short."""
    a_settling_buy(alice, btc("0.1"))
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    return a_break(batch, "BTC", missing=btc("0.01"))


# --- reversals -------------------------------------------------------------------------------------


def test_a_trade_is_reversed_by_two_persons_and_says_so(maker, checker, alice, completed):
    assert said(act(maker, "trades_trade_propose_reversal", completed.pk, **WHY)) == [
        "The reversal is proposed; a second person applies it."
    ]
    proposed = Correction.objects.get()
    assert balance(alice, asset="BTC") == btc("0.1")

    answer = act(checker, f"{CORRECTION}_apply", proposed.pk)

    assert said(answer) == ["Applied: 3 movements."]
    for wanted in ("reversal", "4,000.00 USD", "0.10 BTC", "maker@firm.example", "checker@firm.example", WHY["reason"]):
        assert wanted in shown(answer)
    assert (balance(alice), balance(alice, asset="BTC")) == (usd("10_000.00"), 0)
    trade = shown(maker.get(page("trades_trade", completed.pk)))
    assert "reversed" in trade
    assert "a correction" in trade
    assert offers(maker, "trades_trade", completed.pk) == set()
    assert what_the_audit_finds() == []


def test_a_maker_cannot_apply_their_own_proposal_not_even_by_its_url(maker, checker, completed):
    """Fault 34. Guard: the comparison of maker and checker in decide.apply; without it the constraint refuses."""
    act(maker, "trades_trade_propose_reversal", completed.pk, **WHY)
    proposed = Correction.objects.get()
    before = Transfer.objects.count()

    answer = maker.post(reverse(f"admin:{CORRECTION}_apply", args=[proposed.pk]), sent(), follow=True)

    assert said(answer) == ["Whoever proposed a correction can't apply it."]
    proposed.refresh_from_db()
    assert (proposed.state, proposed.checked_by, Transfer.objects.count()) == ("proposed", None, before)


def test_a_second_click_on_apply_is_told_that_it_is_done(maker, checker, completed):
    act(maker, "trades_trade_propose_reversal", completed.pk, **WHY)
    proposed = Correction.objects.get()
    act(checker, f"{CORRECTION}_apply", proposed.pk)
    before = Transfer.objects.count()

    assert said(act(checker, f"{CORRECTION}_apply", proposed.pk)) == ["Applied: 3 movements."]
    assert Transfer.objects.count() == before
    assert offers(checker, CORRECTION, proposed.pk) == set()


def test_a_rejected_proposal_moves_nothing(maker, checker, completed):
    act(maker, "trades_trade_propose_reversal", completed.pk, **WHY)
    proposed = Correction.objects.get()

    assert said(act(checker, f"{CORRECTION}_reject", proposed.pk)) == ["The correction is rejected; nothing moved."]
    assert "No money moved." in shown(maker.get(page(CORRECTION, proposed.pk)))


def test_a_whole_batch_is_reversed_from_its_page_which_then_says_so(maker, checker, alice, completed):
    batch = SettlementBatch.objects.get()
    assert offers(maker, "trades_settlementbatch", batch.pk) == {"propose_reversal"}
    act(maker, "trades_settlementbatch_propose_reversal", batch.pk, **WHY)

    answer = act(checker, f"{CORRECTION}_apply", Correction.objects.get().pk)

    assert said(answer)[0].startswith("Applied: ")
    assert "reversed as a whole" in shown(maker.get(page("trades_settlementbatch", batch.pk)))
    assert offers(maker, "trades_settlementbatch", batch.pk) == set()
    assert balance(alice) == usd("10_000.00")


def test_a_leg_is_taken_back_to_be_reported_anew(maker, checker, broken):
    leg = SettlementLeg.objects.get(asset="BTC")
    assert offers(maker, "trades_settlementleg", leg.pk) == {"propose_reversal"}
    act(maker, "trades_settlementleg_propose_reversal", leg.pk, **WHY)

    act(checker, f"{CORRECTION}_apply", Correction.objects.get().pk)

    assert offers(maker, "trades_settlementleg", leg.pk) == {"report_settled", "report_failed"}
    assert not Break.objects.filter(state="open").exists()


def test_a_customer_who_spent_it_stops_the_reversal_in_words(maker, checker, alice, completed):
    a_settling_buy(alice, btc("0.1"))
    act(maker, "trades_settlementbatch_propose_reversal", SettlementBatch.objects.get().pk, **WHY)
    a_trade(alice, "sell", deliver=btc("0.05"))

    answer = act(checker, f"{CORRECTION}_apply", Correction.objects.get().pk)

    assert "don't cover what they would have to give back: 1, among them BTC" in said(answer)[0]
    assert Correction.objects.get().state == "proposed"


# --- adjustments -----------------------------------------------------------------------------------


def adjustment(**changed: Any) -> dict[str, Any]:
    return {"direction": "credit", "amount": "25.00", "asset": "USD", "reason": "goodwill", "reference": "", **changed}


def test_a_small_adjustment_is_applied_at_once_and_a_large_one_waits(maker, checker, alice):
    done = act(maker, "accounts_customer_propose_adjustment", alice.pk, **adjustment())
    assert said(done) == ["The adjustment is applied: it is within the limit."]
    assert balance(alice) == usd("10_025.00")

    large = act(maker, "accounts_customer_propose_adjustment", alice.pk, **adjustment(amount="1000.00"))
    assert said(large) == ["The adjustment is proposed; a second person applies it."]
    assert balance(alice) == usd("10_025.00")

    act(checker, f"{CORRECTION}_apply", Correction.objects.get(state="proposed").pk)
    assert balance(alice) == usd("11_025.00")


def test_an_adjustment_from_the_list_names_its_customer_by_email_or_guid(maker, alice):
    for customer in (alice.user.email, alice.pk.hex):
        act(maker, f"{CORRECTION}_propose_adjustment", **adjustment(customer=customer, direction="debit"))

    assert balance(alice) == usd("9_950.00")
    assert "25.00 USD" in shown(maker.get(reverse(f"admin:{CORRECTION}_changelist")))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"amount": "0"}, "not an amount above zero"),
        ({"amount": "0.001"}, "more decimals than USD"),
        ({"amount": "much"}, "not an amount above zero"),
        ({"amount": ""}, "required"),
        ({"amount": " 25.00"}, "not an amount above zero"),
        ({"amount": "25.00 "}, "not an amount above zero"),
        ({"amount": "\u0662\u0665"}, "not an amount above zero"),
        ({"amount": "\uff12\uff15"}, "not an amount above zero"),
        ({"amount": "2_5"}, "not an amount above zero"),
        ({"amount": "9" * 35}, "must be less than 100000000000000000000"),
        ({"reason": ""}, "required"),
        ({"asset": "DOGE"}, "valid choice"),
        ({"direction": "sideways"}, "valid choice"),
        ({"customer": "nobody@example.com"}, "There is no customer"),
    ],
)
def test_an_invalid_adjustment_is_said_at_its_field(maker, alice, wrong, words):
    answer = act(maker, f"{CORRECTION}_propose_adjustment", **{**adjustment(customer=alice.pk.hex), **wrong})

    assert words in shown(answer).replace("&#x27;", "'")
    assert not Correction.objects.exists()


# --- breaks ----------------------------------------------------------------------------------------


def test_a_break_shows_its_age_owner_and_amount_and_is_taken(maker):
    since = timezone.now() - timedelta(hours=5)
    broken = Break.objects.create(
        kind="leg_difference", asset_id="BTC", amount=-btc("0.01"), subject=uuid7(), note="wire-9", opened_at=since
    )
    listed = shown(maker.get(reverse(f"admin:{BREAK}_changelist")))
    for wanted in ("5 h", "nobody", "-0.01 BTC", "wire-9"):
        assert wanted in listed

    assert said(act(maker, f"{BREAK}_take", broken.pk)) == ["The break is yours."]
    assert "maker@firm.example" in shown(maker.get(reverse(f"admin:{BREAK}_changelist")))


@pytest.mark.parametrize("how", ["propose_paid", "propose_written_off"])
def test_a_legs_difference_ends_with_a_correction_by_two_persons(maker, checker, broken, how):
    assert offers(maker, BREAK, broken.pk) == {"take", "propose_paid", "propose_written_off"}
    act(maker, f"{BREAK}_{how}", broken.pk, reason="the rest came", reference="wire-12")
    assert offers(maker, BREAK, broken.pk) == {"take", "propose_paid", "propose_written_off"}

    proposed = Correction.objects.get()
    assert said(act(maker, f"{CORRECTION}_apply", proposed.pk)) == ["Whoever proposed a correction can't apply it."]
    act(checker, f"{CORRECTION}_apply", proposed.pk)

    broken.refresh_from_db()
    assert broken.state == "resolved"
    text = shown(maker.get(page(BREAK, broken.pk)))
    assert "the rest came" in text
    assert "what was proposed" in text
    assert offers(maker, BREAK, broken.pk) == set()
    assert what_the_audit_finds() == []


# --- reconciliation --------------------------------------------------------------------------------


def upload(client: Client, statement: bytes, **changed: str) -> Any:
    """A statement of New Year, when the books were empty."""
    form: dict[str, Any] = {"as_of_0": "2026-01-01", "as_of_1": "00:00:00", **changed}
    form["statement"] = SimpleUploadedFile("bank.csv", statement, content_type="text/csv")
    return client.post(reverse(f"admin:{RUN}_add"), form, follow=True)


def test_a_statement_that_agrees_is_kept_with_its_lines(maker, alice):
    answer = upload(maker, b"asset,balance\nUSD,0.00\n")

    run = ReconciliationRun.objects.get()
    assert said(answer) == ["The books agree with this statement."]
    assert (run.ok, run.source, run.made_by.email) == (True, "bank.csv", "maker@firm.example")
    assert answer.redirect_chain[-1][0] == page(RUN, run.pk)


def test_a_drift_is_shown_line_by_line_and_opens_a_break_that_somebody_explains(maker, alice):
    answer = upload(maker, b"asset,balance\nUSD,9000.00\n")

    assert "each asset that drifts has an open break" in said(answer)[0]
    assert "+9,000.00 USD" in shown(answer)
    found = Break.objects.get()
    assert offers(maker, BREAK, found.pk) == {"take", "explain"}
    assert said(act(maker, f"{BREAK}_explain", found.pk, reason="a wire of tonight")) == ["The break is resolved."]
    assert "a wire of tonight" in shown(maker.get(page(BREAK, found.pk)))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (b"", "empty"),
        (b"USD,1.00\n", "the first line must be asset,balance"),
        (b"asset,balance\nUSD,much\n", "Line 2"),
        (b"asset,balance\nDOGE,1\n", "there is no asset"),
        (b"\xff\xfe", "not UTF-8"),
        (b"asset,balance\n" + b"x" * LONGEST_STATEMENT, "at most 1,000,000 bytes"),
    ],
)
def test_a_statement_that_can_not_be_read_is_refused_in_words_and_nothing_is_kept(maker, statement, words):
    answer = upload(maker, statement)

    assert answer.status_code == 200
    assert words in shown(answer)
    assert not ReconciliationRun.objects.exists()


def test_a_statement_of_the_future_or_none_at_all_is_refused(maker):
    assert "future" in shown(upload(maker, b"asset,balance\n", as_of_0="2999-01-01"))
    assert maker.post(reverse(f"admin:{RUN}_add"), {"as_of_0": "x", "as_of_1": ""}).status_code == 200
    assert not ReconciliationRun.objects.exists()


# --- the dashboard, and who may --------------------------------------------------------------------


def test_the_dashboard_says_what_waits_for_a_person(maker, broken, alice):
    def cards() -> dict[str, tuple[str, str]]:
        return {card.title: (card.value, card.note) for card in maker.get("/admin/").context["cards"]}

    assert cards()["Open breaks"] == ("1", "the oldest for 0 min")
    assert cards()["Legs to carry out"] == ("1", "none failed")
    assert cards()["Corrections proposed"] == ("0", "nothing to decide")

    act(
        maker,
        "trades_settlementleg_report_failed",
        SettlementLeg.objects.get(asset="USD").pk,
        reason_code="TECH",
        failure="closed",
    )
    act(maker, "accounts_customer_propose_adjustment", alice.pk, **adjustment(amount="5000.00"))
    assert cards()["Legs to carry out"] == ("0", "1 failed")
    assert cards()["Corrections proposed"] == ("1", "wait for a second person")


@pytest.mark.parametrize(
    ("action", "permission"),
    [
        (f"{CORRECTION}_apply", "accounts.apply_correction"),
        (f"{CORRECTION}_reject", "accounts.apply_correction"),
        (f"{CORRECTION}_propose_adjustment", "accounts.propose_correction"),
        ("accounts_customer_propose_adjustment", "accounts.propose_correction"),
        (f"{BREAK}_take", "accounts.look_after_break"),
        (f"{BREAK}_explain", "accounts.look_after_break"),
        (f"{BREAK}_propose_paid", "accounts.propose_correction"),
        (f"{BREAK}_propose_written_off", "accounts.propose_correction"),
    ],
)
def test_each_action_takes_its_permission_and_looking_is_not_enough(maker, alice, broken, action, permission):
    """Guard: `permissions` of each action. A POST straight to its address is refused, too."""
    act(maker, "accounts_customer_propose_adjustment", alice.pk, **adjustment(amount="5000.00"))
    rows = {CORRECTION: Correction.objects.get(), "accounts_customer": alice, BREAK: broken}
    subject = next(row for name, row in rows.items() if action.startswith(name))
    views = ("trades.view_correction", "accounts.view_customer", "accounts.view_break")
    looker, doer = logged_in("looker@firm.example", *views), logged_in("doer@firm.example", *views, permission)
    args = [] if action == f"{CORRECTION}_propose_adjustment" else [subject.pk]
    address = reverse(f"admin:{action}", args=args)

    assert looker.get(address).status_code == looker.post(address, sent()).status_code == 403
    assert doer.get(address).status_code == 200


def test_reconciling_takes_its_permission():
    looker = logged_in("looker@firm.example", "accounts.view_reconciliationrun")
    doer = logged_in("doer@firm.example", "accounts.view_reconciliationrun", "accounts.reconcile")

    assert upload(looker, b"asset,balance\n").status_code == 403
    assert upload(doer, b"asset,balance\n").status_code == 200
    assert ReconciliationRun.objects.count() == 1


@pytest.mark.parametrize("action", ["apply", "reject"])
@pytest.mark.parametrize("pk", ["nonsense", "0" * 32])
def test_a_decision_about_a_missing_row_is_refused(maker, action, pk):
    address = reverse(f"admin:{CORRECTION}_{action}", args=["X"]).replace("X", pk)

    assert maker.post(address, sent()).status_code in {302, 404}
