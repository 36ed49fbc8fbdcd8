"""Margin orders beyond the first story: what waits for a price, what follows it, and what falls when it falls."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from brokerage.demo.stage import Stage
from brokerage.demo.stories import SYMBOL, account, hold, sign_up

CENTS = Decimal("0.01")


def orders_by_themselves(stage: Stage) -> None:
    """A limit order opens, a part of it is closed, its trailing stop closes the rest; close-all ends the others."""
    stage.title("Story 4: orders that wait and follow")
    token = sign_up(stage, "1000.00")
    hold(stage, "40000.00", "40010.00")
    waiting = opened(stage, token, type="buy", quantity=0.1, leverage=10, orderType="limit", price=39500)
    figures = account(stage, token, "a waiting order reserves nothing")
    stage.expect("margin", figures["margin"], Decimal(0))
    stage.say("The ask falls below 39500: the order opens at the price there is.")
    hold(stage, "39480.00", "39490.00")
    stage.expect("open price", became(stage, token, waiting, "OPEN")["openPrice"], Decimal("39490.00"))
    stage.call("PATCH", f"/api/v1/trade/orders/{waiting}", token, {"trailingStop": 200})
    stage.say("The price rises, and the trailing stop with it. A part is closed meanwhile.")
    hold(stage, "40000.00", "40010.00")
    part = stage.call("POST", "/api/v1/trade/close", token, {"orderId": waiting, "quantity": 0.04})
    stage.expect("profit of the part", part["order"]["profit"], Decimal("20.40"))
    stage.say("It falls by more than 200: the rest is closed.")
    hold(stage, "39795.00", "39805.00")
    closed = became(stage, token, waiting, "CLOSED")
    stage.expect("why", closed["closeReason"], "trailing_stop")
    stage.expect("profit of the rest", closed["profit"], Decimal("18.30"))
    for side in ("buy", "sell"):
        opened(stage, token, type=side, quantity=0.02, leverage=10)
    ended = stage.call("POST", "/api/v1/trade/close-all", token, {})
    stage.expect("closed", [one["status"] for one in ended["results"]], ["CLOSED", "CLOSED"])
    figures = account(stage, token, "the profits, less the spread of the last two")
    stage.expect("balance", figures["balance"], Decimal("1038.30"))
    statement(stage, token, figures["balance"])


def fall(stage: Stage) -> None:
    """Margin call, stop-out, and a gap beyond all the money."""
    stage.title("Story 5: the price falls, and falls")
    token = sign_up(stage, "1000.00")
    hold(stage, "40000.00", "40000.00")
    held = opened(stage, token, type="buy", quantity=0.4, leverage=20)
    resting = opened(stage, token, type="buy", quantity=0.01, leverage=20, orderType="limit", price=30000)
    figures = account(stage, token, "800.00 of 1000.00 are reserved")
    stage.expect("margin level, percent", figures["marginLevel"], Decimal("125.00"))
    stage.say("The margin level falls to 100 %: a margin call.")
    hold(stage, "39500.00", "39500.00")
    figures = stage.until("a margin call", lambda: _account(stage, token), lambda seen: bool(seen["marginCall"]))
    stage.expect("margin level, percent", figures["marginLevel"], Decimal("100.00"))
    stage.say("It falls to 50 %: the waiting order goes first, then the position.")
    hold(stage, "38500.00", "38500.00")
    stage.expect("the position's end", became(stage, token, held, "CLOSED")["closeReason"], "stop_out")
    stage.expect("the waiting order's", became(stage, token, resting, "CANCELLED")["closeReason"], "stop_out")
    figures = account(stage, token, "what is left")
    stage.expect("balance", figures["balance"], Decimal("400.00"))
    stage.say("A gap, past every level: the customer loses what there is, and never owes.")
    last = opened(stage, token, type="buy", quantity=0.2, leverage=20)
    hold(stage, "35000.00", "35000.00")
    stage.expect("loss", became(stage, token, last, "CLOSED")["profit"], Decimal("-700.00"))
    figures = account(stage, token, "nothing")
    stage.expect("balance", figures["balance"], Decimal("0.00"))
    statement(stage, token, figures["balance"])


# --- what the stories are made of ------------------------------------------------------------------


def opened(stage: Stage, token: str, **terms: Any) -> str:
    """Create an order; its id."""
    created = stage.call("POST", "/api/v1/trade/create", token, {"symbol": SYMBOL, **terms})
    return str(created["orderId"])


def became(stage: Stage, token: str, order: str, status: str) -> dict[str, Any]:
    """Wait until the engine has moved an order on, and show it."""
    path = f"/api/v1/trade/orders/{order}"
    stage.until(
        f"an order that is {status}",
        lambda: stage.call("GET", path, token, quietly=True),
        lambda seen: seen["status"] == status,
    )
    seen: dict[str, Any] = stage.call("GET", path, token)
    return seen


def statement(stage: Stage, token: str, balance: Decimal) -> None:
    """Show every movement on a line, and that they come to the balance."""
    stage.say("The statement: what moved, and what was there after it.")
    page = stage.call("GET", "/api/v1/statement?limit=1000", token, quietly=True)
    lines = [("amount", "balance", "free", "")]
    lines += [(*(str(line[name]) for name in ("amount", "balance", "free")), line["text"]) for line in page["message"]]
    for amount, balance_then, free, text in lines:
        stage.console.print(f"  {amount:>9} {balance_then:>9} {free:>9}  {text}", highlight=False, soft_wrap=True)
    moved = sum((line["amount"] for line in page["message"]), Decimal(0))
    stage.expect("all of it together", moved.quantize(CENTS), balance)
    stage.expect("closing balance", page["closingBalance"], balance)


def _account(stage: Stage, token: str) -> dict[str, Any]:
    figures: dict[str, Any] = stage.call("GET", "/api/v1/account", token, quietly=True)
    return figures
