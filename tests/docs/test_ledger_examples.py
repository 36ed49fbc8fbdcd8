"""docs/ledger.md, played through the real services: the page's numbers are the only ones."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from accounts import services
from accounts.identity import SYSTEM
from accounts.ids import FIRM
from accounts.kinds import KINDS
from accounts.models import Asset, Break, Customer, LedgerAccount, Transfer
from quotes import prices, symbols
from quotes.models import Instrument
from quotes.prices import Prices
from quotes.quoting import FeeTerms
from tests.docs.ledger_page import PAGE, Example, Told, examples, number
from tests.export.beancount_check import beancount_agrees
from tests.given import (
    a_customer,
    a_funding_quote,
    a_trade,
    an_exit_quote,
    balance,
    btc,
    btc_at,
    executes,
    market_closed_at,
    price_at,
    sends,
    settle_everything,
    settles,
    stores,
    uses,
    what_the_audit_finds,
)
from tests.trades.corrections.staff import applies, somebody, why
from tests.trades.engine.rollovers import RolloverEngine, rates
from tests.trades.engine_steps import became, closing, fires, judges, opens, places, says, tick
from trades.corrections import propose
from trades.corrections.funding import propose_firms_own
from trades.models import Correction, Order, Payment, SettlementBatch, SettlementLeg, SwapRun, Trade
from trades.payments import steps
from trades.payments.carry import carry
from trades.settlement.cut import cut_now
from trades.settlement.legs import fail_leg, settle_leg
from trades.states import PaymentFailure

CHECKOUT = Path(__file__).resolve().parents[2]
AMOUNT = r"(?P<amount>[\d,.]+) (?P<asset>[A-Z]{3})"


class Player:
    """Does what a story's lines say. `named` holds what the page calls by a letter."""

    def __init__(self) -> None:
        self.people: dict[str, Customer] = {}
        self.named: dict[str, str] = {}
        self.trades: dict[str, Trade] = {}
        self.legs: dict[str, SettlementLeg] = {}

    def who(self, name: str) -> Customer:
        if name not in self.people:
            self.people[name] = a_customer(name)
        return self.people[name]

    def play(self, line: str) -> None:
        for pattern, does in self.verbs():
            if said := re.fullmatch(pattern, line):
                does(**said.groupdict())
                return
        raise AssertionError(f"nobody knows how to do: {line}")

    def verbs(self) -> list[tuple[str, Callable[..., None]]]:
        return [
            (rf"(?P<who>\w+) has {AMOUNT}", self._has),
            (rf"(?P<who>\w+) deposits {AMOUNT} under the key (?P<key>\S+)", self._deposits),
            (rf"(?P<who>\w+) withdraws {AMOUNT} under the key (?P<key>\S+)", self._withdraws),
            (
                rf"(?P<who>\w+) asks for P: a (?P<side>deposit|withdrawal) of {AMOUNT}(?:, fee (?P<percent>\S+) %)?",
                self._asks,
            ),
            (r"P completes", self._completes),
            (rf"(?P<who>\w+) sends P to (?P<other>\w+): {AMOUNT}, fee (?P<percent>\S+) %", self._sends),
            (r"P fails", self._fails),
            (
                rf"{AMOUNT} of P comes back under the reference (?P<reference>\S+), by correction (?P<name>\w)",
                self._comes_back,
            ),
            (
                r"(?P<who>\w+) opens (?P<name>\w): (?P<side>buy|sell) (?P<quantity>\S+) (?P<symbol>\S+)"
                r" at (?P<price>\S+), leverage (?P<leverage>\d+)",
                self._opens,
            ),
            (r"(?P<who>\w+) closes (?P<name>\w) at (?P<price>\S+)", self._closes),
            (
                r"(?P<who>\w+) closes (?P<quantity>\S+) of (?P<name>\w) as (?P<part>\w) at (?P<price>\S+)",
                self._closes_a_part,
            ),
            (
                r"(?P<who>\w+) places (?P<name>\w): (?P<side>buy|sell) (?P<quantity>\S+) (?P<symbol>\S+)"
                r" (?P<kind>limit|stop) at (?P<price>\S+), leverage (?P<leverage>\d+), while it is at (?P<market>\S+)",
                self._places,
            ),
            (r"(?P<name>\w) opens at (?P<price>\S+)", self._fires),
            (
                r"a night passes with BTC-USD at (?P<price>\S+): a (?P<side>buy|sell) (?P<how>pays|is paid)"
                r" (?P<percent>\S+) %",
                self._sleeps,
            ),
            (r"the market of (?P<symbol>\S+) rests", self._rests),
            (r"(?P<symbol>\S+) reserves the larger side of hedged positions", self._hedges),
            (r"(?P<who>\w+)'s margin level is judged with BTC-USD at (?P<price>\S+)", self._judges),
            (
                r"(?P<who>\w+) (?P<side>buy|sell)s (?P<name>\w): (?P<quantity>\S+) BTC at (?P<price>\S+),"
                r" fee (?P<percent>\S+) %",
                self._trades,
            ),
            (r"(?P<who>\w+) exits (?P<original>\w) as (?P<name>\w) at (?P<price>\S+)", self._exits),
            (r"everything that is settling is cut into batch (?P<name>\w) and settled", self._settles),
            (
                r"everything that is settling is cut into batch (?P<name>\w), whose legs are reported by hand",
                self._settles_by_hand,
            ),
            (r"the (?P<asset>\w+) leg fails", self._leg_fails),
            (rf"the (?P<leg>\w+) leg settles with {AMOUNT}", self._leg_settles),
            (rf"a part of the (?P<leg>\w+) leg comes: {AMOUNT}", self._a_part_comes),
            (
                r"the difference of the (?P<asset>\w+) leg is (?P<how>paid|written off), by correction (?P<name>\w)",
                self._ends,
            ),
            (r"the (?P<asset>\w+) leg is reversed, by correction (?P<name>\w)", self._reverses_leg),
            (r"(?P<what>trade|batch) (?P<which>\w) is reversed, by correction (?P<name>\w)", self._reverses),
            (
                rf"the firm's (?P<kind>\w+) of {AMOUNT} under the reference (?P<reference>\S+) is booked,"
                r" by correction (?P<name>\w)",
                self._books,
            ),
            (rf"(?P<who>\w+) is (?P<direction>credit|debit)ed {AMOUNT}, by correction (?P<name>\w)", self._adjusts),
        ]

    def _has(self, who: str, amount: str, asset: str) -> None:
        self._deposits(who, amount, asset, f"before:{who}:{asset}")

    def _deposits(self, who: str, amount: str, asset: str, key: str) -> None:
        units = base_units(f"{amount} {asset}")
        assert services.deposit(self.who(who), asset, units, key, timezone.now(), "test")

    def _withdraws(self, who: str, amount: str, asset: str, key: str) -> None:
        units = base_units(f"{amount} {asset}")
        assert services.withdraw(self.who(who), asset, units, key, timezone.now(), "test")

    def _asks(self, who: str, side: str, amount: str, asset: str, percent: str | None) -> None:
        fees = FeeTerms(number(percent) * 100) if percent else None
        quote = a_funding_quote(self.who(who), side, base_units(f"{amount} {asset}"), asset=asset, fees=fees)
        self.payment = uses(quote)
        self.named["P"] = self.payment.pk.hex

    def _sends(self, who: str, other: str, amount: str, asset: str, percent: str) -> None:
        fees = FeeTerms(number(percent) * 100)
        self.payment = sends(self.who(who), self.who(other), base_units(f"{amount} {asset}"), asset=asset, fees=fees)
        self.named["P"] = self.payment.pk.hex

    def _completes(self) -> None:
        carry([self.payment.pk])
        assert Payment.objects.get(pk=self.payment.pk).state == "completed"

    def _comes_back(self, amount: str, asset: str, reference: str, name: str) -> None:
        units = base_units(f"{amount} {asset}")
        made = propose.propose_payment_return(self.payment.pk, units, reference=reference, **why())
        self.named[name] = made.pk.hex
        if made.state == "proposed":
            applies(made)

    def _fails(self) -> None:
        steps.fail(steps.locked(self.payment.pk), PaymentFailure.REFUSED, at=timezone.now())

    def _opens(self, who: str, name: str, side: str, quantity: str, symbol: str, price: str, leverage: str) -> None:
        price_at(symbol, price.replace(",", ""))
        order = opens(self.who(who), symbol=symbol, type=side, quantity=quantity, leverage=int(leverage))
        self.named[name] = order.code

    def _closes(self, who: str, name: str, price: str) -> None:
        price_at(Order.objects.get(code=self.named[name]).instrument_id, price.replace(",", ""))
        (told,) = tick(closing(self.who(who), self.named[name]), at=self._after_the_night())
        assert told.status == 200, told.text

    def _closes_a_part(self, who: str, quantity: str, name: str, part: str, price: str) -> None:
        btc_at(price.replace(",", ""))
        self.named[part] = says(closing(self.who(who), self.named[name], quantity=quantity))["order"]["orderId"]

    def _places(
        self,
        who: str,
        name: str,
        side: str,
        quantity: str,
        symbol: str,
        kind: str,
        price: str,
        leverage: str,
        market: str,
    ) -> None:
        btc_at(market.replace(",", ""))
        wanted = {"symbol": symbol, "quantity": quantity, "leverage": int(leverage)}
        self.named[name] = places(self.who(who), f"{side} {kind}", price.replace(",", ""), **wanted).code

    def _fires(self, name: str, price: str) -> None:
        btc_at(price.replace(",", ""))
        order = Order.objects.get(code=self.named[name])
        fires(order)
        assert became(order) == ("OPEN", "")

    def _sleeps(self, price: str, side: str, how: str, percent: str) -> None:
        rate = str(number(percent) * 100 * (1 if how == "is paid" else -1))
        rates("BTC-USD", **({"long": rate, "short": "0"} if side == "buy" else {"long": "0", "short": rate}))
        night = RolloverEngine(f"{timezone.now():%Y-%m-%d %H:%M:%S}").runs_the_next_rollover(btc=price.replace(",", ""))
        self.named["night"] = night.isoformat()
        symbols.forget()

    def _after_the_night(self) -> Prices | None:
        """The market as it is, on the clock of the night that has passed; None before one."""
        if "night" not in self.named:
            return None
        then = SwapRun.objects.latest("night").cutoff + timedelta(minutes=1)
        return Prices(then, {name: replace(price, at=then) for name, price in prices.latest().by_symbol.items()})

    def _rests(self, symbol: str) -> None:
        market_closed_at(symbol, f"{prices.latest().by_symbol[symbol].bid:f}")

    def _hedges(self, symbol: str) -> None:
        Instrument.objects.filter(pk=symbol).update(hedged_margin="larger_side")
        symbols.forget()

    def _judges(self, who: str, price: str) -> None:
        btc_at(price.replace(",", ""))
        judges(self.who(who))

    def _trades(self, who: str, side: str, name: str, quantity: str, price: str, percent: str) -> None:
        btc_at(price.replace(",", ""))
        given: Any = {"receive" if side == "buy" else "deliver": btc(quantity)}
        self._settling(name, a_trade(self.who(who), side, fees=FeeTerms(number(percent) * 100), **given))

    def _exits(self, who: str, original: str, name: str, price: str) -> None:
        btc_at(price.replace(",", ""))
        trade = executes(an_exit_quote(self.trades[original]))
        stores(trade)
        assert trade.customer_id == self.who(who).pk
        self._settling(name, trade)

    def _settling(self, name: str, trade: Trade) -> None:
        assert trade.state == "settling", trade.failure_code
        self.trades[name], self.named[name] = trade, trade.pk.hex

    def _settles(self, name: str) -> None:
        batch: SettlementBatch = settle_everything()
        assert batch.state == "completed"
        self._cut(name, batch)

    def _settles_by_hand(self, name: str) -> None:
        self._cut(name, settles(cut_now(at=timezone.now(), by=SYSTEM, legs_are_automatic=False)))

    def _cut(self, name: str, batch: SettlementBatch) -> None:
        self.named[name] = batch.pk.hex
        self.legs = {leg.asset_id: leg for leg in batch.legs.all()}
        self.named |= {f"{asset} leg": leg.pk.hex for asset, leg in self.legs.items()}

    def _leg_fails(self, asset: str) -> None:
        fail_leg(self.legs[asset].pk, failure="no answer", by=somebody(), at=timezone.now())

    def _a_part_comes(self, leg: str, amount: str, asset: str) -> None:
        part = base_units(f"{amount} {asset}")
        settle_leg(self.legs[leg].pk, actual=part, reference=f"part of {leg}", by=somebody(), at=timezone.now())

    def _leg_settles(self, leg: str, amount: str, asset: str) -> None:
        actual = base_units(f"{amount} {asset}")
        settle_leg(
            self.legs[leg].pk, actual=actual, reference=f"wire of {leg}", by=somebody(), at=timezone.now(), final=True
        )

    def _ends(self, asset: str, how: str, name: str) -> None:
        kind = Correction.Kind.BREAK_PAID if how == "paid" else Correction.Kind.BREAK_WRITTEN_OFF
        found = Break.objects.get(subject=self.legs[asset].pk, state="open")
        self._corrects(name, propose.propose_break_resolution(found.pk, kind, **why()))

    def _reverses_leg(self, asset: str, name: str) -> None:
        self._corrects(name, propose.propose_leg_reversal(self.legs[asset].pk, **why()))

    def _reverses(self, what: str, which: str, name: str) -> None:
        proposes = propose.propose_trade_reversal if what == "trade" else propose.propose_batch_reversal
        self._corrects(name, proposes(UUID(hex=self.named[which]), **why()))

    def _books(self, kind: str, amount: str, asset: str, reference: str, name: str) -> None:
        units = base_units(f"{amount} {asset}")
        made = applies(propose_firms_own(kind, asset, units, reference=reference, **why()))
        self.named[name] = made.pk.hex

    def _adjusts(self, who: str, direction: str, amount: str, asset: str, name: str) -> None:
        units = base_units(f"{amount} {asset}")
        self._corrects(name, propose.propose_adjustment(self.who(who).pk, asset, units, direction, **why()))

    def _corrects(self, name: str, correction: Correction) -> None:
        self.named[name] = correction.pk.hex
        if correction.state == "proposed":
            applies(correction)


