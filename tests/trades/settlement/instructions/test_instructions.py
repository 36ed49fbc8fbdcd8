"""What is made for legs, netted over a day, handed out in files, and what nobody can do to it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from pathlib import Path

import pytest
import sepaxml
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from lxml import etree

from accounts.bank_details import plain
from accounts.errors import Malformed
from accounts.identity import SYSTEM
from accounts.models import Customer
from tests.given import (
    a_customer,
    a_settling_buy,
    a_trade,
    btc,
    btc_at,
    deposit,
    states,
    usd,
    what_the_audit_finds,
)
from tests.trades.corrections.staff import applies, somebody, why
from tests.trades.settlement.instructions.bank import csv_line, csv_statement
from tests.trades.settlement.instructions.batches import (
    DAY,
    a_batch,
    a_window,
    cut_of,
    goes_on,
    leg,
    of,
    that_morning,
)
from tests.trades.settlement.instructions.counterparties import (
    BANK,
    IBAN,
    OTHER_IBAN,
    OWN_IBAN,
    OWN_WALLET,
    WALLET,
    a_counterparty,
    agreed,
    the_firm_and_its_provider,
)
from trades.bank import pain001
from trades.bank.pain001 import AmountTooLong
from trades.bank.references import new_reference, references_in
from trades.corrections.propose import propose_leg_reversal
from trades.errors import BatchStateForbids
from trades.models import (
    Counterparty,
    InstructionLeg,
    PaymentFile,
    SettlementBatch,
    SettlementInstruction,
    SettlementWindow,
    StandingInstruction,
)
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_window
from trades.settlement.instructions import files, make, moves, statements
from trades.settlement.instructions.errors import (
    DayNotOver,
    InstructionStateForbids,
    MayStillBePaid,
    NoOwnAccount,
    NothingToSend,
)
from trades.settlement.legs import settle_leg
from trades.settlement.settle import begin

pytestmark = pytest.mark.django_db

PAIN = "{urn:iso:std:iso:20022:tech:xsd:pain.001.001.09}"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


@pytest.fixture
def provider() -> Counterparty:
    return the_firm_and_its_provider()


# --- references ------------------------------------------------------------------------------------


def test_a_reference_is_short_unique_printable_and_found_again_in_a_bank_s_text() -> None:
    made = {new_reference() for _ in range(1000)}

    assert len(made) == 1000
    assert all(len(one) == 15 and one.isascii() and one.isalnum() and one == one.upper() for one in made)
    one = made.pop()
    assert references_in(f"YOUR REF {one[:6]} {one[6:]}/THANKS {one.lower()}") == [one]


def test_a_reference_with_one_character_typed_wrongly_is_none() -> None:
    one = new_reference()
    slips = {one[:place] + letter + one[place + 1 :] for place in range(2, 15) for letter in "0Z7"} - {one}

    assert [text for text in slips if references_in(text)] == []


def test_of_two_characters_that_are_swapped_the_check_finds_nearly_every_pair_but_not_all() -> None:
    """ISO 7064 promises no more: about one pair in 600 goes unseen. So these two are given, and not made at random."""
    good, with_such_a_pair = "SI7KQ2M9XB4TRWX", "SI58BE6CS7EV65P"
    swapped = {one[:p] + one[p + 1] + one[p] + one[p + 2 :] for one in (good, with_such_a_pair) for p in range(2, 14)}

    assert references_in(f"{good} {with_such_a_pair}") == [good, with_such_a_pair]
    assert {text for text in swapped if references_in(text)} == {"SI58BE6CS7EV56P"}


# --- made for a batch ------------------------------------------------------------------------------


def test_instructions_are_made_as_the_batch_begins_to_settle(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch(begins=False)
    assert not SettlementInstruction.objects.exists()

    begin(batch.pk, timezone.now())

    made = of(batch, "USD"), of(batch, "BTC")
    assert [(one.direction, one.amount, one.state) for one in made] == [
        ("outgoing", usd("4000.00"), "made"),
        ("incoming", btc("0.1"), "made"),
    ]
    assert {one.counterparty for one in made} == {provider}
    assert [one.standing.iban or one.standing.address for one in made] == [IBAN, WALLET]
    assert {line.leg for line in InstructionLeg.objects.all()} == {leg(batch, "USD"), leg(batch, "BTC")}
    assert what_the_audit_finds() == []


def test_an_asset_that_nobody_settles_keeps_no_batch_from_settling(alice) -> None:
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_batch()

    assert {one.asset_id for one in make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).without} == {
        "BTC",
        "USD",
    }
    for asset in ("USD", "BTC"):
        one = leg(batch, asset)
        settle_leg(one.pk, actual=int(one.expected), reference="", by=somebody(), at=timezone.now())
    assert goes_on(batch) == "completed"
    assert states(bought) == ["completed"]


def test_named_later_a_counterparty_gets_its_instruction_once(alice) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    agreed(a_counterparty(), "USD", BANK)

    first = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now())
    again = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now())

    assert [one.asset_id for one in first.instructions] == ["USD"]
    assert again.instructions == []


def test_where_it_goes_stays_what_it_was_when_the_instruction_was_made(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    agreed(provider, "USD", {**BANK, "iban": OTHER_IBAN, "bic": "PSSTFRPPXXX"})

    assert of(batch, "USD").standing.iban == IBAN
    assert OTHER_IBAN.encode() not in bytes(
        files.make_file("csv", batch_id=batch.pk, by=SYSTEM, at=timezone.now()).content
    )


def test_nothing_is_made_before_a_batch_settles_nor_for_one_that_settles_by_itself(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch(begins=False)

    with pytest.raises(BatchStateForbids):
        make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now())


# --- netted ----------------------------------------------------------------------------------------


def test_a_day_is_netted_over_its_batches_in_both_directions(alice, provider) -> None:
    """Guard: `one_live_instruction_per_leg`; told twice, a day is netted once."""
    window = a_window(netting="day")
    bob = a_customer("bob")
    deposit(bob, "BTC", "1")
    that_morning(alice, receive=btc("0.3"))
    first = cut_of(window, 10)
    that_morning(bob, "sell", deliver=btc("0.1"))
    second = cut_of(window, 11)
    assert not SettlementInstruction.objects.exists()

    made = make.net_day(DAY.date(), by=SYSTEM, at=timezone.now())

    net = {one.asset_id: (one.direction, one.amount, one.batch_id) for one in made.instructions}
    assert net == {"BTC": ("incoming", btc("0.2"), None), "USD": ("outgoing", usd("8000.00"), None)}
    assert InstructionLeg.objects.filter(leg__batch__in=[first, second]).count() == 4
    assert make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).instructions == []


def test_a_day_that_nets_to_nothing_is_settled_at_once(alice, provider) -> None:
    window = a_window(netting="day")
    bob = a_customer("bob")
    deposit(bob, "BTC", "1")
    bought = that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    sold = that_morning(bob, "sell", deliver=btc("0.1"))
    second = cut_of(window, 11)

    made = make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).instructions

    assert {(one.amount, one.state) for one in made} == {(0, "confirmed")}
    assert {goes_on(first), goes_on(second)} == {"completed"}
    assert states(bought, sold) == ["completed", "completed"]
    assert what_the_audit_finds() == []


def a_day_of_two_batches(alice: Customer) -> tuple[SettlementBatch, SettlementBatch]:
    """Of BTC 0.3 comes for the first batch and 0.1 goes for the second: 0.2 comes. Of USD 8,000.00 goes."""
    window = a_window(netting="day")
    bob = a_customer("bob")
    deposit(bob, "BTC", "1")
    that_morning(alice, receive=btc("0.3"))
    first = cut_of(window, 10)
    that_morning(bob, "sell", deliver=btc("0.1"))
    return first, cut_of(window, 11)


def net_of(asset: str) -> SettlementInstruction:
    return of(None, asset)


def tells(asset: str, amount: str, reference: str) -> None:
    """The bank's statement says that so much of the day's net moved."""
    account, one = (OWN_IBAN if asset == "USD" else OWN_WALLET), net_of(asset)
    if one.state == "made" and one.direction == "outgoing":
        moves.send(one.pk, at=timezone.now())
    line = csv_line(account, asset, amount, one.direction, reference, one.reference)
    found = statements.import_statement(csv_statement(line), name=reference, by=SYSTEM, at=timezone.now())
    assert [entry.state for entry in found.entries] == ["matched"]


def come(asset: str, *batches: SettlementBatch) -> list[int | None]:
    return [leg(batch, asset).actual for batch in batches]


def test_a_netted_day_is_confirmed_whole_by_a_statement(alice, provider) -> None:
    first, second = a_day_of_two_batches(alice)
    make.net_day(DAY.date(), by=SYSTEM, at=timezone.now())

    tells("BTC", "0.2", "tx-1")
    tells("USD", "8000.00", "BANK-1")

    assert come("BTC", first, second) == [btc("0.3"), btc("0.1")]
    assert come("USD", first, second) == [usd("12000.00"), usd("4000.00")]
    assert {goes_on(first), goes_on(second)} == {"completed"}
    assert (net_of("BTC").state, net_of("USD").state) == ("confirmed", "confirmed")
    assert what_the_audit_finds() == []


def test_a_netted_day_is_confirmed_in_parts_and_fails_for_the_rest(alice, provider) -> None:
    """What is netted against the rest settles with the first part; the rest alone is netted anew."""
    first, second = a_day_of_two_batches(alice)
    make.net_day(DAY.date(), by=SYSTEM, at=timezone.now())

    tells("BTC", "0.05", "tx-1")
    assert come("BTC", first, second) == [btc("0.15"), btc("0.1")]
    assert (leg(first, "BTC").status, leg(second, "BTC").status) == ("partially_settled", "settled")
    tells("BTC", "0.05", "tx-2")
    assert come("BTC", first, second) == [btc("0.2"), btc("0.1")]
    moves.fail(net_of("BTC").pk, note="the node is down", by=somebody(), at=timezone.now())

    (anew,) = make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).instructions
    assert (anew.asset_id, anew.direction, anew.amount) == ("BTC", "incoming", btc("0.1"))
    assert [line.leg for line in anew.legs.all()] == [leg(first, "BTC")]
    tells("BTC", "0.1", "tx-3")
    tells("USD", "8000.00", "BANK-1")
    assert come("BTC", first, second) == [btc("0.3"), btc("0.1")]
    assert {goes_on(first), goes_on(second)} == {"completed"}
    assert what_the_audit_finds() == []


def test_a_day_is_the_legs_value_date(alice, provider) -> None:
    """Cut on Wednesday with two value days, it is netted as Friday's."""
    window = a_window(netting="day", value_days=2)
    that_morning(alice, receive=btc("0.1"))
    batch = cut_of(window, 10)
    SettlementWindow.objects.update(value_days=0)  # later edits don't change it

    assert make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).instructions == []
    made = make.net_day(DAY.date() + timedelta(days=2), by=SYSTEM, at=timezone.now()).instructions
    assert {one.value_date for one in made} == {leg(batch, "BTC").value_date} == {DAY.date() + timedelta(days=2)}


