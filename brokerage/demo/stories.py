"""The two seed stories, played by a new trader and a partner's back end; `margin.py` has the other orders'."""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.timestamps import parse_timestamp
from brokerage.demo.client import DemoClient, UnexpectedAnswer, dollars
from brokerage.demo.listening import receiver

SYMBOL = "BTC-USD"
CLEAR_OF_A_CUT = timedelta(seconds=30)
CUT_TAKES_SECONDS = 12  # beat looks every ten


@dataclass(frozen=True)
class Participants:
    """A trader with 10,000.00 USD who signed up for this demo, and the firm's API client."""

    customer_guid: str
    trader: str
    firm: str


def participants(demo: DemoClient, client: dict[str, str]) -> Participants:
    """Sign the trader up, fund them, and log both in."""
    demo.title("The participants")
    signed_up = _signed_up(demo, "10000.00")
    firm = demo.call(
        "POST",
        "/oauth/token",
        body={
            "grant_type": "client_credentials",
            "client_id": client["client_id"],
            "client_secret": client["client_secret"],
        },
        quietly=True,
    )
    return Participants(signed_up["user"]["customerGuid"], signed_up["access"], firm["access_token"])


def sign_up(demo: DemoClient, amount: str) -> str:
    """A new trader with so many dollars; their token."""
    return str(_signed_up(demo, amount)["access"])


def _signed_up(demo: DemoClient, amount: str) -> dict[str, Any]:
    email = f"demo-{secrets.token_hex(4)}@example.com"
    signed_up: dict[str, Any] = demo.call(
        "POST", "/api/v1/auth/signup", body={"email": email, "password": secrets.token_urlsafe(12), "name": "Demo"}
    )
    fund(demo, signed_up["access"], amount)
    return signed_up


def fund(demo: DemoClient, token: str, amount: str) -> None:
    """Bring so many dollars in by a transfer, as a client does; in a sandbox it completes by itself."""
    cents = int(Decimal(amount).scaleb(2))
    wish = {"product_type": "funding", "asset": "USD", "side": "deposit", "deliver_amount": cents}
    quote = demo.call("POST", "/api/quotes", token, wish, quietly=True)
    body = {"quote_guid": quote["guid"], "transfer_type": "funding"}
    made = demo.call("POST", "/api/transfers", token, body)
    path = f"/api/transfers/{made['guid']}"
    demo.until(
        "a deposit that has completed",
        lambda: demo.call("GET", path, token, quietly=True),
        lambda seen: seen["state"] in ("completed", "failed"),
    )
    demo.expect("the deposit is", demo.call("GET", path, token)["state"], "completed")


def close_order(demo: DemoClient, who: Participants) -> None:
    """Open a leveraged order, look at it, close it at the market price: the seed page "Close Order"."""
    demo.title("Story 1: an order is opened and closed")
    hold(demo, "41090.75", "41095.75")
    created = demo.call(
        "POST",
        "/api/v1/trade/create",
        who.trader,
        {"symbol": SYMBOL, "type": "buy", "quantity": 0.1, "leverage": 10},
    )
    account(demo, who.trader, "the margin of the order is reserved")
    demo.say("The price rises.")
    hold(demo, "42350.75", "42355.75")
    demo.call("GET", "/api/v1/trade/orders", who.trader)
    body = {"orderId": created["orderId"]}
    closed = demo.call("POST", "/api/v1/trade/close", who.trader, body)
    demo.expect("message", closed["message"], "Order closed successfully")
    demo.expect("the seed's four fields come first", list(closed["order"])[:4], _SEED_FIELDS)
    demo.expect("status", closed["order"]["status"], "CLOSED")
    demo.expect("close price", closed["order"]["closePrice"], Decimal("42350.75"))
    demo.expect("profit", closed["order"]["profit"], Decimal("125.50"))
    again = demo.refused("POST", "/api/v1/trade/close", who.trader, body, 400)
    demo.expect("the second close", again["error"], "Order not found or already closed")
    figures = account(demo, who.trader, "the margin is free again and the profit is there")
    demo.expect("balance", figures["balance"], Decimal("10125.50"))
    demo.expect("margin", figures["margin"], Decimal(0))


_SEED_FIELDS = ["orderId", "status", "closePrice", "profit"]