def base_units(text: str) -> int:
    """`4,000.00 USD` in the asset's base units."""
    amount, code = text.split()
    return int(number(amount).scaleb(Asset.objects.get(pk=code).decimals))


def owner_of(account: LedgerAccount, customer: Customer | None, people: dict[str, Customer]) -> str:
    """The page's name of an account: whose it is, and its type."""
    if account.customer_id is None:
        if customer is None:
            assert account.bucket == FIRM, "no customer's, and yet in a customer's bucket"
            return f"firm `{account.type}`"
        assert account.bucket == customer.partition, "a house account of another bucket"
        return f"house `{account.type}`"
    (name,) = [name for name, somebody in people.items() if somebody.pk == account.customer_id]
    return f"{name} `{account.type}`"


def said(transfer: Transfer, people: dict[str, Customer]) -> tuple[str, str, str, int, str, str]:
    """A transfer in the page's words."""
    customer = next((one for one in people.values() if one.pk == transfer.customer_id), None)
    assert (customer is None) == (transfer.customer_id is None)
    return (
        transfer.kind,
        owner_of(transfer.debit_account, customer, people),
        owner_of(transfer.credit_account, customer, people),
        int(transfer.amount),
        transfer.asset_id,
        transfer.key,
    )


def held(player: Player, who: str, type_: str, asset: str) -> int:
    """A balance of somebody's, or the house's over all its buckets."""
    if who != "house":
        return balance(player.who(who), type_, asset)
    return sum(row.balance for row in LedgerAccount.objects.filter(customer=None, asset=asset, type=type_))


