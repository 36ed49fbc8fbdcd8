"""`manage.py reconcile STATEMENT.csv --as-of MOMENT`: the books beside the outside. Exit code 1 on drift."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts import clock, selectors
from accounts.identity import SYSTEM, Actor
from accounts.management import who
from accounts.management.exits import Found
from accounts.management.output import JSONCommand, amount
from accounts.models import ReconciliationLine
from accounts.money import from_base_units
from accounts.services.reconciliation import lines_of, reconcile


class Command(JSONCommand):
    help = "Compare what the ledger says is outside with a statement: a CSV file with the header asset,balance."
    is_deed = True

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("statement", help="the file; balances in units of the asset, e.g. USD,10000.00")
        parser.add_argument("--as-of", required=True, metavar="MOMENT", help="e.g. 2026-03-31T23:59:59Z")
        parser.add_argument("--by", metavar="EMAIL", help="the member of staff who reconciles")

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["statement"])
        try:
            statement = path.read_bytes()
        except OSError as error:
            raise CommandError(f"{path} can't be read: {error.strerror}.") from None
        by = _by(options["by"])
        run = reconcile(statement, source=path.name, as_of=_moment(options["as_of"]), at=clock.firm_now(), by=by)
        found = list(lines_of(run.pk))
        lines = [_told(line) for line in found]
        self.say(
            options,
            {"guid": run.pk, "ok": run.ok, "as_of": run.as_of, "at": run.at, "source": run.source, "lines": lines},
            *(_written(line) for line in found),
            *(["The books fit the statement."] if run.ok else []),
        )
        if not run.ok:
            raise Found(f"Assets that drift: {sum(not line.ok for line in found)}.")


def _by(email: str | None) -> Actor:
    if not email:
        return SYSTEM
    user = selectors.staff_named(email)
    who.must(user, "reconcile")
    return Actor(user_id=user.pk)


def _told(line: ReconciliationLine) -> dict[str, Any]:
    asset, decimals = line.asset_id, line.asset.decimals
    return {
        "asset": asset,
        "ledger": amount(line.ledger, asset, decimals),
        "statement": amount(line.statement, asset, decimals),
        "drift": amount(line.drift, asset, decimals),
        "ok": line.ok,
    }


def _written(line: ReconciliationLine) -> str:
    ledger, statement, drift = (
        from_base_units(units, line.asset.decimals) for units in (line.ledger, line.statement, line.drift)
    )
    verdict = "OK" if line.ok else f"DRIFT {drift:+f}"
    return f"{line.asset_id:<6} ledger {ledger:f}   statement {statement:f}   {verdict}"


def _moment(text: str) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"{text!r} is not a time; write it like 2026-03-31T23:59:59Z.")
    if timezone.is_naive(moment):
        raise CommandError(f"{text!r} has no time zone; write it like 2026-03-31T23:59:59Z or …+02:00.")
    return moment
