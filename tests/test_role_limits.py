"""What the application's own role can't do to terms, limits and the admin's log; and that it does its work."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, IntegrityError, connection, models, transaction
from django.db.models import ProtectedError
from django.urls import reverse

from accounts import clock
from accounts.models import ApiClient, Asset, Customer, RowVersion, User
from accounts.models.fixed import FixedColumns
from accounts.services import create_api_client
from brokerage import grants
from quotes.models import Instrument, InstrumentChange
from quotes.models.instrument import MOVING
from tests.admin.actions import logged_in
from tests.given import a_customer, a_cut, a_settling_buy, balance, btc_at, settles, usd
from tests.roles import ONE_ROLE, application, as_the_application, refuses
from tests.trades.corrections.staff import applies, somebody, why
from tests.trades.engine_steps import changing, closes, opens, places, tick
from trades.corrections.propose import propose_adjustment
from trades.instruments import change
from trades.models import Order, SettlementWindow
from trades.settlement.flags import clear, flag

__all__ = ["application", "as_the_application"]

OWN = ("accounts", "quotes", "trades")
SEARCH_PATH = "search_path=pg_catalog, pg_temp"

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role"),
]


def asked(sql: str, *parameters: object) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall()


def refused_by_the_table(sql: str, *parameters: object) -> str:
    """The sentence with which a trigger refuses the owner itself."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
    return str(refused.value)


# --- what a guard reads ------------------------------------------------------------------------------


def test_every_function_finds_what_it_names_whatever_a_session_says():
    """By a fixed search_path, or by a body that was bound to what it names when it was made."""
    functions = asked(
        "SELECT proname, proconfig, prosqlbody IS NOT NULL FROM pg_proc"
        " WHERE pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"
    )

    assert {"refuse_change", "propose_correction", "must_commit_by", "new_uuid7"} <= {name for name, _, _ in functions}
    for name, configured, is_bound in functions:
        assert is_bound or SEARCH_PATH in (configured or []), name


def test_a_temporary_table_does_not_stand_in_for_the_one_that_a_trigger_reads():
    alice, maker = a_customer(), somebody()
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMPORARY TABLE accounts_asset (code text, adjustment_limit numeric)")
            cursor.execute("INSERT INTO accounts_asset VALUES ('USD', 1e30)")
            assert "second person" in refused_by_the_table(
                "INSERT INTO trades_correction (id, kind, state, customer_id, asset_id, amount, direction, reason,"
                " reference, needs_checker, made_by_id, made_at, movements_count)"
                " VALUES (%s, 'adjustment', 'proposed', %s, 'USD', 99999999, 'credit', 'x', '', false, %s, now(), 0)",
                uuid.uuid4(),
                alice.pk,
                maker.user_id,
            )
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE pg_temp.accounts_asset")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMPORARY TABLE accounts_asset (code text, adjustment_limit numeric)",
        "CREATE SCHEMA mine",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_import('/etc/hostname')",
        "SELECT lo_unlink(1)",
    ],
)
def test_the_application_makes_nothing_beside_the_tables(application, statement):
    assert refuses(application, statement)


def test_the_deploy_check_says_whether_the_role_may_store_something_aside(application):
    assert application.execute(grants._MAY_STORE).fetchone() == (False,)
    assert grants.the_application_stores_nothing_aside(databases=["default"]) == [grants.MAY_STORE_ASIDE]  # the owner


# --- what never changes --------------------------------------------------------------------------------


def fixed_in_the_database() -> dict[str, set[str]]:
    rows = asked(
        "SELECT c.relname, array_agg(a.attname::text) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (t.tgattr)"
        " WHERE t.tgname IN ('never_changed', 'changed_by_owner') GROUP BY 1"
    )
    return {table: set(columns) for table, columns in rows}


def test_models_leave_out_what_their_tables_would_refuse():
    fixed = {
        model._meta.db_table: {*model.fixed, model._meta.pk.attname}
        for model in apps.get_models()
        if issubclass(model, FixedColumns) and not model._meta.proxy
    }

    assert fixed == fixed_in_the_database()


