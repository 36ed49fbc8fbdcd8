"""Instructions, payment files and statements in the admin: a file, its download, an upload with a preview."""

from __future__ import annotations

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.admin.actions import act, logged_in, offers, page, said, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at, usd
from tests.trades.corrections.staff import somebody
from tests.trades.settlement.instructions.bank import Booked, pays, statement
from tests.trades.settlement.instructions.batches import a_batch, a_window, cut_of, leg, of, that_morning
from tests.trades.settlement.instructions.counterparties import the_firm_and_its_provider
from trades.models import PaymentFile, SettlementBatch, StatementEntry, StatementFile
from trades.settlement.instructions import moves
from trades.settlement.legs import settle_leg

pytestmark = pytest.mark.django_db

INSTRUCTION, ENTRY, LEG = "trades_settlementinstruction", "trades_statemententry", "trades_settlementleg"
UPLOAD = "admin:trades_statementfile_upload"


@pytest.fixture
def batch() -> SettlementBatch:
    btc_at("40_000.00")
    the_firm_and_its_provider()
    a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))
    return a_batch()


def uploads(client: Client, content: bytes, button: str) -> str:
    given = {"statement": SimpleUploadedFile("bank.xml", content), button: "1"}
    return shown(client.post(reverse(UPLOAD), given, follow=True))


def test_a_file_is_made_downloaded_and_confirmed_by_a_statement(maker: Client, batch: SettlementBatch) -> None:
    day = of(batch, "USD").value_date.isoformat()
    assert "1 instructions" in said(act(maker, f"{INSTRUCTION}_make_file", day=day, format="pain001"))[0]
    answer = maker.get(reverse("admin:trades_paymentfile_download", args=[PaymentFile.objects.get().pk]))
    assert answer["Content-Disposition"].endswith('.xml"')
    content = statement(*pays(answer.content))

    assert "1 matched, 0 listed" in uploads(maker, content, "preview")
    assert not StatementFile.objects.exists()
    uploads(maker, content, "import")

    assert leg(batch, "USD").status == "settled"
    assert "imported before" in uploads(maker, content, "preview")
    assert "namespace" in uploads(maker, b"<Document/>", "import")


def test_a_listed_entry_is_matched_by_hand(maker: Client, batch: SettlementBatch) -> None:
    one = of(batch, "USD")
    assert said(act(maker, f"{INSTRUCTION}_send", one.pk)) == ["It is sent."]
    assert offers(maker, INSTRUCTION, one.pk) == {"fail"}
    assert "may still be paid" in shown(act(maker, f"{INSTRUCTION}_fail", one.pk, reason="a guess"))
    one.refresh_from_db()
    assert one.state == "sent"
    text = uploads(maker, statement(Booked(name="&lt;b&gt;x", amount="4000.00", reference="B1")), "import")
    assert "it names no instruction" in text
    entry = StatementEntry.objects.get()

    assert "no such settlement" in said(act(maker, f"{ENTRY}_match", entry.pk, reference="SI1", reason="seen"))[0]
    assert said(act(maker, f"{ENTRY}_match", entry.pk, reference=one.reference, reason="seen")) == [
        "The entry is matched."
    ]
    assert "<b>x" not in maker.get(page(ENTRY, entry.pk)).content.decode()
    assert offers(maker, ENTRY, entry.pk) == set()


def test_an_instruction_is_cancelled_before_it_was_sent(maker: Client, batch: SettlementBatch) -> None:
    one = of(batch, "USD")
    assert offers(maker, INSTRUCTION, one.pk) == {"send", "fail", "cancel"}

    assert said(act(maker, f"{INSTRUCTION}_cancel", one.pk, reason="wrong day")) == ["It is cancelled."]


def test_who_may_only_look_can_do_nothing(batch: SettlementBatch) -> None:
    names = ("settlementinstruction", "paymentfile", "statementfile", "statemententry")
    reader = logged_in("reader@firm.example", *(f"trades.view_{name}" for name in names))

    assert offers(reader, INSTRUCTION, of(batch, "USD").pk) == set()
    assert reader.get(reverse(UPLOAD)).status_code == 403
    assert reader.post(reverse(UPLOAD), {"import": "1"}).status_code == 403
    assert reader.get(reverse(f"admin:{INSTRUCTION}_make_file")).status_code == 403
    assert timezone.now()


def test_a_leg_s_page_has_its_instructions_and_where_a_rest_went(maker: Client) -> None:
    btc_at("40_000.00")
    the_firm_and_its_provider()
    alice, window = a_customer(with_usd="10_000.00"), a_window(carries_forward=True)
    that_morning(alice, receive=btc("0.1"))
    first = cut_of(window, 10)
    own = of(first, "USD")
    moves.fail(own.pk, note="the bank is closed", by=somebody(), at=timezone.now())
    that_morning(alice, receive=btc("0.1"))
    second = cut_of(window, 11)
    to = leg(second, "USD")

    told = shown(maker.get(page(LEG, leg(first, "USD").pk)))
    assert f"{own.reference} failed" in told
    assert f"{of(second, 'USD').reference} made" in told
    carried_to = f'href="{page(LEG, to.pk)}"'
    assert carried_to in maker.get(page(LEG, leg(first, "USD").pk)).content.decode()
    assert carried_to in maker.get(page(INSTRUCTION, of(second, "USD").pk)).content.decode()
    assert carried_to not in maker.get(page(INSTRUCTION, own.pk)).content.decode()


def test_what_may_still_be_paid_is_told_until_somebody_says_that_it_won_t(
    maker: Client, batch: SettlementBatch
) -> None:
    one = of(batch, "USD")
    moves.send(one.pk, at=timezone.now())
    given = {"reference": "wire 7", "by": somebody(), "at": timezone.now()}
    settle_leg(leg(batch, "USD").pk, actual=usd("1000.00"), **given)
    uploads(maker, statement(Booked(name=one.reference, amount="3000.00", reference="B1")), "import")

    index = shown(maker.get(reverse("admin:index")))
    assert "1 ended, and may still be paid" in index
    assert "1 contradict the instruction they name" in index
    assert "may still be paid" in shown(maker.get(page(INSTRUCTION, one.pk)))
    assert offers(maker, INSTRUCTION, one.pk) == {"fail"}
    assert said(act(maker, f"{INSTRUCTION}_fail", one.pk, reason="recalled", stopped="on")) == [
        "It failed, and won't be paid."
    ]
    assert offers(maker, INSTRUCTION, one.pk) == set()
    assert "ended, and may still be paid" not in shown(maker.get(reverse("admin:index")))
