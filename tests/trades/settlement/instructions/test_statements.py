"""A bank's statements: what they confirm, what is listed, and what a thief or a broken file gets nowhere with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import Malformed
from accounts.identity import SYSTEM
from accounts.models import Customer, Transfer
from tests.commands import ended
from tests.given import a_customer, a_settling_buy, a_trade, btc, btc_at, deposit, states, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, somebody
from tests.trades.settlement.instructions.bank import Booked, csv_line, csv_statement, pays, statement
from tests.trades.settlement.instructions.batches import a_batch, goes_on, leg, of
from tests.trades.settlement.instructions.counterparties import (
    IBAN,
    OTHER_IBAN,
    OWN_BANK,
    OWN_IBAN,
    OWN_WALLET,
    agreed,
    the_firm_and_its_provider,
)
from trades.errors import LegStateForbids
from trades.models import Counterparty, SettlementBatch, SettlementInstruction, StatementEntry, StatementFile
from trades.payments.preview import preview_statement
from trades.settlement.instructions import files, make, moves, statements
from trades.settlement.instructions.errors import EntryDecided, EntryDoesNotFit
from trades.settlement.instructions.matching import contradicting
from trades.settlement.instructions.statements import Imported
from trades.settlement.legs import settle_leg

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


@pytest.fixture
def batch(alice: Customer) -> SettlementBatch:
    """Alice bought 0.1 BTC for 4,000.00 USD: USD goes out, and is sent; BTC comes in."""
    the_firm_and_its_provider()
    a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    moves.send(of(batch, "USD").pk, at=timezone.now())
    return batch


def imports(content: bytes) -> Imported:
    return statements.import_statement(content, name="bank.xml", by=SYSTEM, at=timezone.now())


def reasons(found: Imported) -> list[str]:
    return [one.reason or one.state for one in found.entries]


def booked(batch: SettlementBatch, **changed: object) -> Booked:
    """What the bank tells of the USD that went out."""
    return booked_for(of(batch, "USD"), **changed)


def booked_for(one: SettlementInstruction, **changed: object) -> Booked:
    told = Booked(name=one.reference, amount="4000.00", reference="BANK-1", other=IBAN)
    return replace(told, **changed)


def bitcoins(batch: SettlementBatch, amount: str = "0.1", reference: str = "tx-1") -> str:
    return csv_line(OWN_WALLET, "BTC", amount, "incoming", reference, of(batch, "BTC").reference)


@pytest.mark.parametrize("why", ["return_waits", "return_refused", "return_unknown_payment"])
def test_a_return_of_a_payment_confirms_no_instruction_by_hand(batch, why: str) -> None:
    """Guard: `is_never_by_hand`, by OF_A_RETURN. Booked as the return, too, the money would be there twice."""
    due = of(batch, "BTC")
    imports(csv_statement(csv_line(OWN_WALLET, "BTC", "0.1", "incoming", "tx-1", "who?")))
    StatementEntry.objects.update(reason=why)
    entry = StatementEntry.objects.get()

    with pytest.raises(EntryDoesNotFit, match="takes a payment back"):
        statements.match_by_hand(entry.pk, due.reference, note="x", by=somebody(), at=timezone.now())

    assert of(batch, "BTC").confirmed_amount == 0


# --- what confirms ---------------------------------------------------------------------------------


def test_the_round_from_a_batch_to_completed_trades(alice) -> None:
    the_firm_and_its_provider()
    bought = a_settling_buy(alice, btc("0.1"))
    batch = a_batch()
    made = files.make_file("pain001", batch_id=batch.pk, by=SYSTEM, at=timezone.now())

    assert reasons(imports(statement(*pays(bytes(made.content))))) == ["matched"]
    assert goes_on(batch) == "settling"
    assert reasons(imports(csv_statement(bitcoins(batch)))) == ["matched"]

    assert (leg(batch, "USD").reference, leg(batch, "USD").actual) == ("BANK1", usd("4000.00"))
    assert goes_on(batch) == "completed"
    assert states(bought) == ["completed"]
    assert {one.state for one in SettlementInstruction.objects.all()} == {"confirmed"}
    assert what_the_audit_finds() == []


@pytest.mark.parametrize("version", ["02", "04", "08", "13", "14"])
def test_versions_of_camt053(batch, version: str) -> None:
    assert reasons(imports(statement(booked(batch), version=version))) == ["matched"]


def test_a_confirmation_in_parts_is_told_to_the_leg_part_by_part(batch) -> None:
    first = imports(statement(booked(batch, amount="1500.00")))
    one = of(batch, "USD")
    assert (reasons(first), one.state, one.confirmed_amount) == (["matched"], "sent", usd("1500.00"))
    assert (leg(batch, "USD").status, leg(batch, "USD").actual) == ("partially_settled", usd("1500.00"))

    imports(statement(booked(batch, amount="2500.00", reference="BANK-2"), number="2"))

    one.refresh_from_db()
    assert one.state == "confirmed"
    assert (leg(batch, "USD").status, leg(batch, "USD").actual) == ("settled", usd("4000.00"))
    assert [(said.amount, said.reference) for said in leg(batch, "USD").reports.order_by("pk")] == [
        (usd("1500.00"), "BANK-1"),
        (usd("2500.00"), "BANK-2"),
    ]
    assert what_the_audit_finds() == []


def test_what_failed_in_part_is_instructed_anew_for_what_is_missing_alone(batch) -> None:
    imports(statement(booked(batch, amount="1500.00")))
    first = of(batch, "USD")

    moves.fail(first.pk, note="account closed", by=somebody(), at=timezone.now(), is_stopped=True)

    assert (leg(batch, "USD").status, leg(batch, "USD").actual) == ("failed", usd("1500.00"))
    (second,) = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions
    assert second.amount == usd("2500.00")
    late = booked(batch, name=first.reference, amount="2500.00", reference="BANK-2")
    assert reasons(imports(statement(late, number="2"))) == ["has_ended"]
    moves.send(second.pk, at=timezone.now())
    assert reasons(imports(statement(booked(batch, amount="2500.00", reference="BANK-3"), number="3"))) == ["matched"]
    assert (leg(batch, "USD").status, leg(batch, "USD").actual) == ("settled", usd("4000.00"))
    assert what_the_audit_finds() == []


def test_an_entry_over_several_payments_is_read_payment_by_payment(batch) -> None:
    one = of(batch, "USD").reference
    parts = "".join(
        f"<TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs><Amt Ccy='USD'>{amount}</Amt></TxDtls>"
        for name, amount in ((one, "4000.00"), ("somebody else's", "1.00"))
    ).encode()
    whole = statement(booked(batch, amount="4001.00"))
    content = whole[: whole.index(b"<TxDtls>")] + parts + whole[whole.index(b"</NtryDtls>") :]

    assert reasons(imports(content)) == ["matched", "nothing_named"]
    assert leg(batch, "USD").reference == "BANK-1-1"


def in_parts(batch: SettlementBatch, *parts: tuple[str, str, str], said: int = 0, **changed: object) -> bytes:
    """An entry over several payments: of each its id, amount with currency, and perhaps a direction of its own."""
    told = "".join(
        f"<TxDtls><Refs><EndToEndId>{name}</EndToEndId></Refs><Amt Ccy='{amount[-3:]}'>{amount[:-3]}</Amt>"
        f"{f'<CdtDbtInd>{direction}</CdtDbtInd>' if direction else ''}</TxDtls>"
        for name, amount, direction in parts
    )
    count = f"<Btch><NbOfTxs>{said}</NbOfTxs></Btch>" if said else ""
    whole = statement(booked(batch, **changed)).decode()
    return (
        whole[: whole.index("<TxDtls>")] + count + (told or "<TxDtls/>") + whole[whole.index("</NtryDtls>") :]
    ).encode()


def test_of_several_payments_in_an_entry_one_may_go_the_other_way(batch) -> None:
    """A payment of ours for 4,000.00, and 1.00 that came back: the bank books the difference."""
    name = of(batch, "USD").reference

    found = imports(in_parts(batch, (name, "4000.00USD", "DBIT"), (name, "1.00USD", "CRDT"), amount="3999.00"))

    assert reasons(found) == ["matched", "other_direction"]
    assert leg(batch, "USD").actual == usd("4000.00")


@pytest.mark.parametrize(
    ("parts", "changed", "why"),
    [
        (["4000.00USD", "1.00USD"], {"amount": "4000.00"}, "payments_come_to_another_amount"),
        (["4000.00EUR", "1.00EUR"], {"amount": "4001.00"}, "payments_come_to_another_amount"),
        (["4000.00USD", "1.00XXX"], {"amount": "4001.00"}, "payments_come_to_another_amount"),
        (["4001.00USD", "-1.00USD"], {"amount": "4000.00"}, "payments_come_to_another_amount"),
        (["4000.00USD", "NaNUSD"], {"amount": "4001.00"}, "payments_come_to_another_amount"),
        (["4000.00USD"], {"said": 3}, "several_payments_without_amounts"),
        (["2000.00USD", "2000.00USD"], {"said": 3}, "several_payments_without_amounts"),
        ([], {"said": 2}, "several_payments_without_amounts"),
    ],
)
def test_several_payments_that_do_not_come_to_their_entry_are_listed(batch, parts, changed, why) -> None:
    name = of(batch, "USD").reference

    assert reasons(imports(in_parts(batch, *((name, amount, "") for amount in parts), **changed))) == [why]

    assert of(batch, "USD").confirmed_amount == 0


@pytest.mark.parametrize("inside", ["<!-- -->", "<?x y?>", "<![CDATA[]]>", "&#48;", "<x/>", "<x>0</x>"])
def test_an_amount_is_the_whole_of_what_stands_there(batch, inside: str) -> None:
    """Guards: the parser drops comments, and `_refuse_mixed`. Without them the amount ends at what interrupts it, and
    400 are booked of 4,000.00."""
    whole = f">40{'' if inside == '&#48;' else '0'}{inside}0.00<"
    content = statement(booked(batch)).replace(b">4000.00<", whole.encode())

    if inside.startswith("<x"):
        with pytest.raises(Malformed):
            imports(content)
    else:
        assert reasons(imports(content)) == ["matched"]
        assert leg(batch, "USD").actual == usd("4000.00")


@pytest.mark.parametrize("form", ["camt053", "csv"])
def test_two_references_that_are_the_same_for_a_hundred_characters_are_two(batch, form) -> None:
    """Nothing is cut off before it is compared: neither references nor amounts."""
    one, long = of(batch, "USD").reference, "B" * 100
    found = []
    for ending, amount in (("1", "1000.00"), ("2", "1000.00"), ("3", f"1000.{'0' * 40}1")):
        line = csv_line(OWN_IBAN, "USD", amount, "outgoing", long + ending, one)
        entry = booked(batch, amount=amount, reference=long + ending)
        content = csv_statement(line) if form == "csv" else statement(entry, number=ending)
        found += reasons(imports(content))

    assert found == ["matched", "leg_refused", "bad_amount"]  # a person decides on the second
    assert leg(batch, "USD").actual == usd("1000.00")


# --- what is listed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"amount": "4000.01"}, "more_than_due"),
        ({"amount": "-4000.00"}, "bad_amount"),
        ({"amount": "0.00"}, "bad_amount"),
        ({"amount": "4000.001"}, "bad_amount"),
        ({"amount": "NaN"}, "bad_amount"),
        ({"amount": "1e9999"}, "bad_amount"),
        ({"currency": "EUR"}, "not_our_account"),
        ({"currency": "XYZ"}, "unknown_asset"),
        ({"direction": "CRDT", "other": ""}, "other_direction"),
        ({"direction": "X"}, "no_direction"),
        ({"status": "PDNG"}, "not_booked"),
        ({"reversal": True}, "a_reversal"),
        ({"reference": ""}, "no_bank_reference"),
        ({"reference": "BANK\n1"}, "leg_refused"),
        ({"name": "thanks"}, "nothing_named"),
        ({"name": "SI0000000000000"}, "nothing_named"),
        ({"other": OTHER_IBAN}, "other_account"),
    ],
)
def test_what_does_not_fit_is_listed_with_why_and_moves_nothing(batch, changed: dict[str, object], why: str) -> None:
    before = Transfer.objects.count()

    assert reasons(imports(statement(booked(batch, **changed)))) == [why]

    assert of(batch, "USD").confirmed_amount == 0
    assert Transfer.objects.count() == before


def test_a_statement_that_names_another_s_instruction_confirms_nothing(batch) -> None:
    """The BTC instruction's id in a payment of USD, and the USD one's in the statement of a strange account."""
    named = booked(batch, name=of(batch, "BTC").reference, direction="CRDT", other="")

    assert reasons(imports(statement(named))) == ["other_asset"]
    assert reasons(imports(statement(booked(batch), account=OTHER_IBAN))) == ["not_our_account"]


def test_what_was_never_sent_is_not_confirmed(batch) -> None:
    btc_at("40_000.00")
    bob = a_customer("bob")
    deposit(bob, "BTC", "1")
    a_trade(bob, "sell", deliver=btc("0.25"))
    second = a_batch()
    line = csv_line(OWN_WALLET, "BTC", "0.25", "outgoing", "tx-9", of(second, "BTC").reference)

    assert reasons(imports(csv_statement(line))) == ["never_sent"]


def test_a_leg_that_was_reported_by_hand_meanwhile_is_not_told_twice(batch) -> None:
    settle_leg(leg(batch, "USD").pk, actual=usd("4000.00"), reference="by hand", by=somebody(), at=timezone.now())

    assert reasons(imports(statement(booked(batch)))) == ["has_ended"]
    assert leg(batch, "USD").actual == usd("4000.00")


def test_a_reference_reported_by_hand_before_counts_for_no_instruction(batch) -> None:
    """Guard: `settle_leg` refuses it; without that the instruction is confirmed by what the leg isn't told."""
    settle_leg(leg(batch, "USD").pk, actual=usd("1500.00"), reference="BANK-1", by=somebody(), at=timezone.now())
    first = SettlementInstruction.objects.get(may_be_paid=True)
    moves.fail(first.pk, note="recalled", by=somebody(), at=timezone.now(), is_stopped=True)
    (second,) = make.make_for_batch(batch.pk, by=SYSTEM, at=timezone.now()).instructions
    moves.send(second.pk, at=timezone.now())

    assert reasons(imports(statement(booked(batch, amount="1500.00")))) == ["leg_refused"]

    assert (second.amount, of(batch, "USD").confirmed_amount) == (usd("2500.00"), 0)
    assert leg(batch, "USD").actual == usd("1500.00")


