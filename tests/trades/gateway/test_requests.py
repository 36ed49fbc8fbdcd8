"""What a body asks for, in the contract's words and in the order in which it refuses."""

from __future__ import annotations

import time
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accounts import json_codec
from accounts.errors import Malformed
from accounts.ids import uuid7
from trades.gateway.requests import cancel_terms, change_terms, close_all_terms, close_terms, create_terms
from trades.margin.commands import Command, decode, encode
from trades.margin.errors import OrderNotFound, OrderNotFoundOrClosed
from trades.margin.kinds import CANCEL, CHANGE, CLOSE, CLOSE_ALL, CREATE

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
    assert create_terms(MARKET | {"slippage": 1, "expectedPrice": 42_000} | of_the_market)


@pytest.mark.parametrize(
    "half", [{"slippage": 1}, {"slippage": 0}, {"expectedPrice": 42_000}, {"slippage": "1", "expectedPrice": ""}]
)
def test_half_of_a_protection_against_slippage_is_refused_rather_than_dropped(half: dict[str, Any]) -> None:
    assert refusal_of(create_terms, MARKET | half) == "Slippage and expectedPrice go together"
    assert create_terms(MARKET | {"slippage": None, "expectedPrice": ""})["slippage"] is None


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


@pytest.mark.parametrize("quantity", [0, -1, "0", "many", True, [1], {"a": 1}, "-1e400", -(10**39)])
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


@pytest.mark.parametrize("body", [{}, {"status": "OPEN"}, {"comment": 1}])
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


# --- what was asked for, and would be dropped --------------------------------------------------------

CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "create": (create_terms, MARKET),
    "close": (close_terms, {"orderId": CODE}),
    "change": (lambda body: change_terms(CODE, body), {"stopLoss": "40000"}),
    "close-all": (close_all_terms, {}),
}
NOT_OFFERED = [
    ("guaranteedStopLoss", 40_000),
    ("reduceOnly", True),
    ("closePosition", True),
    ("positionId", "7"),
    ("timeInForce", "IOC"),
    ("timeInForce", ["GTC"]),
    ("expiresAt", "2026-12-01T00:00:00Z"),
    ("goodTillDate", 1_800_000_000),
    ("postOnly", "true"),
    ("hedge", True),
    ("hedge", False),
    ("oco", {"stopLoss": 1}),
    ("reduce_only", True),
    ("TimeInForce", "FOK"),
    ("time_in_force", 0),
    ("gslo", 1),
    ("tif", "DAY"),
]


@pytest.mark.parametrize(("name", "value"), NOT_OFFERED)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_offered_is_refused_by_its_name_in_every_call(call: str, name: str, value: object) -> None:
    terms, usual = CALLS[call]
    assert refusal_of(terms, usual | {name: value}) == f"{name} is not offered"
    assert refusal_of(terms, {name: value}) == f"{name} is not offered"  # before anything else is looked at


@pytest.mark.parametrize(
    "nothing",
    [
        {"guaranteedStopLoss": None, "expiresAt": "", "reduceOnly": False, "postOnly": False, "hedge": None},
        {"timeInForce": "GTC"},
        {"timeInForce": "gtc", "time_in_force": None},
    ],
)
@pytest.mark.parametrize("call", CALLS)
def test_what_is_not_offered_may_be_named_where_nothing_of_it_is_asked_for(call: str, nothing: dict[str, Any]) -> None:
    terms, usual = CALLS[call]
    assert terms(usual | nothing) == terms(usual)


SPELLINGS = {
    "stopLoss": "stop_loss stoploss StopLoss STOP_LOSS stop-loss Stop_Loss sl SL stopLossPrice \uff53top\uff2coss",
    "takeProfit": "take_profit takeprofit TakeProfit TAKE_PROFIT take-profit tp TP takeProfitPrice",
    "trailingStop": "trailing_stop trailingstop TrailingStop trailing tsl trailing_stop_loss trailingDistance",
    "orderId": "order_id orderid OrderId orderID ORDER_ID order-id",
    "clientOrderId": "client_order_id clientorderid ClientOrderId clientOrderID client-order-id",
    "symbol": "Symbol SYMBOL sym_bol",
    "type": "Type TYPE",
    "quantity": "Quantity QUANTITY",
    "leverage": "Leverage LEVERAGE",
    "slippage": "Slippage SLIPPAGE",
    "expectedPrice": "expected_price expectedprice ExpectedPrice",
    "orderType": "order_type ordertype OrderType",
    "price": "Price PRICE",
}
SAID = [(written, meant) for meant, all_ in SPELLINGS.items() for written in all_.split()]
OF_A_CALL = {
    "create": "qty size amount volume side direction ticker lev limitPrice trigger_price deviation cl_ord_id",
    "close": "id ids orderIds qty size amount lots max_slippage limit_price",
    "change": "qty volume lev limitPrice maxSlippage",
    "close-all": "symbols ticker instrument pair market asset coin id order_ids side qty",
}


@pytest.mark.parametrize(("written", "meant"), SAID)
@pytest.mark.parametrize("call", CALLS)
def test_another_spelling_is_refused_and_told_the_right_one(call: str, written: str, meant: str) -> None:
    terms, usual = CALLS[call]
    for value in ("1", None, ""):  # a null by another name would have taken a stop away
        assert refusal_of(terms, usual | {written: value}) == f"Unknown field {written}; did you mean {meant}?"


