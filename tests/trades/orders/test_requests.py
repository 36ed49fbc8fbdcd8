"""What a body asks for, in the contract's words and in the order in which it refuses."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts import exact
from accounts.errors import Malformed
from accounts.ids import uuid7
from trades.orders.commands import CANCEL, CHANGE, CLOSE, CLOSE_ALL, CREATE, Command, decode, encode
from trades.orders.errors import OrderNotFound, OrderNotFoundOrClosed
from trades.orders.requests import cancel_terms, change_terms, close_all_terms, close_terms, create_terms

pytestmark = pytest.mark.django_db

MARKET = {"symbol": "BTC-USD", "type": "buy", "quantity": "0.1", "leverage": 10}
LIMIT = MARKET | {"orderType": "limit", "price": "40000"}
CODE = "ord_0123456789abcdef"
NOTHING = "Nothing to change: takeProfit, stopLoss, trailingStop or price"


def refusal_of(terms: Any, *body: Any) -> str:
    with pytest.raises(Malformed) as refused:
        terms(*body)
    return refused.value.text


# --- creating --------------------------------------------------------------------------------------


def test_a_market_order_is_what_is_meant_when_nothing_else_is_said() -> None:
    assert create_terms(MARKET | {"trailingStop": "", "price": None, "takeProfit": Decimal("43000.50")}) == {
        "symbol": "BTC-USD",
        "side": "buy",
        "quantity": "0.1",
        "leverage": 10,
        "takeProfit": "43000.5",
        "stopLoss": None,
        "slippage": None,
        "expectedPrice": None,
        "clientOrderId": None,
        "orderType": "market",
        "price": None,
        "trailingStop": None,
    }


def test_a_pending_order_carries_its_price_and_its_stops_as_exact_texts() -> None:
    terms = create_terms(
        LIMIT | {"orderType": "STOP", "price": 41_000, "trailingStop": Decimal("250.10"), "type": "Sell"}
    )
    assert (terms["orderType"], terms["price"], terms["trailingStop"], terms["side"]) == (
        "stop",
        "41000",
        "250.1",
        "sell",
    )


# Each body is wrong in everything from its own field on: the first complaint is the contract's.
WRONG = {
    "type": "hold",
    "quantity": 0,
    "leverage": "1.5",
    "slippage": -1,
    "takeProfit": 0,
    "stopLoss": True,
    "expectedPrice": "NaN",
    "orderType": "iceberg",
    "price": 0,
    "trailingStop": [1],
}


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("type", "Type must be 'buy' or 'sell'"),
        ("quantity", "Quantity must be greater than 0"),
        ("leverage", "Leverage must be a positive whole number"),
        ("slippage", "Slippage must be zero or a positive number"),
        ("takeProfit", "Take profit must be greater than 0"),
        ("stopLoss", "Stop loss must be greater than 0"),
        ("expectedPrice", "Expected price must be greater than 0"),
        ("orderType", "Order type must be market, limit or stop"),
        ("price", "Price must be greater than 0"),
        ("trailingStop", "Trailing stop must be greater than 0"),
    ],
)
def test_a_creation_is_refused_in_the_contracts_order(field: str, sentence: str) -> None:
    names = list(WRONG)
    body = LIMIT | {name: WRONG[name] for name in names[names.index(field) :]}
    assert refusal_of(create_terms, body) == sentence
    assert refusal_of(create_terms, {"symbol": "", **body}) == sentence
    missing = refusal_of(create_terms, body | {"symbol": ""})
    assert missing == "Missing required parameters: symbol, type, quantity, leverage"


@pytest.mark.parametrize("of_the_market", [{"slippage": 1}, {"expectedPrice": 42_000}, {"slippage": 0}])
def test_slippage_is_refused_for_an_order_that_waits_for_its_price(of_the_market: dict[str, int]) -> None:
    assert refusal_of(create_terms, LIMIT | of_the_market) == "Slippage applies to market orders only"
    assert create_terms(MARKET | of_the_market)


@pytest.mark.parametrize("absent", [{}, {"price": None}, {"price": ""}])
def test_an_order_that_waits_needs_a_price(absent: dict[str, Any]) -> None:
    body = {name: value for name, value in LIMIT.items() if name != "price"} | absent
    assert refusal_of(create_terms, body) == "Price must be greater than 0"


def test_a_market_order_with_a_price_is_refused_rather_than_opened_at_another_one() -> None:
    assert refusal_of(create_terms, MARKET | {"price": 40_000}) == "Price applies to limit and stop orders only"


# --- closing ---------------------------------------------------------------------------------------


def test_a_close_is_of_all_or_of_a_quantity() -> None:
    assert close_terms({"orderId": CODE}) == {"orderId": CODE, "quantity": None}
    assert close_terms({"orderId": CODE, "quantity": ""}) == {"orderId": CODE, "quantity": None}
    assert close_terms({"orderId": CODE, "quantity": Decimal("0.050")}) == {"orderId": CODE, "quantity": "0.05"}


@pytest.mark.parametrize("quantity", [0, -1, "0", "many", True, [1], {"a": 1}, "1e400", 10**39, "0." + "0" * 18 + "1"])
def test_a_part_that_is_no_quantity_is_refused(quantity: object) -> None:
    said = refusal_of(close_terms, {"orderId": CODE, "quantity": quantity})
    assert said == "Quantity must be greater than 0"


def test_a_close_without_an_order_says_so_first() -> None:
    assert refusal_of(close_terms, {"quantity": 0}) == "Missing required parameters: orderId"


# --- changing and cancelling -----------------------------------------------------------------------


def test_a_change_names_what_it_sets_and_what_it_clears_and_nothing_else() -> None:
    terms = change_terms(CODE, {"price": "41000", "stopLoss": None, "takeProfit": "", "status": "CLOSED", "margin": 0})
    assert terms == {"orderId": CODE, "set": {"takeProfit": None, "stopLoss": None, "price": "41000"}}
    # The order of names is ours, not the caller's: an Idempotency-Key stands for the meaning.
    assert list(terms["set"]) == ["takeProfit", "stopLoss", "price"]


@pytest.mark.parametrize("body", [{}, {"status": "OPEN"}, {"take_profit": 1}])
def test_a_change_of_nothing_is_refused(body: dict[str, Any]) -> None:
    assert refusal_of(change_terms, CODE, body) == NOTHING


@pytest.mark.parametrize("price", [None, "", 0, -1, False])
def test_a_price_can_be_moved_but_not_taken_away(price: object) -> None:
    assert refusal_of(change_terms, CODE, {"price": price}) == "Price must be greater than 0"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("takeProfit", "Take profit must be greater than 0"),
        ("stopLoss", "Stop loss must be greater than 0"),
        ("trailingStop", "Trailing stop must be greater than 0"),
    ],
)
def test_a_stop_is_set_above_zero(name: str, sentence: str) -> None:
    for wrong in (0, -1, "0", True, [], {}, "x"):
        assert refusal_of(change_terms, CODE, {name: wrong}) == sentence


@pytest.mark.parametrize("named", ["", "ord_", "ord_0123456789ABCDEF", CODE + "0", "ord_\x00123456789abcdef", "١" * 20])
def test_what_can_be_no_order_is_not_found_before_the_engine_is_asked(named: str) -> None:
    for ask in (lambda: cancel_terms(named), lambda: change_terms(named, {"stopLoss": 1})):
        with pytest.raises(OrderNotFound):
            ask()


# --- closing all -----------------------------------------------------------------------------------


def test_close_all_is_of_everything_or_of_one_symbol_by_any_of_its_names() -> None:
    assert close_all_terms({}) == close_all_terms({"symbol": None}) == close_all_terms({"symbol": ""})
    assert close_all_terms({}) == {"symbol": None}
    assert close_all_terms({"symbol": "btcusdt"}) == {"symbol": "BTC-USD"}


@pytest.mark.parametrize("symbol", ["DOGE", "BTC-", 1, True, ["BTC-USD"], {"a": 1}, "x" * 10_000, "BTC\x00"])
def test_an_unknown_symbol_never_means_everything(symbol: object) -> None:
    assert refusal_of(close_all_terms, {"symbol": symbol}) == "symbol is unknown"


# --- anything at all -------------------------------------------------------------------------------

NAMES = [
    *("symbol", "type", "quantity", "leverage", "takeProfit", "stopLoss", "slippage", "expectedPrice"),
    *("orderType", "price", "trailingStop", "clientOrderId", "orderId", "other"),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=True, allow_infinity=True)
    | st.text(max_size=80)
    | st.sampled_from(["buy", "SELL", "limit", "stop", "market", "BTC", "0.1", "NaN", "Infinity", "1e400", "-0", CODE])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
BODIES = st.dictionaries(st.sampled_from(NAMES), VALUES)


@given(
    usual=st.sampled_from([{}, MARKET, LIMIT, {"orderId": CODE}]),
    body=BODIES,
    named=st.sampled_from([CODE, "ord_1"]) | st.text(max_size=64),
)
@example(usual=MARKET, body={"quantity": Decimal("1E+400"), "leverage": 2**15}, named=CODE)
@example(usual=LIMIT, body={"price": Decimal("sNaN"), "symbol": "\ud800"}, named="\x00")
@settings(max_examples=300, deadline=None)
def test_any_body_becomes_sound_terms_or_a_refusal(usual: dict[str, Any], body: dict[str, Any], named: str) -> None:
    body = usual | body
    asked = {
        CREATE: lambda: create_terms(body),
        CLOSE: lambda: close_terms(body),
        CHANGE: lambda: change_terms(named, body),
        CANCEL: lambda: cancel_terms(named),
        CLOSE_ALL: lambda: close_all_terms(body),
    }
    for kind, ask in asked.items():
        with suppress(Malformed, OrderNotFound, OrderNotFoundOrClosed):
            assert _survives_the_stream(kind, ask())


def _survives_the_stream(kind: str, terms: dict[str, Any]) -> bool:
    command = Command(uuid7(), kind, uuid7(), uuid7(), terms)
    numbers = [terms.get(name) for name in ("quantity", "price", "trailingStop", "takeProfit", "stopLoss")]
    assert all(Decimal(number) > 0 for number in numbers if number is not None)
    return decode(encode(command)).terms == terms


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,0123456789eE+-.tfn \\u\x00', max_size=120).map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_json_or_a_refusal(body: bytes) -> None:
    value: Any = None
    with suppress(exact.NotJSON):
        value = exact.loads(body)
    if isinstance(value, dict):
        for terms in (create_terms, close_terms, close_all_terms):
            with suppress(Malformed, OrderNotFoundOrClosed):
                terms(value)
