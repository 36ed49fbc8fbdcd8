"""The books beside a statement: what fits, what drifts, and what becomes of a drift."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import partial

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts import clock, selectors, services
from accounts.errors import (
    ActorRequired,
    BadStatement,
    BreakNeedsMoney,
    BreakNotFound,
    BreakResolved,
    Malformed,
    UserNotFound,
)
from accounts.identity import SYSTEM, Actor
from accounts.models import Break, ReconciliationLine, ReconciliationRun, User
from accounts.services import breaks
from accounts.services.reconciliation import ledger_outside, lines_of, reconcile
from tests.accounts.test_commands import facts, said
from tests.commands import ran
from tests.given import a_customer, btc, deposit, usd
from tests.moved_clock import moved_ahead
from tests.races.together import together

pytestmark = pytest.mark.django_db

NOW = timezone.now()


@pytest.fixture
def alice():
    """10,000.00 USD and 0.5 BTC came in for her; 2,500.00 went out again."""
    customer = a_customer(with_usd="10_000.00")
    deposit(customer, "BTC", "0.5")
    services.withdraw(customer, "USD", usd("2_500.00"), "out", timezone.now(), "test")
    return customer


def staff() -> User:
    return User.objects.create_user(f"{uuid.uuid4().hex[:8]}@firm.example", is_staff=True, is_superuser=True)


def compared(*lines: str, as_of=None, at=None) -> ReconciliationRun:
    at = at or timezone.now()
    statement = "\n".join(["asset,balance", *lines]).encode()
    return reconcile(statement, source="bank.csv", as_of=as_of or at, at=at, by=Actor(user_id=staff().pk))


def told(run: ReconciliationRun) -> list[tuple[str, int, int, int]]:
    return [(line.asset_id, int(line.ledger), int(line.statement), int(line.drift)) for line in lines_of(run.pk)]


def open_breaks() -> list[tuple[str, int]]:
    return [(found.asset_id, int(found.amount)) for found in selectors.breaks(timezone.now())]


# --- what is compared ------------------------------------------------------------------------------


def test_a_statement_that_says_what_the_books_say_fits(alice):
    run = compared("USD,7500.00", "BTC,0.5")

    assert run.ok
    assert told(run) == [("BTC", btc("0.5"), btc("0.5"), 0), ("USD", usd("7_500.00"), usd("7_500.00"), 0)]
    assert (run.source, len(run.source_sha256)) == ("bank.csv", 64)
    assert not Break.objects.exists()


def test_a_drift_is_a_line_and_a_break_and_what_the_statement_leaves_out_is_zero_there(alice):
    run = compared("USD,7499.00", "EUR,3")

    assert not run.ok
    assert told(run) == [
        ("BTC", btc("0.5"), 0, -btc("0.5")),
        ("EUR", 0, 300, 300),
        ("USD", usd("7_500.00"), usd("7_499.00"), -usd("1.00")),
    ]
    assert sorted(open_breaks()) == [("BTC", -btc("0.5")), ("EUR", 300), ("USD", -usd("1.00"))]
    assert {(found.kind, found.subject, found.note) for found in Break.objects.all()} == {
        ("reconciliation", None, "bank.csv")
    }


def test_the_books_are_read_as_of_the_statement_s_moment(alice):
    """Each movement counts by its own `at`, before, at and after the moment."""
    moment = NOW - timedelta(days=3)
    for days, amount in ((-1, "1.00"), (0, "10.00"), (1, "100.00")):
        key = f"at {days}"
        services.deposit(alice, "EUR", services.base_units("EUR", amount), key, moment + timedelta(days=days), "test")
    services.withdraw(alice, "EUR", 500, "out again", moment + timedelta(days=1), "test")

    assert ledger_outside(moment) == {"BTC": 0, "EUR": 1100, "USD": 0}
    assert ledger_outside(moment - timedelta(microseconds=1))["EUR"] == 100
    assert ledger_outside(timezone.now())["EUR"] == 10600


def test_what_moved_since_is_taken_off_where_the_firms_time_is_ahead(alice):
    """Guard: `real_of` in `ledger_outside`: the transfers' ids keep the real time."""
    with moved_ahead(timedelta(days=1)):
        as_of = clock.firm_now()
        services.deposit(alice, "USD", usd("100.00"), "since", clock.firm_now(), "test")

        assert compared("USD,7500.00", "BTC,0.5", as_of=as_of, at=clock.firm_now()).ok