def test_what_was_paid_though_it_had_ended_is_a_finding_and_no_money_of_ours(batch, tmp_path) -> None:
    """The bank carried out what it had been sent: the entry waits for a person, and monitoring hears of it."""
    settle_leg(leg(batch, "USD").pk, actual=usd("1000.00"), reference="wire 7", by=somebody(), at=timezone.now())
    one = SettlementInstruction.objects.get(may_be_paid=True)
    late, before = tmp_path / "late.xml", Transfer.objects.count()
    late.write_bytes(statement(booked_for(one, amount="3000.00"), Booked(name="a fee", amount="1.00", reference="FEE")))

    code, facts, sentence = ended("instructions", "import", str(late), "--by", a_member_of_staff().email)

    assert (code, [entry["reason"] for entry in facts["entries"]]) == (1, ["has_ended", "nothing_named"])
    assert sentence == ("1 contradict what they name, the first: BANK-1, the instruction has ended.")
    assert Transfer.objects.count() == before
    (entry,) = StatementEntry.objects.filter(contradicting())
    given = {"by": somebody(), "at": timezone.now()}
    settle_leg(leg(batch, "USD").pk, actual=usd("3000.00"), reference="BANK-1", **given)
    statements.explain(entry.pk, note=f"{one.reference}, paid after all: reported of its leg by hand", **given)
    assert not StatementEntry.objects.filter(contradicting()).exists()
    assert leg(batch, "USD").status == "settled"
    assert what_the_audit_finds() == []


