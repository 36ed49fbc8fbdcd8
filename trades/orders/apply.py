"""A tick: many commands, one transaction. Read everything, decide in memory, write everything.

Commands are decided one after the other in the order of the stream, each seeing what those before it did:
two closes of one order in a tick are a close and a refusal, as they would be in two ticks. What decides
between ticks and processes is the locked row. A command that was applied before changes nothing and answers
what happened, so the stream may deliver it as often as it likes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.conf import settings

from accounts import ledger
from accounts.errors import InvalidToken, Refusal
from accounts.ids import order_code, uuid7
from accounts.ledger import AVAILABLE, MARGIN, PROFIT, PROTECTION, Account, Movement
from accounts.money import EXACT, from_base_units, parse_decimal, printed
from quotes.models import Instrument
from quotes.prices import Price, Prices
from quotes.symbols import canonical, instruments
from trades.orders import money, rows
from trades.orders.answers import closed_body, created_body, refusal_body
from trades.orders.commands import CLOSE, CREATE, Answer, Command
from trades.orders.errors import (
    AgainstTheRules,
    ClientOrderIdTaken,
    InsufficientBalance,
    KeyUsedForAnother,
    OrderNotFoundOrClosed,
    PriceNotFound,
)
from trades.orders.rows import DealRow, OrderRow, Stored, Trader
from trades.states import CloseReason, OrderStatus


@dataclass(slots=True)
class Applied:
    """What a tick did: the answers to send, and the orders that the book must take up or let go."""

    answers: list[Answer] = field(default_factory=list)
    opened: list[OrderRow] = field(default_factory=list)
    closed: list[OrderRow] = field(default_factory=list)


def apply(commands: Sequence[Command], prices: Prices) -> Applied:
    """Apply commands at these prices. Runs inside the caller's transaction, which makes it all or nothing.

    Raises django.db errors only; a refused command is an answer like any other.
    """
    tick = _Tick(commands, prices)
    for command in commands:
        tick.take(command)
    tick.write()
    return tick.done


class _Tick:
    """The state of one tick between reading and writing."""

    def __init__(self, commands: Sequence[Command], prices: Prices) -> None:
        self.prices = prices
        self.at: datetime = prices.now
        self.instruments = instruments()
        self.currency: str = settings.ACCOUNT_CURRENCY
        self.done = Applied()
        self.deals: list[DealRow] = []
        self.movements: list[Movement] = []
        self.keyed: list[tuple[Command, Answer]] = []
        self._read(commands)

    def _read(self, commands: Sequence[Command]) -> None:
        closes = [command for command in commands if command.kind == CLOSE]
        creates = [command for command in commands if command.kind == CREATE]
        customers = {command.customer_id for command in commands}
        self.orders = rows.lock_orders((c.customer_id, c.terms["orderId"]) for c in closes)
        self.stored: dict[tuple[UUID, str], Stored] = rows.stored_answers(commands)
        self.made = rows.orders_made_by(creates)
        self.taken = rows.codes_by_client_order_id(
            (c.customer_id, c.terms["clientOrderId"]) for c in creates if c.terms.get("clientOrderId")
        )
        self.closed_by = rows.closing_commands(
            [order.id for order in self.orders.values() if order.status == OrderStatus.CLOSED]
        )
        self.traders: dict[UUID, Trader] = rows.traders(customers)
        known = [customer for customer in customers if customer in self.traders]
        self.balances = ledger.lock(
            account
            for customer in known
            for account in (
                self._own(customer, AVAILABLE),
                self._own(customer, MARGIN),
                ledger.house(customer, self.currency, PROFIT),
            )
        )
        # What is free and what is reserved as the tick goes on; the rows are brought up to date at its end.
        self.free = {customer: self.balances[self._own(customer, AVAILABLE)].balance for customer in known}
        self.reserved = {customer: self.balances[self._own(customer, MARGIN)].balance for customer in known}

    def _own(self, customer_id: UUID, type_: str) -> Account:
        return ledger.customers(customer_id, self.currency, type_)

    # --- one command -------------------------------------------------------------------------------

    def take(self, command: Command) -> None:
        """Decide one command; what it changes waits in memory for `write`."""
        try:
            stored = self.stored.get((command.customer_id, command.key)) if command.key else None
            if stored is not None:
                self.done.answers.append(_replay(command, stored))
                return
            trader = self.traders.get(command.customer_id)
            if trader is None or (command.user_id and not (trader.is_active and trader.user_id == command.user_id)):
                raise InvalidToken
            answer = self._create(command, trader) if command.kind == CREATE else self._close(command, trader)
        except (InvalidToken, KeyUsedForAnother) as refusal:
            self.done.answers.append(_refused(command, refusal))
            return
        except Refusal as refusal:
            answer = _refused(command, refusal)
        self.done.answers.append(answer)
        if command.key:
            self.keyed.append((command, answer))
            self.stored[command.customer_id, command.key] = Stored(
                command.request_sha256, command.id, answer.status, answer.body
            )

    def _price(self, instrument: Instrument, said: str) -> Price:
        price = self.prices.usable(instrument.symbol, instrument.price_age_limit_seconds)
        if price is None:
            raise PriceNotFound(said)
        return price

    # --- opening -----------------------------------------------------------------------------------

    def _create(self, command: Command, trader: Trader) -> Answer:
        terms = command.terms
        made = self.made.get(command.id)
        if made is not None:
            return self._created(command, made, self.instruments[made.instrument_id])
        name = terms.get("clientOrderId")
        if name and (command.customer_id, name) in self.taken:
            raise ClientOrderIdTaken(self.taken[command.customer_id, name])
        instrument = self._tradable(terms["symbol"])
        price = self._price(instrument, terms["symbol"])
        order = self._order(command, instrument, price.entry(terms["side"]))
        _check_terms(order, instrument, terms)
        if not trader.may_open:
            raise AgainstTheRules("This account may not open orders")
        available = self.free[command.customer_id]
        if order.margin > available:
            decimals = instrument.counter_asset.decimals
            raise InsufficientBalance(
                printed(from_base_units(order.margin, decimals), decimals),
                printed(from_base_units(available, decimals), decimals),
            )
        self._open(command, order)
        return self._created(command, order, instrument)

    def _tradable(self, said: str) -> Instrument:
        """The instrument meant by a symbol, if margin orders in the account currency may be opened on it."""
        symbol = canonical(said)
        instrument = self.instruments.get(symbol) if symbol else None
        if instrument is None or not instrument.is_active or instrument.counter_asset_id != self.currency:
            raise PriceNotFound(said)
        return instrument

    def _order(self, command: Command, instrument: Instrument, open_price: Decimal) -> OrderRow:
        terms = command.terms
        quantity, leverage = _number(terms["quantity"]), int(terms["leverage"])
        return OrderRow(
            id=uuid7(),
            code=order_code(),
            customer_id=command.customer_id,
            client_order_id=terms.get("clientOrderId") or None,
            command_id=command.id,
            instrument_id=instrument.symbol,
            side=terms["side"],
            type="market",
            quantity=quantity,
            leverage=leverage,
            margin=money.margin_required(quantity, open_price, leverage, instrument.counter_asset.decimals),
            price=None,
            open_price=open_price,
            take_profit=_optional(terms.get("takeProfit")),
            stop_loss=_optional(terms.get("stopLoss")),
            trailing_stop=None,
            status=OrderStatus.OPEN,
            created_at=self.at,
            opened_at=self.at,
        )

    def _open(self, command: Command, order: OrderRow) -> None:
        customer = order.customer_id
        self.free[customer] -= order.margin
        self.reserved[customer] += order.margin
        self._move(order, AVAILABLE, MARGIN, order.margin, "order_margin", "open:margin")
        self.deals.append(
            DealRow(customer, order.id, command.id, "open", _sure(order.open_price), order.quantity, 0, "", self.at)
        )
        if order.client_order_id:
            self.taken[customer, order.client_order_id] = order.code
        self.made[command.id] = order
        self.done.opened.append(order)
        self.orders[customer, order.code] = order

    def _created(self, command: Command, order: OrderRow, instrument: Instrument) -> Answer:
        price = self.prices.usable(instrument.symbol, instrument.price_age_limit_seconds)
        decimals = instrument.counter_asset.decimals
        current = price.exit(order.side) if price else None
        floating = (
            money.floating_profit(order.side, _sure(order.open_price), current, order.quantity, decimals)
            if current
            else None
        )
        body = created_body(order, instrument.price_decimals, decimals, current, floating)
        return Answer(command.id, 200, body, order.code)

    # --- closing -----------------------------------------------------------------------------------

    def _close(self, command: Command, trader: Trader) -> Answer:
        order = self.orders.get((command.customer_id, command.terms["orderId"]))
        if order is None:
            raise OrderNotFoundOrClosed
        instrument = self.instruments[order.instrument_id]
        if order.status == OrderStatus.CLOSED and self.closed_by.get(order.id) == command.id:
            return self._closed(command, order, trader, instrument)
        if order.status != OrderStatus.OPEN:
            raise OrderNotFoundOrClosed
        price = self._price(instrument, order.instrument_id).exit(order.side)
        reason = CloseReason.MANUAL if command.user_id else _fired(order, price)
        if reason is None:
            raise AgainstTheRules("The price no longer fires this order")
        self._settle(command, order, price, reason, instrument.counter_asset.decimals)
        return self._closed(command, order, trader, instrument)

    def _settle(self, command: Command, order: OrderRow, price: Decimal, reason: str, decimals: int) -> None:
        """Close an order in memory and note every movement that this takes."""
        customer = order.customer_id
        result = money.profit(order.side, _sure(order.open_price), price, order.quantity, decimals)
        released = min(order.margin, self.reserved[customer])
        self._move(order, MARGIN, AVAILABLE, released, "order_margin_release", "close:margin")
        self.free[customer] += released
        self.reserved[customer] -= released
        if result > 0:
            self._with_house(order, PROFIT, result, "order_profit", "close:result", to_customer=True)
        elif result < 0:
            self._cover(order, -result)
            self._with_house(order, PROFIT, -result, "order_loss", "close:result", to_customer=False)
        self.free[customer] += result
        order.status, order.close_price, order.profit = OrderStatus.CLOSED, price, result
        order.close_reason, order.closed_at = reason, self.at
        fired_by = command.id if command.user_id else None
        self.deals.append(
            DealRow(customer, order.id, fired_by, "close", price, order.quantity, result, reason, self.at)
        )
        self.closed_by[order.id] = fired_by
        self.done.closed.append(order)

    def _cover(self, order: OrderRow, loss: int) -> None:
        """Find the money for a loss that the free cash does not cover.

        First what other open orders have reserved (their orders then hold less than they reserved), then
        the house: a customer never owes money (negative balance protection).
        """
        customer = order.customer_id
        missing = loss - self.free[customer]
        if missing <= 0:
            return
        drawn = min(missing, self.reserved[customer])
        self._move(order, MARGIN, AVAILABLE, drawn, "order_margin_drawn", "close:drawn")
        self.free[customer] += drawn
        self.reserved[customer] -= drawn
        if missing > drawn:
            self._with_house(
                order, PROTECTION, missing - drawn, "order_protection", "close:protection", to_customer=True
            )
            self.free[customer] += missing - drawn

    def _closed(self, command: Command, order: OrderRow, trader: Trader, instrument: Instrument) -> Answer:
        body = closed_body(order, trader.user_id, instrument.price_decimals, instrument.counter_asset.decimals)
        return Answer(command.id, 200, body, order.code)

    # --- movements ---------------------------------------------------------------------------------

    def _move(self, order: OrderRow, debit: str, credit: str, amount: int, kind: str, step: str) -> None:
        customer = order.customer_id
        self._note(order, self._own(customer, debit), self._own(customer, credit), amount, kind, step)

    def _with_house(
        self, order: OrderRow, account: str, amount: int, kind: str, step: str, *, to_customer: bool
    ) -> None:
        house = ledger.house(order.customer_id, self.currency, account)
        own = self._own(order.customer_id, AVAILABLE)
        debit, credit = (house, own) if to_customer else (own, house)
        self._note(order, debit, credit, amount, kind, step)

    def _note(self, order: OrderRow, debit: Account, credit: Account, amount: int, kind: str, step: str) -> None:
        if amount > 0:
            key = f"order:{order.code}:{step}"
            self.movements.append(Movement(debit, credit, amount, kind, key, order.customer_id, order.id, self.at))

    # --- writing -----------------------------------------------------------------------------------

    def write(self) -> None:
        """Write everything down, one statement a table."""
        # An order that opened and closed in this very tick is inserted open first: every close is the same update.
        rows.insert_orders([_as_opened(order) for order in self.done.opened])
        changed = rows.close_orders(self.done.closed)
        if changed != len(self.done.closed):
            raise RuntimeError("a locked open order was closed by somebody else")
        rows.insert_deals(self.deals)
        # Protection is rare, so its house accounts are locked only when a movement needs them.
        unlocked = {account for m in self.movements for account in (m.debit, m.credit) if account not in self.balances}
        if unlocked:
            self.balances |= ledger.lock(unlocked)
        ledger.post(self.movements, balances=self.balances, savepoint=False)
        rows.insert_answers(self.keyed, self.at)


def _as_opened(order: OrderRow) -> OrderRow:
    """An order as it was when it opened; closing changes none of the columns that an insert writes but the status."""
    if order.status == OrderStatus.OPEN:
        return order
    return replace(order, status=OrderStatus.OPEN)


def _replay(command: Command, stored: Stored) -> Answer:
    if stored.request_sha256 != command.request_sha256:
        raise KeyUsedForAnother
    return Answer(
        command.id, stored.status, stored.body, command.terms.get("orderId", ""), stored.command_id != command.id
    )


def _refused(command: Command, refusal: Refusal) -> Answer:
    return Answer(command.id, refusal.status, refusal_body(refusal), command.terms.get("orderId", ""))


def _fired(order: OrderRow, price: Decimal) -> str | None:
    """What the price fires of an order: the stop loss is tested first."""
    if money.stop_loss_fires(order.side, order.stop_loss, price):
        return CloseReason.STOP_LOSS
    if money.take_profit_fires(order.side, order.take_profit, price):
        return CloseReason.TAKE_PROFIT
    return None


def _check_terms(order: OrderRow, instrument: Instrument, terms: dict[str, object]) -> None:
    """What the instrument and the execution price have to say about a new order."""
    price, shown = _sure(order.open_price), printed(_sure(order.open_price), instrument.price_decimals)
    quantity = order.quantity
    if not instrument.min_quantity <= quantity <= instrument.max_quantity:
        raise AgainstTheRules(
            f"Quantity must be between {printed(instrument.min_quantity)} and {printed(instrument.max_quantity)}"
            f" for {instrument.symbol}"
        )
    if -int(quantity.normalize(EXACT).as_tuple().exponent) > instrument.quantity_decimals:
        raise AgainstTheRules(f"Quantity may have {instrument.quantity_decimals} decimals for {instrument.symbol}")
    if order.leverage > instrument.leverage_cap:
        raise AgainstTheRules(f"Leverage must be at most {instrument.leverage_cap} for {instrument.symbol}")
    expected, slippage = _optional(terms.get("expectedPrice")), _optional(terms.get("slippage"))
    if expected is not None and slippage is not None and money.slipped(expected, price, slippage, order.side):
        raise AgainstTheRules(
            f"Price moved beyond the slippage of {printed(slippage)}%."
            f" Expected: {printed(expected, instrument.price_decimals)}, Current: {shown}"
        )
    is_buy = order.side == "buy"
    if order.take_profit is not None and (order.take_profit <= price if is_buy else order.take_profit >= price):
        raise AgainstTheRules(
            f"Take profit must be {'above' if is_buy else 'below'} the execution price {shown} for a {order.side} order"
        )
    if order.stop_loss is not None and (order.stop_loss >= price if is_buy else order.stop_loss <= price):
        raise AgainstTheRules(
            f"Stop loss must be {'below' if is_buy else 'above'} the execution price {shown} for a {order.side} order"
        )


def _number(given: object) -> Decimal:
    value = parse_decimal(given)
    if value is None:
        raise AgainstTheRules(f"{given!r} is not a number")
    return value


def _optional(given: object) -> Decimal | None:
    return None if given is None else _number(given)


def _sure(value: Decimal | None) -> Decimal:
    assert value is not None, "an open order has an open price"
    return value
