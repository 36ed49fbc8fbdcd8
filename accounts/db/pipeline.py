"""Many statements to PostgreSQL in one round trip, on Django's connection and in its transaction.

    with pipeline() as p:
        orders = p.send("SELECT … WHERE id = ANY(%s::uuid[])", [ids], into=orders_of)    # on its way
        accounts = p.send("SELECT …", parameters)
        orders.result()                                     # waits for this answer, and for those before it

Statements run in the order in which they were sent. The first that fails undoes the transaction like any other, and
nothing that was sent after it is done. A transaction of Django's that begins with a pipeline begins inside it: BEGIN
is not waited for. `commit` ends it inside as well, so that COMMIT is not waited for by itself either; Django's own
then finds nothing left to do.

This is libpq's pipeline mode (PostgreSQL's documentation, chapter 32.5) without psycopg's cursors, which were a quarter
of an order engine's time. psycopg still connects, pools, and reads the values. Statements are prepared once per
connection, unless a pooler gives each transaction another one; parameters go as text and values come back in binary
form. A cursor of Django's that is used while a
pipeline is open first waits for all of its answers: it would read them as its own.
"""

from __future__ import annotations

import hashlib
import logging
import select
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, Generic, Protocol, TypeVar, overload
from uuid import UUID
from weakref import WeakKeyDictionary

import psycopg
from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ConnStatus, ExecStatus, Format, TransactionStatus
from psycopg.pq.abc import PGresult

log = logging.getLogger(__name__)

MOST_PREPARED: Final = 200  # statements that a connection keeps; further ones are planned each time

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Row = tuple[Any, ...]
Rows = list[Row]
Value = str | int | Decimal | UUID | datetime | None

# Types by their numbers in PostgreSQL's catalogue; 0 leaves it to the statement, whose casts name them.
_TYPES: Final[dict[type, int]] = {int: 20, Decimal: 1700, UUID: 2950, datetime: 1184}
_NOT_AS_PREPARED: Final = frozenset({"26000", "42P05"})  # there is no statement of this name; there is one already
_GOOD: Final = frozenset({ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK, ExecStatus.EMPTY_QUERY})


class NotAsPrepared(psycopg.OperationalError):
    """The session isn't the one that statements were prepared in: nothing was done, and the same may be tried again."""

    sqlstate = "26000"


class Pending(Protocol[T_co]):
    """What a statement will answer."""

    def result(self) -> T_co:
        """Wait for the answer. Raises the errors of django.db."""


