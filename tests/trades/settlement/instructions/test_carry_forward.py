"""What is still missing of a leg goes into the next batch's instruction, once; no trade changes batches."""

from __future__ import annotations

import threading
from datetime import timedelta
from functools import partial

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.identity import SYSTEM
from accounts.models import Break, Customer, RowVersion
from tests.caller import a_firm
from tests.commands import ran, told
from tests.given import a_customer, btc, btc_at, deposit, states, usd, what_the_audit_finds
from tests.races.together import TIMEOUT_SECONDS, together, wait_until_waiting
from tests.trades.corrections.staff import somebody
from tests.trades.settlement.instructions.bank import csv_line, csv_statement
from tests.trades.settlement.instructions.batches import DAY, a_window, cut_of, goes_on, leg, of, that_morning
from tests.trades.settlement.instructions.counterparties import (
    BANK,
    OTHER_IBAN,
    OWN_IBAN,
    OWN_WALLET,
    a_counterparty,
    agreed,
    the_firm_and_its_provider,
)
from trades.models import InstructionLeg, SettlementBatch, SettlementInstruction, SettlementWindow, Trade
from trades.settlement.instructions import make, moves, statements
from trades.settlement.legs import settle_leg

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    the_firm_and_its_provider()
    return a_customer(with_usd="100_000.00")


def a_carrying_window(**more) -> SettlementWindow:
    return a_window(carries_forward=True, **more)


def what_else_the_audit_finds() -> list[str]:
    """These trades are of March, and some of them wait."""
    return [finding for finding in what_the_audit_finds() if not finding.startswith("waiting trades:")]


def fails(batch: SettlementBatch | None, asset: str) -> None:
    moves.fail(of(batch, asset).pk, note="the bank is closed", by=somebody(), at=timezone.now())


def pays(batch: SettlementBatch | None, asset: str, amount: str, reference: str) -> None:
    """The bank's statement says that so much of the batch's instruction moved."""
    account, one = (OWN_IBAN if asset == "USD" else OWN_WALLET), of(batch, asset)
    if one.state == "made" and one.direction == "outgoing":
        moves.send(one.pk, at=timezone.now())
    line = csv_line(account, asset, amount, one.direction, reference, one.reference)
    found = statements.import_statement(csv_statement(line), name=reference, by=SYSTEM, at=timezone.now())
    assert [entry.state for entry in found.entries] == ["matched"]


def carried(batch: SettlementBatch | None, asset: str) -> list[tuple[object, object, int]]:
    """From which leg to which, and how much, in the batch's instruction."""
    lines = InstructionLeg.objects.filter(instruction=of(batch, asset), carried_to__isnull=False).order_by("pk")
    return [(line.leg, line.carried_to, int(line.amount)) for line in lines]


def two_batches(alice: Customer, window: SettlementWindow) -> tuple[SettlementBatch, SettlementBatch, Trade, Trade]:
    """Alice buys 0.1 BTC for each. The first one's USD, 4,000.00, fail before the second is cut."""
    one = that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    fails(first, "USD")
    other = that_morning(alice, receive=btc("0.1"))
    return first, cut_of(window, 11), one, other


# --- what is carried -------------------------------------------------------------------------------


def test_what_failed_goes_into_the_next_batch_s_instruction_and_completes_its_own_batch(alice) -> None:
    first, second, one, other = two_batches(alice, a_carrying_window())

    instruction = of(second, "USD")
    assert (instruction.amount, instruction.value_date) == (usd("8000.00"), leg(second, "USD").value_date)
    assert carried(second, "USD") == [(leg(first, "USD"), leg(second, "USD"), usd("4000.00"))]
    assert carried(second, "BTC") == []  # the first batch's own instruction lives

    pays(first, "BTC", "0.1", "tx-1")
    pays(second, "USD", "4000.00", "BANK-1")  # a part: the oldest batch's leg first
    assert (goes_on(first), states(one)) == ("completed", ["completed"])
    assert states(other) == ["settling"]
    assert what_else_the_audit_finds() == []

    pays(second, "USD", "4000.00", "BANK-2")
    pays(second, "BTC", "0.1", "tx-2")
    assert (goes_on(second), states(other)) == ("completed", ["completed"])
    assert [trade.batch_id for trade in Trade.objects.order_by("pk")] == [first.pk, second.pk]
    assert what_else_the_audit_finds() == []


