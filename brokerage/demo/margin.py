"""Margin orders beyond the first story: what waits for a price, what follows it, and what falls when it falls."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokerage.demo.client import DemoClient
from brokerage.demo.listening import Heard, stream
from brokerage.demo.stories import SYMBOL, account, hold, sign_up

CENTS = Decimal("0.01")


def orders_by_themselves(demo: DemoClient) -> None:
    """A limit order opens, a part of it is closed, its trailing stop closes the rest; close-all ends the others."""
    demo.title("Story 4: orders that wait and follow")
    token = sign_up(demo, "1000.00")
    hold(demo, "40000.00", "40010.00")
    waiting = opened(demo, token, type="buy", quantity=0.1, leverage=10, orderType="limit", price=39500)
    figures = account(demo, token, "a waiting order reserves nothing")
    demo.expect("margin", figures["margin"], Decimal(0))
    demo.say("The ask falls below 39500: the order opens at the price there is.")
    hold(demo, "39480.00", "39490.00")
    demo.expect("open price", became(demo, token, waiting, "OPEN")["openPrice"], Decimal("39490.00"))
    demo.call("PATCH", f"/api/v1/trade/orders/{waiting}", token, {"trailingStop": 200})
    demo.say("The price rises, and the trailing stop with it. A part is closed meanwhile.")
    hold(demo, "40000.00", "40010.00")
    part = demo.call("POST", "/api/v1/trade/close", token, {"orderId": waiting, "quantity": 0.04})
    demo.expect("profit of the part", part["order"]["profit"], Decimal("20.40"))
    demo.say("It falls by more than 200: the rest is closed.")
    hold(demo, "39795.00", "39805.00")
    closed = became(demo, token, waiting, "CLOSED")
    demo.expect("why", closed["closeReason"], "trailing_stop")
    demo.expect("profit of the rest", closed["profit"], Decimal("18.30"))
    for side in ("buy", "sell"):
        opened(demo, token, type=side, quantity=0.02, leverage=10)
    ended = demo.call("POST", "/api/v1/trade/close-all", token, {})
    demo.expect("closed", [one["status"] for one in ended["results"]], ["CLOSED", "CLOSED"])
    figures = account(demo, token, "the profits, less the spread of the last two")
    demo.expect("balance", figures["balance"], Decimal("1038.30"))
    statement(demo, token, figures["balance"])


def fall(demo: DemoClient) -> None:
    """Margin call, stop-out, and a gap beyond all the money; a stream tells it as it happens."""
    demo.title("Story 5: the price falls, and falls")
    token = sign_up(demo, "1000.00")
    with stream(demo, token) as heard:
        _falls(demo, token, heard)


def _falls(demo: DemoClient, token: str, heard: Heard) -> None:
    hold(demo, "40000.00", "40000.00")
    held = opened(demo, token, type="buy", quantity=0.4, leverage=20)
    resting = opened(demo, token, type="buy", quantity=0.01, leverage=20, orderType="limit", price=30000)
    figures = account(demo, token, "800.00 of 1000.00 are reserved")
    demo.expect("margin level, percent", figures["marginLevel"], Decimal("125.00"))
    demo.say("The margin level falls to 100 %: a margin call.")
    hold(demo, "39500.00", "39500.00")
    figures = demo.until("a margin call", lambda: _account(demo, token), lambda seen: bool(seen["marginCall"]))
    demo.expect("margin level, percent", figures["marginLevel"], Decimal("100.00"))
    demo.say("It falls to 50 %: the waiting order goes first, then the position.")
    hold(demo, "38500.00", "38500.00")
    demo.expect("the position's end", became(demo, token, held, "CLOSED")["closeReason"], "stop_out")
    demo.expect("the waiting order's", became(demo, token, resting, "CANCELLED")["closeReason"], "stop_out")
    figures = account(demo, token, "what is left")
    demo.expect("balance", figures["balance"], Decimal("400.00"))
    demo.say("All of it came over the event stream, without being asked for:")
    told = demo.until("a stop-out on the stream", heard.kinds, lambda kinds: "margin_account.stop_out" in kinds)
    for one in heard.events:
        demo.show(f"{one['created_at']}  {one['event_type']}  {one['object_guid']}")
    demo.expect("a margin call before it", told.index("margin_account.margin_call") < len(told) - 1, True)
    demo.say("A gap, past every level: the customer loses what there is, and never owes.")
    last = opened(demo, token, type="buy", quantity=0.2, leverage=20)
    hold(demo, "35000.00", "35000.00")
    demo.expect("loss", became(demo, token, last, "CLOSED")["profit"], Decimal("-700.00"))
    figures = account(demo, token, "nothing")
    demo.expect("balance", figures["balance"], Decimal("0.00"))
    statement(demo, token, figures["balance"])


# --- what the stories are made of ------------------------------------------------------------------


def opened(demo: DemoClient, token: str, **terms: Any) -> str:
    """Create an order; its id."""
    created = demo.call("POST", "/api/v1/trade/create", token, {"symbol": SYMBOL, **terms})
    return str(created["orderId"])


def became(demo: DemoClient, token: str, order: str, status: str) -> dict[str, Any]:
    """Wait until the engine has moved an order on, and show it."""
    path = f"/api/v1/trade/orders/{order}"
    demo.until(
        f"an order that is {status}",
        lambda: demo.call("GET", path, token, quietly=True),
        lambda seen: seen["status"] == status,
    )
    seen: dict[str, Any] = demo.call("GET", path, token)
    return seen


def statement(demo: DemoClient, token: str, balance: Decimal) -> None:
    """Show every movement on a line, and that they come to the balance."""
    demo.say("The statement: what moved, and what was there after it.")
    page = demo.call("GET", "/api/v1/statement?limit=1000", token, quietly=True)
    lines = [("amount", "balance", "free", "")]
    lines += [(*(str(line[name]) for name in ("amount", "balance", "free")), line["text"]) for line in page["message"]]
    for amount, balance_then, free, text in lines:
        demo.console.print(f"  {amount:>9} {balance_then:>9} {free:>9}  {text}", highlight=False, soft_wrap=True)
    moved = sum((line["amount"] for line in page["message"]), Decimal(0))
    demo.expect("all of it together", moved.quantize(CENTS), balance)
    demo.expect("closing balance", page["closingBalance"], balance)


def _account(demo: DemoClient, token: str) -> dict[str, Any]:
    figures: dict[str, Any] = demo.call("GET", "/api/v1/account", token, quietly=True)
    return figures
