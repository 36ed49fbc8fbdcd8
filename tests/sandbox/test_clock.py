"""The firm's time, moved ahead by API: what moves with it, what doesn't, and that it never goes back."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import audit, clock, seals, tokens
from accounts.errors import SandboxOnly
from accounts.models import AnsweredRequest, ClockMove, Customer, Transfer
from accounts.services import idempotency
from accounts.timestamps import parse_timestamp
from brokerage.sandbox import moving
from brokerage.stack.where import CHECKOUT
from quotes import prices
from tests.accounts.sealing import in_ten_minutes
from tests.caller import Api, code
from tests.given import a_customer, balance, btc, btc_at, token_of
from tests.live import environment
from trades.models import BatchEvent, LegReport, SettlementBatch, SettlementWindow, Trade, TradeEvent
from trades.settlement.cut import cut_due
from trades.settlement.settle import settle
from trades.spot.advance import advance

pytestmark = pytest.mark.django_db

CLOCK = "/api/sandbox/clock"
DAY = 86_400


@pytest.fixture
def alice() -> Customer:
    return a_customer(with_usd="10_000.00")


@pytest.fixture(autouse=True)
def _not_moved_before() -> Iterator[None]:
    clock.keep_ahead(timedelta(0))
    yield
    clock.keep_ahead(timedelta(0))


def moves(firm: Api, **body: Any) -> dict[str, Any]:
    status, told = firm.post(CLOCK, body)
    assert status == 201, told
    return dict(told)


def a_quote(firm: Api, customer: Customer, **wanted: Any) -> str:
    asked = {"customer_guid": customer.pk.hex, "symbol": "BTC-USD", "side": "buy", "receive_amount": btc("0.1")}
    return str(firm.post("/api/quotes", asked | wanted)[1]["guid"])


def a_settling_trade(firm: Api, customer: Customer) -> Trade:
    btc_at("40000")
    trade = Trade.objects.get(pk=firm.post("/api/trades", {"quote_guid": a_quote(firm, customer)})[1]["guid"])
    advance([trade.pk], prices=prices.latest)
    trade.refresh_from_db()
    assert trade.state == "settling", trade.failure_code
    return trade


# --- the clock -------------------------------------------------------------------------------------


def test_it_is_the_real_time_until_it_is_moved_and_each_move_is_a_row(firm: Api) -> None:
    told = firm.get(CLOCK)[1]
    assert (told["firm_time"], told["ahead_seconds"], told["moved_at"]) == (told["real_time"], 0, None)

    moves(firm, by_seconds=3600)
    told = moves(firm, by_seconds=DAY)

    assert told["ahead_seconds"] == DAY + 3600
    assert at(told, "firm_time") - at(told, "real_time") == timedelta(days=1, hours=1)
    me = tokens.verify(firm.http.defaults["HTTP_AUTHORIZATION"]).client_id
    assert me is not None
    assert told["moved_by_client_guid"] == me.hex
    first, second = ClockMove.objects.order_by("number")
    assert (first.before, first.ahead) == (timedelta(0), timedelta(hours=1))
    assert (second.before, second.ahead) == (timedelta(hours=1), timedelta(days=1, hours=1))
    assert (first.by_client_id, first.request_id is not None) == (me, True)


def test_it_is_moved_to_a_moment(firm: Api) -> None:
    until = clock.now() + timedelta(days=3)
    told = moves(firm, until=until.isoformat())
    assert timedelta(0) <= at(told, "firm_time") - until < timedelta(seconds=5)


def test_it_never_goes_back(firm: Api) -> None:
    """Guards: `step <= 0` in `moving.py`; of the database the trigger `never_back` and `clock_moves_ahead`."""
    moves(firm, by_seconds=DAY)
    real = clock.now().isoformat()
    assert code(firm.post(CLOCK, {"until": real})) == (422, "clock_goes_back")

    day, hour = timedelta(days=1), timedelta(hours=1)
    for number, before, ahead in [(2, day, hour), (2, timedelta(0), 2 * day), (3, day, 2 * day), (1, day, 2 * day)]:
        with pytest.raises(IntegrityError), transaction.atomic():
            ClockMove.objects.create(number=number, at=clock.now(), before=before, ahead=ahead)
    assert clock.both()[1] - clock.both()[0] > day - hour


@pytest.mark.parametrize(
    ("wrong", "refused"),
    [
        ({}, (400, "invalid_parameter")),
        ({"by_seconds": 0}, (400, "invalid_parameter")),
        ({"by_seconds": -1}, (400, "invalid_parameter")),
        ({"by_seconds": 31 * DAY + 1}, (400, "invalid_parameter")),
        ({"by_seconds": "60"}, (400, "invalid_parameter")),
        ({"until": "tomorrow"}, (400, "invalid_parameter")),
        ({"until": "9999-12-31T23:59:59Z"}, (422, "clock_too_far")),
        ({"until": "2020-01-01T00:00:00Z"}, (422, "clock_goes_back")),
        ({"until": "9999-12-31T23:59:59Z", "by_seconds": 1}, (400, "invalid_parameter")),
    ],
)
def test_what_is_no_move_is_refused(firm: Api, wrong: dict[str, Any], refused: tuple[int, str]) -> None:
    assert code(firm.post(CLOCK, wrong)) == refused
    assert not ClockMove.objects.exists()


def test_a_trader_moves_nothing(alice: Customer) -> None:
    assert code(Api(token_of(alice)).post(CLOCK, {"by_seconds": 1})) == (403, "invalid_scope")


@pytest.mark.django_db(transaction=True)
def test_moves_at_once_are_made_one_after_the_other(firm: Api) -> None:
    """Guard: the lock FIRM_CLOCK; without it two start from one place, and the trigger or the number refuses one."""
    ready, authorization = Barrier(8), firm.http.defaults["HTTP_AUTHORIZATION"].removeprefix("Bearer ")

    def move(_: int) -> int:
        ready.wait(20)
        try:
            return Api(authorization).post(CLOCK, {"by_seconds": 60})[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(move, range(8))) == [201] * 8
    assert firm.get(CLOCK)[1]["ahead_seconds"] == 8 * 60


def test_the_same_key_moves_it_once(firm: Api) -> None:
    for _ in range(2):
        headers = {"Idempotency-Key": "later"}
        firm.http.post(CLOCK, '{"by_seconds":60}', content_type="application/json", headers=headers)
    assert firm.get(CLOCK)[1]["ahead_seconds"] == 60


# --- what moves with it ----------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "became"), [(20, "settling"), (31, "failed")])
def test_a_quote_expires_by_it(firm: Api, alice: Customer, seconds: int, became: str) -> None:
    quote = a_quote(firm, alice)
    moves(firm, by_seconds=seconds)

    trade = Trade.objects.get(pk=firm.post("/api/trades", {"quote_guid": quote})[1]["guid"])
    advance([trade.pk], prices=prices.latest)

    trade.refresh_from_db()
    assert (trade.state, trade.failure_code or "") == (became, "expired_quote" if became == "failed" else "")


def test_a_funding_quote_expires_by_it(firm: Api, alice: Customer) -> None:
    funding = {"product_type": "funding", "asset": "USD", "side": "deposit", "deliver_amount": 100}
    quote = firm.post("/api/quotes", funding | {"customer_guid": alice.pk.hex})[1]["guid"]
    moves(firm, by_seconds=31)

    told = firm.post("/api/transfers", {"quote_guid": quote, "transfer_type": "funding"})[1]

    assert (told["state"], told["failure_code"]) == ("failed", "expired")


@pytest.mark.django_db(transaction=True)
def test_a_window_that_it_moves_over_is_cut_once_by_two_schedulers(firm: Api, alice: Customer) -> None:
    trade = a_settling_trade(firm, alice)
    window = SettlementWindow.objects.get(asset_kind="crypto", is_active=True)
    first = parse_timestamp(firm.get(f"/api/settlement_windows/{window.pk.hex}")[1]["next_cuts"][0])
    assert first is not None
    assert cut_due(clock.firm_now()) == []
    moves(firm, until=(first + timedelta(seconds=1)).isoformat())
    ready = Barrier(2)

    def beat(_: int) -> int:
        ready.wait(10)
        try:
            return len(cut_due(clock.firm_now()))
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(beat, range(2))) == [0, 1]

    batch = SettlementBatch.objects.get()
    assert (batch.cut_at, batch.window_id) == (first, window.pk)
    for _ in settle(batch.pk, clock=clock.firm_now):
        pass
    trade.refresh_from_db()
    assert trade.state == "completed"
    assert list(audit.run(clock.now()).findings) == []


def test_what_is_written_down_is_dated_by_it_and_the_audit_finds_nothing(firm: Api, alice: Customer) -> None:
    before = a_settling_trade(firm, alice)
    moves(firm, by_seconds=10 * DAY)
    after = a_settling_trade(firm, alice)
    deposit = {"customer_guid": alice.pk.hex, "asset": "USD", "amount": 100}
    assert firm.post("/api/sandbox/deposits", deposit)[1]["state"] == "completed"
    told = firm.post("/api/sandbox/settlement_batches", {"legs_are_automatic": False})[1]
    firm.post(f"/api/sandbox/settlement_batches/{told['guid']}/report_legs", {"outcome": "settled"})
    for _ in settle(uuid.UUID(told["guid"]), clock=clock.firm_now):
        pass

    real, ten_days = clock.now(), timedelta(days=9, hours=23)
    assert after.created_at - before.created_at > ten_days
    later = [*TradeEvent.objects.filter(trade=after), *BatchEvent.objects.all(), *LegReport.objects.all()]
    assert len(later) >= 8
    assert [one for one in later if one.at - real < ten_days] == []
    assert Transfer.objects.latest("pk").at - real > ten_days
    before.refresh_from_db()
    assert before.updated_at - real > ten_days
    assert (before.state, balance(alice)) == ("completed", balance(alice))
    assert list(audit.run(clock.now()).findings) == []
    seals.seal(in_ten_minutes())
    assert list(audit.run(clock.now(), verify=True).findings) == []


def test_a_window_made_after_a_move_has_missed_nothing(firm: Api) -> None:
    """Guard: `firm_clock()` in the trigger that says since when a schedule counts (migration 0099)."""
    moves(firm, by_seconds=10 * DAY)
    made = SettlementWindow.objects.create(
        name="Every minute", asset_kind="crypto", cron="0 * * * *", time_zone="UTC", calendar=""
    )
    made.refresh_from_db()
    assert made.schedule_since - clock.now() > timedelta(days=9, hours=23)


# --- what doesn't ----------------------------------------------------------------------------------


def test_tokens_prices_and_kept_answers_know_nothing_of_it(firm: Api, alice: Customer) -> None:
    trader = Api(token_of(alice))
    kept = {"Idempotency-Key": "kept"}
    firm.http.post("/api/customers", '{"type":"individual"}', content_type="application/json", headers=kept)
    moves(firm, by_seconds=31 * DAY)

    assert trader.get("/api/quotes")[0] == 200
    assert firm.get("/api/quotes")[0] == 200
    (price,) = firm.get("/api/prices", symbol="BTC-USD")[1]
    seen = parse_timestamp(price["sell_price_last_updated_at"])
    assert seen is not None
    assert abs(seen - clock.now()) < timedelta(minutes=1)
    fresh = firm.post("/api/customer_tokens", {"customer_guid": alice.pk.hex, "scopes": ["quotes:read"]})[1]
    _, expires = tokens.verify_until(f"Bearer {fresh['access_token']}")
    assert abs(expires - clock.now().timestamp()) < 2 * 3600
    idempotency.forget_old(clock.now())
    assert AnsweredRequest.objects.filter(key="kept").exists()
    again = firm.http.post("/api/customers", '{"type":"individual"}', content_type="application/json", headers=kept)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert abs(AnsweredRequest.objects.get(key="kept").at - clock.now()) < timedelta(minutes=1)


# --- where there is no sandbox ---------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("command", [("migrate",), ("check", "--database", "default")])
def test_a_database_whose_clock_was_moved_starts_nothing_without_a_sandbox(firm: Api, command: tuple[str, ...]) -> None:
    """Guards: `refuse_a_moved_clock`, which `migrate` asks, and `a_clock_that_was_moved`, which is a check."""
    given = environment() | {"SECRET_KEY": "secret key of a test " * 4, "JWT_SIGNING_KEY": "only for tests " * 4}

    def ends(sandbox: str) -> tuple[int, str]:
        words = [sys.executable, "manage.py", *command]
        ran = subprocess.run(
            words, cwd=CHECKOUT, env=given | {"SANDBOX": sandbox}, capture_output=True, text=True, check=False
        )
        return ran.returncode, ran.stdout + ran.stderr

    assert ends("0")[0] == 0
    moves(firm, by_seconds=DAY)

    status, said = ends("0")
    assert status != 0
    assert "The firm's clock was moved 1 day ahead in this database by a sandbox" in said or "24:00:00 ahead" in said
    assert ends("1")[0] == 0


def test_without_a_sandbox_the_rows_are_not_even_asked(firm: Api, settings: Any) -> None:
    moves(firm, by_seconds=DAY)
    settings.SANDBOX = False

    real, firms = clock.both()

    assert (firms, clock.ahead_in_sql()) == (real, "interval '0'")
    assert abs(real - clock.now()) < timedelta(seconds=5)
    with pytest.raises(SandboxOnly):
        moving.move_by(timedelta(seconds=1), by_client=None)


def at(told: dict[str, Any], name: str) -> datetime:
    moment = parse_timestamp(told[name])
    assert moment is not None
    return moment