def test_what_the_bank_took_back_of_an_instruction_is_a_finding(batch, tmp_path) -> None:
    """The leg is settled, and the money is back: nobody would look at the books for it."""
    imports(statement(booked(batch)))
    back, by = tmp_path / "back.xml", ("--by", a_member_of_staff().email)
    back.write_bytes(statement(booked(batch, reference="BANK-2", direction="CRDT", other="", reversal=True)))

    code, facts, sentence = ended("instructions", "import", str(back), *by)

    assert (code, [entry["reason"] for entry in facts["entries"]]) == (1, ["a_reversal"])
    assert sentence.endswith("the first: BANK-2, the bank took something back.")
    assert StatementEntry.objects.filter(contradicting()).count() == 1
    assert leg(batch, "USD").status == "settled"  # a correction takes it back, by two persons


# --- twice -----------------------------------------------------------------------------------------


def test_the_same_file_and_the_same_entry_in_another_file_change_nothing(batch) -> None:
    """Guard: the unique key of an entry. Without it the second import of half the amount confirms it again."""
    half = booked(batch, amount="2000.00")
    imports(statement(half))

    assert imports(statement(half)).is_known
    again = imports(statement(half, number="2"))
    assert (list(again.entries), again.known) == ([], 1)
    assert of(batch, "USD").confirmed_amount == usd("2000.00")