def test_empty_lines_order_small_letters_and_a_byte_order_mark_do_not_matter(alice):
    statement = "\ufeffAsset, Balance\r\n\r\n btc , 0.50000000\r\nusd,7.5e3\r\n".encode()

    assert reconcile(statement, source="x", as_of=timezone.now(), at=timezone.now()).ok


def test_a_balance_may_be_negative(alice):
    assert told(compared("USD,-1", "BTC,0.5"))[1] == ("USD", usd("7_500.00"), -100, -usd("7_501.00"))


# --- statements that can't be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"USD,5\n", "Line 1: the first line must be asset,balance"),
        (b"asset,balance,note\n", "Line 1"),
        (b"asset,balance\nUSD\n", "Line 2: 1 fields"),
        (b"asset,balance\nUSD,1,2\n", "Line 2: 3 fields"),
        (b"asset,balance\nUSD,1\n\nusd,2\n", "Line 4: USD appears twice"),
        (b"asset,balance\nDOGE,1\n", "Line 2: there is no asset 'DOGE'"),
        (b"asset,balance\n,1\n", "Line 2: there is no asset ''"),
        (b"asset,balance\nUSD,\n", "Line 2: '' is not a balance"),
        (b"asset,balance\nUSD,NaN\n", "Line 2: 'NaN' is not a balance"),
        (b"asset,balance\nUSD,-Infinity\n", "Line 2"),
        (b"asset,balance\nUSD,1_000\n", "Line 2"),
        (b'asset,balance\nUSD,"1,000"\n', "Line 2: '1,000' is not a balance"),
        (b"asset,balance\nUSD,1.005\n", "Line 2: 1.005 has more decimals than USD, which has 2"),
        (b"asset,balance\nUSD,1e30\n", "Line 2"),
        (b"asset,balance\nETH,99999999999999999999\n", "Line 2: 99999999999999999999 ETH is more than there can be"),
        (b"asset,balance\nBTC,1\nUSD,\xff\n", "Line 3: this is not UTF-8"),
        (b'asset,balance\nUSD,"1\n', "Line 2"),
        (b"asset,balance\nUSD,1\x00\n", "Line 2"),
        (b"asset,balance\n" + b"\n" * 1_000_000, "longer than"),
    ],
)
def test_a_statement_that_can_not_be_read_is_one_clear_sentence_and_nothing_is_written(statement, says):
    with pytest.raises(BadStatement) as refused:
        reconcile(statement, source="x", as_of=NOW, at=NOW)

    assert says in refused.value.text
    assert not ReconciliationRun.objects.exists()
    assert not Break.objects.exists()


def test_a_statement_of_the_future_is_refused(alice):
    with pytest.raises(Malformed, match="future"):
        compared("USD,7500", as_of=NOW + timedelta(days=1), at=NOW)


# --- breaks ----------------------------------------------------------------------------------------


def test_the_same_drift_again_keeps_its_break_and_its_age(alice):
    compared("USD,7499", "BTC,0.5")
    first = Break.objects.get()

    compared("USD,7499", "BTC,0.5")

    assert Break.objects.get() == first
    assert ReconciliationRun.objects.count() == 2


def test_a_later_clean_run_resolves_the_break_and_says_which(alice):
    compared("USD,7499", "BTC,0.5")

    clean = compared("USD,7500", "BTC,0.5")

    found = Break.objects.get()
    assert (found.state, found.resolved_at) == ("resolved", clean.at)
    assert found.resolution == f"No drift any more in run {clean.pk.hex} as of {clean.as_of.isoformat()}."


