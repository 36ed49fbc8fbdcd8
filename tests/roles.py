"""The two roles of the database, as tests use them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from tests.live import environment

ONE_ROLE = not settings.MIGRATION_DATABASE_URL or settings.OWNER_DATABASE["USER"] == settings.APPLICATION_ROLE


@pytest.fixture
def application() -> Iterator[psycopg.Connection]:
    """A connection as every process of the running system has it."""
    with psycopg.connect(environment()["DATABASE_URL"], autocommit=True) as application:
        yield application


@pytest.fixture
def as_the_application() -> Iterator[None]:
    """Everything that Django does in this test is done as the application's role."""
    names = ("USER", "PASSWORD")
    owner = {name: connection.settings_dict[name] for name in names}
    _become(dict(zip(names, (settings.APPLICATION_ROLE, settings.APPLICATION_PASSWORD), strict=True)))
    yield
    _become(owner)


@contextmanager
def as_the_owner() -> Iterator[None]:
    """What is done within is done as the tables' owner, also in a test that is the application."""
    was = {name: connection.settings_dict[name] for name in ("USER", "PASSWORD")}
    if was["USER"] == settings.OWNER_DATABASE["USER"]:
        yield
        return
    _become({name: settings.OWNER_DATABASE[name] for name in was})
    try:
        yield
    finally:
        _become(was)


def _become(who: dict[str, str]) -> None:
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict.update(who)


def urls_role(url: str, role: str) -> str:
    """The same database as somebody else."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))


def refuses(application: psycopg.Connection, statement: str) -> bool:
    """Whether the role has no right to it; whatever else is wrong with it is an error."""
    try:
        application.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False