def test_the_same_entry_twice_in_a_file_counts_once(batch) -> None:
    half = booked(batch, amount="2000.00")

    found = imports(statement(half, half))

    assert (reasons(found), found.known) == (["matched"], 1)
    assert of(batch, "USD").confirmed_amount == usd("2000.00")


def test_a_bank_reference_that_says_something_else_is_listed(batch) -> None:
    first, other = booked(batch, amount="1000.00"), booked(batch, amount="2000.00")

    assert reasons(imports(statement(first, other))) == ["matched", "same_reference"]
    assert reasons(imports(statement(replace(first, amount="3000.00"), number="2"))) == ["same_reference"]
    assert of(batch, "USD").confirmed_amount == usd("1000.00")


def at_once(*does: Callable[[], object]) -> list[Exception]:
    """Do all of it in threads that begin together; what they raised."""
    together = threading.Barrier(len(does))
    raised: list[Exception] = []

    def one(what: Callable[[], object]) -> None:
        try:
            together.wait()
            what()
        except Exception as failure:
            raised.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(what,)) for what in does]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def test_two_imports_at_once_confirm_once(batch) -> None:
    """Guards, one behind the other: the unique key of an entry; `settle_leg` refuses a reference that was reported."""
    half = booked(batch, amount="2000.00")

    failed = at_once(*(partial(imports, statement(half, number=str(number % 2))) for number in range(4)))

    assert failed == []
    assert StatementEntry.objects.filter(state="matched").count() == 1
    assert of(batch, "USD").confirmed_amount == usd("2000.00")
    assert leg(batch, "USD").actual == usd("2000.00")
    assert leg(batch, "USD").reports.count() == 1


