"""A customer is checked before it trades; every move of its state is one guarded step."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import services, tasks
from accounts.errors import CustomerNotVerified, CustomerStateForbids, SandboxOnly
from accounts.models import Customer, RowVersion
from accounts.services import NewCustomer
from accounts.states import CUSTOMER_MOVES
from tests.accounts.calls import Api, the_firm
from tests.given import (
    a_customer,
    a_quote,
    a_settling_buy,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    executes,
    stores,
    token_of,
    usd,
)
from tests.races.together import together
from tests.trades.corrections.staff import somebody
from tests.trades.engine_steps import opening, refused
from tests.without_guards import without_guards
from trades import funding
from trades.corrections.funding import propose_funding
from trades.errors import CustomerIsFrozen
from trades.models import Correction
from trades.states import CorrectionState

pytestmark = pytest.mark.django_db

NOW = timezone.now()
NOT_VERIFIED = ["storing", "unverified", "rejected", "frozen"]


def stored(**wanted: object) -> Customer:
    """A partner's customer, as it is right after POST."""
    return services.open_customers([NewCustomer(**wanted)], NOW)[0]  # type: ignore[arg-type]


def state_of(customer: Customer) -> str:
    return Customer.objects.values_list("state", flat=True).get(pk=customer.pk)


def in_state(customer: Customer, state: str) -> Customer:
    """As if it had come there, whatever the way."""
    without_guards("accounts_customer", "UPDATE accounts_customer SET state = %s WHERE id = %s", state, customer.pk)
    customer.refresh_from_db()
    return customer


# --- the moves -------------------------------------------------------------------------------------


def test_the_trigger_allows_exactly_the_legal_moves() -> None:
    moves = importlib.import_module("accounts.migrations.0040_customer_states").MOVES
    question = f"SELECT ({moves}) FROM (SELECT %s AS state) AS OLD, (SELECT %s AS state) AS NEW"
    with connection.cursor() as cursor:
        for old, new in product(CUSTOMER_MOVES, CUSTOMER_MOVES):
            if old != new:
                cursor.execute(question, [str(old), str(new)])
                assert cursor.fetchone() == (new in CUSTOMER_MOVES[old],), (old, new)


def test_nobody_moves_a_customer_around_the_table() -> None:
    """Guard: the trigger legal_moves of accounts_customer."""
    customer = stored()

    with pytest.raises(IntegrityError, match="may not move from storing to frozen"), transaction.atomic():
        Customer.objects.filter(pk=customer.pk).update(state="frozen")


def test_each_move_is_a_version_of_the_row_and_moves_updated_at() -> None:
    customer = stored()
    later = NOW + timezone.timedelta(seconds=5)
    services.check([customer.pk], later)

    said = RowVersion.objects.filter(table_name="accounts_customer", row_key=str(customer.pk)).order_by("number")
    assert [version.said["state"] for version in said] == ["storing", "verified"]
    assert Customer.objects.get(pk=customer.pk).updated_at == later


# --- the check -------------------------------------------------------------------------------------


def test_a_stored_customer_is_verified_by_the_check() -> None:
    customer = stored()
    assert state_of(customer) == "storing"

    assert services.check([customer.pk], NOW) == 1
    assert state_of(customer) == "verified"
    assert services.check([customer.pk], NOW) == 0


def test_a_sandbox_rejects_on_request() -> None:
    failing, passing = stored(expected_behaviour="failed_immediately"), stored(expected_behaviour="passed_immediately")

    services.check([failing.pk, passing.pk], NOW)

    assert (state_of(failing), state_of(passing)) == ("rejected", "verified")


def test_only_a_sandbox_takes_such_a_request(settings) -> None:
    settings.SANDBOX = False

    with pytest.raises(SandboxOnly):
        stored(expected_behaviour="failed_immediately")
    assert not Customer.objects.exists()


def test_without_the_simulated_check_everybody_waits_for_an_operator(settings) -> None:
    settings.SIMULATED_CHECKS = False
    customer = stored()

    services.check([customer.pk], NOW)

    assert state_of(customer) == "unverified"
    assert a_customer().state == "unverified"


