"""The two seed stories, played by a new trader and a partner's back end; `margin.py` has the other orders'."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.utils import timezone

from accounts.api.lists import parse_timestamp
from brokerage.demo.stage import Stage, dollars

SYMBOL = "BTC-USD"
CLEAR_OF_A_CUT = timedelta(seconds=30)
CUT_TAKES_SECONDS = 12  # beat looks every ten


@dataclass(frozen=True)
class Cast:
    """A trader with 10,000.00 USD who signed up for this demo, and the firm's API client."""

    customer_guid: str
    trader: str
    firm: str


def cast(stage: Stage, client: dict[str, str]) -> Cast:
    """Sign the trader up, fund them, and log both in."""
    stage.title("The cast")
    signed_up = _signed_up(stage, "10000.00")
    firm = stage.call(
        "POST",
        "/oauth/token",
        body={
            "grant_type": "client_credentials",
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
        },
        quietly=True,
    )
    return Cast(signed_up["user"]["customerGuid"], signed_up["access"], firm["access_token"])


def sign_up(stage: Stage, amount: str) -> str:
    """A new trader with so many dollars; their token."""
    return str(_signed_up(stage, amount)["access"])


def _signed_up(stage: Stage, amount: str) -> dict[str, Any]:
    email = f"demo-{secrets.token_hex(4)}@example.com"
    signed_up: dict[str, Any] = stage.call(
        "POST", "/api/v1/auth/signup", body={"email": email, "password": secrets.token_urlsafe(12), "name": "Demo"}
    )
    stage.command("deposit", signed_up["user"]["customerGuid"], "USD", amount)
    return signed_up


def close_order(stage: Stage, who: Cast) -> None:
    """Open a leveraged order, look at it, close it at the market price: the seed page "Close Order"."""
    stage.title("Story 1: an order is opened and closed")
    hold(stage, "41090.75", "41095.75")
    created = stage.call(
        "POST",
        "/api/v1/trade/create",
        who.trader,
        {"symbol": SYMBOL, "type": "buy", "quantity": 0.1, "leverage": 10},
    )
    account(stage, who.trader, "the margin of the order is reserved")
    stage.say("The price rises.")
    hold(stage, "42350.75", "42355.75")
    stage.call("GET", "/api/v1/trade/orders", who.trader)
    body = {"orderId": created["orderId"]}
    closed = stage.call("POST", "/api/v1/trade/close", who.trader, body)
    stage.expect("message", closed["message"], "Order closed successfully")
    stage.expect("the seed's four fields come first", list(closed["order"])[:4], _SEED_FIELDS)
    stage.expect("status", closed["order"]["status"], "CLOSED")
    stage.expect("close price", closed["order"]["closePrice"], Decimal("42350.75"))
    stage.expect("profit", closed["order"]["profit"], Decimal("125.50"))
    again = stage.refused("POST", "/api/v1/trade/close", who.trader, body, 400)
    stage.expect("the second close", again["error"], "Order not found or already closed")
    figures = account(stage, who.trader, "the margin is free again and the profit is there")
    stage.expect("balance", figures["balance"], Decimal("10125.50"))
    stage.expect("margin", figures["margin"], Decimal(0))


_SEED_FIELDS = ["orderId", "status", "closePrice", "profit"]


def exit_trade(stage: Stage, who: Cast) -> None:
    """Buy, regret it, exit, and settle both together: the seed page "Exit Trades"."""
    stage.title("Story 2: a trade is bought, exited and settled")
    before = platform(stage, who)["USD"]["platform_available"]
    quote = stage.call(
        "POST",
        "/api/quotes",
        who.firm,
        {
            "product_type": "trading",
            "customer_guid": who.customer_guid,
            "symbol": SYMBOL,
            "side": "buy",
            "deliver_amount": 100_000,
        },
    )
    bought = trade(stage, who, {"quote_guid": quote["guid"]}, "settling")
    balances(stage, who, "paid, and what was bought is settling")
    stage.say("The price falls, and the customer regrets it.")
    hold(stage, "42000.00", "42005.00")
    exit_quote = stage.call(
        "POST",
        "/api/quotes",
        who.firm,
        {
            "product_type": "trading_exit",
            "customer_guid": who.customer_guid,
            "reference_trade_guid": bought["guid"],
        },
    )
    stage.expect("the exit sells what was bought", exit_quote["deliver_amount"], quote["receive_amount"])
    exited = trade(stage, who, {"trade_type": "exit", "quote_guid": exit_quote["guid"]}, "settling")
    stage.expect("the exit names its original", exited["reference_trade_guid"], bought["guid"])
    balances(stage, who, "both are settling: nothing of it can be spent yet")
    batch = stage.command("cut_batch")
    stage.command("settle_batch", batch["guid"])
    for one, name in ((bought, "the trade"), (exited, "its exit")):
        seen = stage.call("GET", f"/api/trades/{one['guid']}", who.firm, quietly=True)
        stage.expect(name, seen["state"], "completed")
    after = balances(stage, who, "settled")
    left = before - quote["deliver_amount"] + exit_quote["receive_amount"]
    stage.expect("USD, down by the price's fall and the fees", _usd(after), dollars(left))
    stage.expect("BTC", int(after["BTC"]["platform_balance"]), 0)


