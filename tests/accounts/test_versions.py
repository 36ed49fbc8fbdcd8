"""Rows that may change and decide about money have versions: one changed around them is named, and no other."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import audit, services, versions
from accounts.models import Customer, Funding, RowVersion, Transfer, User
from quotes.models import Instrument, Quote
from tests.accounts.sealing import in_consequence, named, seal, tampered
from tests.given import a_customer, a_cut, a_settling_buy, btc, btc_at, settles, usd
from tests.trades.corrections.staff import somebody, why
from trades.corrections.propose import propose_adjustment
from trades.models import SettlementWindow, SwapRun
from trades.settlement.flags import flag

pytestmark = pytest.mark.django_db


def last(table: str, key: object) -> RowVersion:
    return RowVersion.objects.filter(table_name=table, row_key=str(key)).latest("number")


def everything_that_has_versions() -> None:
    """A row in each of the tables."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="50_000.00")
    ann = somebody()
    services.create_api_client("till", ["quotes:read"], datetime.now(UTC))
    a_settling_buy(alice, btc("0.1"))
    settles(a_cut())
    held = a_settling_buy(alice, btc("0.1"))
    flag(held.pk, reason="odd", by=ann, at=timezone.now())
    propose_adjustment(alice.pk, "USD", usd("5_000.00"), "credit", **why())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO accounts_break (id, kind, asset_id, amount, note, state, opened_at, resolution)"
            " VALUES (gen_random_uuid(), 'reconciliation', 'USD', 1, '', 'open', now(), '')"
        )


def test_every_table_that_is_kept_has_the_trigger_that_the_code_thinks_it_has():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_object_table, action_statement FROM information_schema.triggers"
            " WHERE trigger_name = 'versioned' AND event_manipulation = 'UPDATE'"
        )
        there = dict(cursor.fetchall())

    assert there == {
        one.table: "EXECUTE FUNCTION note_row_version({})".format(", ".join(f"'{text}'" for text in one.arguments()))
        for one in versions.kept()
    }


CHANGES = [
    ("accounts_asset", "adjustment_limit = adjustment_limit + 1"),
    ("accounts_customer", "user_id = NULL"),
    ("accounts_customer", "state = 'frozen'"),
    ("accounts_user", "email = 'thief@example.com'"),
    ("accounts_user", "password = 'another'"),
    ("accounts_user", "is_superuser = NOT is_superuser"),
    ("accounts_apiclient", "secret_sha256 = repeat('a', 64)"),
    ("accounts_break", "amount = 2"),
    ("quotes_instrument", "spread_bps = spread_bps + 1"),
    ("quotes_instrument", "swap_long_bps = swap_long_bps - 1"),
    ("trades_settlementwindow", "cron = '0 3 * * *'"),
    ("trades_settlementwindow", "created_at = created_at - interval '1 microsecond'"),
    ("trades_correction", "amount = amount + 1"),
    ("trades_tradeflag", "reason = 'x'"),
    ("trades_settlementleg", "settled_at = settled_at - interval '1 day'"),
    ("trades_settlementbatch", "cut_at = cut_at - interval '1 day'"),
    ("trades_settlementbatch", "confirmed_at = confirmed_at - interval '1 day'"),
]


@pytest.mark.parametrize(("table", "change"), CHANGES)
def test_a_row_that_was_changed_without_its_version_is_named_and_no_other(table: str, change: str) -> None:
    """Guard: verifying compares each row with its last version."""
    everything_that_has_versions()
    seal()
    assert named() == set()
    (key,) = [one.key for one in versions.kept() if one.table == table]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key}::text FROM {table} ORDER BY {key} DESC LIMIT 1")
        (row,) = cursor.fetchone()

    tampered(f"UPDATE {table} SET {change} WHERE {key}::text = %s", row)

    told, shown = named(), row.replace("-", "") if key == "id" else row
    assert (f"versions of {table}", shown) in told
    assert {name for _, name in told} == {shown}  # of a leg and a batch the recount of times says so, too