def test_two_parts_in_two_statements_at_once_both_count(batch) -> None:
    """Guard: the instruction's row is locked before its confirmed amount is read (`_import`, and `locked` behind it).
    Without both, one of the parts is lost."""
    halves = [booked(batch, amount="2000.00", reference=f"BANK-{number}") for number in (1, 2)]

    failed = at_once(*(partial(imports, statement(one, number=one.reference)) for one in halves))

    assert failed == []
    one = SettlementInstruction.objects.get(asset="USD")
    assert (one.state, one.confirmed_amount) == ("confirmed", usd("4000.00"))
    assert (leg(batch, "USD").status, leg(batch, "USD").actual) == ("settled", usd("4000.00"))
    assert what_the_audit_finds() == []


def test_a_part_that_two_people_match_by_hand_at_once_counts_once(batch) -> None:
    """Guard: the entry's lock. Behind it, `settle_leg` refuses a reference that was reported."""
    (entry,) = imports(statement(booked(batch, name="x", amount="1500.00"))).entries
    by, reference = somebody(), of(batch, "USD").reference

    def matches() -> None:
        statements.match_by_hand(entry.pk, reference, note="they forgot the id", by=by, at=timezone.now())

    raised = at_once(*[matches] * 4)

    assert [type(failure) for failure in raised] == [EntryDecided] * 3
    assert (of(batch, "USD").confirmed_amount, leg(batch, "USD").actual) == (usd("1500.00"), usd("1500.00"))
    assert what_the_audit_finds() == []


def test_by_hand_and_by_a_statement_at_once_a_leg_is_settled_once(batch) -> None:
    """Whoever comes second finds it settled: the report is refused, or the entry is listed."""
    by, legs = somebody(), leg(batch, "USD").pk

    def by_hand() -> None:
        settle_leg(legs, actual=usd("4000.00"), reference="by hand", by=by, at=timezone.now())

    raised = at_once(by_hand, partial(imports, statement(booked(batch))))

    assert [type(failure) for failure in raised] in ([], [LegStateForbids])
    assert StatementEntry.objects.get().state == ("matched" if raised else "listed")
    assert (leg(batch, "USD").actual, of(batch, "USD").state) == (usd("4000.00"), "confirmed")
    assert what_the_audit_finds() == []


# --- by hand ---------------------------------------------------------------------------------------