def expected(told: Told, named: dict[str, str]) -> tuple[str, str, str, int, str, str]:
    return (
        told.kind,
        told.debit,
        told.credit,
        base_units(told.amount),
        told.amount.split()[1],
        told.key.format(**named),
    )


@pytest.mark.django_db
@pytest.mark.parametrize("example", list(examples()), ids=lambda example: example.title)
def test_the_story_moves_what_the_page_says_and_nothing_else(example: Example) -> None:
    player = Player()
    for line in example.story[:-1]:
        player.play(line)
    before = set(Transfer.objects.values_list("pk", flat=True))

    player.play(example.story[-1])

    moved = Transfer.objects.exclude(pk__in=before).select_related("debit_account", "credit_account")
    assert sorted(said(transfer, player.people) for transfer in moved) == sorted(
        expected(told, player.named) for told in example.transfers
    )
    assert example.balances, "the page doesn't say what is left"
    for who, type_, amount in example.balances:
        assert held(player, who, type_, amount.split()[1]) == base_units(amount), f"{who} {type_}"
    assert what_the_audit_finds() == []
    beancount_agrees()


# --- the page is complete --------------------------------------------------------------------------

KIND = re.compile(
    r"(?:order|trade|payment|leg|break)_[a-z_]+|deposit|withdrawal|adjustment|reversal|capital_in|profit_out|fees_out"
)