def test_a_drift_that_changed_is_another_break(alice):
    compared("USD,7499", "BTC,0.5")

    run = compared("USD,7498", "BTC,0.5")

    assert open_breaks() == [("USD", -usd("2.00"))]
    assert run.pk.hex in Break.objects.get(state="resolved").resolution


def test_an_older_statement_is_kept_and_changes_no_break(alice):
    compared("USD,7499", "BTC,0.5")
    before = list(Break.objects.values())

    older = compared("USD,7", as_of=timezone.now() - timedelta(days=1))

    assert not older.ok
    assert list(Break.objects.values()) == before


def test_runs_at_the_same_moment_open_one_break(alice):
    assert [compared("USD,7499", "BTC,0.5").ok for _ in range(2)] == [False, False]
    assert open_breaks() == [("USD", -usd("1.00"))]


def test_what_a_run_found_never_changes(alice):
    run = compared("USD,7499", "BTC,0.5")

    for rows, change in (
        (ReconciliationRun.objects.filter(pk=run.pk), {"ok": True}),
        (ReconciliationLine.objects.filter(run=run), {"ledger": 1}),
    ):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            rows.update(**change)
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        Break.objects.update(amount=1)


def test_breaks_have_an_age_and_an_owner(alice):
    now = timezone.now()
    compared("USD,7499", "BTC,0.5", at=now)
    found = Break.objects.get()
    owner = staff()

    assert selectors.breaks(now + timedelta(hours=5)).get().age == timedelta(hours=5)
    assert breaks.own(found.pk, owner.pk, at=now).owner == owner
    assert breaks.own(found.pk, None, at=now).owner is None
    for nobody in (uuid.uuid4(), a_customer("bob").user.pk):
        with pytest.raises(UserNotFound):
            breaks.own(found.pk, nobody, at=now)
    with pytest.raises(BreakNotFound):
        breaks.own(uuid.uuid4(), owner.pk, at=now)


def test_a_drift_is_explained_once_and_the_age_stops(alice):
    now = timezone.now()
    compared("USD,7499", "BTC,0.5", at=now)
    found, by = Break.objects.get(), Actor(user_id=staff().pk)
    later = now + timedelta(hours=2)

    with pytest.raises(ActorRequired):
        breaks.explain(found.pk, reason="a fee", by=SYSTEM, at=later)
    for reason in ("", "  ", "x" * 201, "two\nlines"):
        with pytest.raises(Malformed):
            breaks.explain(found.pk, reason=reason, by=by, at=later)
    done = breaks.explain(found.pk, reason="the bank's fee, booked tomorrow", by=by, at=later)

    assert (done.state, done.resolution, done.owner_id) == ("resolved", "the bank's fee, booked tomorrow", by.user_id)
    assert selectors.breaks(now + timedelta(days=9), only_open=False).get().age == timedelta(hours=2)
    for again in (partial(breaks.explain, reason="again", by=by), partial(breaks.own, owner_id=None)):
        with pytest.raises(BreakResolved):
            again(found.pk, at=later)


def test_a_leg_s_difference_is_not_explained_away():
    found = Break.objects.create(kind="leg_difference", asset_id="USD", amount=5, subject=uuid.uuid4(), opened_at=NOW)

    with pytest.raises(BreakNeedsMoney):
        breaks.explain(found.pk, reason="never mind", by=Actor(user_id=staff().pk), at=NOW)


@pytest.mark.django_db(transaction=True)
def test_ten_runs_at_once_open_one_break():
    """Guard: the advisory lock in `_compared`. Without it several runs find no break, and the unique index breaks
    all but one of their transactions: the runs would be lost."""
    customer = a_customer(with_usd="10.00")
    assert customer

    results = together([partial(compared, "USD,9") for _ in range(10)])

    assert [type(result) for result in results] == [ReconciliationRun] * 10
    assert open_breaks() == [("USD", -100)]


# --- the commands ----------------------------------------------------------------------------------