def test_the_sweep_finds_whom_a_lost_wake_up_was_for(monkeypatch) -> None:
    monkeypatch.setattr("accounts.services.customer_states.MOST_AT_ONCE", 2)
    waiting = services.open_customers([NewCustomer() for _ in range(5)], NOW)

    tasks.sweep_customers()

    assert {state_of(customer) for customer in waiting} == {"verified"}


@pytest.mark.django_db(transaction=True)
def test_a_customer_is_checked_once_by_however_many_workers() -> None:
    """Guard: the lock in `check` and the state in its UPDATE. Either does; without both, one customer moves twice."""
    waiting = services.open_customers([NewCustomer() for _ in range(40)], NOW)
    ids = [customer.pk for customer in waiting]

    moved = together([partial(services.check, ids, NOW) for _ in range(8)])

    assert sum(moved) == 40, moved  # type: ignore[arg-type]
    assert {state_of(customer) for customer in waiting} == {"verified"}
    assert RowVersion.objects.filter(table_name="accounts_customer").count() == 80


@pytest.mark.django_db(transaction=True)
def test_a_check_waits_for_nobody() -> None:
    """Guard: SKIP LOCKED in `check`: an operator who holds a row, or another worker, doesn't hold up the others."""
    held, free = stored(), stored()

    with transaction.atomic():
        Customer.objects.select_for_update().get(pk=held.pk)
        (moved,) = together([partial(services.check, [held.pk, free.pk], NOW)])

    assert moved == 1
    assert (state_of(held), state_of(free)) == ("storing", "verified")


def test_a_trader_who_signs_up_trades_at_once() -> None:
    trader = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")

    assert trader.state == "verified"
    assert a_settling_buy(trader, btc("0.01")).state == "settling"


# --- nobody trades before --------------------------------------------------------------------------


@pytest.mark.parametrize("state", NOT_VERIFIED)
def test_whoever_is_not_verified_is_not_quoted(state: str) -> None:
    """Guard: `refuse_unverified` in `issue`."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    bought = a_settling_buy(alice, btc("0.1"))
    in_state(alice, state)

    with pytest.raises(CustomerNotVerified, match=f"is {state}"):
        a_quote(alice, receive=btc("0.1"))
    with pytest.raises(CustomerNotVerified):
        an_exit_quote(bought)


@pytest.mark.parametrize("state", NOT_VERIFIED)
def test_a_trade_fails_whose_customer_was_not_verified_when_it_was_stored(state: str) -> None:
    """Guard: the customer's state in `failure_of`."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    trade = executes(a_quote(alice, receive=btc("0.1")))
    in_state(alice, state)

    stores(trade)

    assert (trade.state, trade.failure_code) == ("failed", "unsupported")
    assert balance(alice) == usd("10_000.00")


