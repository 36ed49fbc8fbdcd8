"""Races of payments. Each names its guard and was seen to fail without it."""

from __future__ import annotations

import threading
from collections import Counter
from functools import partial

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.errors import KeyReused, Refusal
from accounts.ledger import LEAVING
from accounts.models import Customer, Transfer
from quotes import prices
from quotes.models import Quote
from tests.given import (
    a_customer,
    a_funding_quote,
    a_payment,
    account_of,
    balance,
    btc_at,
    executes,
    moves_to,
    usd,
    uses,
    what_the_audit_finds,
)
from tests.races.together import together, wait_until_waiting
from tests.trades.corrections.staff import somebody
from tests.trades.engine_steps import opening, tick
from trades.corrections import decide
from trades.corrections.errors import AlreadyReturned
from trades.corrections.propose import propose_payment_return
from trades.errors import PaymentStateForbids, QuoteUsed
from trades.models import Correction, Order, Payment, PaymentEvent
from trades.payments import by_command, manual
from trades.payments.carry import carry
from trades.payments.execute import Accounts
from trades.spendable import NOTHING, held_by_positions

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_same_money_leaves_once_however_many_take_it_at_once() -> None:
    """Guard: `ledger.lock` before the look in `money.hold`. Without it each sees the whole balance, and the table's
    CHECK breaks the others."""
    alice = a_customer(with_usd="100.00")
    quotes = [a_funding_quote(alice, "withdrawal", usd("60.00")) for _ in range(8)]

    results = together([partial(uses, quote) for quote in quotes])

    assert {type(result) for result in results} == {Payment}
    assert Counter(Payment.objects.values_list("state", "failure_code")) == {
        ("storing", None): 1,
        ("failed", "non_sufficient_funds"): 7,
    }
    assert (balance(alice), balance(alice, LEAVING)) == (usd("40.00"), usd("60.00"))
    assert what_the_audit_finds() == []


def test_one_quote_that_many_use_at_once_is_one_payment() -> None:
    """Guard: `trades_payment.quote_id` is unique."""
    alice = a_customer(with_usd="100.00")
    for _ in range(3):
        quote = a_funding_quote(alice, "withdrawal", usd("10.00"))

        results = together([partial(uses, quote) for _ in range(8)])

        assert Counter(map(type, results)) == {Payment: 1, QuoteUsed: 7}
    assert balance(alice) == usd("70.00")


def test_a_withdrawal_beside_a_margin_order_leaves_what_the_order_needs() -> None:
    """Guard: the lock of the available account in `money.hold`, which the engine takes as well."""
    btc_at("40_000.00")
    for turn in range(6):
        alice = a_customer(f"trader-{turn}", with_usd="1_000.00")
        quote = a_funding_quote(alice, "withdrawal", usd("700.00"))

        results = together([partial(uses, quote), partial(tick, opening(alice, quantity="0.1", leverage=10))])

        assert [one for one in results if isinstance(one, Exception)] == []
        kept = held_by_positions([alice.pk], prices.latest().by_symbol).get(alice.pk, NOTHING)
        assert balance(alice) >= kept.amount
        is_open, left = Order.objects.filter(customer=alice, status="OPEN").exists(), balance(alice, LEAVING)
        assert is_open != (left == usd("700.00")), "both, or neither"
    assert what_the_audit_finds() == []


def test_customers_who_send_to_each_other_at_once_all_get_through() -> None:
    """Guard: one `ledger.lock` of all accounts in `money.book`, before the first movement. Locked one after the other,
    the sender's first, two who send to each other are a deadlock that PostgreSQL ends."""
    people = [a_customer(f"one-{number}", with_usd="100.00") for number in range(3)]

    accounts = {one.pk: account_of(one) for one in people}
    pairs = [(one, other) for one in people for other in people if one != other] * 2
    quotes = [a_funding_quote(one, "deposit", usd("1.00"), product="book_transfer") for one, _ in pairs]

    def sending(quote: Quote, other: Customer) -> Payment:
        with transaction.atomic():  # so that nothing begins anew
            between = Accounts(accounts[quote.customer_id], accounts[other.pk])
            return uses(quote, transfer_type="book", between=between)

    results = together([partial(sending, quote, other) for quote, (_, other) in zip(quotes, pairs, strict=True)])

    assert Counter(getattr(one, "state", one) for one in results) == {"completed": 12}
    assert [balance(one) for one in people] == [usd("100.00")] * 3
    assert what_the_audit_finds() == []


