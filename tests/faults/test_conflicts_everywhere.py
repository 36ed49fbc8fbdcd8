"""Write by write: whatever the web side and the admin do may meet conflicts.

Each action here is done once while PostgreSQL ends its first try at its first write, its second at its second, and so
on: so it is begun anew with whatever an undone try can leave behind. Nobody notices, and the books are right.
Guard: `conflicts.atomic`; with `transaction.atomic` in its place, or with TRIES = 1, each of them fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.db import connection
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES, SYSTEM
from accounts.models import Break, Customer, User
from accounts.services import breaks
from accounts.services.reconciliation import reconcile
from tests.accounts.calls import Api, the_firm
from tests.admin.actions import act, logged_in, said
from tests.conftest import WRITTEN
from tests.given import (
    a_customer,
    a_cut,
    a_quote,
    a_settling_buy,
    an_exit_quote,
    btc_at,
    deposit,
    settle_everything,
    token_of,
    what_the_audit_finds,
)
from tests.trades.corrections.staff import a_break, a_member_of_staff, somebody, the_leg, why
from trades.corrections import decide, propose
from trades.models import SettlementBatch, SettlementWindow, Trade
from trades.settlement.approval import confirm
from trades.settlement.cut import cut_now, cut_window
from trades.settlement.flags import clear, flag
from trades.settlement.settle import begin, settle, settle_chunk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

BATCHES = "/api/settlement_batches"
ONE_FURTHER_EACH_TIME = (1, 3, 6, 10)  # the fifth try succeeds, if an earlier one hasn't written less
Action = Callable[[], object]


def meets_conflicts(action: Action, failing: Iterable[int] = ONE_FURTHER_EACH_TIME) -> Any:
    """Do something while writing statements fail, by their number; gives its result. A sequence survives a rollback."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE SEQUENCE public.luck; CREATE FUNCTION failing_writes() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" DECLARE n int := nextval('public.luck'); BEGIN IF n = ANY(ARRAY{list(failing)}) THEN"
            " RAISE EXCEPTION 'made to fail' USING ERRCODE = CASE n % 2 WHEN 1 THEN '40001' ELSE '40P01' END;"
            " END IF; RETURN NULL; END $$"
        )
        for table in WRITTEN:
            when = f"AFTER INSERT OR UPDATE OR DELETE ON {table}"
            cursor.execute(f"CREATE TRIGGER failing_writes {when} EXECUTE FUNCTION failing_writes()")
    try:
        result = action()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT last_value FROM luck")
            writes = cursor.fetchone()[0]
            cursor.execute("DROP FUNCTION failing_writes CASCADE; DROP SEQUENCE luck")
    assert writes > 1, "it was not written anew, so nothing was proved"
    return result


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="10_000.00")


# --- over HTTP --------------------------------------------------------------------------------------


def signs_up(alice: Customer) -> Action:
    body = {"email": "new@example.com", "password": "correct horse"}
    return lambda: Api().post("/api/v1/auth/signup", body).status


def logs_in(alice: Customer) -> Action:
    services.create_customer("new@example.com", "correct horse", "", timezone.now())
    body = {"email": "new@example.com", "password": "correct horse"}
    return lambda: Api().post("/api/v1/auth/login", body).status


def refreshes(alice: Customer) -> Action:
    body = {"refresh": _pair(alice).refresh}
    return lambda: Api().post("/api/v1/auth/refresh", body).status


def logs_out(alice: Customer) -> Action:
    body = {"refresh": _pair(alice).refresh}
    return lambda: Api().post("/api/v1/auth/logout", body).status


def opens_a_customer(alice: Customer) -> Action:
    firm = the_firm()
    return lambda: firm.post("/api/customers", {"type": "individual"}).status


def opens_an_account(alice: Customer) -> Action:
    firm, body = the_firm(), {"type": "trading", "asset": "ETH", "name": "Ether", "customer_guid": alice.pk.hex}
    return lambda: firm.post("/api/accounts", body).status


def asks_for_a_quote(alice: Customer) -> Action:
    trader, body = Api(token_of(alice)), {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000}
    return lambda: trader.post("/api/quotes", body).status


def asks_for_an_exit_quote(alice: Customer) -> Action:
    original = a_settling_buy(alice, 100_000)
    trader, body = Api(token_of(alice)), {"product_type": "trading_exit", "reference_trade_guid": original.pk.hex}
    return lambda: trader.post("/api/quotes", body).status