@pytest.mark.faults
def test_all_of_it_tampered_with_at_once_is_named_and_nothing_else():
    """All at once: a quote's price, swap rates and a night, a login, a window's times, a
    kind that doesn't exist, and a deposit that nobody has moved."""
    everything_that_has_versions()
    night = SwapRun.objects.create(
        partition=1, night=date(2026, 11, 18), cutoff=timezone.now(), prices={}, started_at=timezone.now()
    )
    alice, window = Customer.objects.get(), SettlementWindow.objects.latest("pk")
    quote, funding, transfer = Quote.objects.latest("pk"), Funding.objects.get(), Transfer.objects.latest("pk")
    seal()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_transfer DROP CONSTRAINT transfer_kind_known")

    tampered("UPDATE quotes_quote SET price = price / 2 WHERE id = %s", quote.pk)
    tampered("UPDATE quotes_instrument SET swap_long_bps = 9, spread_bps = 9 WHERE symbol = 'BTC-USD'")
    tampered("DELETE FROM trades_swaprun WHERE id = %s", night.pk)
    tampered("UPDATE accounts_customer SET user_id = NULL WHERE id = %s", alice.pk)
    tampered("UPDATE trades_settlementwindow SET cron = '* * * * *' WHERE id = %s", window.pk)
    tampered("UPDATE accounts_transfer SET kind = 'bonus' WHERE id = %s", transfer.pk)
    tampered("DELETE FROM accounts_funding WHERE id = %s", funding.pk)

    assert named() == {
        ("sealed quotes_quote", quote.pk.hex),
        ("versions of quotes_instrument", "BTC-USD"),
        ("sealed trades_swaprun", night.pk.hex),
        ("versions of accounts_customer", alice.pk.hex),
        ("versions of trades_settlementwindow", window.pk.hex),
        ("sealed accounts_transfer", transfer.pk.hex),
        ("sealed accounts_funding", funding.pk.hex),
    }
    assert {("kinds", transfer.pk.hex), ("fundings", funding.transfer_id.hex)} <= in_consequence()


def test_the_sentence_names_the_columns():
    tampered("UPDATE quotes_instrument SET spread_bps = 9999, swap_short_bps = 7 WHERE symbol = 'BTC-USD'")

    (finding,) = audit.run(timezone.now(), verify=True).findings
    number = last("quotes_instrument", "BTC-USD").number
    assert finding["sentence"] == (
        f"Row BTC-USD of quotes_instrument was changed after its version {number} without another one:"
        " spread_bps, swap_short_bps."
    )


def test_a_row_that_was_added_or_removed_without_a_version_is_named():
    ann, _ = User.objects.create_user("ann@firm.example"), User.objects.create_user("ben@firm.example")

    tampered("DELETE FROM accounts_user WHERE id = %s", ann.pk)
    tampered(
        "INSERT INTO accounts_user (id, email, password, name, is_active, is_staff, is_superuser, created_at)"
        " SELECT gen_random_uuid(), 'thief@example.com', '', '', true, true, true, now()"
    )

    thief = User.objects.get(email="thief@example.com")
    assert named() == {("versions of accounts_user", ann.pk.hex), ("versions of accounts_user", thief.pk.hex)}


def test_a_version_that_was_rewritten_to_fit_is_named_by_its_seal():
    """Guard: accounts_rowversion is sealed."""
    seal()
    version = last("quotes_instrument", "BTC-USD")
    tampered("UPDATE quotes_instrument SET spread_bps = 9999 WHERE symbol = 'BTC-USD'")
    tampered("UPDATE accounts_rowversion SET said = said || '{\"spread_bps\": 9999}' WHERE id = %s", version.pk)

    assert named() == {("sealed accounts_rowversion", version.pk.hex)}