def test_a_day_with_value_days_is_over_with_its_last_cut(alice, provider) -> None:
    a_window(netting="day", is_active=True, value_days=2)
    friday = DAY.date() + timedelta(days=2)

    with pytest.raises(DayNotOver):
        make.net_day(friday, by=SYSTEM, at=DAY + timedelta(hours=11))
    make.net_day(friday, by=SYSTEM, at=DAY + timedelta(hours=12, minutes=1))


def test_a_day_is_not_netted_before_its_last_cut(alice, provider) -> None:
    window = a_window(netting="day", is_active=True)

    with pytest.raises(DayNotOver, match="a window"):
        make.net_day(DAY.date(), by=SYSTEM, at=DAY + timedelta(hours=11))
    make.net_day(DAY.date(), by=SYSTEM, at=DAY + timedelta(hours=12, minutes=1))
    assert window.pk


def test_a_batch_that_has_not_begun_is_told_and_netted_when_told_again(alice, provider) -> None:
    that_morning(alice, receive=btc("0.1"))
    batch = cut_window(a_window(netting="day"), DAY + timedelta(hours=10), timezone.now())

    assert make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).not_begun == [batch.pk]
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    assert len(make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).instructions) == 2
    with pytest.raises(BatchStateForbids, match="net that day"):
        make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now())