def test_the_application_names_no_column_that_never_changes(application):
    for table, columns in fixed_in_the_database().items():
        for column in columns:
            assert refuses(application, f"UPDATE {table} SET {column} = {column}"), (table, column)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("accounts_customer", "user_id = NULL"),
        ("accounts_asset", "adjustment_limit = 1e30"),
        ("accounts_asset", "decimals = 0"),
        ("trades_order", "side = 'sell'"),
        ("trades_order", "leverage = 1"),
        ("trades_trade", "receive_amount = 1"),
        ("quotes_quote", "price = 1"),
        ("quotes_quote", "expires_at = now()"),
        ("quotes_instrument", "base_asset_id = 'USD'"),
        ("trades_swaprun", "prices = '{}'"),
        ("django_admin_log", "change_message = ''"),
    ],
)
def test_columns_that_could_once_be_changed_are_refused(application, table, change):
    assert refuses(application, f"UPDATE {table} SET {change}")


def test_the_application_makes_no_asset_of_its_own(application):
    assert refuses(
        application,
        "INSERT INTO accounts_asset (code, type, name, symbol, decimals, adjustment_limit)"
        " VALUES ('FAKE', 'crypto', 'Fake', 'F', 2, 1e30)",
    )


def test_an_account_never_changes_its_owner():
    alice, mallory = a_customer(), User.objects.create_user("mallory@example.com")

    assert "never changed" in refused_by_the_table(
        "UPDATE accounts_customer SET user_id = %s WHERE id = %s", mallory.pk, alice.pk
    )


@pytest.mark.parametrize(
    "change",
    [
        "open_price = open_price - 413",
        "opened_at = opened_at - interval '3 days'",
        "price = 1",
        "quantity = quantity * 2",
        "margin = margin + 1",
        "margin = margin - 1",
        "side = 'sell'",
        "leverage = leverage + 1",
        "instrument_id = 'ETH-USD'",
        "created_at = now()",
        "command_id = gen_random_uuid()",
        "client_order_id = 'x'",
        "code = 'ord_0'",
        "parent_id = gen_random_uuid()",
        "type = 'limit'",
    ],
)
def test_nobody_changes_the_terms_of_an_open_order(change):
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = opens(alice, quantity="0.01")

    assert "never changed" in refused_by_the_table(f"UPDATE trades_order SET {change} WHERE id = %s", order.pk)


@pytest.mark.parametrize(
    "change", ["open_price = 40000", "opened_at = now()", "quantity = 1", "margin = 5", "swap = 9"]
)
def test_an_order_that_waits_has_its_quantity_and_neither_margin_nor_swap(change):
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    order = places(alice, "buy limit", "41000", quantity="0.01")

    refused_by_the_table(f"UPDATE trades_order SET {change} WHERE id = %s", order.pk)


@pytest.mark.parametrize(
    "change", ["quantity = quantity / 2", "swap = 1", "margin = 0", "profit = 1", "closed_at = now()"]
)
def test_nothing_of_a_closed_order_changes(change):
    alice = a_customer(with_usd="1_000.00")
    btc_at("42_000.00")
    closed = closes(alice, opens(alice, quantity="0.01"))

    refused_by_the_table(f"UPDATE trades_order SET {change} WHERE id = %s", closed.pk)


# --- versions of rows --------------------------------------------------------------------------------------


def test_the_application_makes_no_version_of_its_own(application):
    """Guard: `made_by_owner` of accounts_rowversion, from which the grants follow; the trigger works for its owner."""
    assert refuses(
        application,
        "INSERT INTO accounts_rowversion (id, table_name, row_key, number, said, by_role, at)"
        " VALUES (gen_random_uuid(), 'quotes_instrument', 'BTC-USD', 99, '{}', 'x', now())",
    )
    assert refuses(application, "SELECT keep_versions('accounts_asset', 'code', '', '')")


@pytest.mark.usefixtures("as_the_application")
def test_what_the_application_changes_has_a_version_that_names_its_role():
    alice = a_customer()
    Customer.objects.filter(pk=alice.pk).update(state="frozen")

    versions = RowVersion.objects.filter(table_name="accounts_customer", row_key=str(alice.pk)).order_by("number")
    assert [(one.number, one.said["state"], one.by_role) for one in versions] == [
        (1, "verified", settings.APPLICATION_ROLE),
        (2, "frozen", settings.APPLICATION_ROLE),
    ]


# --- columns with choices --------------------------------------------------------------------------------


def columns_with_choices() -> list[tuple[type[models.Model], models.Field]]:
    return [
        (model, field)
        for model in apps.get_models()
        if model._meta.app_label in OWN and not model._meta.proxy
        for field in model._meta.concrete_fields
        if field.choices
    ]