@pytest.mark.parametrize("state", NOT_VERIFIED)
def test_an_exit_fails_whose_customer_was_not_verified_when_it_was_stored(state: str) -> None:
    """The quote was given before; its original settles or waits as if nobody had asked."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    bought = a_settling_buy(alice, btc("0.1"))
    sold = executes(an_exit_quote(bought))
    in_state(alice, state)

    stores(sold)

    assert (sold.state, sold.failure_code, sold.exiting_trade_id) == ("failed", "unsupported", None)


@pytest.mark.parametrize("state", NOT_VERIFIED)
def test_whoever_is_not_verified_opens_no_margin_order(state: str) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    in_state(alice, state)

    assert refused(opening(alice)) == "This account may not open orders"


@pytest.mark.parametrize("state", NOT_VERIFIED)
def test_whoever_is_not_verified_is_paid_out_by_two_persons_only(state: str) -> None:
    alice = a_customer(with_usd="100.00")
    in_state(alice, state)

    kind = CustomerIsFrozen if state == "frozen" else CustomerNotVerified
    with pytest.raises(kind):
        funding.withdraw(alice, "USD", usd("1.00"), "out", NOW, "test")
    assert balance(alice) == usd("100.00")

    assert funding.withdraw(alice, "USD", usd("1.00"), "out", NOW, "test", is_by_two=True)
    assert proposed(Correction.Kind.WITHDRAWAL, alice) == CorrectionState.PROPOSED


@pytest.mark.parametrize("state", ["storing", "unverified", "rejected"])
def test_money_of_whoever_was_never_verified_comes_in_by_two_persons_only(state: str) -> None:
    alice = in_state(a_customer(), state)

    with pytest.raises(CustomerNotVerified):
        funding.deposit(alice, "USD", usd("1.00"), "in", NOW, "test")
    assert balance(alice) == 0

    assert funding.deposit(alice, "USD", usd("1.00"), "in", NOW, "test", is_by_two=True)
    assert proposed(Correction.Kind.DEPOSIT, alice) == CorrectionState.PROPOSED


@pytest.mark.parametrize("state", ["verified", "frozen"])
def test_money_of_whoever_was_verified_comes_in(state: str) -> None:
    alice = in_state(a_customer(), state)

    assert funding.deposit(alice, "USD", usd("1.00"), "in", NOW, "test")
    assert balance(alice) == usd("1.00")


def proposed(kind: Correction.Kind, customer: Customer) -> str:
    """What becomes of a movement within the limit of one person."""
    return propose_funding(
        kind, customer.pk, "USD", 1, reference=f"{kind}-2", reason="why", by=somebody(), at=NOW
    ).state


# --- what a partner, and what an operator, decides -------------------------------------------------


@pytest.mark.parametrize("state", ["verified", "rejected", "unverified"])
def test_a_partner_takes_a_decision_back(state: str) -> None:
    customer = in_state(stored(), state)
    later = NOW + timezone.timedelta(seconds=5)

    changed = services.change_customer(customer.pk, state="unverified", at=later)

    assert changed.state == state_of(customer) == "unverified"
    assert changed.updated_at == (customer.updated_at if state == "unverified" else later)


@pytest.mark.parametrize("state", ["storing", "frozen"])
def test_a_partner_takes_nothing_back_that_waits_or_is_an_operators(state: str) -> None:
    customer = in_state(stored(), state)

    with pytest.raises(CustomerStateForbids):
        services.change_customer(customer.pk, state="unverified", at=NOW)
    assert state_of(customer) == state


def test_a_partner_can_name_no_other_state() -> None:
    customer = in_state(stored(), "unverified")

    for state in ("verified", "rejected", "frozen", "storing"):
        with pytest.raises(CustomerStateForbids):
            services.change_customer(customer.pk, state=state, at=NOW)
    assert services.change_customer(customer.pk, state=None, at=NOW).state == "unverified"


def test_an_operator_verifies_rejects_and_freezes() -> None:
    customer = in_state(stored(), "unverified")

    for state in ("verified", "frozen", "rejected", "verified"):
        assert services.decide_on_customer(customer.pk, state, NOW).state == state_of(customer) == state
    with pytest.raises(CustomerStateForbids, match="A verified customer can't become storing"):
        services.decide_on_customer(customer.pk, "storing", NOW)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_decide_at_once_the_second_decides_on_what_the_first_left() -> None:
    """Guard: the lock in `_locked`; without it the second's UPDATE finds another state and changes nothing, unsaid."""
    customer = in_state(stored(), "verified")
    calls: list[Callable[[], object]] = [
        partial(services.decide_on_customer, customer.pk, "frozen", NOW),
        partial(services.change_customer, customer.pk, state="unverified", at=NOW),
    ]

    told = together(calls)

    refused_ones = [one for one in told if isinstance(one, CustomerStateForbids)]
    assert len(refused_ones) == 1, told
    assert state_of(customer) == ("frozen" if refused_ones == [told[1]] else "unverified")


# --- over HTTP -------------------------------------------------------------------------------------


def test_a_new_customer_is_storing_and_its_quote_is_refused_with_a_code() -> None:
    firm = the_firm()
    btc_at("42_000.00")
    made = firm.post("/api/customers", {"type": "individual"})
    assert made.body["state"] == "storing"

    answer = firm.post(
        "/api/quotes",
        {"customer_guid": made.body["guid"], "symbol": "BTC-USD", "side": "buy", "deliver_amount": 10_000},
    )

    assert (answer.status, answer.body["message_code"]) == (422, "customer_not_verified")


def test_patch_takes_a_verification_back_for_the_firm_alone() -> None:
    alice = a_customer()
    path = f"/api/customers/{alice.pk.hex}"

    assert patched(Api(token_of(alice)), path).status == 403
    answer = patched(the_firm(), path)

    assert (answer.status, answer.body["state"]) == (200, "unverified")


def patched(api: Api, path: str):
    return api.call("PATCH", path, {"state": "unverified"})