def test_the_same_money_goes_to_one_of_many_at_once() -> None:
    """Guard: `ledger.lock` before the look in `money.book`. Without it each sees the whole balance, and the table's
    CHECK breaks the others."""
    alice, others = a_customer(with_usd="100.00"), [a_customer(f"other-{number}") for number in range(4)]
    quotes = [a_funding_quote(alice, "deposit", usd("60.00"), product="book_transfer") for _ in range(8)]

    results = together([partial(moves_to, others[turn % 4], quote) for turn, quote in enumerate(quotes)])

    assert {type(result) for result in results} == {Payment}
    assert Counter(Payment.objects.values_list("state", "failure_code")) == {
        ("completed", None): 1,
        ("failed", "non_sufficient_funds"): 7,
    }
    assert balance(alice) == usd("40.00")
    assert sum(balance(one) for one in others) == usd("60.00")
    assert what_the_audit_finds() == []


def test_a_payment_comes_back_once_however_many_say_so_at_once() -> None:
    """Guard: the payment's lock in `returnable`. Without it all but one break on the unique
    `a_payment_comes_back_once`."""
    alice = a_customer(with_usd="100.00")
    for turn in range(3):
        payment = a_payment(alice, "withdrawal", usd("10.00"))
        says = {"reason": "it came back", "at": timezone.now()}

        results = together(
            [
                partial(
                    propose_payment_return, payment.pk, usd("10.00"), reference=f"r{turn}-{n}", by=somebody(), **says
                )
                for n in range(6)
            ]
        )

        assert Counter(map(type, results)) == {Correction: 1, AlreadyReturned: 5}
        assert balance(alice) == usd("100.00")
    assert what_the_audit_finds() == []


def test_one_reference_for_what_came_back_of_many_payments_at_once_is_one_ones() -> None:
    """Guard: `is_taken` where the unique `one_funding_per_reference` refused it. Different assets' rows are locked, so
    nobody waits for another, and the second one would break."""
    alice = a_customer()
    payments = [a_payment(alice, "deposit", 1_000_000, asset=asset) for asset in ("USD", "EUR", "BTC", "ETH")]
    says = {"reference": "r", "reason": "x", "at": timezone.now()}

    results = together(
        [partial(propose_payment_return, payment.pk, 1_000_000, by=somebody(), **says) for payment in payments]
    )

    assert Counter(map(type, results)) == {Correction: 1, KeyReused: 3}


def test_what_is_spent_while_a_deposit_is_taken_away_is_borne_by_the_firm() -> None:
    """Guard: the lock of the available account in `_bear`, before the look. Looked at before it, there would be enough,
    and the bank's word be refused."""
    alice = a_customer()
    payment = a_payment(alice, "deposit", usd("1_500.00"))
    says = {"reference": "r", "reason": "x", "at": timezone.now()}
    made = propose_payment_return(payment.pk, usd("1_500.00"), by=somebody(), **says)
    quote = a_funding_quote(alice, "withdrawal", usd("600.00"))
    results: list[object] = []

    def applying() -> None:
        results.extend(together([partial(decide.apply, made.pk, by=checker, at=timezone.now())]))

    checker, thread = somebody(), threading.Thread(target=applying)
    with transaction.atomic():
        assert uses(quote).state == "storing"
        thread.start()
        wait_until_waiting()
    thread.join(20)

    assert [type(one) for one in results] == [Correction], results
    (borne,) = Transfer.objects.filter(kind="payment_return_borne", subject=made.pk)
    assert (int(borne.amount), balance(alice, LEAVING), balance(alice)) == (usd("600.00"), usd("600.00"), 0)
    assert Customer.objects.get(pk=alice.pk).state == "frozen"
    assert what_the_audit_finds() == []


def test_one_command_that_many_give_at_once_is_one_payment() -> None:
    """Guard: the second look, `is_done`, where the unique `one_payment_per_reference` refused it in `by_command.book`.
    Without it the others break, though what they said is true."""
    alice = a_customer(with_usd="100.00")
    for turn, side in enumerate(("deposit", "withdrawal") * 2):
        says = {"reference": f"w{turn}", "reason": "", "by": "test", "at": timezone.now()}

        results = together([partial(by_command.book, side, alice.pk, "USD", usd("10.00"), **says) for _ in range(8)])

        assert Counter(results) == {True: 1, False: 7}
    assert Payment.objects.count() == 4
    assert balance(alice) == usd("100.00")
    assert what_the_audit_finds() == []