@pytest.mark.parametrize("in_order", [True, False])
def test_the_rest_of_a_leg_that_came_in_part_is_carried_and_its_trades_go_by_the_window_s_rule(alice, in_order) -> None:
    window = a_carrying_window(completes_in_order=in_order)
    trades = [that_morning(alice, receive=btc("0.1")) for _ in range(3)]
    first = cut_of(window, 10)
    settle_leg(leg(first, "BTC").pk, actual=btc("0.1"), reference="tx-1", by=somebody(), at=timezone.now())
    pays(first, "USD", "12000.00", "BANK-1")
    goes_on(first)
    assert states(*trades) == ["completed" if in_order else "settling", "settling", "settling"]
    that_morning(alice, receive=btc("0.05"))

    second = cut_of(window, 11)

    assert carried(second, "BTC") == [(leg(first, "BTC"), leg(second, "BTC"), btc("0.2"))]
    assert of(second, "BTC").amount == btc("0.25")
    pays(second, "BTC", "0.1", "tx-2")
    goes_on(first)
    assert states(*trades) == (["completed"] * 2 + ["settling"] if in_order else ["settling"] * 3)
    pays(second, "BTC", "0.15", "tx-3")
    assert (goes_on(first), states(*trades)) == ("completed", ["completed"] * 3)
    assert what_else_the_audit_finds() == []


def test_a_rest_is_netted_against_the_next_batch_s_leg_that_goes_the_other_way(alice) -> None:
    bob = a_customer("bob")
    deposit(bob, "BTC", "1")
    window = a_carrying_window()
    bought = that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    fails(first, "USD")
    fails(first, "BTC")
    sold = that_morning(bob, "sell", deliver=btc("0.1"))

    second = cut_of(window, 11)

    assert SettlementInstruction.objects.filter(batch=second).values_list("amount", "state").distinct().get() == (
        0,
        "confirmed",
    )
    assert (goes_on(first), goes_on(second)) == ("completed", "completed")
    assert states(bought, sold) == ["completed"] * 2
    assert what_else_the_audit_finds() == []


def test_what_fails_again_is_carried_again(alice) -> None:
    window = a_carrying_window()
    first, second, *_ = two_batches(alice, window)
    fails(second, "USD")
    that_morning(alice, receive=btc("0.1"))

    third = cut_of(window, 12)

    assert carried(third, "USD") == [
        (leg(first, "USD"), leg(third, "USD"), usd("4000.00")),
        (leg(second, "USD"), leg(third, "USD"), usd("4000.00")),
    ]
    pays(third, "USD", "12000.00", "BANK-1")
    assert [leg(batch, "USD").status for batch in (first, second, third)] == ["settled"] * 3
    assert what_else_the_audit_finds() == []


def test_across_the_batches_of_a_day_it_goes_with_the_window_s_oldest_leg(alice) -> None:
    window = a_carrying_window(netting="day")
    that_morning(alice, receive=btc("0.1"))
    before = cut_of(window, 10)
    make.net_day(DAY.date(), by=SYSTEM, at=timezone.now())
    fails(None, "USD")
    batches = []
    for hour in (34, 35):  # of the next day
        that_morning(alice, receive=btc("0.1"))
        batches.append(cut_of(window, hour))

    make.net_day(DAY.date() + timedelta(days=1), by=SYSTEM, at=timezone.now())

    assert of(None, "USD").amount == usd("12000.00")
    assert carried(None, "USD") == [(leg(before, "USD"), leg(batches[0], "USD"), usd("4000.00"))]
    pays(None, "USD", "12000.00", "BANK-1")
    assert {leg(batch, "USD").status for batch in (before, *batches)} == {"settled"}
    assert what_else_the_audit_finds() == []


# --- what isn't ------------------------------------------------------------------------------------