def product_modules() -> list[Path]:
    apps = ("accounts", "quotes", "trades", "brokerage")
    return [path for app in apps for path in (CHECKOUT / app).rglob("*.py") if "migrations" not in path.parts]


def writers() -> dict[str, ast.Module]:
    """The modules that make movements, besides the ledger itself."""
    found = {}
    for path in product_modules():
        tree = ast.parse(path.read_text())
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
        in_a_tick = any(ast.unparse(call) == "session.move" for call in calls)
        if in_a_tick or called & {"Movement", "Posting", "post_selected"}:
            found[str(path.relative_to(CHECKOUT))] = tree
    found.pop("accounts/ledger.py", None)
    return found


def test_every_kind_of_movement_in_the_code_has_an_example_and_no_example_is_of_a_kind_that_is_gone() -> None:
    in_code = {
        node.value
        for tree in writers().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and KIND.fullmatch(node.value)
    }

    on_page = {told.kind for example in examples() for told in example.transfers}

    assert in_code == on_page == KINDS.keys()


def test_only_the_modules_that_this_page_was_written_from_make_movements() -> None:
    assert sorted(writers()) == [
        "accounts/services/funding.py",
        "trades/corrections/batch_reversal.py",
        "trades/corrections/money.py",
        "trades/corrections/payment_return.py",
        "trades/corrections/reversal.py",
        "trades/margin/advances.py",
        "trades/margin/hedging.py",
        "trades/margin/positions.py",
        "trades/margin/session.py",
        "trades/payments/money.py",
        "trades/settlement/legs.py",
        "trades/settlement/settle.py",
        "trades/spot/money.py",
    ]


def test_only_the_modules_that_the_page_names_write_transfers_and_balances() -> None:
    (said,) = re.findall(r"^Only the ledger writes these tables: (.+?)\. ", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    writes = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM|COPY)\s+accounts_(?:transfer|ledgeraccount)\b")

    writing = {str(path.relative_to(CHECKOUT)) for path in product_modules() if writes.search(path.read_text())}

    assert writing == set(re.findall(r"`([^`]+)`", said))