# --- files -----------------------------------------------------------------------------------------


def the_schema() -> etree.XMLSchema:
    """The published one, as sepaxml has it."""
    path = Path(sepaxml.__file__).parent / "schemas" / "pain.001.001.09.xsd"
    return etree.XMLSchema(etree.parse(str(path)))


def test_a_pain001_has_the_outgoing_bank_payments_and_fits_the_published_schema(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    one = of(batch, "USD")

    made = files.make_file("pain001", batch_id=batch.pk, by=SYSTEM, at=timezone.now())

    document = etree.fromstring(bytes(made.content))
    the_schema().assertValid(document)
    tags = ("MsgId", "NbOfTxs", "CtrlSum", "InstdAmt", "EndToEndId")
    said = [document.findtext(f".//{PAIN}{tag}") for tag in tags]
    assert said == [made.message_id, "1", "4000.00", "4000.00", one.reference]
    assert [found.text for found in document.iter(f"{PAIN}IBAN")] == [OWN_IBAN, IBAN]
    assert made.control_sums == {"USD": str(usd("4000.00"))}
    one.refresh_from_db()
    assert (one.state, one.payment_file) == ("sent", made)
    assert of(batch, "BTC").state == "made"
    assert what_the_audit_finds() == []


def test_the_same_instructions_are_the_same_bytes(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    rows = list(SettlementInstruction.objects.filter(asset="USD").select_related("asset", "standing", "counterparty"))
    own = {"USD": StandingInstruction.objects.get(iban=OWN_IBAN)}

    first, second = (pain001.build("PF1", [files._order(one) for one in rows], files.payer(own), DAY) for _ in range(2))

    assert first == second
    assert batch.pk


def test_an_instruction_is_in_one_file_and_a_repeat_is_the_same_bytes_marked(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    given = {"batch_id": batch.pk, "by": SYSTEM, "at": timezone.now()}
    first = files.make_file("csv", **given)

    with pytest.raises(NothingToSend):
        files.make_file("pain001", **given)
    repeat = files.repeat_file("csv", **given)

    assert (bytes(repeat.content), repeat.sha256, repeat.message_id) == (
        bytes(first.content),
        first.sha256,
        first.message_id,
    )
    assert repeat.repeat_of == first
    assert files.name_of(repeat) == f"{first.message_id}-repeat.csv"


def test_payouts_in_crypto_are_in_the_csv(alice, provider) -> None:
    bob = a_customer("bob")
    deposit(bob, "BTC", "1")
    a_trade(bob, "sell", deliver=btc("0.25"))
    batch = a_batch()

    made = files.make_file("csv", batch_id=batch.pk, by=SYSTEM, at=timezone.now())

    (row,) = csv.DictReader(io.StringIO(bytes(made.content).decode()))
    assert (row["asset"], row["amount"], row["network"], row["address"]) == ("BTC", "0.25000000", "bitcoin", WALLET)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1", "-1+1", "@SUM(A1)"])
def test_no_name_in_a_file_is_a_formula(name: str) -> None:
    """Whoever names a counterparty, or its account's holder, can't make a spreadsheet run anything."""
    with pytest.raises(Malformed, match="formula"):
        a_counterparty(name)
    with pytest.raises(Malformed, match="formula"):
        agreed(a_counterparty(), "USD", {**BANK, "holder": name})


@pytest.mark.parametrize("name", ["Сбербанк", "...", "招商銀行"])
def test_no_name_in_a_file_is_one_of_which_nothing_is_left(name: str) -> None:
    """Guards: `checked_name` of a holder, of a bank, and of the firm's own name. A bank refuses the whole file."""
    with pytest.raises(Malformed, match="Latin"):
        a_counterparty(name, is_own=True)
    for part in ("holder", "bank_name"):
        with pytest.raises(Malformed, match="Latin"):
            agreed(a_counterparty(), "USD", {**BANK, part: name})
    assert a_counterparty(name).name == name


def test_names_are_written_in_the_characters_that_banks_take() -> None:
    assert plain("Müller & Søn, Łódź <x>", 70) == "Muller + Son, Lodz .x."


def test_without_an_account_of_its_own_the_firm_makes_no_payment_file(alice) -> None:
    agreed(a_counterparty(), "USD", BANK)
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()

    with pytest.raises(NoOwnAccount, match="USD"):
        files.make_file("pain001", batch_id=batch.pk, by=SYSTEM, at=timezone.now())
    assert not PaymentFile.objects.exists()


def test_an_amount_too_long_for_a_payment_file_is_refused() -> None:
    with pytest.raises(AmountTooLong):
        pain001._fits("1" * 17 + ".00")


# --- what becomes of them --------------------------------------------------------------------------


def stopped(one: SettlementInstruction) -> None:
    """The bank says that it won't pay it."""
    moves.fail(one.pk, note="recalled", by=somebody(), at=timezone.now(), is_stopped=True)


def test_what_was_sent_can_fail_but_not_be_cancelled_and_its_leg_gets_another(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    first = of(batch, "USD")
    moves.send(first.pk, at=timezone.now())

    with pytest.raises(InstructionStateForbids, match="sent"):
        moves.cancel(first.pk, note="a mistake", at=timezone.now())
    with pytest.raises(MayStillBePaid, match="may still be paid"):
        moves.fail(first.pk, note="account closed", by=somebody(), at=timezone.now())
    assert leg(batch, "USD").status == "pending"
    moves.fail(first.pk, note="account closed", by=somebody(), at=timezone.now(), is_stopped=True)

    assert leg(batch, "USD").status == "failed"
    (second,) = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions
    assert (second.amount, second.reference != first.reference) == (first.amount, True)


def test_a_cancelled_one_frees_its_leg(alice, provider) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()

    moves.cancel(of(batch, "USD").pk, note="wrong day", at=timezone.now())

    assert leg(batch, "USD").status == "pending"
    assert len(make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions) == 1


@pytest.mark.parametrize(
    ("is_sent", "amount", "final", "state"),
    [
        (True, "4000.00", False, "confirmed"),
        (True, "3999.00", True, "failed"),
        (True, "1000.00", False, "failed"),
        (False, "4000.00", False, "cancelled"),  # nobody shall pay it any more
        (False, "1000.00", False, "cancelled"),
    ],
)
def test_a_report_by_hand_ends_the_instruction(alice, provider, is_sent, amount, final, state) -> None:
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    one = of(batch, "USD")
    if is_sent:
        moves.send(one.pk, at=timezone.now())
    given = {"reference": "wire 7", "by": somebody(), "at": timezone.now()}

    told = settle_leg(leg(batch, "USD").pk, actual=usd(amount), final=final, **given)
    settle_leg(told.pk, actual=usd(amount), final=final, **given)  # the same again changes nothing

    one.refresh_from_db()
    assert (one.state, one.note) == (state, "A leg was reported by hand: wire 7.")
    assert one.may_be_paid == (is_sent and state == "failed")
    if one.may_be_paid:
        stopped(one)
    anew = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions
    assert [found.amount for found in anew] == ([] if told.status == "settled" else [usd("3000.00")])
    assert what_the_audit_finds() == []


def ended_while_the_bank_has_it(batch: SettlementBatch) -> SettlementInstruction:
    """4,000.00 USD were sent, and 1,000.00 of them are reported by hand."""
    one = of(batch, "USD")
    moves.send(one.pk, at=timezone.now())
    given = {"actual": usd("1000.00"), "reference": "wire 7", "by": somebody(), "at": timezone.now()}
    settle_leg(leg(batch, "USD").pk, **given)
    one.refresh_from_db()
    return one


def test_what_the_bank_may_pay_keeps_its_legs_from_another_one_until_somebody_says_it_won_t(alice, provider) -> None:
    """Guard: `make` passes over legs of what may be paid. Without it the trigger refuses the batch all instructions."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    moves.cancel(of(batch, "BTC").pk, note="wrong wallet", at=timezone.now())
    one = ended_while_the_bank_has_it(batch)
    assert (one.state, one.may_be_paid) == ("failed", True)

    made = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now())

    assert [anew.asset_id for anew in made.instructions] == ["BTC"]
    assert [(line.leg, line.instruction) for line in made.may_be_paid] == [(leg(batch, "USD"), one)]
    with pytest.raises(MayStillBePaid):
        moves.fail(one.pk, note="a guess", by=somebody(), at=timezone.now())
    stopped(one)
    one.refresh_from_db()
    assert (one.state, one.may_be_paid, one.note) == ("failed", False, "recalled")
    assert leg(batch, "USD").status == "partially_settled"  # it didn't fail, it was reported
    (anew,) = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions
    assert anew.amount == usd("3000.00")
    with pytest.raises(InstructionStateForbids, match="failed"):
        stopped(one)
    assert what_the_audit_finds() == []


def test_the_database_refuses_another_one_of_what_may_be_paid(alice, provider) -> None:
    """Guard: the trigger `not_while_it_may_be_paid`, around every Python check. Without it the bank pays twice."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    ended_while_the_bank_has_it(batch)

    forged = InstructionLeg(instruction=of(batch, "BTC"), leg=leg(batch, "USD"), direction="outgoing", amount=1)
    with pytest.raises(IntegrityError, match="may still be paid"), transaction.atomic():
        forged.save(force_insert=True)


@pytest.mark.parametrize(
    ("is_sent", "change"),
    [
        (False, "may_be_paid = true"),
        (True, "may_be_paid = true"),  # it hasn't ended
        (False, "may_be_paid = true, state = 'failed', note = 'x'"),  # no bank has it
        (None, "may_be_paid = false, state = 'sent'"),
        (None, "may_be_paid = false, confirmed_amount = amount"),
        (None, "note = 'x'"),
    ],
)
def test_nobody_bends_what_may_be_paid_in_the_database(alice, provider, is_sent, change) -> None:
    """Guards: `may_be_paid_once_sent`, and the CHECK `instruction_may_be_paid_though_it_failed`. Behind the last three
    stands `ended_for_good` as well (below)."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    one = of(batch, "USD")
    if is_sent:
        moves.send(one.pk, at=timezone.now())
    if is_sent is None:
        ended_while_the_bank_has_it(batch)

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades_settlementinstruction SET {change} WHERE id = %s", [one.pk])


@pytest.mark.parametrize("change", ["note = 'x'", "updated_at = updated_at + interval '1 second'"])
def test_what_has_ended_stays_as_it_ended_in_the_database(alice, provider, change) -> None:
    """Guard: `ended_for_good`. Without it what was cancelled says tomorrow that it was so for another reason."""
    a_settling_buy(alice, btc("0.1"))
    one = of(a_batch(), "USD")
    moves.cancel(one.pk, note="a wrong amount", at=timezone.now())

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades_settlementinstruction SET {change} WHERE id = %s", [one.pk])


def test_the_other_legs_of_a_netted_day_are_free_after_a_report_by_hand(alice, provider) -> None:
    first, second = a_day_of_two_batches(alice)
    make.net_day(DAY.date(), by=SYSTEM, at=timezone.now())
    tells("BTC", "0.05", "tx-1")
    before = net_of("BTC")

    settle_leg(leg(first, "BTC").pk, actual=btc("0.15"), reference="tx 9", by=somebody(), at=timezone.now())
    settle_leg(leg(first, "USD").pk, actual=usd("12000.00"), reference="w 9", by=somebody(), at=timezone.now())

    before.refresh_from_db()
    assert before.state == "confirmed"  # with it all has moved
    (anew,) = make.net_day(DAY.date(), by=SYSTEM, at=timezone.now()).instructions
    assert (anew.asset_id, anew.direction, anew.amount) == ("USD", "incoming", usd("4000.00"))
    assert [line.leg for line in anew.legs.all()] == [leg(second, "USD")]


@pytest.mark.parametrize("part", ["1500.00", "4000.00"])
def test_a_leg_that_a_correction_takes_back_is_instructed_anew(alice, provider, part: str) -> None:
    """Guard: `end_for_reopening`; without it the leg stays in the old instruction, whose rest is less than is open."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    one = of(batch, "USD")
    moves.send(one.pk, at=timezone.now())
    line = csv_line(OWN_IBAN, "USD", part, "outgoing", "BANK-1", one.reference)
    statements.import_statement(csv_statement(line), name="x", by=SYSTEM, at=timezone.now())

    applies(propose_leg_reversal(leg(batch, "USD").pk, **why()))

    one.refresh_from_db()
    assert (one.state, one.may_be_paid) == (("confirmed", False) if part == "4000.00" else ("failed", True))
    if one.may_be_paid:
        stopped(one)
    (anew,) = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions
    assert anew.amount == usd("4000.00")
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(
    "change",
    [
        "amount = amount - 1",
        "standing_id = (SELECT id FROM trades_standinginstruction WHERE iban = %(own)s)",
        "state = 'confirmed', confirmed_amount = amount",  # it was never sent
        "state = 'confirmed'",
        "confirmed_amount = amount + 1",
        "payment_file_id = (SELECT id FROM trades_paymentfile LIMIT 1)",
        "state = 'cancelled'",  # without a reason
    ],
)
def test_nobody_bends_an_outgoing_instruction_in_the_database(alice, provider, change: str) -> None:
    """Guards: `never_changed`, `confirmed_once_sent`, and the CHECKs of amounts, states and files."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    PaymentFile.objects.create(
        format="csv",
        message_id="PF",
        instructions_count=1,
        control_sums={},
        content=b"",
        sha256="",
        made_at=timezone.now(),
    )

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE trades_settlementinstruction SET {change} WHERE id = %(id)s",
            {"id": of(batch, "USD").pk, "own": OWN_IBAN},
        )


def test_an_instruction_goes_only_where_two_persons_agreed(alice, provider) -> None:
    """Guard: `goes_where_agreed`, around every Python check."""
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    one = of(batch, "USD")
    for wrong in (
        {"standing": StandingInstruction.objects.get(iban=OWN_IBAN)},
        {"standing": StandingInstruction.objects.get(address=WALLET)},
        {"made_at": one.made_at - timedelta(days=1)},
    ):
        given = {
            field.attname: getattr(one, field.attname) for field in one._meta.concrete_fields if field.name != "id"
        }
        forged = SettlementInstruction(**given | {"reference": new_reference(), "state": "made"})
        for name, value in wrong.items():
            setattr(forged, name, value)
        with pytest.raises(IntegrityError, match="two persons agreed"), transaction.atomic():
            forged.save()