def test_without_the_setting_each_batch_is_instructed_by_itself(alice) -> None:
    first, second, *_ = two_batches(alice, a_window())

    assert (carried(second, "USD"), of(second, "USD").amount) == ([], usd("4000.00"))
    (anew,) = make.make_for_batch(first.pk, by=SYSTEM, at=timezone.now()).instructions
    assert anew.amount == usd("4000.00")


def test_what_somebody_may_still_pay_isn_t_carried(alice) -> None:
    """A leg that was reported failed is in its instruction still, which the bank may try again."""
    window = a_carrying_window()
    that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    moves.send(of(first, "USD").pk, at=timezone.now())
    that_morning(alice, receive=btc("0.1"))

    second = cut_of(window, 11)

    assert [carried(second, asset) for asset in ("USD", "BTC")] == [[], []]
    assert of(first, "USD").state == "sent"


def test_what_was_sent_and_ended_by_a_report_is_carried_once_somebody_says_that_the_bank_won_t_pay_it(alice) -> None:
    window = a_carrying_window()
    that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    sent = moves.send(of(first, "USD").pk, at=timezone.now())
    given = {"actual": usd("1000.00"), "reference": "wire 1", "by": somebody(), "at": timezone.now()}
    settle_leg(leg(first, "USD").pk, **given)
    that_morning(alice, receive=btc("0.1"))

    second = cut_of(window, 11)
    assert (carried(second, "USD"), of(second, "USD").amount) == ([], usd("4000.00"))
    moves.fail(sent.pk, note="recalled", by=somebody(), at=timezone.now(), is_stopped=True)
    that_morning(alice, receive=btc("0.1"))
    third = cut_of(window, 12)
    assert carried(third, "USD") == [(leg(first, "USD"), leg(third, "USD"), usd("3000.00"))]


def test_what_will_never_come_isn_t_carried(alice) -> None:
    """A final report settles the leg: what is missing is a break, and nobody's instruction."""
    window = a_carrying_window()
    that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    given = {"actual": usd("3000.00"), "reference": "wire 1", "final": True, "by": somebody(), "at": timezone.now()}
    settle_leg(leg(first, "USD").pk, **given)
    that_morning(alice, receive=btc("0.1"))

    second = cut_of(window, 11)

    assert (carried(second, "USD"), of(second, "USD").amount) == ([], usd("4000.00"))
    assert Break.objects.get().amount == usd("1000.00")


def test_nothing_is_carried_to_another_window_nor_to_another_counterparty(alice) -> None:
    window = a_carrying_window()
    that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    fails(first, "USD")
    that_morning(alice, receive=btc("0.1"))
    assert carried(cut_of(a_carrying_window(), 11), "USD") == []
    agreed(a_counterparty(), "USD", {**BANK, "iban": OTHER_IBAN, "bic": "PSSTFRPPXXX"})
    that_morning(alice, receive=btc("0.1"))

    second = cut_of(window, 12)

    assert (carried(second, "USD"), of(second, "USD").amount) == ([], usd("4000.00"))


def test_nothing_is_carried_to_a_value_date_before_its_own(alice) -> None:
    window = a_carrying_window(value_days=5)
    that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    fails(first, "USD")
    SettlementWindow.objects.update(value_days=0)
    window.refresh_from_db()
    that_morning(alice, receive=btc("0.1"))

    assert carried(cut_of(window, 11), "USD") == []


# --- what is told ----------------------------------------------------------------------------------


def test_commands_and_the_api_name_the_instruction_and_where_a_rest_goes(alice) -> None:
    first, second, *_ = two_batches(alice, a_carrying_window())
    one, old, to = of(second, "USD"), leg(first, "USD"), leg(second, "USD")

    listed = {found["guid"]: found for found in told("leg", "list", "--overdue")["legs"]}
    assert (listed[old.pk.hex]["instruction"], listed[old.pk.hex]["carried_to_guid"]) == (one.reference, to.pk.hex)
    assert (listed[to.pk.hex]["instruction"], listed[to.pk.hex]["carried_to_guid"]) == (one.reference, None)
    lines = ran("leg", "list", "--overdue")[1]
    assert f", in instruction {one.reference}, carried forward to leg {to.pk.hex}" in lines
    (said,) = next(found for found in told("instructions", "list")["instructions"] if found["guid"] == one.pk.hex)[
        "carried_forward"
    ]
    assert (said["leg_guid"], said["batch_guid"], said["to_leg_guid"]) == (old.pk.hex, first.pk.hex, to.pk.hex)
    assert f"outgoing 4000.00 USD of leg {old.pk.hex}, batch {first.pk.hex}, carried" in ran("instructions", "list")[1]
    shown = a_firm().get("/api/settlement_legs", guid=old.pk.hex)[1]["objects"][0]
    assert (shown["instruction"], shown["carried_to_guid"]) == (one.reference, to.pk.hex)


