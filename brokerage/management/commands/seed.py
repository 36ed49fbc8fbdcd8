"""`manage.py seed`: an operator, a trader with money and an API client, to try the system with.

Safe to run at every start: what exists is left alone. The passwords are random and shown when they are
made; for whoever loses them, and for `make demo`, they stay in `seed.json` in the data directory (0600).
A production installation (SANDBOX off) gets nothing. In demo mode (DEMO on) crypto trades are cut every
minute, too: that window is switched on and off here, at each start.
"""

from __future__ import annotations

import json
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.db import transaction

from accounts import clock, selectors, services
from accounts.db import locks
from accounts.identity import FIRM_SCOPES
from accounts.management.output import Job
from accounts.models import ApiClient, User
from accounts.states import CustomerState
from brokerage.stack.where import data_dir, read_state
from trades.models import SettlementWindow

OPERATOR: Final = "operator@example.com"
TRADER: Final = "trader@example.com"
CLIENT: Final = "demo"
DEMO_WINDOW: Final = "Demo, every minute"

_TEXT = """
What was made to try it with (kept in {path}, readable by you alone):

  operator    {operator[email]}  {operator[password]}   for {url}/admin/
  trader      {trader[email]}    {trader[password]}   with 10,000.00 USD
  API client  {client[client_id]}  {client[client_secret]}

A margin order, opened and closed:

  TOKEN=$(curl -s {url}/api/v1/auth/login -H 'Content-Type: application/json' \\
    -d '{{"email":"{trader[email]}","password":"{trader[password]}"}}' | sed 's/.*"access":"\\([^"]*\\)".*/\\1/')
  ORDER=$(curl -s {url}/api/v1/trade/create -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{{"symbol":"BTC-USD","type":"buy","quantity":0.01,"leverage":10}}' | sed 's/.*"orderId":"\\([^"]*\\)".*/\\1/')
  curl -s {url}/api/v1/trade/orders -H "Authorization: Bearer $TOKEN"; echo
  curl -s {url}/api/v1/trade/close -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d "{{\\"orderId\\":\\"$ORDER\\"}}"; echo

A quote, and the trade that uses it:

  FIRM=$(curl -s {url}/oauth/token -d grant_type=client_credentials -d client_id={client[client_id]} \\
    -d client_secret={client[client_secret]} | sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  QUOTE=$(curl -s {url}/api/quotes -H "Authorization: Bearer $FIRM" -H 'Content-Type: application/json' \\
    -d '{{"customer_guid":"{trader[customer_guid]}","symbol":"BTC-USD","side":"buy","deliver_amount":100000}}' \\
    | sed 's/.*[{{,]"guid":"\\([^"]*\\)".*/\\1/')
  curl -s {url}/api/trades -H "Authorization: Bearer $FIRM" -H 'Content-Type: application/json' \\
    -d "{{\\"quote_guid\\":\\"$QUOTE\\"}}"; echo

It settles when its window is cut (hourly on New York business days; with DEMO=1 every minute), or at once,
beside this terminal:

  .venv/bin/python manage.py cut_batch && .venv/bin/python manage.py settle_batch --all
"""


class Command(Job):
    help = "Make an operator, a trader with 10,000 USD and an API client, unless they exist."

    def handle(self, *args: Any, **options: Any) -> None:
        switch_demo_window(is_on=settings.DEMO)
        if not settings.SANDBOX:
            self.stdout.write("SANDBOX is off: nothing is seeded. use `manage.py createsuperuser`.")
            return
        path = data_dir() / "seed.json"
        kept = _read(path)
        with transaction.atomic():
            locks.hold(locks.SEED)
            made = _make(clock.now())
            known = {**kept, **made}
            if made:
                _write(path, known)  # before the commit: a secret of something that exists is never lost
        if made and {"operator", "trader", "client"} <= known.keys():
            self.stdout.write(_TEXT.format(path=path, url=_base_url(), **known))
        else:
            where = f"their secrets are in {path}" if known else "their secrets were shown when they were made"
            self.stdout.write(f"{OPERATOR}, {TRADER} and the API client {CLIENT} exist; {where}")


def switch_demo_window(*, is_on: bool) -> None:
    """In demo mode nobody waits for the hour: a window of every minute, automatic. Elsewhere it is off."""
    windows = SettlementWindow.objects.filter(name=DEMO_WINDOW)
    if is_on and not windows.exists():
        terms = {"asset_kind": "crypto", "cron": "* * * * *", "time_zone": "UTC", "calendar": ""}
        SettlementWindow.objects.get_or_create(name=DEMO_WINDOW, defaults=terms)
    windows.exclude(is_active=is_on).update(is_active=is_on)


def _make(at: datetime) -> dict[str, Any]:
    """Whatever of the three is missing, with its secrets."""
    made: dict[str, Any] = {}
    if not User.objects.filter(email=OPERATOR).exists():
        password = _password()
        User.objects.create_superuser(OPERATOR, password, name="Operator")
        made["operator"] = {"email": OPERATOR, "password": password}
    if not User.objects.filter(email=TRADER).exists():
        password = _password()
        services.create_customer(TRADER, password, "Trader", at, state=CustomerState.VERIFIED)
        trader = selectors.customer_named(TRADER)
        services.deposit(trader, "USD", services.base_units("USD", "10000.00"), f"seed:{trader.pk.hex}", at, "seed")
        made["trader"] = {"email": TRADER, "password": password, "customer_guid": trader.pk.hex}
    if not ApiClient.objects.filter(name=CLIENT).exists():
        client, secret = services.create_api_client(CLIENT, FIRM_SCOPES, at)
        made["client"] = {"name": CLIENT, "client_id": client.client_id, "client_secret": secret}
    return made


def _password() -> str:
    return secrets.token_urlsafe(12)


def _base_url() -> str:
    """Where the `manage.py up` that runs this listens, or will in a moment."""
    up = read_state(data_dir()).get("up")
    return str(up["url"]) if isinstance(up, dict) and up.get("url") else "http://127.0.0.1:8000"


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(path: Path, known: dict[str, Any]) -> None:
    """Replace the file as a whole; nobody but the owner may read it, at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(known, file, indent=2)
    draft.replace(path)