class Known(Generic[T]):
    """An answer that nobody had to be asked for."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def result(self) -> T:
        return self._value


class _Sent(Generic[T]):
    """A statement on its way, or one that is being prepared: then `preparing` is its SQL."""

    __slots__ = ("_pipeline", "answer", "failure", "into", "preparing")

    def __init__(self, pipeline: Pipeline, into: Callable[[Rows], T], preparing: str | None = None) -> None:
        self._pipeline = pipeline
        self.into = into
        self.preparing = preparing
        self.answer: PGresult | None = None
        self.failure: psycopg.Error | None = None

    def result(self) -> T:
        return self.into(self._pipeline.rows_of(self))


class _Session:
    """What is kept for a connection: the names of its prepared statements, and how its values are read."""

    def __init__(self, raw: psycopg.Connection[Any]) -> None:
        self.prepared: dict[str, bytes] = {}
        self.may_prepare = not (settings.DB_POOLER or _is_pooled)
        self.reader = Transformer(raw)

    def prepare_no_more(self, found: psycopg.Error) -> NotAsPrepared:
        """A pooler that nobody has told of stands between: from here on this process prepares nothing."""
        global _is_pooled
        if not _is_pooled:
            log.error("a pooler gives each transaction another session (%s): set DB_POOLER=transaction", found)
        _is_pooled = True
        self.may_prepare = False
        self.prepared.clear()
        return NotAsPrepared(str(found))


_is_pooled = False  # as this process has found out
_sessions: WeakKeyDictionary[psycopg.Connection[Any], _Session] = WeakKeyDictionary()


class Pipeline:
    """Made by `pipeline`. Not for more than one thread."""

    def __init__(self, database: BaseDatabaseWrapper) -> None:
        raw: psycopg.Connection[Any] = database.connection
        session = _sessions.get(raw)
        if session is None:
            session = _sessions[raw] = _Session(raw)
        self._database = database
        self._raw = raw
        self._libpq = raw.pgconn
        self._session = session
        self._waiting: deque[_Sent[Any] | None] = deque()  # in the order in which they were sent; None is a Sync
        self._is_asked_for = True  # whether the server was told to send what it has
        self._failure: psycopg.Error | None = None
        self._commit: _Sent[Any] | None = None

    @overload
    def send(self, sql: str, parameters: Sequence[Value] = ()) -> Pending[Rows]: ...

    @overload
    def send(self, sql: str, parameters: Sequence[Value], into: Callable[[Rows], T]) -> Pending[T]: ...

    def send(self, sql: str, parameters: Sequence[Value] = (), into: Callable[[Rows], Any] = list) -> Pending[Any]:
        """Send a statement, with `%s` for each parameter; `into` makes the result of its rows.

        Many values are one parameter as an array literal (`accounts.arrays`). Raises DataError for a text with NUL.
        """
        values, types = _encoded(parameters)
        session, libpq = self._session, self._libpq
        name = session.prepared.get(sql)
        sent = _Sent(self, into)
        with self._database.wrap_database_errors:
            if name is None and session.may_prepare and len(session.prepared) < MOST_PREPARED:
                name = session.prepared[sql] = _name_of(sql, types)
                libpq.send_prepare(name, _numbered(sql), types)
                self._waiting.append(_Sent(self, list, preparing=sql))
            if name is None:
                libpq.send_query_params(_numbered(sql), values, types, None, Format.BINARY)
            else:
                libpq.send_query_prepared(name, values, None, Format.BINARY)
        self._waiting.append(sent)
        self._is_asked_for = False
        return sent

    def commit(self) -> None:
        """Commit the transaction with what was sent: nothing of it is done if any of it fails. The pipeline's last."""
        with self._database.wrap_database_errors:
            self._libpq.send_query_params(b"COMMIT", None)
        self._commit = _Sent(self, list)
        self._waiting.append(self._commit)

    def rows_of(self, sent: _Sent[Any]) -> Rows:
        """Wait until this statement was answered; its rows."""
        with self._database.wrap_database_errors:
            if sent.answer is None and sent.failure is None and not self._is_asked_for:
                self._libpq.send_flush_request()
                self._is_asked_for = True
            while sent.answer is None and sent.failure is None:
                self._take()
            if sent.failure is not None:
                raise sent.failure
            answer = sent.answer
            assert answer is not None
            if answer.ntuples == 0:
                return []
            reader = self._session.reader
            reader.set_pgresult(answer)
            return reader.load_rows(0, answer.ntuples, tuple)

    def begin(self) -> None:
        """Enter the mode, and the transaction that Django believes in. For `pipeline`."""
        with self._database.wrap_database_errors:
            self._libpq.enter_pipeline_mode()
            if not self._raw.autocommit and self._libpq.transaction_status == TransactionStatus.IDLE:
                self._libpq.send_query_params(b"BEGIN", None)
                self._waiting.append(_Sent(self, list))

    def end(self) -> None:
        """Wait for all that was sent and leave the mode. Raises the first failure. For `pipeline`."""
        with self._database.wrap_database_errors:
            self._libpq.pipeline_sync()
            self._waiting.append(None)
            while self._waiting:
                self._take()
            self._libpq.exit_pipeline_mode()
            if self._failure is not None:
                raise self._failure
        if self._commit is not None:
            answer = self._commit.answer
            if answer is None or answer.command_status != b"COMMIT":  # of a transaction that had failed before
                raise OperationalError("COMMIT was answered by ROLLBACK")

    def step_aside(self, execute: Callable[..., Any], *said: Any) -> Any:
        """Let a cursor execute something, outside the mode. For `pipeline`."""
        self.end()
        try:
            return execute(*said)
        finally:
            with self._database.wrap_database_errors:
                self._libpq.enter_pipeline_mode()

    def _take(self) -> None:
        """Receive the answer to what was sent first."""
        try:
            answer = self._receive()
            sent = self._waiting.popleft()
            if answer is None:
                raise psycopg.OperationalError("the connection is lost")
            if sent is None:
                if answer.status != ExecStatus.PIPELINE_SYNC:
                    raise psycopg.OperationalError("the server's answers are out of step")
                return
            if answer.status in _GOOD:
                sent.answer = answer
            else:
                self._note_failure(sent, answer)
            if self._receive() is not None:  # each statement's answers end with nothing
                raise psycopg.OperationalError("the server's answers are out of step")
        except psycopg.OperationalError as lost:
            raise self._failure or lost from None  # the server says first why it ends a session

    def _note_failure(self, sent: _Sent[Any], answer: PGresult) -> None:
        if sent.preparing is not None:
            self._session.prepared.pop(sent.preparing, None)
        if self._failure is None:
            failure = error_from_result(answer, encoding="utf-8")
            is_pooled = failure.sqlstate in _NOT_AS_PREPARED
            self._failure = self._session.prepare_no_more(failure) if is_pooled else failure
        sent.failure = self._failure

    def _receive(self) -> PGresult | None:
        """The next of libpq's results, waited for; what is still to be sent goes meanwhile."""
        libpq = self._libpq
        while libpq.is_busy():
            events = select.POLLIN | (select.POLLOUT if libpq.flush() else 0)
            ready = select.poll()
            ready.register(libpq.socket, events)
            ready.poll()
            libpq.consume_input()
        return libpq.get_result()


