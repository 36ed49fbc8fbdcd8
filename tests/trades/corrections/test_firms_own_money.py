"""The firm's own money: capital in, earned profit and fees out, by two persons; reconciliation follows it."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts import ledger, services
from accounts.errors import ActorRequired, InsufficientFunds, KeyReused, Malformed
from accounts.identity import SYSTEM
from accounts.ledger import Movement
from accounts.models import Funding, LedgerAccount
from accounts.services.reconciliation import lines_of, reconcile
from tests.given import a_customer, usd, what_the_audit_finds
from tests.trades.corrections.staff import a_member_of_staff, applies, movements_of, somebody, why
from trades.corrections import decide
from trades.corrections.funding import propose_firms_own
from trades.errors import MakerIsChecker

pytestmark = pytest.mark.django_db


def the_house_has(type_: str, asset: str = "USD") -> int:
    return sum(row.balance for row in LedgerAccount.objects.filter(customer=None, asset=asset, type=type_))


def earned(cents: int, type_: str) -> None:
    """A customer pays so much into the house's profit or fees."""
    alice = a_customer(with_usd="10_000.00")
    paid = Movement(
        ledger.customers(alice.pk, "USD", ledger.AVAILABLE),
        ledger.house(alice.pk, "USD", type_),
        cents,
        "trade_fee",
        "paid",
        alice.pk,
        None,
        timezone.now(),
    )
    ledger.post([paid])


def outside_is(dollars: str) -> bool:
    """Whether a statement of the bank's with this balance fits the books."""
    now = timezone.now()
    run = reconcile(f"asset,balance\nUSD,{dollars}\n".encode(), source="bank.csv", as_of=now, at=now)
    return all(line.ok for line in lines_of(run.pk))


def test_capital_comes_in_by_two_persons_and_the_statement_fits_after_it():
    ann = somebody()
    made = propose_firms_own("capital_in", "USD", usd("0.01"), reference="b1", reason="x", by=ann, at=timezone.now())
    assert (made.state, the_house_has("capital")) == ("proposed", 0)

    with pytest.raises(MakerIsChecker):
        decide.apply(made.pk, by=ann, at=timezone.now())
    done = applies(made)

    assert movements_of(done) == [("capital_in", "external", "capital", 1, "USD")]
    assert (the_house_has("capital"), the_house_has("external")) == (1, -1)
    assert outside_is("0.01")
    assert not outside_is("0.00")
    assert Funding.objects.get().made_by_id == ann.user_id
    assert what_the_audit_finds() == []


@pytest.mark.parametrize(("kind", "type_"), [("profit_out", "profit"), ("fees_out", "fees")])
def test_what_was_earned_can_be_paid_out_to_the_cent_and_no_more(kind, type_):
    """Guard: the sum over the buckets in `move_firms_own`."""
    earned(usd("100.00"), type_)
    before = the_house_has("external")

    with pytest.raises(InsufficientFunds):
        applies(propose_firms_own(kind, "USD", usd("100.01"), reference="b1", **why()))
    assert the_house_has(type_) == usd("100.00")

    applies(propose_firms_own(kind, "USD", usd("100.00"), reference="b2", **why()))
    assert (the_house_has(type_), the_house_has("external")) == (0, before + usd("100.00"))
    assert outside_is("9900.00")
    with pytest.raises(InsufficientFunds):
        applies(propose_firms_own(kind, "USD", 1, reference="b3", **why()))


def test_a_reference_is_a_customers_or_the_firms_but_not_both():
    alice = a_customer()
    services.deposit(alice, "USD", 1, "b1", timezone.now(), "test")

    with pytest.raises(KeyReused):
        propose_firms_own("capital_in", "USD", 1, reference="b1", **why())
    applies(propose_firms_own("capital_in", "USD", 1, reference="b2", **why()))
    with pytest.raises(KeyReused):
        services.deposit(alice, "USD", 1, "b2", timezone.now(), "test")


def test_nobody_another_kind_and_no_reference_move_nothing():
    says = {"reference": "b1", **why()}
    with pytest.raises(ActorRequired):
        propose_firms_own("capital_in", "USD", 1, **(says | {"by": SYSTEM}))
    for wrong in ({"kind": "deposit"}, {"kind": "bonus"}, {"reference": ""}, {"amount": 0}):
        given = {"kind": "capital_in", "asset": "USD", "amount": 1, **says, **wrong}
        with pytest.raises(Malformed):
            propose_firms_own(**given)
    assert not Funding.objects.exists()


def test_the_command_proposes_it_and_another_one_applies_it():
    ann, ben = a_member_of_staff("ann"), a_member_of_staff("ben")
    words = ("propose", "firm", "capital_in", "USD", "50000.00", "--reason", "the owners paid in", "--by", ann.email)
    with pytest.raises(CommandError, match="reference has 1 to 128"):
        call_command("correct", *words)

    out = io.StringIO()
    call_command("correct", *words, "--reference", "bank-1", "--json", stdout=out)
    made = json.loads(out.getvalue(), parse_float=Decimal)
    shown = io.StringIO()
    call_command("correct", "apply", made["guid"], "--by", ben.email, stdout=shown)

    assert "capital_in of the firm 50000.00 USD: applied" in shown.getvalue()
    assert the_house_has("capital") == usd("50_000.00")