def test_every_column_with_choices_has_a_check_of_exactly_its_choices():
    assert len(columns_with_choices()) >= 30
    for model, field in columns_with_choices():
        words = {str(word) for word, _ in field.flatchoices} | ({""} if field.blank and not field.null else set())
        checks = asked(
            "SELECT pg_get_constraintdef(o.oid) FROM pg_constraint o JOIN pg_attribute a ON a.attrelid = o.conrelid"
            " WHERE o.conrelid = %s::regclass AND o.contype = 'c' AND o.convalidated AND a.attname = %s"
            " AND o.conkey = ARRAY[a.attnum]",
            model._meta.db_table,
            field.column,
        )
        of_words = [check for (check,) in checks if " = ANY (" in check or " = '" in check]  # one word is no list
        assert [allowed_by(check) for check in of_words] == [words], (model, field.name)


def allowed_by(check: str) -> set[str]:
    """The values in a CHECK of a column: a value for each of them, or one array (migration 0070 of trades)."""
    if array := re.search(r"'\{([^}]*)\}'::text\[\]", check):
        return {word.strip('"') for word in array[1].split(",")}
    return {text or number for text, number in re.findall(r"'(\w*)'::|\b(\d+)\b", check)}


@pytest.mark.parametrize(("column", "word"), [("side", "x"), ("type", "x"), ("status", "x"), ("close_reason", "x")])
def test_an_order_with_an_unknown_choice_is_refused(application, column, word):
    alice = a_customer()
    said = {"side": "buy", "type": "market", "status": "OPEN", "close_reason": ""} | {column: word}

    with pytest.raises(psycopg.errors.CheckViolation):
        application.execute(
            "INSERT INTO trades_order (id, code, customer_id, instrument_id, side, type, quantity, leverage, margin,"
            " open_price, status, created_at, opened_at, swap, fee, close_reason) VALUES (gen_random_uuid(), 'ord_1',"
            " %s, 'BTC-USD', %s, %s, 1, 1, 1, 1, %s, now(), now(), 0, 0, %s)",
            [alice.pk, said["side"], said["type"], said["status"], said["close_reason"]],
        )


# --- who did what -------------------------------------------------------------------------------------------


def a_log_entry(by: User) -> LogEntry:
    return LogEntry.objects.create(
        user=by, content_type=ContentType.objects.get_for_model(User), object_id="1", object_repr="x", action_flag=2
    )


def test_what_somebody_did_in_the_admin_is_neither_changed_nor_removed(application):
    entry = a_log_entry(User.objects.create_user("ann@firm.example"))

    for statement in ("DELETE FROM django_admin_log", "UPDATE django_admin_log SET user_id = user_id"):
        assert refuses(application, statement)
        assert "never changed or removed" in refused_by_the_table(f"{statement} WHERE id = {entry.pk}")
    refused_by_the_table("TRUNCATE django_admin_log")


@pytest.mark.usefixtures("as_the_application")
def test_a_user_without_log_entries_can_be_deleted_and_one_with_entries_stays():
    ann, ben = User.objects.create_user("ann@firm.example"), User.objects.create_user("ben@firm.example")
    a_log_entry(ann)

    with pytest.raises(ProtectedError, match="never removed"):
        ann.delete()
    ben.delete()

    assert [user.email for user in User.objects.all()] == ["ann@firm.example"]
    assert LogEntry.objects.count() == 1


# --- the application does its work ----------------------------------------------------------------------------


@pytest.mark.usefixtures("as_the_application")
def test_the_engine_and_settlement_do_their_work_with_what_they_may():
    assert asked("SELECT current_user") == [(settings.APPLICATION_ROLE,)]
    alice = a_customer(with_usd="100_000.00")
    btc_at("42_000.00")

    order = opens(alice, quantity="0.02")
    part = closes(alice, order, quantity="0.01")
    tick(changing(alice, order.code, stopLoss=Decimal("41000"), trailingStop=Decimal("500")))
    waiting = places(alice, "buy limit", "41000", quantity="0.01")
    tick(changing(alice, waiting.code, price=Decimal("40900")))
    closes(alice, order)
    held_back = a_settling_buy(alice, 1_000)
    flag(held_back.pk, reason="looks odd", by=somebody(), at=datetime.now(UTC))
    a_settling_buy(alice, 1_000)
    settled = settles(a_cut())
    clear(held_back.pk, by=somebody(), at=datetime.now(UTC))
    paid = applies(propose_adjustment(alice.pk, "USD", usd("5_000.00"), "credit", **why()))

    assert {Order.objects.get(pk=one.pk).status for one in (order, part)} == {"CLOSED"}
    assert (settled.state, paid.state) == ("completed", "applied")
    assert balance(alice) > 0


