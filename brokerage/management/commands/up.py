"""`manage.py up`: the whole system on this machine with one command, stopped with one Ctrl-C."""

from __future__ import annotations

import ipaddress
import os
import sys
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import CommandError
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from accounts.management.exits import Refused
from accounts.management.output import Job
from accounts.metrics import METRICS_PORTS
from brokerage.management.commands.seed import DEMO_WINDOW
from brokerage.management.ports import port
from brokerage.stack import haproxy
from brokerage.stack.failure import StackError
from brokerage.stack.places import socket_dir
from brokerage.stack.processes import MANAGE, NAMES, Child, children, metrics_port, stream_port
from brokerage.stack.server_user import this_user
from brokerage.stack.system import Step, System, numeric
from brokerage.stack.where import data_dir
from trades.models import SettlementWindow


class Command(Job):
    """Translates the command line and the environment into a System, and runs it."""

    help = "Start PostgreSQL and Valkey where none is configured, migrate, seed, and run every process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", default=os.environ.get("PORT") or "8000", help="where to listen (PORT, 8000)")
        parser.add_argument("--without", default="", metavar="NAMES", help=f"not to start, of {','.join(NAMES)}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            where, without = port(options["port"], "PORT"), _names(options["without"])
            beside: int | None = port(stream_port(where, os.environ), "STREAM_PORT")
            if (measured := metrics_port(where, os.environ)) == "0":
                without.append("exporter")
            metrics = None if "exporter" in without else port(measured, "METRICS_PORT")
            _refuse_metrics_at({"PORT": where, "STREAM_PORT": beside}, metrics)
            host = numeric(os.environ.get("HOST") or "127.0.0.1")
            steps = (
                Step("migrate", (*MANAGE, "migrate", "--no-input", "--verbosity", "0"), needed=_unmigrated),
                Step("seed", (*MANAGE, "seed"), plain=True, needed=_unseeded),
            )
            processes = [*children(host, where, os.environ, without, _socket(without)), *_archiver()]
            beside = None if "stream" in without else beside
            environ = environ_of(host, metrics or 0)
            System(data_dir(), host, where, processes, steps, beside, metrics, environ).run()
        except StackError as error:
            raise Refused(str(error)) from None


def environ_of(host: str, metrics: int = 0) -> Mapping[str, str]:
    """What the processes get: with the port of the exporter, those of the others count from it. In a sandbox that only
    this machine can call, webhooks may go to this machine, too.
    """
    is_alone = settings.SANDBOX and ipaddress.ip_address(host).is_loopback
    return {
        **({"WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32"} if is_alone else {}),
        **os.environ,
        "METRICS_PORT": str(metrics),
    }


def _refuse_metrics_at(taken: Mapping[str, int | None], metrics: int | None) -> None:
    """Raises StackError where a process would tell its metrics at a port that another one listens at."""
    if metrics is None:
        return
    for name, number in taken.items():
        if number is not None and number - metrics in range(METRICS_PORTS):
            raise StackError(
                f"{name} {number} is one of the {METRICS_PORTS} ports from METRICS_PORT {metrics} on, where processes"
                " tell metrics: choose another, or METRICS_PORT=0."
            )


def _names(text: str) -> list[str]:
    names = [name for name in text.split(",") if name]
    if unknown := [name for name in names if name not in NAMES]:
        raise CommandError(f"--without knows {', '.join(NAMES)}; not {', '.join(unknown)}.")
    return names


def _socket(without: list[str]) -> Path | None:
    """Where the web process listens when HAProxy stands before it; None where it is to stand alone, or has to."""
    if "proxy" in without or "web" in without:
        return None
    if haproxy.binary() is None:
        sys.stderr.write("There is no HAProxy here, so slow clients can keep others waiting: install it to be safe.\n")
        return None
    return socket_dir(data_dir() / "web", this_user()) / "web.sock"


def _archiver() -> list[Child]:
    """Who archives the embedded PostgreSQL's WAL, where BACKUP_DIR says where to; the last one to stop."""
    is_ones_own = any(os.environ.get(f"DATABASE_URL{ending}") for ending in ("", "_FILE"))
    return [Child("archiver", (*MANAGE, "archive_wal"), 6.0)] if settings.BACKUP_DIR and not is_ones_own else []


def _unmigrated(environ: Mapping[str, str]) -> bool:
    """Whether a migration on disk is missing in the database; in doubt, yes.

    Asked here because a `migrate` with nothing to do costs a second of every start.
    """
    loader = MigrationLoader(None, load=False)
    loader.load_disk()
    applied = _rows(environ, sql.SQL("SELECT app, name FROM django_migrations"))
    return not set(applied).issuperset(loader.disk_migrations)


def _unseeded(environ: Mapping[str, str]) -> bool:
    """Whether there is no user yet (`seed` makes the first ones, all or none), or the demo's window isn't as wanted."""
    users = sql.Identifier(get_user_model()._meta.db_table)
    if not _rows(environ, sql.SQL("SELECT 1 FROM {} LIMIT 1").format(users)):
        return True
    windows = sql.Identifier(SettlementWindow._meta.db_table)
    active = sql.SQL("SELECT 1 FROM {} WHERE name = {} AND is_active").format(windows, sql.Literal(DEMO_WINDOW))
    return bool(_rows(environ, active)) is not bool(settings.DEMO)


def _rows(environ: Mapping[str, str], query: sql.SQL | sql.Composed) -> list[tuple[Any, ...]]:
    """What a query returns; nothing where the database can't be asked, or doesn't have the table yet."""
    try:
        url = environ.get("DATABASE_URL") or settings.DATABASE_URL  # the embedded one's; or what was set, or its file
        with psycopg.connect(url, connect_timeout=3) as connection:
            return connection.execute(query).fetchall()
    except psycopg.Error:
        return []