def test_what_one_person_books_at_once_by_many_commands_stays_within_the_limit(settings) -> None:
    """Guard: `asset_locked` in `by_command.may_alone`. Without it each finds room below the limit."""
    settings.SANDBOX = False
    alice, ann = a_customer(), somebody()

    def books(reference: str) -> bool:
        says = {"reference": reference, "by": ann, "at": timezone.now()}
        with transaction.atomic():
            amount = usd("600.00")
            is_alone = by_command.may_alone("deposit", alice.pk, "USD", amount, **says)
            return is_alone and by_command.book("deposit", alice.pk, "USD", amount, reason="x", **says)

    for turn in range(3):
        results = together([partial(books, f"w{turn}-{number}") for number in range(6)])
        assert Counter(results) == ({True: 1, False: 5} if turn == 0 else {False: 6})
    assert balance(alice) == usd("600.00")
    assert what_the_audit_finds() == []


def test_many_workers_take_each_step_once() -> None:
    """Guards: the lock of the payment in `take_step`, and the guarded update in `steps._move`."""
    alice = a_customer(with_usd="1_000.00")
    made = [uses(a_funding_quote(alice, side, usd("10.00"))) for side in ("deposit", "withdrawal") * 3]
    ids = [payment.pk for payment in made]

    together([partial(carry, ids) for _ in range(8)])
    carry(ids)

    assert set(Payment.objects.values_list("state", flat=True)) == {"completed"}
    assert PaymentEvent.objects.count() == 4 * len(made)
    assert Transfer.objects.filter(kind__in=["deposit", "withdrawal"], subject__in=ids).count() == len(made)
    assert balance(alice) == usd("1_000.00")
    assert what_the_audit_finds() == []


def test_two_who_agree_at_once_complete_it_once(settings) -> None:
    """Guard: the lock of `steps.locked`; the guarded update in `steps._move` refuses the second one for certain."""
    settings.PAYMENT_RAIL = "manual"
    alice = a_customer(with_usd="9_000.00")
    for turn in range(4):
        payment = a_payment(alice, "withdrawal", usd("1_500.00"))
        manual.confirm(payment.pk, reference=f"w{turn}", by=somebody(), at=timezone.now())

        agreeing = [partial(manual.agree, payment.pk, by=somebody(), at=timezone.now()) for _ in range(4)]
        refusing = [partial(manual.refuse, payment.pk, by=somebody(), at=timezone.now()) for _ in range(4)]
        results = together([call for pair in zip(agreeing, refusing, strict=True) for call in pair])

        assert Counter(map(type, results)) == {Payment: 1, PaymentStateForbids: 7}
        steps = PaymentEvent.objects.filter(payment=payment, became__in=["completed", "failed"])
        assert steps.count() == 1
    out = Payment.objects.filter(state="completed").count()
    assert balance(alice) == usd("9_000.00") - out * usd("1_500.00")
    assert (balance(alice, LEAVING), what_the_audit_finds()) == (0, [])


def test_one_reference_for_many_payments_at_once_completes_one(settings) -> None:
    """Guards: the unique `one_payment_per_reference`. Looked at before it is written, all would find it free."""
    settings.PAYMENT_RAIL = "manual"
    alice = a_customer(with_usd="100.00")
    payments = [a_payment(alice, "deposit", usd("1.00")) for _ in range(6)]

    confirm = partial(manual.confirm, reference="wire-1", at=timezone.now())
    results = together([partial(confirm, payment.pk, by=somebody()) for payment in payments])

    assert Counter(map(type, results)) == {Payment: 1, KeyReused: 5}
    assert balance(alice) == usd("101.00")
    assert what_the_audit_finds() == []


def test_a_quote_used_at_once_by_trades_and_transfers_is_used_by_what_it_is_for() -> None:
    """Guards: `_TYPE_OF` and `_PRODUCT_OF`: no product is for both, so no lock is needed."""
    alice = a_customer(with_usd="100.00")
    quote = a_funding_quote(alice, "withdrawal", usd("10.00"), at=timezone.now())

    results = together([partial(uses, quote), partial(executes, quote)] * 4)

    assert Counter(isinstance(one, Refusal) for one in results) == {True: 7, False: 1}
    assert Payment.objects.count() == 1