@pytest.fixture
def statement(tmp_path):
    def written(text: str) -> str:
        path = tmp_path / "bank.csv"
        path.write_text(text)
        return str(path)

    return written


def now_text() -> str:
    return timezone.now().isoformat()


def test_reconcile_prints_each_asset_and_ends_with_1_on_drift(alice, statement):
    fits = statement("asset,balance\nUSD,7500.00\nBTC,0.5\n")
    assert "The books fit the statement." in said("reconcile", fits, "--as-of", now_text(), "--by", staff().email)

    code, out, sentence = ran("reconcile", statement("asset,balance\nUSD,7499.50\n"), "--as-of", now_text())

    assert (code, sentence) == (1, "Assets that drift: 2.")
    assert "USD    ledger 7500.00   statement 7499.50   DRIFT -0.50" in out


def test_reconcile_as_json(alice, statement):
    answer = facts("reconcile", statement("asset,balance\nUSD,7500.00\nBTC,0.5\n"), "--as-of", now_text())

    assert (answer["ok"], answer["source"]) == (True, "bank.csv")
    assert [line["ledger"]["amount"] for line in answer["lines"]] == [50_000_000, 750_000]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.csv", "--as-of", "2026-01-01T00:00:00Z"],
        ["{ok}", "--as-of", "yesterday"],
        ["{ok}", "--as-of", "2026-13-01T00:00:00Z"],
        ["{ok}", "--as-of", "2026-01-01T00:00:00"],
        ["{ok}", "--as-of", "2999-01-01T00:00:00Z"],
        ["{ok}", "--as-of", "2026-01-01T00:00:00Z", "--by", "nobody@firm.example"],
        ["{bad}", "--as-of", "2026-01-01T00:00:00Z"],
    ],
)
def test_a_reconciliation_that_fails_is_refused_in_one_line(arguments, tmp_path):
    (tmp_path / "ok.csv").write_text("asset,balance\nUSD,0\n")
    (tmp_path / "bad.csv").write_text("asset,balance\nUSD,x\n")
    names = {"ok": tmp_path / "ok.csv", "bad": tmp_path / "bad.csv"}

    with pytest.raises(CommandError):
        call_command("reconcile", *(argument.format(**names) for argument in arguments))
    assert not ReconciliationRun.objects.exists()


def test_breaks_are_listed_owned_and_explained(alice):
    assert said("breaks") == "No break is open.\n"
    compared("USD,7499", "BTC,0.5")
    found, somebody = Break.objects.get(), staff()

    assert f"{found.pk.hex} reconciliation -1.00 USD, 0:00:0" in said("breaks")
    assert facts("breaks", "--own", found.pk.hex, "--by", somebody.email)["breaks"][0]["owner"] == somebody.email
    said("breaks", "--explain", str(found.pk), "--reason", "a fee", "--by", somebody.email)

    assert facts("breaks") == {"breaks": [], "nothing": True}
    (one,) = facts("breaks", "--all")["breaks"]
    assert (one["state"], one["resolution"], one["amount"]["amount"]) == ("resolved", "a fee", -100)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--own", "0" * 32],
        ["--own", "0" * 32, "--by", "{staff}"],
        ["--own", "x", "--by", "{staff}"],
        ["--own", "{break}", "--by", "{trader}"],
        ["--explain", "{break}", "--by", "{staff}"],
        ["--explain", "{break}", "--reason", "y"],
        ["--explain", "{break}", "--own", "{break}", "--by", "{staff}", "--reason", "y"],
        ["--reason", "y"],
    ],
)
def test_a_break_that_cannot_be_changed_is_refused_in_one_line(alice, arguments):
    compared("USD,7499", "BTC,0.5")
    names = {"staff": staff().email, "trader": alice.user.email, "break": Break.objects.get().pk.hex}

    with pytest.raises(CommandError):
        call_command("breaks", *(argument.format(**names) for argument in arguments))
    assert Break.objects.get().state == "open"
