"""The operator's day in the admin: preview, cut, confirm, legs, who is left out; and who may do none of it."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Break, Customer
from tests.admin.actions import act, act_twice, logged_in, offers, page, said, sent, shown
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at, exits, settles, states, what_the_audit_finds
from tests.trades.settlement.test_leg_history import long_ago
from trades.models import LeftOut, SettlementBatch, SettlementLeg, SettlementWindow, TradeFlag
from trades.settlement import flags
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now
from trades.settlement.settle import settle
from trades.settlement.windows import next_cuts
from trades.states import BatchState

pytestmark = pytest.mark.django_db

BATCH, LEG, TRADE = "trades_settlementbatch", "trades_settlementleg", "trades_trade"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def bought(alice):
    return a_settling_buy(alice, btc("0.1"))


def waiting_for_its_legs() -> SettlementBatch:
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    batch.refresh_from_db()
    return batch


def leg(asset: str) -> SettlementLeg:
    return SettlementLeg.objects.get(asset=asset)


# --- preview and cut -------------------------------------------------------------------------------


def test_the_admin_says_what_would_be_cut_and_cuts_nothing(maker, alice, bought):
    exits(bought)
    flags.flag(a_settling_buy(alice, btc("0.02")).pk, reason="odd", by=SYSTEM, at=timezone.now())

    text = shown(maker.get(reverse(f"admin:{BATCH}_preview_cut")))

    assert "2 trades, 1 of them exits, of 1 customer." in text
    assert "0.10 BTC" in text
    assert "1 left out: trade flagged." in text
    assert not SettlementBatch.objects.exists()


def test_the_numbers_stand_in_the_dialog_before_anybody_cuts(maker, bought):
    text = shown(maker.get(reverse(f"admin:{BATCH}_cut_everything")))

    assert "1 trade , 0 of them exits" in text or "1 trade, 0 of them exits" in text
    assert not SettlementBatch.objects.exists()


def test_a_windows_page_says_what_its_cut_would_take(maker, bought):
    metals, crypto = (SettlementWindow.objects.get(asset_kind=kind) for kind in ("metal", "crypto"))

    def found(window: SettlementWindow) -> str:
        return shown(maker.get(reverse("admin:trades_settlementwindow_preview_cut", args=[window.pk])))

    assert "no trade is waiting" in found(metals)
    assert "of 1 customer." in found(crypto)


def test_a_windows_page_lists_its_next_ten_cuts_in_its_own_time_and_in_utc(maker):
    window = SettlementWindow.objects.get(asset_kind="metal")
    cuts = next_cuts(window, timezone.now(), 11)

    text = shown(maker.get(page("trades_settlementwindow", window.pk)))

    there = ZoneInfo("America/New_York")
    for cut in cuts[:10]:
        assert f"{cut.astimezone(there):%A, %Y-%m-%d %H:%M} {cut:%Y-%m-%d %H:%M:%S}" in text
    assert f"{cuts[10]:%Y-%m-%d %H:%M:%S}" not in text


def test_a_batch_whose_legs_are_reported_by_hand_is_cut_by_ticking_that(maker, bought):
    act(maker, f"{BATCH}_cut_everything", report_legs="on", in_order="on")

    batch = SettlementBatch.objects.get()
    assert (batch.legs_are_automatic, batch.completes_in_order) == (False, True)
    assert "trades complete up to what has come" in shown(maker.get(page(BATCH, batch.pk)))


# --- the batch's page ------------------------------------------------------------------------------


def test_a_batch_shows_its_progress_people_legs_and_fingerprint(maker, checker, bought):
    act(maker, f"{BATCH}_cut_everything")
    batch = SettlementBatch.objects.get()
    act(checker, f"{BATCH}_confirm_batch", batch.pk)

    text = shown(maker.get(page(BATCH, batch.pk)))

    for wanted in ("0 % · 0 of 1", batch.members_sha256, "maker@firm.example", "checker@firm.example", "Incoming"):
        assert wanted in text
    settles(SettlementBatch.objects.get())
    assert "100 % · 1 of 1" in shown(maker.get(page(BATCH, batch.pk)))


def test_approving_ones_own_request_is_refused_also_by_the_actions_url(maker, checker, bought):
    """Fault 34. Guard: the comparison of maker and checker in approval.confirm; without it the constraint refuses."""
    act(maker, f"{BATCH}_cut_everything")
    batch = SettlementBatch.objects.get()
    address = reverse(f"admin:{BATCH}_confirm_batch", args=[batch.pk])

    answer = maker.post(address, sent(), follow=True)
    assert said(answer) == ["Whoever cut a batch can't decide on it: a second person confirms or cancels it."]
    batch.refresh_from_db()
    assert (batch.state, batch.confirmed_by) == (BatchState.CUT, None)

    checker.post(address, sent())
    batch.refresh_from_db()
    assert batch.state == BatchState.CONFIRMED


def test_settling_now_says_what_the_batch_waits_for(maker, bought):
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())

    answer = act(maker, f"{BATCH}_settle_batch", batch.pk)

    assert said(answer) == ["0 of 1 trades are completed; the others wait for the legs of BTC, USD."]
    assert "BTC, USD" in shown(answer)


def test_who_was_left_out_is_counted_by_reason_and_one_click_away(maker, alice, bought):
    for _ in range(2):
        flags.flag(a_settling_buy(alice, btc("0.01")).pk, reason="odd", by=SYSTEM, at=timezone.now())
    batch = a_cut()

    text = maker.get(page(BATCH, batch.pk)).content.decode()

    assert "trade flagged" in text
    address = f"{reverse('admin:trades_leftout_changelist')}?batch__id__exact={batch.pk}"
    listed = maker.get(f"{address}&stage__exact=cut&reason__exact=trade_flagged")
    assert f"{address}&amp;stage__exact=cut&amp;reason__exact=trade_flagged" in text
    assert listed.context["cl"].result_count == LeftOut.objects.count() == 2


# --- legs ------------------------------------------------------------------------------------------


def test_a_leg_is_reported_with_what_really_moved_and_the_difference_is_a_break(maker, bought):
    batch = waiting_for_its_legs()
    opened = maker.get(reverse(f"admin:{LEG}_report_settled", args=[leg("BTC").pk]))
    assert b'value="0.10000000"' in opened.content  # what was expected

    answer = act_twice(maker, f"{LEG}_report_settled", leg("BTC").pk, actual="0.09", reference="wire-1", final="on")

    assert said(answer) == ["The leg is settled, with a difference: there is a break."]
    text = shown(answer)
    for wanted in ("0.09 BTC", "-0.01 BTC", "wire-1", "maker@firm.example", "leg_difference"):
        assert wanted in text
    assert int(Break.objects.get().amount) == -btc("0.01")

    act(maker, f"{LEG}_report_settled", leg("USD").pk, actual="4000.00")
    settles(batch)
    assert states(bought) == ["completed"]
    assert what_the_audit_finds() == []


def test_a_leg_that_failed_says_why_and_when_it_is_due_again(maker, bought):
    waiting_for_its_legs()

    answer = act(maker, f"{LEG}_report_failed", leg("USD").pk, reason_code="TECH", failure="the bank is closed")

    assert said(answer)[0].startswith("Noted. It is due again at")
    assert "the bank is closed" in shown(answer)
    assert offers(maker, LEG, leg("USD").pk) == {"report_settled"}
    assert offers(maker, LEG, leg("BTC").pk) == {"report_settled", "report_failed"}


@pytest.mark.parametrize(
    "actual",
    [
        *("", "much", "-1", "0.000000001", "1e400", "9" * 60, "NaN", " 0.1", "0.1 ", "\u0661", "\uff11", "1_0"),
        *("0,125", "00,100"),
    ],
)
def test_an_invalid_amount_is_said_in_the_dialog_and_changes_nothing(maker, bought, actual):
    waiting_for_its_legs()

    answer = act(maker, f"{LEG}_report_settled", leg("BTC").pk, actual=actual)

    assert answer.status_code == 200
    assert leg("BTC").status == "pending"


def test_an_amount_that_differs_much_is_asked_about_in_the_dialog_too(maker, bought):
    """Guard: `clean` of SettledForm, and the amount in `confirmation_of`; a comma too many is a thousandfold."""
    waiting_for_its_legs()
    amounts = (("1,000", "1,000.00 BTC differs tenfold"), ("0.098", "0.098 BTC differs by more than 1 %"))

    for actual, warning in amounts:
        answer = act(maker, f"{LEG}_report_settled", leg("BTC").pk, actual=actual, reference="wire-1", final="on")
        assert warning in shown(answer)
        assert leg("BTC").status == "pending"

    box = re.search(r'name="confirmed" value="(\w+)"', answer.content.decode())
    assert box
    same = {"reference": "wire-1", "final": "on", "confirmed": box[1]}
    assert "differs" in shown(act(maker, f"{LEG}_report_settled", leg("BTC").pk, actual="0.97", **same))
    assert not Break.objects.exists()
    answer = act(maker, f"{LEG}_report_settled", leg("BTC").pk, actual="0.098", **same)
    assert said(answer) == ["The leg is settled, with a difference: there is a break."]


def test_a_part_is_reported_and_the_page_shows_the_legs_history(maker, bought):
    waiting_for_its_legs()

    answer = act_twice(maker, f"{LEG}_report_settled", leg("BTC").pk, actual="0.04", reference="wire-1")
    assert said(answer) == ["The part is booked; the leg waits for the rest."]
    assert offers(maker, LEG, leg("BTC").pk) == {"report_settled", "report_failed", "propose_reversal"}
    act(maker, f"{LEG}_report_failed", leg("BTC").pk, reason_code="LACK", failure="no more today")

    history = shown(maker.get(page(LEG, leg("BTC").pk)))
    for wanted in ("wire-1", "0.04", "LACK", "no more today"):
        assert wanted in history


def test_what_is_overdue_stands_on_the_dashboard_and_in_the_list(maker, bought):
    waiting_for_its_legs()
    assert "overdue" not in shown(maker.get("/admin/"))

    long_ago(leg("USD"))

    assert "1 overdue, the oldest for" in shown(maker.get("/admin/"))
    listed = maker.get(reverse(f"admin:{LEG}_changelist"), {"due": "overdue"}).context["cl"].queryset
    assert [one.asset_id for one in listed] == ["USD"]


def test_a_leg_of_a_batch_that_has_not_begun_is_refused_in_words(maker, bought):
    a_cut()

    answer = act(maker, f"{LEG}_report_settled", leg("BTC").pk, actual="0.1")

    assert said(answer) == ["The leg's batch is cut."]


def test_the_list_of_legs_shows_what_is_to_be_carried_out_now(maker, bought):
    waiting_for_its_legs()
    act(maker, f"{LEG}_report_failed", leg("USD").pk, reason_code="TECH", failure="closed")

    due = maker.get(reverse(f"admin:{LEG}_changelist"), {"due": "now"}).context["cl"].result_list

    assert [one.asset_id for one in due] == ["BTC"]


# --- flags -----------------------------------------------------------------------------------------


def test_a_trade_is_held_back_and_let_go_and_shows_what_that_meant(maker, checker, alice, bought):
    other = a_settling_buy(alice, btc("0.01"))
    assert offers(maker, TRADE, bought.pk) == {"flag"}
    assert said(act(maker, f"{TRADE}_flag", bought.pk, reason="looks odd")) == ["The trade is held back."]
    assert said(act(checker, f"{TRADE}_flag", bought.pk, reason="me, too")) == ["This trade carries a flag already."]
    settles(a_cut())
    assert states(bought, other) == ["settling", "completed"]

    assert offers(maker, TRADE, bought.pk) == {"clear_flag"}
    answer = act(checker, f"{TRADE}_clear_flag", bought.pk)
    assert said(answer) == ["The flag is cleared."]
    text = shown(answer)
    for wanted in ("looks odd", "maker@firm.example", "checker@firm.example", "trade flagged", "at the cut"):
        assert wanted in text
    assert TradeFlag.objects.get().cleared_by.email == "checker@firm.example"
    settles(a_cut())
    assert states(bought) == ["completed"]


# --- who may --------------------------------------------------------------------------------------

ACTIONS = [
    (f"{BATCH}_cut_everything", "cut_batch"),
    (f"{BATCH}_confirm_batch", "confirm_batch"),
    (f"{BATCH}_settle_batch", "settle_batch"),
    (f"{BATCH}_cancel_batch", "cancel_batch"),
    (f"{BATCH}_report_legs", "report_leg"),
    (f"{BATCH}_propose_reversal", "propose_correction"),
    (f"{LEG}_report_settled", "report_leg"),
    (f"{LEG}_report_failed", "report_leg"),
    (f"{LEG}_propose_reversal", "propose_correction"),
    (f"{TRADE}_flag", "flag_trade"),
    (f"{TRADE}_clear_flag", "flag_trade"),
    (f"{TRADE}_propose_reversal", "propose_correction"),
]


@pytest.mark.parametrize(("action", "permission"), ACTIONS)
def test_each_action_takes_its_permission_and_looking_is_not_enough(bought, action, permission):
    """Guard: `permissions` of each action. A POST straight to its address is refused, too."""
    a_cut()
    rows = {BATCH: SettlementBatch.objects.get(), LEG: leg("BTC"), TRADE: bought}
    subject = next(row for name, row in rows.items() if action.startswith(name))
    views = ("view_settlementbatch", "view_settlementleg", "view_trade")
    looker = logged_in("looker@firm.example", *(f"trades.{name}" for name in views))
    doer = logged_in("doer@firm.example", *(f"trades.{name}" for name in views), f"accounts.{permission}")
    args = [] if action.endswith("cut_everything") else [subject.pk]
    address = reverse(f"admin:{action}", args=args)

    assert looker.get(address).status_code == looker.post(address, sent()).status_code == 403
    assert doer.get(address).status_code == 200


@pytest.mark.parametrize("action", [name for name, _ in ACTIONS if not name.endswith("cut_everything")])
@pytest.mark.parametrize("pk", ["nonsense", "0" * 32, "%00"])
def test_an_action_on_what_does_not_exist_never_breaks(maker, action, pk):
    address = reverse(f"admin:{action}", args=["X"]).replace("X", pk)
    answers = sent(reason="x", failure="x", reason_code="NARR", actual="1")

    assert maker.get(address).status_code in {200, 302, 404}
    assert maker.post(address, answers).status_code in {302, 404}