def batched_trade(stage: Stage, who: Cast) -> None:
    """A trade that is in a batch already can't be exited any more."""
    stage.title("Story 3: too late to exit")
    quote = stage.call(
        "POST",
        "/api/quotes",
        who.firm,
        {"customer_guid": who.customer_guid, "symbol": SYMBOL, "side": "buy", "deliver_amount": 50_000},
        quietly=True,
    )
    bought = trade(stage, who, {"quote_guid": quote["guid"]}, "settling")
    batch = stage.command("cut_batch")
    balances(stage, who, "in a batch, not settled yet")
    exit_quote = stage.call(
        "POST",
        "/api/quotes",
        who.firm,
        {
            "product_type": "trading_exit",
            "customer_guid": who.customer_guid,
            "reference_trade_guid": bought["guid"],
        },
    )
    failed = trade(stage, who, {"trade_type": "exit", "quote_guid": exit_quote["guid"]}, "failed")
    stage.expect("failure code", failed["failure_code"], "invalid_reference_trade")
    stage.command("settle_batch", batch["guid"])
    seen = stage.call("GET", f"/api/trades/{bought['guid']}", who.firm, quietly=True)
    stage.expect("the trade itself", seen["state"], "completed")
    after = balances(stage, who, "the trade settled, the failed exit moved nothing")
    stage.expect("BTC", int(after["BTC"]["platform_available"]), int(quote["receive_amount"]))


def books(stage: Stage) -> None:
    stage.title("The ledger audit")
    audit = stage.command("audit_ledger")
    stage.expect("the books balance", audit["ok"], True)


# --- what the stories are made of ------------------------------------------------------------------


def keep_clear_of_cuts(stage: Stage) -> None:
    """A scheduled cut between the trade and its exit would make the exit fail, as it should: wait it out."""
    cuts = [parse_timestamp(at) for window in stage.command("next_cuts", "--count", "1") for at in window["cuts"]]
    now = timezone.now()
    soon = [at for at in cuts if at is not None and at - now < CLEAR_OF_A_CUT]
    if soon:
        stage.say("A scheduled cut is near; waiting until it is over.")
        time.sleep((max(soon) - now).total_seconds() + CUT_TAKES_SECONDS)


def hold(stage: Stage, bid: str, ask: str) -> None:
    stage.command("set_price", SYMBOL, bid, ask)


def trade(stage: Stage, who: Cast, body: dict[str, Any], becomes: str) -> dict[str, Any]:
    """Execute a quote and wait until the worker has moved the trade on."""
    made = stage.call("POST", "/api/trades", who.firm, body)
    stage.expect("a new trade is", made["state"], "storing")
    path = f"/api/trades/{made['guid']}"
    stage.until(
        f"a trade that is {becomes}",
        lambda: stage.call("GET", path, who.firm, quietly=True),
        lambda seen: seen["state"] != "storing",
    )
    seen: dict[str, Any] = stage.call("GET", path, who.firm)
    stage.expect("then it is", seen["state"], becomes)
    return seen


def account(stage: Stage, token: str, why: str) -> dict[str, Any]:
    stage.say(f"The margin account: {why}.")
    figures: dict[str, Any] = stage.call("GET", "/api/v1/account", token)
    return figures


def balances(stage: Stage, who: Cast, why: str) -> dict[str, dict[str, Any]]:
    found = platform(stage, who)
    stage.say(f"The balances: {why}.")
    for asset, row in sorted(found.items()):
        stage.console.print(
            f"  {asset}: balance {row['platform_balance']}, available {row['platform_available']} base units",
            highlight=False,
        )
    return found


def platform(stage: Stage, who: Cast) -> dict[str, dict[str, Any]]:
    listed = stage.call("GET", f"/api/accounts?customer_guid={who.customer_guid}", who.firm, quietly=True)
    return {row["asset"]: row for row in listed["objects"]}


def _usd(found: dict[str, dict[str, Any]]) -> Decimal:
    return dollars(found["USD"]["platform_balance"])