@contextmanager
def pipeline() -> Iterator[Pipeline]:
    """Open a pipeline on Django's connection; at its end all was answered. Raises the errors of django.db."""
    database = connections["default"]
    database.ensure_connection()
    if database.connection.pgconn.pipeline_status:
        raise InterfaceError("a pipeline inside a pipeline")
    opened = Pipeline(database)
    try:
        with database.execute_wrapper(opened.step_aside):
            opened.begin()
            yield opened
    except BaseException:
        _leave(opened)
        raise
    else:
        opened.end()
    finally:
        if opened._libpq.status == ConnStatus.OK and opened._libpq.pipeline_status:
            opened._raw.close()  # nobody knows what the next answer would belong to


def _leave(opened: Pipeline) -> None:
    """Leave after a failure, which is what is told."""
    with suppress(Exception):
        opened.end()


def ask(sql: str, parameters: Sequence[Value], into: Callable[[Rows], T]) -> T:
    """One statement by itself."""
    with pipeline() as p:
        asked = p.send(sql, parameters, into)
    return asked.result()


def _encoded(parameters: Sequence[Value]) -> tuple[list[bytes | None], list[int]]:
    values: list[bytes | None] = []
    types: list[int] = []
    for value in parameters:
        types.append(_TYPES.get(type(value), 0))
        if value is None:
            values.append(None)
            continue
        text = (value.isoformat() if isinstance(value, datetime) else str(value)).encode()
        if b"\0" in text:
            raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
        values.append(text)
    return values, types


def _name_of(sql: str, types: Sequence[int]) -> bytes:
    """By what it says: whoever finds a statement of this name, made by somebody else, has found the same."""
    return b"p" + hashlib.sha256(f"{sql}{[*types]}".encode()).hexdigest()[:32].encode()


@lru_cache(maxsize=512)
def _numbered(sql: str) -> bytes:
    """`%s` as `$1`, `$2`, and `%%` as `%`."""
    first, *others = sql.split("%s")
    numbered = first + "".join(f"${number}{part}" for number, part in enumerate(others, 1))
    return numbered.replace("%%", "%").encode()