def exit_trade(demo: DemoClient, who: Participants) -> None:
    """Buy, regret it, exit, and settle both together: the seed page "Exit Trades"."""
    demo.title("Story 2: a trade is bought, exited and settled")
    before = platform(demo, who)["USD"]["platform_available"]
    quote = demo.call(
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
    bought = trade(demo, who, {"quote_guid": quote["guid"]}, "settling")
    balances(demo, who, "paid, and what was bought is settling")
    demo.say("The price falls, and the customer regrets it.")
    hold(demo, "42000.00", "42005.00")
    exit_quote = demo.call(
        "POST",
        "/api/quotes",
        who.firm,
        {
            "product_type": "trading_exit",
            "customer_guid": who.customer_guid,
            "reference_trade_guid": bought["guid"],
        },
    )
    demo.expect("the exit sells what was bought", exit_quote["deliver_amount"], quote["receive_amount"])
    exited = trade(demo, who, {"trade_type": "exit", "quote_guid": exit_quote["guid"]}, "settling")
    demo.expect("the exit names its original", exited["reference_trade_guid"], bought["guid"])
    balances(demo, who, "both are settling: nothing of it can be spent yet")
    batch = demo.command("cut_batch")
    demo.command("settle_batch", batch["guid"])
    for one, name in ((bought, "the trade"), (exited, "its exit")):
        seen = demo.call("GET", f"/api/trades/{one['guid']}", who.firm, quietly=True)
        demo.expect(name, seen["state"], "completed")
    after = balances(demo, who, "settled")
    left = before - quote["deliver_amount"] + exit_quote["receive_amount"]
    demo.expect("USD, down by the price's fall and the fees", _usd(after), dollars(left))
    demo.expect("BTC", int(after["BTC"]["platform_balance"]), 0)


def batched_trade(demo: DemoClient, who: Participants) -> None:
    """A trade that is in a batch already can't be exited any more."""
    demo.title("Story 3: too late to exit")
    quote = demo.call(
        "POST",
        "/api/quotes",
        who.firm,
        {"customer_guid": who.customer_guid, "symbol": SYMBOL, "side": "buy", "deliver_amount": 50_000},
        quietly=True,
    )
    bought = trade(demo, who, {"quote_guid": quote["guid"]}, "settling")
    batch = demo.command("cut_batch")
    balances(demo, who, "in a batch, not settled yet")
    exit_quote = demo.call(
        "POST",
        "/api/quotes",
        who.firm,
        {
            "product_type": "trading_exit",
            "customer_guid": who.customer_guid,
            "reference_trade_guid": bought["guid"],
        },
    )
    failed = trade(demo, who, {"trade_type": "exit", "quote_guid": exit_quote["guid"]}, "failed")
    demo.expect("failure code", failed["failure_code"], "invalid_reference_trade")
    demo.command("settle_batch", batch["guid"])
    seen = demo.call("GET", f"/api/trades/{bought['guid']}", who.firm, quietly=True)
    demo.expect("the trade itself", seen["state"], "completed")
    after = balances(demo, who, "the trade settled, the failed exit moved nothing")
    demo.expect("BTC", int(after["BTC"]["platform_available"]), int(quote["receive_amount"]))


def told_of_a_deposit(demo: DemoClient, who: Participants) -> None:
    """A partner subscribes to a customer's transfers, and a signed webhook tells of one."""
    demo.title("Story 7: a webhook arrives")
    with receiver() as endpoint:
        wanted = {
            "name": "the demo's shop",
            "type": "webhook",
            "environment": "sandbox",
            "url": endpoint.url,
            "customer_guid": who.customer_guid,
            "event_types": ["transfer.completed"],
        }
        try:
            made = demo.call("POST", "/api/subscriptions", who.firm, wanted)
        except UnexpectedAnswer as refused:
            if '"url must begin with https://."' not in str(refused):
                raise
            demo.say("Webhooks go to no address of this machine here (WEBHOOK_ALLOWED_NETWORKS): left out.")
            return
        endpoint.signing_key = made["signing_key"]
        fund(demo, who.trader, "25.00")
        demo.until("a webhook", endpoint.heard.kinds, bool)
        demo.say("What the receiver got, signed by its key:")
        (got,) = endpoint.heard.events
        demo.show(json.dumps(got))
        demo.expect("it tells of", (got["event_type"], got["customer_guid"]), ("transfer.completed", who.customer_guid))
        demo.call("DELETE", f"/api/subscriptions/{made['guid']}", who.firm, quietly=True)


def books(demo: DemoClient) -> None:
    demo.title("The ledger audit")
    audit = demo.command("audit_ledger")
    demo.expect("the books balance", audit["ok"], True)


# --- what the stories are made of ------------------------------------------------------------------


def keep_clear_of_cuts(demo: DemoClient) -> None:
    """A scheduled cut between the trade and its exit would make the exit fail, as it should: wait it out."""
    told = demo.command("next_cuts", "--count", "1")
    cuts = [parse_timestamp(at) for window in told["windows"] for at in window["cuts"]]
    now = datetime.fromisoformat(told["at"])
    soon = [at for at in cuts if at is not None and at - now < CLEAR_OF_A_CUT]
    if soon:
        demo.say("A scheduled cut is near; waiting until it is over.")
        time.sleep((max(soon) - now).total_seconds() + CUT_TAKES_SECONDS)


def hold(demo: DemoClient, bid: str, ask: str) -> None:
    demo.command("set_price", SYMBOL, bid, ask)


def trade(demo: DemoClient, who: Participants, body: dict[str, Any], becomes: str) -> dict[str, Any]:
    """Execute a quote and wait until the worker has moved the trade on."""
    made = demo.call("POST", "/api/trades", who.firm, body)
    demo.expect("a new trade is", made["state"], "storing")
    path = f"/api/trades/{made['guid']}"
    demo.until(
        f"a trade that is {becomes}",
        lambda: demo.call("GET", path, who.firm, quietly=True),
        lambda seen: seen["state"] != "storing",
    )
    seen: dict[str, Any] = demo.call("GET", path, who.firm)
    demo.expect("then it is", seen["state"], becomes)
    return seen


def account(demo: DemoClient, token: str, why: str) -> dict[str, Any]:
    demo.say(f"The margin account: {why}.")
    figures: dict[str, Any] = demo.call("GET", "/api/v1/account", token)
    return figures


def balances(demo: DemoClient, who: Participants, why: str) -> dict[str, dict[str, Any]]:
    found = platform(demo, who)
    demo.say(f"The balances: {why}.")
    for asset, row in sorted(found.items()):
        demo.console.print(
            f"  {asset}: balance {row['platform_balance']}, available {row['platform_available']} base units",
            highlight=False,
        )
    return found


def platform(demo: DemoClient, who: Participants) -> dict[str, dict[str, Any]]:
    listed = demo.call("GET", f"/api/accounts?customer_guid={who.customer_guid}", who.firm, quietly=True)
    return {row["asset"]: row for row in listed["objects"]}


def _usd(found: dict[str, dict[str, Any]]) -> Decimal:
    return dollars(found["USD"]["platform_balance"])
