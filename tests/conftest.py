"""Fixtures that every test may use, and empty tables before each test."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase

from accounts import streams
from brokerage.grants import become_owner
from brokerage.http import counting
from quotes import prices, references, symbols
from tests import document
from tests.live import Live

# What tests write. Reference data (assets, instruments, windows) stays as the migrations made it.
WRITTEN = (
    "accounts_answeredrequest",
    "accounts_backup",
    "accounts_clockmove",
    "accounts_event",
    "accounts_journalentry",
    "accounts_webhookattempt",
    "accounts_webhookdelivery",
    "accounts_webhooksubscription",
    "accounts_funding",
    "accounts_transfer",
    "accounts_ledgeraccount",
    "accounts_ledgeraudit",
    "accounts_sealblock",
    "accounts_break",
    "accounts_reconciliationline",
    "accounts_reconciliationrun",
    "accounts_externalbankaccount",
    "accounts_customer",
    "accounts_customerdetails",
    "accounts_identificationnumber",
    "accounts_apiclient",
    "accounts_endedsession",
    "accounts_knownaddress",
    "accounts_user_groups",
    "accounts_user_user_permissions",
    "accounts_user",
    "quotes_quote",
    "quotes_candle",
    "quotes_marketswitch",
    "quotes_candlebatch",
    "quotes_backfill",
    "quotes_pricehold",
    "quotes_instrumentchange",
    "trades_limitversion",
    "trades_openexposure",
    "trades_risklimit",
    "trades_order",
    "trades_deal",
    "trades_orderevent",
    "trades_marginaccount",
    "trades_priceextreme",
    "trades_swaprun",
    "trades_trade",
    "trades_tradeevent",
    "trades_payment",
    "trades_paymentevent",
    "trades_settlementleg",
    "trades_legreport",
    "trades_legreference",
    "trades_leftout",
    "trades_lowwater",
    "trades_tradeflag",
    "trades_controlchange",
    "trades_correction",
    "trades_dealersaction",
    "trades_statemententry",
    "trades_statementrelease",
    "trades_statementfile",
    "trades_instructionleg",
    "trades_settlementinstruction",
    "trades_paymentfile",
    "trades_standinginstruction",
    "trades_counterparty",
    "trades_clientclasschange",
    "trades_erasure",
    "trades_settlementbatch",
    "trades_batchevent",
    "trades_idempotentanswer",
    "otp_static_statictoken",
    "otp_static_staticdevice",
    "otp_totp_totpdevice",
    "token_blacklist_outstandingtoken",
    "token_blacklist_blacklistedtoken",
    "django_admin_log",
    "django_session",
)


def empty_the_tables(*_: object) -> None:
    """Django's flush would empty the reference data too, and the tables refuse to be emptied: ask the owner.

    The live processes may be at work meanwhile, so the locks are taken all at once or not at all: waiting for
    one while holding others would deadlock with them.
    """
    give_up = time.monotonic() + 30
    while True:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE {', '.join(WRITTEN)}, accounts_rowversion IN ACCESS EXCLUSIVE MODE NOWAIT")
                cursor.execute("SET LOCAL session_replication_role = replica")  # no trigger of ours, no foreign key
                _empty(cursor)
            return
        except OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


# TRUNCATE makes some 250 files anew, however few rows there are; DELETE leaves the dead ones to be read over.
_FILLED = " UNION ALL ".join(
    f"SELECT '{name}', pg_relation_size('{name}') > 65536, EXISTS (SELECT FROM {name})" for name in WRITTEN
)


def _empty(cursor: CursorWrapper) -> None:
    cursor.execute(_FILLED)
    tables = cursor.fetchall()
    if any(is_large for _, is_large, _ in tables):
        cursor.execute(f"TRUNCATE {', '.join(WRITTEN)} CASCADE")
    else:
        cursor.execute("".join(f"DELETE FROM {name};" for name, _, is_filled in tables if is_filled) or "SELECT")
    # Versions of what stays, stay. Of the windows those stay that the database was made with, all at one moment.
    cursor.execute("DELETE FROM accounts_rowversion WHERE table_name = ANY(%s)", [list(WRITTEN)])
    cursor.execute(
        "WITH made AS (DELETE FROM trades_settlementwindow WHERE created_at > (SELECT min(created_at) FROM"
        " trades_settlementwindow) RETURNING id::text) DELETE FROM accounts_rowversion USING made"
        " WHERE table_name = 'trades_settlementwindow' AND row_key = made.id"
    )
    cursor.execute("UPDATE trades_settlementwindow SET last_cut_at = NULL, is_active = true")


# Tests make their database, look behind the guards and empty the tables; what they start works as the application.
become_owner()

# A good password hash takes a fifth of a second by design; the users of a test need none.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]

TransactionTestCase._fixture_teardown = empty_the_tables  # type: ignore[method-assign]

document.watch()  # no test can forget it


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> None:
    """Tests run on Sundays, too: every market trades always, but where a test says otherwise (tests/hours.py)."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:  # type: ignore[attr-defined]
        cursor.execute("UPDATE quotes_instrument SET trading_hours_id = 'always' WHERE trading_hours_id <> 'always'")


@pytest.fixture(autouse=True)
def _nothing_left_in_redis(request: pytest.FixtureRequest) -> None:
    """No rollback reaches Redis. A group of tests shares live processes, which empty it when they start."""
    if request.node.get_closest_marker("xdist_group") is None:
        streams.client().flushdb()


@pytest.fixture(autouse=True)
def _no_prices_left_over() -> Iterator[None]:
    """Prices live in Redis, which no rollback reaches."""
    symbols.forget()
    references.forget()
    yield
    prices.forget()


@pytest.fixture(autouse=True)
def _nobody_has_asked_before() -> None:
    counting.forget()


@pytest.fixture(scope="module")
def live(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Live]:
    """The real processes - web, engine, worker - on this test session's database. One set per module."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Live()
    running.start()
    yield running
    running.stop()