@pytest.mark.parametrize(
    ("call", "written"), [(call, word) for call, all_ in OF_A_CALL.items() for word in all_.split()]
)
def test_an_abbreviation_of_what_a_call_takes_is_refused(call: str, written: str) -> None:
    terms, usual = CALLS[call]
    assert refusal_of(terms, usual | {written: "1"}).startswith(f"Unknown field {written}; did you mean ")


def test_the_closes_own_example() -> None:
    assert refusal_of(close_terms, {"order_id": CODE}) == "Unknown field order_id; did you mean orderId?"


@pytest.mark.parametrize(
    ("call", "names"),
    [
        ("close", "takeProfit stopLoss trailingStop slippage expectedPrice orderType price"),
        ("change", "quantity leverage slippage expectedPrice"),
        ("close-all", "orderId quantity type clientOrderId slippage expectedPrice stopLoss price"),
    ],
)
def test_what_another_call_takes_is_not_dropped_where_it_would_have_narrowed_this_one(call: str, names: str) -> None:
    terms, usual = CALLS[call]
    for name in names.split():
        assert refusal_of(terms, usual | {name: "1"}) == f"{name} is not offered here"
        assert terms(usual | {name: None}) == terms(usual | {name: ""}) == terms(usual)


@pytest.mark.parametrize(
    "name", ["comment", "status", "margin", "userId", "", "x" * 100_000, "\x00", "🦑", "__class__"]
)
@pytest.mark.parametrize("call", CALLS)
def test_any_other_unknown_field_is_ignored(call: str, name: str) -> None:
    terms, usual = CALLS[call]
    assert terms(usual | {name: "1"}) == terms(usual)


# --- numbers ---------------------------------------------------------------------------------------

NUMBERS = {
    "quantity": "Quantity must be greater than 0",
    "leverage": "Leverage must be a positive whole number",
    "slippage": "Slippage must be zero or a positive number",
    "takeProfit": "Take profit must be greater than 0",
    "stopLoss": "Stop loss must be greater than 0",
    "expectedPrice": "Expected price must be greater than 0",
    "trailingStop": "Trailing stop must be greater than 0",
}
NO_NUMBERS = [
    "\u0661",
    "\uff11",
    "\u0967",
    " 1",
    "1 ",
    "1\n",
    "\xa01",
    "1_000",
    "0x10",
    "--1",
    "1\x00",
    "NaN",
    "-1",
    True,
    [1],
    {},
]
WITH_SLIPPAGE = MARKET | {"slippage": 1, "expectedPrice": 42_000}


@pytest.mark.parametrize("given_", NO_NUMBERS, ids=ascii)
@pytest.mark.parametrize("name", NUMBERS)
def test_what_only_some_would_read_as_a_number_is_none(name: str, given_: object) -> None:
    assert refusal_of(create_terms, WITH_SLIPPAGE | {name: given_}) == NUMBERS[name]


@pytest.mark.parametrize("given_", ["1e3", "+1000", "1000.000", Decimal("1e3"), 1000])
def test_a_number_may_be_written_as_one_likes(given_: object) -> None:
    assert create_terms(MARKET | {"stopLoss": given_})["stopLoss"] == "1000"


@pytest.mark.parametrize("given_", [Decimal("1e30"), "1e20", 10**20, "1e99999999999999999999", 10**60])
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_too_large_is_told_so(name: str, given_: object) -> None:
    called = NUMBERS[name].partition(" must")[0]
    said = refusal_of(create_terms, WITH_SLIPPAGE | {name: given_})
    assert said == f"{called} must be less than 100000000000000000000"


def test_a_number_that_is_too_fine_is_told_so() -> None:
    assert refusal_of(create_terms, MARKET | {"stopLoss": "1e-19"}) == "Stop loss has more than 18 decimals"
    assert refusal_of(close_terms, {"orderId": CODE, "quantity": Decimal("0.1234567890123456789")}) == (
        "Quantity has more than 18 decimals"
    )


def test_a_leverage_beyond_any_instruments_is_told_so() -> None:
    assert refusal_of(create_terms, MARKET | {"leverage": 2**15}) == "Leverage must be at most 32767"
    assert create_terms(MARKET | {"leverage": 2**15 - 1})["leverage"] == 32767


def test_a_long_text_costs_no_more_than_reading_it() -> None:
    started = time.process_time()
    for text in ("1" * 900_000 + "x", "0." + "1" * 900_000, "1e" + "9" * 900_000):
        refusal_of(create_terms, MARKET | {"stopLoss": text})
    assert time.process_time() - started < 1


# --- anything at all -------------------------------------------------------------------------------

NAMES = [
    *("symbol", "type", "quantity", "leverage", "takeProfit", "stopLoss", "slippage", "expectedPrice"),
    *("orderType", "price", "trailingStop", "clientOrderId", "orderId", "other", "stop_loss", "reduceOnly", "id"),
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
    with suppress(json_codec.NotJSON):
        value = json_codec.loads(body)
    if isinstance(value, dict):
        for terms in (create_terms, close_terms, close_all_terms):
            with suppress(Malformed, OrderNotFoundOrClosed):
                terms(value)
