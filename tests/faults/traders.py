"""What the recording traders do: margin orders of all kinds, a position that the money hardly covers, spot trades."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import httpx
from django.db import DatabaseError, connection

from accounts import json_codec
from accounts.clock import uptime
from accounts.models import Customer
from tests.faults.recording import (
    BETWEEN_ATTEMPTS,
    CANCEL,
    CHANGE,
    CLOSE,
    CLOSE_ALL,
    CREATE,
    GIVES_UP_SECONDS,
    PART,
    TRADE,
    Attempt,
    RecordingTrader,
    plain,
)
from tests.given import deposit

SYMBOL = "BTC-USD"
MOST_OPEN = 6


class OrderTrader(RecordingTrader):
    """Opens, changes and closes margin orders of all kinds, near the market, so that prices take part."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._price = Decimal(0)  # of the market, some moments ago
        self._quantities: dict[str, Decimal] = {}  # of open orders, as far as this trader knows
        self._sides: dict[str, str] = {}
        self._pending: list[str] = []
        self._swept = 0.0  # when all were closed last

    def _do_something(self) -> None:
        if not self._price or self._dice.random() < 0.1:
            self._look_at_the_market()
        if len(self._quantities) + len(self._pending) >= MOST_OPEN:
            self._make_room()
            return
        (act,) = self._dice.choices(
            [self._opens, self._places, self._takes_a_part, self._changes, self._closes, self._cancels, self._sweeps],
            [30, 14, 12, 12, 20, 8, 4],
        )
        act()

    def _look_at_the_market(self) -> None:
        try:
            answer = self._client.get("/api/v1/prices/latest", timeout=GIVES_UP_SECONDS)
            for row in json_codec.loads(answer.content).get("data", ()) if answer.status_code == 200 else ():
                if row["symbol"] == SYMBOL:
                    self._price = row["bid"]
        except httpx.TransportError:
            return

    def _make_room(self) -> None:
        """Read anew what is open: prices have closed some. Then close or cancel the oldest."""
        opened, pending = self._orders("open"), self._orders("pending")
        self._quantities = {row["orderId"]: row["quantity"] for row in opened}
        self._sides = {row["orderId"]: row["type"] for row in (*opened, *pending)}
        self._pending = [row["orderId"] for row in pending]
        if self._pending and self._dice.random() < 0.5:
            self._cancels()
        elif self._dice.random() < 0.15:
            self._sweeps()
        else:
            self._closes()

    def _orders(self, status: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self._read(f"/api/v1/trade/orders?status={status}")["message"]
        return rows

    def _near(self, basis_points: float) -> str:
        """A price so far from the market, with two decimals."""
        return f"{self._price * (1 + Decimal(f'{basis_points:.2f}') / 10_000):.2f}"

    # --- opening -----------------------------------------------------------------------------------

    def _opens(self) -> None:
        """A market order, bare, or with a stop loss or a trailing stop that the next prices may fire."""
        side = self._dice.choice(["buy", "sell"])
        body: dict[str, Any] = {"type": side}
        kind = self._dice.random()
        if kind < 0.4 and self._price:
            body["stopLoss"] = self._near(self._dice.uniform(15, 60) * (-1 if side == "buy" else 1))
        elif kind < 0.6:
            body["trailingStop"] = str(self._dice.randint(60, 250))
        self._create(body)

    def _places(self) -> None:
        """A limit or stop order that the next prices may open."""
        if not self._price:
            return
        side, kind = self._dice.choice(["buy", "sell"]), self._dice.choice(["limit", "stop"])
        is_below = (side == "buy") == (kind == "limit")
        price = self._near(self._dice.uniform(8, 60) * (-1 if is_below else 1))
        self._create({"type": side, "orderType": kind, "price": price})

    def _create(self, wanted: dict[str, Any], quantity: str = "0.01", leverage: int = 20) -> None:
        """`quantity`: its first digits; those behind them are this order's own."""
        number = self._next()
        body = wanted | {
            "symbol": SYMBOL,
            "quantity": f"{quantity}{number:06d}",
            "leverage": leverage,
            "clientOrderId": f"w{number}",
        }
        key = self._perhaps_a_key()
        said = self._ask(CREATE, f"w{number}", "POST", "/api/v1/trade/create", body, key)
        if said.is_unclear:
            code = self._was_created(said)
            if code is None and self._dice.random() < 0.4:
                said = self._ask(CREATE, f"w{number}", "POST", "/api/v1/trade/create", body, key)
                if said.is_unclear:
                    code = self._was_created(said)
        if said.status == 200:
            self._opened(json_codec.loads(said.text.encode())["orderId"], body)
            self._perhaps_ask_again(said, "/api/v1/trade/create", body)
        elif said.is_unclear and code is not None:
            self._opened(code, body)

    def _opened(self, code: str, body: Mapping[str, Any]) -> None:
        self._sides[code] = body["type"]
        if "orderType" in body:
            self._pending.append(code)
        else:
            self._quantities[code] = Decimal(body["quantity"])

    def _was_created(self, said: Attempt) -> str | None:
        """The order's code where a reader finds it; in the order in which an order goes through the lists."""
        asked = time.time()
        rows = [*self._orders("pending"), *self._orders("open"), *self._read("/api/v1/trade/close")["message"]]
        found = [row["orderId"] for row in rows if row["clientOrderId"] == said.name]
        self._after(said, frozenset() if found else frozenset({said.name}), asked)
        return found[0] if found else None

    def _perhaps_ask_again(self, said: Attempt, path: str, body: Mapping[str, Any]) -> None:
        """Under the same key the same answer comes again. Not judged as a command: it can do nothing."""
        if said.status != 200 or not said.key or self._dice.random() > 0.3:
            return
        again = Attempt(said.customer, said.what, said.name, said.key, time.time())
        self._send(again, "POST", path, body)
        self._records.count("replay", again.status)
        if again.status == 200 and (again.text != said.text or not again.replayed):
            self._records.unexpected.append(f"asked again: {said.text[:300]} then {again.text[:300]}")

    # --- what is open ------------------------------------------------------------------------------

    def _takes_a_part(self) -> None:
        if not (code := self._one_of(self._quantities)):
            return
        part = Decimal(f"0.00{self._next():06d}")
        if part >= self._quantities[code]:
            return
        body = {"orderId": code, "quantity": f"{part}"}
        said = self._ask(PART, f"{code}:{plain(part)}", "POST", "/api/v1/trade/close", body, self._perhaps_a_key())
        if said.status == 200:
            self._quantities[code] -= part
        elif said.is_unclear:
            asked = time.time()
            left = self._read(f"/api/v1/trade/orders/{code}")["quantity"]
            self._after(said, frozenset({code}) if left == self._quantities[code] else frozenset(), asked)
            self._quantities[code] = left
        elif _is_gone(said):
            self._quantities.pop(code)

    def _closes(self) -> None:
        if not (code := self._one_of(self._quantities)):
            return
        key = self._perhaps_a_key()
        for _ in range(2):
            said = self._ask(CLOSE, code, "POST", "/api/v1/trade/close", {"orderId": code}, key)
            if said.status == 200 or _is_gone(said):
                self._quantities.pop(code)
                self._perhaps_ask_again(said, "/api/v1/trade/close", {"orderId": code})
                return
            if not said.is_unclear:
                return
            asked = time.time()
            is_open = self._read(f"/api/v1/trade/orders/{code}")["status"] == "OPEN"
            self._after(said, frozenset({code}) if is_open else frozenset(), asked)
            if not is_open:
                self._quantities.pop(code)
                return
            if self._dice.random() < 0.6:
                return  # it stays open until a price or another attempt closes it

    def _changes(self) -> None:
        """Set a take profit that no price reaches and that no other command sets."""
        if not (code := self._one_of([*self._quantities, *self._pending])):
            return
        number = self._next()
        limit = Decimal(number) / 100 + (60_000 if self._sides[code] == "buy" else 10_000)
        name, path = f"{code}:{plain(limit)}", f"/api/v1/trade/orders/{code}"
        said = self._ask(CHANGE, name, "PATCH", path, {"takeProfit": f"{limit}"}, self._perhaps_a_key())
        if said.is_unclear:
            asked = time.time()
            is_set = self._read(path)["takeProfit"] == limit
            self._after(said, frozenset() if is_set else frozenset({code}), asked)

    def _cancels(self) -> None:
        if not (code := self._one_of(self._pending)):
            return
        path = f"/api/v1/trade/orders/{code}"
        said = self._ask(CANCEL, code, "DELETE", path, {}, self._perhaps_a_key())
        status = ""
        if said.is_unclear:
            asked = time.time()
            status = self._read(path)["status"]
            self._after(said, frozenset({code}) if status == "PENDING" else frozenset(), asked)
        if said.status == 200 or (status or "PENDING") != "PENDING" or said.status == 400:
            self._pending.remove(code)

    def _sweeps(self) -> None:
        """Close all, but not so soon after the last time that the two could be taken for each other."""
        if uptime() - self._swept < BETWEEN_ATTEMPTS:
            return
        said = self._ask(CLOSE_ALL, "", "POST", "/api/v1/trade/close-all", {}, self._perhaps_a_key())
        if said.is_unclear:
            asked = time.time()
            left = frozenset(row["orderId"] for row in self._orders("open"))
            self._after(said, left, asked)
        self._swept = uptime()

    def _one_of(self, codes: Collection[str]) -> str:
        return self._dice.choice(list(codes)) if codes else ""


class ThinTrader(OrderTrader):
    """Holds a position that the money hardly covers: half a percent is a stop-out, and then there is new money."""

    starts_with = "1_000.00"

    def _do_something(self) -> None:
        if self._orders("open"):
            self._halt.wait(0.5)
            return
        self._quantities.clear()
        missing = 1000 - int(self._read("/api/v1/account")["freeMargin"])
        if missing > 0:
            _deposit(self.customer, f"{missing}.00")
            self._halt.wait(2)  # an engine looks at others' movements each second
        self._create({"type": self._dice.choice(["buy", "sell"])}, quantity="2.2", leverage=100)


class SpotTrader(RecordingTrader):
    """Asks for quotes and executes most of them at once."""

    def _do_something(self) -> None:
        number = self._next()
        body = {"symbol": SYMBOL, "side": self._dice.choice(["buy", "sell"]), "receive_amount": 10_000 + number % 1000}
        quote = Attempt(self.customer.pk, "quote", "", "", time.time())
        self._send(quote, "POST", "/api/quotes", body)
        self._records.count("quote", quote.status)
        if quote.status != 201:
            return
        guid = json_codec.loads(quote.text.encode())["guid"]
        said = self._ask(TRADE, guid, "POST", "/api/trades", {"quote_guid": guid})
        if said.is_unclear:
            asked = time.time()
            is_traded = "trade_guid" in self._read(f"/api/quotes/{guid}")
            self._after(said, frozenset() if is_traded else frozenset({guid}), asked)


def _deposit(customer: Customer, amount: str) -> None:
    """Unless PostgreSQL keeps it waiting: then it comes the next time."""
    try:
        deposit(customer, "USD", amount)
    except DatabaseError:
        pass
    finally:
        connection.close()


def _is_gone(said: Attempt) -> bool:
    return said.status == 400 and "already closed" in said.text