# --- what nobody gets past -------------------------------------------------------------------------


def a_line(**more) -> InstructionLeg:
    return InstructionLeg(direction="outgoing", amount=1, **more)


def test_the_database_keeps_a_rest_from_being_carried_twice(alice) -> None:
    """Guard: `one_live_instruction_per_leg`. Without it a rest would be paid once for each instruction that has it."""
    first, second, *_ = two_batches(alice, a_carrying_window())
    third = a_line(instruction=of(second, "BTC"), leg=leg(first, "USD"))

    with pytest.raises(IntegrityError, match="one_live_instruction_per_leg"), transaction.atomic():
        third.save(force_insert=True)


def test_the_database_refuses_a_rest_that_is_carried_anywhere_else(alice) -> None:
    """Guards: the trigger `carried_forward`, and `never_changed` once it is written."""
    first, second, *_ = two_batches(alice, a_carrying_window())
    own, early = of(second, "USD"), of(second, "BTC")
    to = leg(second, "USD")
    for elsewhere in (None, leg(second, "BTC")):  # a line that counts: of one that doesn't nothing changes anyway
        with pytest.raises(IntegrityError), transaction.atomic():
            InstructionLeg.objects.filter(is_live=True, carried_to=to).update(carried_to=elsewhere)
    fails(second, "USD")
    for wrong in (
        a_line(instruction=own, leg=to, carried_to=leg(first, "USD")),  # back in time
        a_line(instruction=own, leg=leg(first, "USD"), carried_to=leg(second, "BTC")),  # another asset
        a_line(instruction=early, leg=leg(first, "USD"), carried_to=to),  # without the leg that it is carried to
        a_line(instruction=own, leg=to, carried_to=to),
    ):
        with pytest.raises(IntegrityError, match="carried forward to a later leg"), transaction.atomic():
            wrong.save(force_insert=True)


def test_what_was_carried_is_sealed(alice) -> None:
    first, second, *_ = two_batches(alice, a_carrying_window())
    line = InstructionLeg.objects.get(carried_to=leg(second, "USD"))

    said = RowVersion.objects.get(table_name="trades_instructionleg", row_key=str(line.pk)).said
    assert (said["leg_id"], said["carried_to_id"], said["amount"]) == (
        str(leg(first, "USD").pk),
        str(leg(second, "USD").pk),
        usd("4000.00"),
    )


@pytest.mark.django_db(transaction=True)
def test_of_two_that_would_carry_a_rest_at_once_one_does(alice) -> None:
    """Guard: legs are locked before anybody asks who has them. Without that lock `one_live_instruction_per_leg` refuses
    the second one, and its batch gets no instruction at all."""
    first, second, *_ = two_batches(alice, window := a_carrying_window())
    that_morning(alice, receive=btc("0.1"))
    third = cut_of(window, 12)
    for batch in (second, third):
        fails(batch, "USD")
    makes = partial(make.make_for_batch, by=SYSTEM, at=timezone.now())

    def the_first_takes_its_time() -> None:
        with transaction.atomic():
            makes(second.pk)
            is_made.set()
            wait_until_waiting()

    def the_other_comes_meanwhile() -> None:
        assert is_made.wait(TIMEOUT_SECONDS)
        makes(third.pk)

    is_made = threading.Event()
    results = together([the_first_takes_its_time, the_other_comes_meanwhile])

    assert results == [None, None]
    assert carried(second, "USD") == [(leg(first, "USD"), leg(second, "USD"), usd("4000.00"))]
    assert (carried(third, "USD"), of(third, "USD").amount) == ([], usd("4000.00"))
    assert what_else_the_audit_finds() == []
