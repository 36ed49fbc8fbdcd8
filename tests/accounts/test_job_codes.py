"""The base of all commands: which exception ends with which code, one object, amounts, streams that break."""

from __future__ import annotations

import json
from decimal import Decimal
from io import StringIO
from uuid import UUID

import psycopg
import pytest
import redis
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, InternalError, OperationalError, ProgrammingError
from django.db.utils import InterfaceError
from kombu.exceptions import OperationalError as BrokerAway

from accounts.errors import InsufficientFunds, Malformed, SecondPersonNeeded, StillRunning, TooMany, Unavailable
from accounts.management.exits import Ending, Exit, ending_of
from accounts.management.output import JSONCommand, amount


def of_postgres(kind: type[psycopg.Error]) -> OperationalError:
    failure = OperationalError("the server's words\nCONTEXT: more of them")
    failure.__cause__ = kind()
    return failure


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (InsufficientFunds(), Exit.REFUSED),
        (Malformed("The amount is none."), Exit.REFUSED),
        (SecondPersonNeeded(), Exit.WAITS),
        (Unavailable(), Exit.TRY_AGAIN),
        (StillRunning(), Exit.TRY_AGAIN),
        (TooMany(), Exit.TRY_AGAIN),
        (OperationalError("couldn't get a connection"), Exit.TRY_AGAIN),
        (of_postgres(psycopg.errors.LockNotAvailable), Exit.TRY_AGAIN),
        (of_postgres(psycopg.errors.QueryCanceled), Exit.TRY_AGAIN),
        (of_postgres(psycopg.errors.SerializationFailure), Exit.TRY_AGAIN),
        (of_postgres(psycopg.errors.DeadlockDetected), Exit.TRY_AGAIN),
        (of_postgres(psycopg.errors.AdminShutdown), Exit.TRY_AGAIN),
        (InterfaceError("connection already closed"), Exit.TRY_AGAIN),
        (redis.ConnectionError("Connection refused."), Exit.TRY_AGAIN),
        (redis.ResponseError("OOM command not allowed"), Exit.TRY_AGAIN),
        (BrokerAway("Connection refused."), Exit.TRY_AGAIN),
        (ImproperlyConfigured("STOP_OUT_PERCENT is none."), Exit.SETTINGS),
        (OperationalError('connection failed: FATAL:  password authentication failed for user "x"'), Exit.SETTINGS),
        (OperationalError('FATAL:  database "none" does not exist'), Exit.SETTINGS),
        (OperationalError("FATAL:  sorry, too many clients already"), Exit.TRY_AGAIN),
        (OperationalError("FATAL:  the database system is starting up"), Exit.TRY_AGAIN),
    ],
)
def test_each_failure_has_its_code_and_one_line(failure, code):
    ending = ending_of(failure)

    assert isinstance(ending, Ending)
    assert (ending.exit, ending.returncode, "\n" in str(ending)) == (code, code, False)


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("x"),
        ProgrammingError("no such table"),
        IntegrityError("a check"),
        InternalError("x"),
        redis.DataError(),
    ],
)
def test_a_bug_is_nothing_else(bug):
    assert ending_of(bug) is None


def test_a_server_that_takes_no_writes_may_take_them_later():
    failure = InternalError("cannot execute UPDATE in a read-only transaction")
    failure.__cause__ = psycopg.errors.ReadOnlySqlTransaction()

    assert ending_of(failure).exit == Exit.TRY_AGAIN


def printed(facts: dict[str, object]) -> str:
    out = StringIO()
    JSONCommand(stdout=out).say({"json": True}, facts, "a line for people")
    return out.getvalue()


def test_an_amount_has_one_form_and_all_its_digits():
    whole = amount(Decimal(10**38 - 1), "ETH", 18)

    assert json.loads(printed(amount(12_550, "USD", 2))) == {"amount": 12_550, "asset": "USD", "decimals": 2}
    assert json.loads(printed(whole))["amount"] == 10**38 - 1
    assert json.loads(printed(amount(-1, "USD", 2)))["amount"] == -1


def test_json_is_ascii_on_one_line_and_every_guid_has_32_digits():
    text = printed({"name": "Zoë 🂡", "guid": UUID(int=7), "many": [UUID(int=8)]})

    assert (text.isascii(), text.count("\n")) == (True, 1)
    assert json.loads(text) == {"name": "Zoë 🂡", "guid": f"{7:032x}", "many": [f"{8:032x}"]}