def executes_a_quote(alice: Customer) -> Action:
    trader, quote = Api(token_of(alice)), a_quote(alice, receive=1000)
    return lambda: trader.post("/api/trades", {"quote_guid": quote.pk.hex}).status


def executes_an_exit(alice: Customer) -> Action:
    trader, quote = Api(token_of(alice)), an_exit_quote(a_settling_buy(alice, 100_000))
    return lambda: trader.post("/api/trades", {"quote_guid": quote.pk.hex, "trade_type": "exit"}).status


def cuts(alice: Customer) -> Action:
    firm, _ = the_firm(), a_settling_buy(alice, 100_000)
    return lambda: firm.post(BATCHES, {}).status


def confirms(alice: Customer) -> Action:
    firm, batch = the_firm(), _a_cut(alice)
    return lambda: firm.post(f"{BATCHES}/{batch.pk.hex}/confirm", {}).status


def cancels(alice: Customer) -> Action:
    firm, batch = the_firm(), _a_cut(alice)
    return lambda: firm.post(f"{BATCHES}/{batch.pk.hex}/cancel", {}).status


def reports_a_leg_settled_with_a_difference(alice: Customer) -> Action:
    firm, leg = the_firm(), the_leg(_begun(alice), "BTC")
    path = f"{BATCHES}/{leg.batch_id.hex}/legs/{leg.pk.hex}/settle"
    return lambda: firm.post(path, {"actual_amount": int(leg.expected) - 1, "final": True}).status


def reports_a_leg_failed(alice: Customer) -> Action:
    firm, leg = the_firm(), the_leg(_begun(alice), "BTC")
    path = f"{BATCHES}/{leg.batch_id.hex}/legs/{leg.pk.hex}/fail"
    return lambda: firm.post(path, {"failure": "the bank is closed"}).status


OVER_HTTP = [
    signs_up,
    logs_in,
    refreshes,
    logs_out,
    opens_a_customer,
    opens_an_account,
    asks_for_a_quote,
    asks_for_an_exit_quote,
    executes_a_quote,
    executes_an_exit,
    cuts,
    confirms,
    cancels,
    reports_a_leg_settled_with_a_difference,
    reports_a_leg_failed,
]


@pytest.mark.parametrize("prepare", OVER_HTTP, ids=lambda prepare: prepare.__name__)
def test_a_client_hears_of_no_conflict(alice, prepare) -> None:
    action = prepare(alice)

    assert meets_conflicts(action) in (200, 201)

    assert what_the_audit_finds() == []


def test_who_meets_conflicts_ten_times_is_told_503_and_nothing_happened(alice) -> None:
    trader, quote = Api(token_of(alice)), a_quote(alice, receive=1000)
    body = {"quote_guid": quote.pk.hex}

    told = meets_conflicts(lambda: trader.post("/api/trades", body), failing=range(1, 11))

    assert (told.status, told.body["message_code"]) == (503, "unavailable")
    assert told.response.headers["Retry-After"] == "1"
    assert not Trade.objects.exists()
    assert trader.post("/api/trades", body).status == 201


# --- in the admin, and by commands --------------------------------------------------------------------


def confirms_in_the_admin(alice: Customer) -> Action:
    browser, batch = logged_in("checker@firm.example"), _a_cut(alice)

    def confirmed() -> None:
        answer = act(browser, "trades_settlementbatch_confirm_batch", batch.pk)
        assert said(answer) == ["The batch is confirmed; the workers settle it within seconds."]

    return confirmed


def deposits(alice: Customer) -> Action:
    return lambda: deposit(alice, "USD", "5.00")


def makes_an_api_client(alice: Customer) -> Action:
    return lambda: services.create_api_client("a partner", FIRM_SCOPES, timezone.now())


def flags(alice: Customer) -> Action:
    trade = a_settling_buy(alice, 100_000)
    return lambda: flag(trade.pk, reason="odd", by=SYSTEM, at=timezone.now())


def clears(alice: Customer) -> Action:
    trade = a_settling_buy(alice, 100_000)
    flag(trade.pk, reason="odd", by=SYSTEM, at=timezone.now())
    return lambda: clear(trade.pk, by=SYSTEM, at=timezone.now())


def cuts_a_window(alice: Customer) -> Action:
    a_settling_buy(alice, 100_000)
    window = SettlementWindow.objects.filter(asset_kind="crypto").first()
    assert window is not None
    return lambda: _given(cut_window(window, timezone.now(), timezone.now()))


