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
from quotes import prices, references, symbols
from tests.live import Live

# What tests write. Reference data (assets, instruments, windows) stays as the migrations made it.
WRITTEN = (
    "accounts_funding",
    "accounts_transfer",
    "accounts_ledgeraccount",
    "accounts_ledgeraudit",
    "accounts_sealblock",
    "accounts_break",
    "accounts_reconciliationline",
    "accounts_reconciliationrun",
    "accounts_customer",
    "accounts_apiclient",
    "accounts_user",
    "quotes_quote",
    "quotes_candle",
    "quotes_pricehold",
    "quotes_instrumentchange",
    "trades_order",
    "trades_deal",
    "trades_orderevent",
    "trades_marginaccount",
    "trades_priceextreme",
    "trades_swaprun",
    "trades_trade",
    "trades_tradeevent",
    "trades_settlementleg",
    "trades_leftout",
    "trades_lowwater",
    "trades_tradeflag",
    "trades_correction",
    "trades_settlementbatch",
    "trades_batchevent",
    "trades_idempotentanswer",
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
                _empty(cursor)
            return
        except OperationalError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def _empty(cursor: CursorWrapper) -> None:
    cursor.execute(
        "SELECT relname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid"
        " WHERE tgname = 'never_emptied' AND relname = ANY(%s)",
        [list(WRITTEN)],
    )
    guarded = [name for (name,) in cursor.fetchall()]
    for name in guarded:
        cursor.execute(f"ALTER TABLE {name} DISABLE TRIGGER never_emptied")
    cursor.execute(f"TRUNCATE {', '.join(WRITTEN)} CASCADE")
    # Versions of what stays, stay.
    cursor.execute("ALTER TABLE accounts_rowversion DISABLE TRIGGER USER")
    cursor.execute("DELETE FROM accounts_rowversion WHERE table_name = ANY(%s)", [list(WRITTEN)])
    cursor.execute("ALTER TABLE accounts_rowversion ENABLE TRIGGER USER")
    cursor.execute("UPDATE trades_settlementwindow SET last_cut_at = NULL, is_active = true")
    for name in guarded:
        cursor.execute(f"ALTER TABLE {name} ENABLE TRIGGER never_emptied")


# Tests make their database, look behind the guards and empty the tables; what they start works as the application.
become_owner()

# A good password hash takes a fifth of a second by design; the users of a test need none.
settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", *settings.PASSWORD_HASHERS]

TransactionTestCase._fixture_teardown = empty_the_tables  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _no_prices_left_over() -> Iterator[None]:
    """Prices live in Redis, which no rollback reaches."""
    symbols.forget()
    references.forget()
    yield
    prices.forget()


@pytest.fixture(scope="module")
def live(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Live]:
    """The real processes - web, engine, worker - on this test session's database. One set per module."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Live()
    running.start()
    yield running
    running.stop()
