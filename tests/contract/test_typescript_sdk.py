"""The published TypeScript client, unmodified, in node; skipped where node, or what npm brings, can't be had."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES
from tests.caller import Api
from tests.given import a_customer, every_price_at_its_start, what_the_audit_finds
from tests.live import Live
from trades.models import Trade

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "typescript"
LOCK = SCRIPTS / "package-lock.json"
BUILT = HERE.parents[1] / "build" / "typescript"  # beside the packages, where node looks for them
INSTALLED = BUILT / "node_modules" / ".package-lock.json"
INSTALL_SECONDS, SCRIPT_SECONDS = 180, 120


@pytest.fixture(scope="module")
def node() -> str:
    """Node, with the scripts and the packages of their lock file in `build/`."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        pytest.skip("node and npm are not installed")
    shutil.copytree(SCRIPTS, BUILT, dirs_exist_ok=True)
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < LOCK.stat().st_mtime:
        run = subprocess.run(
            [npm, "ci"], cwd=BUILT, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )
        if run.returncode != 0:
            pytest.skip(f"npm ci: {run.stderr[-300:]}")
    return found


def token() -> str:
    client, _ = services.create_api_client("typescript", FIRM_SCOPES, timezone.now())
    return tokens.client_token(client, FIRM_SCOPES)


def plays(node: str, script: str, **environment: str) -> list[str]:
    """What a script prints, while prices stay fresh; it must end well."""
    running = subprocess.Popen(
        [node, script],
        cwd=BUILT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    give_up = time.monotonic() + SCRIPT_SECONDS
    while running.poll() is None:
        every_price_at_its_start()
        if time.monotonic() > give_up:
            running.kill()
        time.sleep(0.5)
    said, _ = running.communicate()
    assert running.returncode == 0, said
    return said.splitlines()


def of_the_document() -> list[str]:
    """What the API has of what the script can be told to check."""
    document: dict[str, Any] = yaml.safe_load((HERE.parents[1] / "openapi.yaml").read_text())
    there = []
    if "labels" in document["components"]["schemas"]["AccountIn"]["properties"]:
        there.append("account-labels")
    if "patch" in document["paths"]["/api/customers/{guid}"]:
        there.append("patch")
    return there


def test_the_typescript_client_goes_through_the_api_and_its_trades_settle(node: str, live: Live) -> None:
    every_price_at_its_start()
    alice = a_customer(with_usd="10_000.00")

    said = plays(node, "play.mjs", URL=live.url, TOKEN=token(), CUSTOMER=alice.pk.hex, WITH=",".join(of_the_document()))

    assert len(said) == 7 + len(of_the_document())
    call_command("cut_batch")
    call_command("settle_batch", "--all")
    states = Trade.objects.filter(customer=alice).order_by("pk").values_list("state", flat=True)
    assert list(states) == ["completed", "failed", "completed"]
    assert what_the_audit_finds() == []


def test_javascript_gets_five_of_five_amounts_in_wei_wrong_and_none_as_texts(node: str, live: Live) -> None:
    every_price_at_its_start()
    alice, firm = a_customer(), token()
    quotes = []
    for wei in range(5):
        body = {"customer_guid": alice.pk.hex, "symbol": "ETH-USD", "side": "buy", "receive_amount": 10**18 + 1 + wei}
        quotes.append(Api(firm).post("/api/quotes", json.dumps(body))[1]["guid"])

    said = plays(node, "numbers.mjs", URL=live.url, TOKEN=firm, QUOTES=",".join(quotes))

    assert said[0].startswith("JSON.parse: 5 of 5 wrong")


def test_the_lock_file_names_no_registry() -> None:
    assert "://" not in LOCK.read_text()
