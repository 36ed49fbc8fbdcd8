"""Two database roles: what the application's own can't do to history, whatever statement it finds to try."""

from __future__ import annotations

import subprocess
import uuid
from urllib.parse import urlsplit

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from accounts import seals
from brokerage import grants
from brokerage.stack.processes import MANAGE
from tests.accounts.sealing import in_ten_minutes
from tests.given import a_customer, balance, deposit, usd
from tests.live import environment
from tests.roles import ONE_ROLE, application, refuses, urls_role

__all__ = ["application"]

APPEND_ONLY = {
    "accounts_backup",
    "accounts_clockmove",
    "accounts_event",
    "accounts_funding",
    "accounts_journalentry",
    "accounts_ledgeraudit",
    "accounts_reconciliationline",
    "accounts_reconciliationrun",
    "accounts_rowversion",
    "accounts_sealblock",
    "accounts_transfer",
    "accounts_webhookattempt",
    "django_admin_log",
    "quotes_backfill",
    "quotes_marketswitch",
    "quotes_pricehold",
    "quotes_quote",
    "trades_batchevent",
    "trades_deal",
    "trades_idempotentanswer",
    "trades_leftout",
    "trades_legreference",
    "trades_legreport",
    "trades_orderevent",
    "trades_paymentevent",
    "trades_paymentfile",
    "trades_statementfile",
    "trades_statementrelease",
    "trades_tradeevent",
}
NEVER_DELETED = {
    "accounts_asset",
    "accounts_break",
    "accounts_customer",
    "accounts_eventshift",
    "accounts_externalbankaccount",
    "accounts_ledgeraccount",
    "accounts_webhookdelivery",
    "accounts_webhooksubscription",
    "quotes_feedlease",
    "quotes_instrumentchange",
    "quotes_termband",
    "quotes_tradinghours",
    "trades_controlchange",
    "trades_correction",
    "trades_dealersaction",
    "trades_counterparty",
    "trades_instructionleg",
    "trades_clientclasschange",
    "trades_erasure",
    "trades_limitversion",
    "trades_marginaccount",
    "trades_order",
    "trades_payment",
    "trades_risklimit",
    "trades_settlementbatch",
    "trades_settlementinstruction",
    "trades_settlementleg",
    "trades_standinginstruction",
    "trades_statemententry",
    "trades_swaprun",
    "trades_trade",
    "trades_tradeflag",
}
pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role"),
]


def guarded_by(trigger: str) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE tgname = %s", [trigger])
        return {name for (name,) in cursor.fetchall()}


def test_these_are_the_tables_whose_rows_are_guarded():
    assert guarded_by("append_only") == APPEND_ONLY
    assert guarded_by("never_deleted") == NEVER_DELETED


def test_the_application_cannot_change_what_is_append_only(application):
    for table in APPEND_ONLY:
        keys = {"accounts_sealblock": "number", "trades_legreference": "key", "accounts_event": "kind"}
        column = keys.get(table, "id")
        assert refuses(application, f"UPDATE {table} SET {column} = {column}"), table
        assert refuses(application, f"SELECT FROM {table} FOR UPDATE"), table


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM {}",
        "TRUNCATE {}",
        "DROP TABLE {} CASCADE",
        "ALTER TABLE {} DISABLE TRIGGER USER",
        "ALTER TABLE {} OWNER TO CURRENT_USER",
        "DROP TRIGGER never_emptied ON {}",
        "CREATE RULE quietly AS ON INSERT TO {} DO INSTEAD NOTHING",
        "CREATE TRIGGER quietly BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    ],
)
def test_the_application_can_neither_remove_rows_of_history_nor_its_guards(application, statement):
    for table in APPEND_ONLY | NEVER_DELETED:
        assert refuses(application, statement.format(table)), table


def test_the_application_cannot_grant_itself_anything(application):
    for table in APPEND_ONLY:
        application.execute(f"GRANT ALL ON {table} TO CURRENT_USER")  # PostgreSQL warns that nothing was granted
        assert refuses(application, f"DELETE FROM {table}"), table


@pytest.mark.parametrize(
    "statement",
    [
        "SET session_replication_role = replica",
        "SET ROLE brokerage",
        "CREATE TABLE accounts_shadow (id int)",
        "DROP FUNCTION refuse_change CASCADE",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "DELETE FROM django_migrations",
        "CREATE ROLE another SUPERUSER",
    ],
)
def test_the_application_finds_no_way_around_its_role(application, statement):
    owner = settings.OWNER_DATABASE["USER"]

    assert refuses(application, statement.replace("ROLE brokerage", f"ROLE {owner}"))


def test_the_application_owns_nothing(application):
    assert application.execute(
        "SELECT count(*) FROM pg_class WHERE pg_has_role(relowner, 'USAGE') AND relnamespace = 'public'::regnamespace"
    ).fetchone() == (0,)


def test_the_application_does_its_work_with_what_it_may():
    customer = a_customer()
    commands = [
        ("deposit", customer.pk.hex, "USD", "5.00", "--key", "wire-1"),
        ("withdraw", customer.pk.hex, "USD", "1.00", "--key", "wire-2"),
        ("seal",),
        ("audit_ledger", "--verify"),
        ("migrate", "--check"),
    ]
    for command in commands:
        run = subprocess.run([*MANAGE, *command], env=environment(), capture_output=True, text=True, check=False)
        assert run.returncode == 0, (command, run.stderr)

    assert urlsplit(environment()["DATABASE_URL"]).username == settings.APPLICATION_ROLE
    assert balance(customer) == usd("4.00")