def test_a_trigger_that_somebody_switched_off_is_named():
    """Guard: verifying looks at the trigger itself. Without it, what comes next is only named once it was done."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE quotes_instrument DISABLE TRIGGER versioned")

    assert named() == {("versions of quotes_instrument", "quotes_instrument")}


def test_whatever_the_system_changes_itself_has_its_version():
    everything_that_has_versions()
    assert named() == set()
    instrument = Instrument.objects.get(pk="BTC-USD")
    before = last("quotes_instrument", "BTC-USD").number

    instrument.name = "Bitcoin!"
    instrument.save()
    instrument.save()

    version = last("quotes_instrument", "BTC-USD")
    assert (version.number, version.said["name"]) == (before + 1, "Bitcoin!")
    assert named() == set()


def test_what_decides_nothing_makes_no_version():
    alice = a_customer()
    assert alice.user is not None
    before = RowVersion.objects.count()

    User.objects.filter(pk=alice.user.pk).update(last_login=timezone.now())
    Customer.objects.filter(pk=alice.pk).update(updated_at=timezone.now())
    SettlementWindow.objects.update(last_cut_at=timezone.now())

    assert RowVersion.objects.count() == before


def test_no_secret_stands_in_a_version():
    alice = a_customer()
    assert alice.user is not None
    client, secret = services.create_api_client("till", ["quotes:read"], datetime.now(UTC))

    said = json.dumps(
        [one.said for one in RowVersion.objects.filter(table_name__in=("accounts_user", "accounts_apiclient"))]
    )

    assert alice.user.password not in said
    assert client.secret_sha256 not in said
    assert secret not in said


def test_somebody_who_is_deleted_has_a_last_version_without_a_word():
    ben = User.objects.create_user("ben@firm.example")
    key = ben.pk
    ben.delete()

    assert last("accounts_user", key).said is None
    assert named() == set()


def test_a_session_with_another_time_zone_writes_and_judges_the_same():
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TimeZone = 'Asia/Kathmandu'")
    alice = a_customer()
    assert last("accounts_customer", alice.pk).said["created_at"].endswith("+00:00")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL TimeZone = 'America/New_York'")

    assert named() == set()


def test_versions_are_never_changed_and_never_made_by_hand():
    for change in ("UPDATE accounts_rowversion SET number = 7", "DELETE FROM accounts_rowversion"):
        with pytest.raises(IntegrityError, match="never changed or removed"), transaction.atomic():
            connection.cursor().execute(change)
    with pytest.raises(IntegrityError, match="never changed or removed"), transaction.atomic():
        connection.cursor().execute("TRUNCATE accounts_rowversion")


# --- columns come and go ------------------------------------------------------------------------------


def columns(change: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE quotes_instrument {change}")


def test_a_column_that_a_migration_adds_is_no_tampering_and_covered_after_it():
    """Guard: `catch_up` after each migrate. Without it a change of the new column isn't seen until the next version."""
    columns("ADD COLUMN greatest_spread int DEFAULT 5")
    assert named() == set()

    assert versions.catch_up() == Instrument.objects.count()
    assert versions.catch_up() == 0
    assert named() == set()

    tampered("UPDATE quotes_instrument SET greatest_spread = 9999 WHERE symbol = 'BTC-USD'")
    assert named() == {("versions of quotes_instrument", "BTC-USD")}


def test_a_migration_covers_up_nothing():
    """Guard: `catch_up` writes only of rows that say of the other columns what their last version does."""
    tampered("UPDATE quotes_instrument SET spread_bps = 9999 WHERE symbol = 'BTC-USD'")
    columns("ADD COLUMN greatest_spread int DEFAULT 5")
    columns("DROP COLUMN image_url CASCADE")

    versions.catch_up()

    assert named() == {("versions of quotes_instrument", "BTC-USD")}


@pytest.mark.django_db(transaction=True)
def test_migrating_catches_up_by_itself():
    try:
        columns("ADD COLUMN greatest_spread int DEFAULT 5")
        call_command("migrate", verbosity=0)
        assert last("quotes_instrument", "BTC-USD").said["greatest_spread"] == 5
    finally:
        columns("DROP COLUMN greatest_spread")
        call_command("migrate", verbosity=0)
    assert "greatest_spread" not in last("quotes_instrument", "BTC-USD").said
    assert named() == set()