def test_a_listed_entry_is_matched_by_hand_with_a_reason(batch) -> None:
    (entry,) = imports(statement(booked(batch, name="your payment of Tuesday"))).entries
    by = somebody()
    given = {"note": "they forgot the id", "by": by, "at": timezone.now()}

    one = statements.match_by_hand(entry.pk, of(batch, "USD").reference, **given)

    assert (one.state, one.note, one.decided_by_id) == ("matched", "they forgot the id", by.user_id)
    assert leg(batch, "USD").status == "settled"
    with pytest.raises(EntryDecided):
        statements.explain(entry.pk, **given)


def test_by_hand_neither_amount_nor_direction_is_bent(batch) -> None:
    (entry,) = imports(statement(booked(batch, name="x", amount="4000.01"))).entries

    with pytest.raises(EntryDoesNotFit, match="more than is still due"):
        statements.match_by_hand(entry.pk, of(batch, "USD").reference, note="close", by=somebody(), at=timezone.now())
    statements.explain(entry.pk, note="a fee of ours", by=somebody(), at=timezone.now())


def test_a_preview_tells_what_would_be_and_changes_nothing(batch) -> None:
    found = preview_statement(statement(booked(batch)), name="bank.xml", by=SYSTEM, at=timezone.now())

    assert reasons(found) == ["matched"]
    assert not StatementFile.objects.exists()
    assert of(batch, "USD").confirmed_amount == 0


# --- files that are no statements ------------------------------------------------------------------

BOMB = b"""<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">&c;</Document>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE Document [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">&x;</Document>"""
COLUMNS = b"account,asset,amount,direction,bank_reference,reference\n"


@pytest.mark.parametrize(
    "content",
    [
        BOMB,
        OUTSIDE,
        BOMB.replace(b"<!DOCTYPE", b"<!doctype"),
        BOMB.decode().replace('version="1.0"', 'version="1.0" encoding="UTF-16"').encode("utf-16"),
        BOMB.decode().replace('version="1.0"', 'version="1.0" encoding="UTF-7"').replace("<!D", "+ADwAIQ-D").encode(),
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.01"/>',
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.99"/>',
        b'<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.054.001.08"/>',
        b"<Document/>",
        b"<Document",
        b"<" + b"a" * (11 * 1024 * 1024),
        b"<a>" * 100_000,
        b"",
        b"\xff\xfe",
        b"account,asset\n",
        COLUMNS.replace(b"reference\n", b"reference,reference\n"),
        COLUMNS + b"a,USD,1\n",
        COLUMNS + b"a,USD,1,incoming,b,c,d\n",
        COLUMNS + b'a,USD,1,incoming,b,"c\n',
        COLUMNS + b"a,USD,1,incoming,\0,c\n",
    ],
)  # fmt: skip
def test_what_is_no_statement_is_refused_whole(content: bytes) -> None:
    with pytest.raises(Malformed):
        imports(content)
    assert not StatementFile.objects.exists()


@pytest.mark.parametrize(
    "change",
    ["amount = amount + 1", "state = 'matched'", "state = 'explained'", "key = 'x'", "bank_reference = 'x'"],
)
def test_nobody_bends_an_entry_in_the_database(batch, change: str) -> None:
    """Guards: `never_changed` and the CHECKs of what is matched and explained."""
    imports(statement(booked(batch, name="x")))

    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE trades_statemententry SET {change}")


def test_an_account_that_became_the_firms_since_confirms_what_its_entries_name(batch) -> None:
    """Guard: `reconsider`, with what names no payment."""
    names_one, fee = booked(batch), Booked("a fee", "4.00", "FEE")
    assert reasons(imports(statement(names_one, fee, account=OTHER_IBAN))) == ["not_our_account"] * 2
    agreed(Counterparty.objects.get(is_own=True), "USD", {**OWN_BANK, "iban": OTHER_IBAN}, is_default=False)

    changed = statements.reconsider(by=SYSTEM, at=timezone.now())

    rows = {one.bank_reference: one for one in StatementEntry.objects.filter(pk__in=changed)}
    assert {name: one.reason or one.state for name, one in rows.items()} == {
        "BANK-1": "matched",
        "FEE": "nothing_named",
    }
    assert of(batch, "USD").state == "confirmed"
    assert statements.reconsider(by=SYSTEM, at=timezone.now()) == []