def test_granting_again_changes_nothing_and_mends_what_was_granted_by_hand(application):
    with connection.cursor() as cursor:
        cursor.execute(f"GRANT ALL ON accounts_transfer, accounts_customer TO {settings.APPLICATION_ROLE}")
        cursor.execute(f"REVOKE ALL ON accounts_user FROM {settings.APPLICATION_ROLE}")
        cursor.execute(grants._DIFFERENT, {"role": settings.APPLICATION_ROLE})
        assert [table for table, _, _ in cursor.fetchall()] == [
            "accounts_customer",
            "accounts_transfer",
            "accounts_user",
        ]

    grants.grant(connection, settings.APPLICATION_ROLE)

    with connection.cursor() as cursor:
        cursor.execute(grants._DIFFERENT, {"role": settings.APPLICATION_ROLE})
        assert cursor.fetchall() == []
    assert refuses(application, "UPDATE accounts_transfer SET amount = 1")
    application.execute("SELECT FROM accounts_user")


def test_months_of_candles_are_made_by_the_application_and_by_nobody_else(application):
    """Guard: REVOKE in quotes 0053, and CALLED in grants.py."""
    made = "make_candle_month(timestamptz)"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM pg_proc, aclexplode(proacl) WHERE oid = %s::regprocedure AND grantee = 0),"
            " proacl IS NULL FROM pg_proc WHERE oid = %s::regprocedure",
            [made, made],
        )
        assert cursor.fetchone() == (False, False)
    application.execute("SELECT make_candle_month(now())")

    with connection.cursor() as cursor:
        cursor.execute(f"REVOKE EXECUTE ON FUNCTION {made} FROM {settings.APPLICATION_ROLE}")
    assert refuses(application, "SELECT make_candle_month(now())")
    grants.grant(connection, settings.APPLICATION_ROLE)
    application.execute("SELECT make_candle_month(now())")


def test_a_new_table_is_granted_by_its_own_triggers(application):
    try:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE accounts_newhistory (id int PRIMARY KEY)")
            cursor.execute(
                "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_newhistory"
                " FOR EACH ROW EXECUTE FUNCTION refuse_change()"
            )
        call_command("migrate", verbosity=0)

        application.execute("INSERT INTO accounts_newhistory VALUES (1)")
        assert refuses(application, "UPDATE accounts_newhistory SET id = 2")
    finally:
        connection.cursor().execute("DROP TABLE accounts_newhistory")


def test_a_missing_role_is_made_by_an_owner_that_may_and_its_password_never_crosses_the_wire():
    name, owner = f"made_{uuid.uuid4().hex[:8]}", settings.OWNER_DATABASE["USER"]
    try:
        superuser = psycopg.connect(urls_role(environment()["DATABASE_URL"], "postgres"), autocommit=True)
    except psycopg.OperationalError:
        pytest.skip("only the embedded PostgreSQL lets tests be its superuser")
    with superuser:
        superuser.execute(f"ALTER ROLE {owner} CREATEROLE")
        try:
            grants.grant(connection, name, "secret")

            made = superuser.execute(
                "SELECT rolcanlogin, rolsuper, rolcreaterole, rolcreatedb, left(rolpassword, 13)"
                " FROM pg_authid WHERE rolname = %s",
                [name],
            ).fetchone()
            assert made == (True, False, False, False, "SCRAM-SHA-256")
            may = "SELECT has_table_privilege(%(role)s, 'accounts_transfer', p) FROM unnest(%(of)s::text[]) p"
            asked = superuser.execute(may, {"role": name, "of": ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"]})
            assert [answer for (answer,) in asked] == [True, True, False, False, False]
        finally:
            superuser.execute(f"ALTER ROLE {owner} NOCREATEROLE")
            superuser.execute(f"DROP OWNED BY {name}")
            superuser.execute(f"DROP ROLE {name}")


def test_the_deploy_check_warns_of_a_role_that_may_rewrite_history(application):
    assert grants.the_application_cannot_rewrite_history(databases=["default"]) == [grants.MAY_REWRITE]
    assert application.execute(grants._MAY).fetchone() == (False,)
    assert grants.the_application_cannot_rewrite_history(databases=None) == []


def test_what_another_role_has_written_and_not_committed_holds_the_sealer_up(application):
    """Guard: sessions whose start isn't shown to us. Without it the sealer passes a row it can't see yet."""
    deposit(a_customer(), "USD", "1.00")
    at = in_ten_minutes()
    with transaction.atomic():
        deposit(a_customer(), "BTC", "1")
        assert _horizon_as(application, at) is None

    assert _horizon_as(application, at) == at - seals.ID_LAG


def _horizon_as(application: psycopg.Connection, at: object) -> object:
    """The sealer's horizon, asked by the application's role."""
    with pytest.MonkeyPatch.context() as patch:

        def ask(query: object, **parameters: object) -> list[tuple[object, ...]]:
            return application.execute(query.as_string(None), parameters).fetchall()  # type: ignore[attr-defined]

        patch.setattr(seals, "_ask", ask)
        return seals._horizon(at)  # type: ignore[arg-type]