def begins_to_settle(alice: Customer) -> Action:
    batch = _a_cut(alice)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    return lambda: settle_chunk(batch.pk, at=timezone.now())


def begins_a_round(alice: Customer) -> Action:
    batch = _a_cut(alice)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    begin(batch.pk, timezone.now())
    return lambda: settle_chunk(batch.pk, at=timezone.now())


def goes_on_settling(alice: Customer) -> Action:
    """The round has begun, one slice is done and another is left."""
    bob = a_customer("bob", with_usd="10_000.00")
    a_settling_buy(bob, 100_000)
    batch = _a_cut(alice)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    settle_chunk(batch.pk, at=timezone.now(), chunk=1)
    return lambda: settle_chunk(batch.pk, at=timezone.now(), chunk=1)


def proposes_a_reversal(alice: Customer) -> Action:
    trade = _completed(alice)
    terms = why()
    return lambda: propose.propose_trade_reversal(trade.pk, **terms)


def proposes_an_adjustment(alice: Customer) -> Action:
    terms = why()
    return lambda: propose.propose_adjustment(alice.pk, "USD", 100, "credit", **terms)


def applies_a_reversal(alice: Customer) -> Action:
    proposed, checker = propose.propose_trade_reversal(_completed(alice).pk, **why()), somebody()
    return lambda: decide.apply(proposed.pk, by=checker, at=timezone.now())


def rejects_a_reversal(alice: Customer) -> Action:
    proposed, checker = propose.propose_trade_reversal(_completed(alice).pk, **why()), somebody()
    return lambda: decide.reject(proposed.pk, by=checker, at=timezone.now())


def reconciles(alice: Customer) -> Action:
    return lambda: reconcile(b"asset,balance\nUSD,1.00\n", source="bank", as_of=timezone.now(), at=timezone.now())


def owns_a_break(alice: Customer) -> Action:
    found, staff = a_break(_begun(alice), "BTC", missing=1), a_member_of_staff()
    return lambda: breaks.own(found.pk, staff.pk, at=timezone.now())


def explains_a_break(alice: Customer) -> Action:
    at = timezone.now() - timedelta(seconds=1)
    reconcile(b"asset,balance\nUSD,1.00\n", source="bank", as_of=at, at=at)
    found, staff = Break.objects.filter(kind=Break.Kind.RECONCILIATION).latest("pk"), somebody()
    return lambda: breaks.explain(found.pk, reason="a test", by=staff, at=timezone.now())


IN_THE_ADMIN = [
    confirms_in_the_admin,
    deposits,
    makes_an_api_client,
    flags,
    clears,
    cuts_a_window,
    begins_to_settle,
    begins_a_round,
    goes_on_settling,
    proposes_a_reversal,
    proposes_an_adjustment,
    applies_a_reversal,
    rejects_a_reversal,
    reconciles,
    owns_a_break,
    explains_a_break,
]


@pytest.mark.parametrize("prepare", IN_THE_ADMIN, ids=lambda prepare: prepare.__name__)
def test_the_admin_hears_of_no_conflict(alice, prepare) -> None:
    action = prepare(alice)

    meets_conflicts(action)

    assert what_the_audit_finds() == []


def test_the_better_hash_of_a_password_is_kept_all_the_same(alice, settings) -> None:
    services.create_customer("old@example.com", "correct horse", "", timezone.now())
    settings.PASSWORD_HASHERS = settings.PASSWORD_HASHERS[::-1]  # what was preferred so far is so no longer

    meets_conflicts(lambda: services.authenticate("old@example.com", "correct horse"))

    assert identify_hasher(User.objects.get(email="old@example.com").password).algorithm != "md5"


# --- what they begin with -------------------------------------------------------------------------------


def _pair(customer: Customer) -> tokens.TokenPair:
    assert customer.user is not None
    return tokens.trader_pair(customer.user)


def _a_cut(alice: Customer) -> SettlementBatch:
    a_settling_buy(alice, 100_000)
    return a_cut()


def _begun(alice: Customer) -> SettlementBatch:
    """A batch whose legs are to be reported."""
    a_settling_buy(alice, 100_000)
    batch = cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)
    confirm(batch.pk, by=SYSTEM, at=timezone.now())
    for _ in settle(batch.pk, clock=timezone.now):
        pass
    return batch


def _completed(alice: Customer) -> Trade:
    trade = a_settling_buy(alice, 100_000)
    settle_everything()
    return trade


def _given(batch: SettlementBatch | None) -> SettlementBatch:
    assert batch is not None
    return batch