@pytest.mark.usefixtures("as_the_application")
def test_every_row_that_is_edited_in_the_admin_is_saved_with_what_the_application_may():
    browser, alice = logged_in("operator@firm.example"), a_customer()
    client, _ = create_api_client("till", ["quotes:read"], datetime.now(UTC))
    rows: list[tuple[models.Model, dict[str, object]]] = [
        (alice, {"name": "Alice A."}),
        (client, {"name": "tills"}),
        (Instrument.objects.get(pk="BTC-USD"), {"name": "Bitcoin!"}),
        (SettlementWindow.objects.first(), {"name": "Other"}),  # type: ignore[list-item]
        (User.objects.get(email="operator@firm.example"), {"name": "Op"}),
    ]
    for row, changes in rows:
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        form = browser.get(url).context["adminform"].form
        shown = {name: form[name].value() for name in form.fields}
        answer = browser.post(
            url, {name: value for name, value in (shown | changes).items() if value is not None and value is not False}
        )
        assert answer.status_code == 302, (url, answer.context["errors"])

    assert {Customer.objects.get().name, ApiClient.objects.get().name} == {"Alice A.", "tills"}
    assert Instrument.objects.get(pk="BTC-USD").name == "Bitcoin!"
    Instrument.objects.filter(pk="BTC-USD").update(name="Bitcoin")
    SettlementWindow.objects.filter(name="Other").update(name=rows[3][0].name)  # type: ignore[attr-defined]


def test_the_owner_sets_what_one_person_alone_may_adjust():
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE accounts_asset SET decimals = 3 WHERE code = 'USD'")

    assert Asset.objects.filter(pk="USD").update(adjustment_limit=1) == 1
    Asset.objects.filter(pk="USD").update(adjustment_limit=0)


# --- an instrument's terms -------------------------------------------------------------------------------


def test_the_application_changes_no_term_of_an_instrument_that_moves_money(application):
    for term in [*MOVING, "agreed"]:
        assert refuses(application, f"UPDATE quotes_instrument SET {term} = {term}"), term
    assert refuses(application, "UPDATE quotes_termband SET most = 1e6")
    assert refuses(application, "INSERT INTO quotes_termband VALUES ('symbol', 100, 100, 1000)")
    assert refuses(application, "DELETE FROM quotes_instrumentchange")
    application.execute("UPDATE quotes_instrument SET is_active = is_active, max_quantity = max_quantity")


def test_the_application_gives_no_customer_a_client_class(application):
    """Guards: changed_by_owner of client_class, begins_as_retail. Its own way is a change that two persons agree on."""
    alice = a_customer()

    assert refuses(application, "UPDATE accounts_customer SET client_class = 'professional'")
    of = "SELECT gen_random_uuid(), type, state, name, expected_behaviour, partition, created_at, updated_at"
    columns = "id, type, state, name, expected_behaviour, partition, created_at, updated_at, client_class"
    row = f"INSERT INTO accounts_customer ({columns})"
    assert refuses(application, f"{row} {of}, 'professional' FROM accounts_customer LIMIT 1")
    application.execute(f"{row} {of}, 'retail' FROM accounts_customer LIMIT 1")
    assert Customer.objects.get(pk=alice.pk).client_class == "retail"


@pytest.fixture
def spread_is_put_back() -> Iterator[None]:
    """By the owner: named before `as_the_application`, it ends after that."""
    Instrument.objects.filter(pk="BTC-USD").update(max_spread_percent=200)
    yield
    Instrument.objects.filter(pk="BTC-USD").update(spread_bps=5, max_spread_percent=5, agreed={})


def test_the_application_changes_an_instrument_by_a_change_that_was_decided(spread_is_put_back, as_the_application):
    """Guard: carry_out_instrument_change works as the tables' owner. As whoever calls it, the change is refused."""

    def propose(spread: str) -> InstrumentChange:
        return change.propose("BTC-USD", {"spread_bps": spread}, reason="x", by=somebody().user_id, at=clock.now())

    alone, wide = propose("6"), propose("9999")
    assert (alone.state, wide.state) == ("applied", "proposed")

    change.apply(wide.pk, by=somebody().user_id, at=clock.now())

    assert Instrument.objects.get(pk="BTC-USD").spread_bps == 9999
