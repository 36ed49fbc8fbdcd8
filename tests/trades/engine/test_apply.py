"""What a tick does with commands: the rules of money, the refusals, and replays."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from accounts import services, tokens
from accounts.db.pipeline import pipeline
from accounts.ledger import MARGIN
from accounts.models import Transfer, User
from tests.given import a_customer, balance, btc_at, price_at, usd
from tests.trades.engine_steps import closing, opening, opens, tick
from trades.engine import queries
from trades.models import Deal, IdempotentAnswer, Order

pytestmark = pytest.mark.django_db

NOT_FOUND = '{"error":"Order not found or already closed","message":"Order not found or already closed"}'


def test_opening_reserves_the_margin_and_closing_pays_the_profit() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_340.00", "42_350.75")

    order = opens(alice, quantity="0.1", leverage=10)

    assert order.open_price == Decimal("42350.75")
    assert int(order.margin) == usd("423.51")  # 423.5075, rounded up
    assert balance(alice) == usd("9_576.49")
    assert balance(alice, MARGIN) == usd("423.51")

    btc_at("43_605.75", "43_610.00")
    (told,) = tick(closing(alice, order.code))

    assert told.status == 200
    assert list(told.body) == ["message", "order"]
    assert list(told.body["order"])[:4] == ["orderId", "status", "closePrice", "profit"]
    assert told.text.startswith(
        f'{{"message":"Order closed successfully","order":{{"orderId":"{order.code}","status":"CLOSED",'
        '"closePrice":43605.75,"profit":125.50,'
    )
    assert balance(alice) == usd("10_125.50")
    assert balance(alice, MARGIN) == 0


def test_a_sell_opens_at_the_bid_closes_at_the_ask_and_earns_when_the_price_falls() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_010.00")
    order = opens(alice, type="SELL", quantity="0.5", leverage=20)

    btc_at("41_000.00", "41_010.00")
    (told,) = tick(closing(alice, order.code))

    assert order.open_price == Decimal(42000)
    assert told.body["order"]["closePrice"] == Decimal("41010.00")
    assert told.body["order"]["profit"] == Decimal("495.00")
    assert balance(alice) == usd("10_495.00")


def test_leverage_never_multiplies_profit() -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("40_000.00")
    low, high = opens(alice, leverage=5), opens(bob, leverage=100)

    btc_at("40_100.00")
    told = tick(closing(alice, low.code), closing(bob, high.code))

    assert [one.body["order"]["profit"] for one in told] == [Decimal("10.00"), Decimal("10.00")]


def test_two_closes_of_one_order_in_one_tick_are_a_close_and_a_refusal() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    first, second = tick(closing(alice, order.code), closing(alice, order.code))

    assert (first.status, second.status) == (200, 400)
    assert second.text == NOT_FOUND
    assert Deal.objects.filter(order=order, kind="close").count() == 1
    assert balance(alice) == usd("10_000.00")


def test_an_order_may_open_and_close_in_one_tick() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00", "42_100.00")
    create = opening(alice)
    tick(create)
    order = Order.objects.get(customer=alice)

    closed, reopened = tick(closing(alice, order.code), opening(alice, quantity="0.2"))

    assert (closed.status, reopened.status) == (200, 200)
    assert balance(alice) + balance(alice, MARGIN) == usd("9_990.00")


def test_somebody_elses_order_an_unknown_one_and_a_closed_one_are_the_same_bytes() -> None:
    alice, mallory = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)

    told = tick(
        closing(mallory, order.code),
        closing(mallory, "ord_0000000000000000"),
        closing(alice, order.code),
        closing(alice, order.code),
    )

    assert [one.text for one in (told[0], told[1], told[3])] == [NOT_FOUND] * 3
    assert told[2].status == 200


def test_a_loss_beyond_the_customers_money_is_the_houses() -> None:
    alice = a_customer(with_usd="500.00")
    btc_at("40_000.00")
    order = opens(alice, quantity="1", leverage=100)

    btc_at("39_000.00")
    (told,) = tick(closing(alice, order.code))

    assert told.body["order"]["profit"] == Decimal("-1000.00")
    assert balance(alice) == balance(alice, MARGIN) == 0
    protection = Transfer.objects.get(customer=alice, kind="order_protection")
    assert int(protection.amount) == usd("500.00")


def test_a_loss_beyond_the_free_cash_draws_on_other_orders_margin_before_the_house_pays() -> None:
    alice = a_customer(with_usd="1_000.00")
    btc_at("40_000.00")
    losing = opens(alice, quantity="1", leverage=100)  # reserves 400
    staying = opens(alice, quantity="1", leverage=100)  # reserves 400

    btc_at("39_300.00")
    tick(closing(alice, losing.code))  # loses 700: 600 was free after its release

    assert balance(alice) == 0
    assert balance(alice, MARGIN) == usd("300.00")
    assert not Transfer.objects.filter(customer=alice, kind="order_protection").exists()

    btc_at("40_000.00")
    (told,) = tick(closing(alice, staying.code))
    assert told.status == 200
    assert balance(alice) == usd("300.00")
    assert balance(alice, MARGIN) == 0


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"quantity": "10"}, "Insufficient balance. Required: $42000.00, Available: $10000.00"),
        ({"symbol": "NOPE"}, "Price data not found for symbol: NOPE"),
        ({"symbol": "ETH-USD"}, "Price data not found for symbol: ETH-USD"),
        (
            {"takeProfit": "41000"},
            "Take profit must be above the execution price 42000.00 for a buy order",
        ),
        ({"stopLoss": "42000"}, "Stop loss must be below the execution price 42000.00 for a buy order"),
        (
            {"type": "sell", "takeProfit": "43000"},
            "Take profit must be below the execution price 42000.00 for a sell order",
        ),
        (
            {"type": "sell", "stopLoss": "41000"},
            "Stop loss must be above the execution price 42000.00 for a sell order",
        ),
        (
            {"expectedPrice": "41000", "slippage": "1"},
            "Price moved beyond the slippage of 1%. Expected: 41000.00, Current: 42000.00",
        ),
        ({"leverage": 101}, "Leverage must be at most 100 for BTC-USD"),
        ({"quantity": "0.000001"}, "Quantity must be between 0.00001 and 1000 for BTC-USD"),
        ({"quantity": "0.123456789"}, "Quantity may have 8 decimals for BTC-USD"),
    ],
)
def test_the_engine_says_why_it_refuses_and_changes_nothing(wanted: dict[str, object], sentence: str) -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")

    (told,) = tick(opening(alice, **({"leverage": 10} | wanted)))

    assert (told.status, told.body) == (400, {"error": sentence, "message": sentence})
    assert balance(alice) == usd("10_000.00")
    assert not Order.objects.filter(customer=alice).exists()


def test_a_price_that_moved_in_the_clients_favour_is_no_slippage() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    assert opens(alice, expectedPrice="45000", slippage="0").open_price == Decimal(42000)


def test_nothing_closes_without_a_price() -> None:
    alice = a_customer(with_usd="10_000.00")
    price_at("ETH-USD", "2_000.00")
    order = opens(alice, symbol="eth", quantity="1")
    from quotes import prices

    prices.forget()
    (told,) = tick(closing(alice, order.code))

    assert told.body["error"] == "Price data not found for symbol: ETH-USD"
    order.refresh_from_db()
    assert order.status == "OPEN"


def test_a_command_that_comes_again_changes_nothing_and_answers_what_happened() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    create = opening(alice)
    (created,) = tick(create)
    (created_again,) = tick(create)
    close = closing(alice, created.body["orderId"])
    (closed,) = tick(close)
    moved = Transfer.objects.filter(customer=alice).count()

    btc_at("50_000.00")
    again, also_again = tick(close, close)

    assert created_again.body["orderId"] == created.body["orderId"]
    assert again.text == also_again.text == closed.text
    assert Transfer.objects.filter(customer=alice).count() == moved


def test_a_key_answers_the_same_bytes_again_and_refuses_another_request() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order, other = opens(alice), opens(alice)

    (first,) = tick(closing(alice, order.code, key="k"))
    btc_at("43_000.00")
    again, another = tick(closing(alice, order.code, key="k"), closing(alice, other.code, key="k"))

    assert (again.status, again.text, again.replayed) == (200, first.text, True)
    assert (another.status, another.body["error"]) == (422, "Idempotency-Key was used with another request")
    other.refresh_from_db()
    assert other.status == "OPEN"
    assert IdempotentAnswer.objects.filter(customer=alice).count() == 1


def test_a_refusal_is_stored_under_its_key_too() -> None:
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")

    (refused,) = tick(opening(alice, key="k", quantity="100"))
    (again,) = tick(opening(alice, key="k", quantity="100"))

    assert (again.status, again.text, again.replayed) == (400, refused.text, True)


def test_a_client_order_id_names_one_order_and_the_refusal_names_the_first() -> None:
    alice, bob = a_customer(with_usd="10_000.00"), a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    first = opens(alice, clientOrderId="mine")

    (taken,) = tick(opening(alice, clientOrderId="mine"))
    opens(bob, clientOrderId="mine")

    assert (taken.status, taken.body["orderId"]) == (409, first.code)


@pytest.mark.parametrize("end", ["everywhere", "alone", "somebody else's"])
def test_a_command_under_a_session_that_has_ended_is_refused_in_the_tick_itself(end: str) -> None:
    """Guard: `_may_ask` of `decide`: the generation, and the sessions that ended alone."""
    alice = a_customer(with_usd="10_000.00")
    btc_at("42_000.00")
    order = opens(alice)
    pair = tokens.trader_pair(User.objects.get(pk=alice.user_id))
    claims = tokens.verify(f"Bearer {pair.access}")
    queued = replace(closing(alice, order.code), generation=claims.generation, session_id=claims.session_id)

    if end == "everywhere":
        services.log_out_everywhere([alice.user_id])
    else:
        tokens.revoke(pair.refresh if end == "alone" else tokens.trader_pair(a_customer().user).refresh)
    (told,) = tick(queued)

    order.refresh_from_db()
    if end == "somebody else's":
        assert (told.status, order.status) == (200, "CLOSED")
    else:
        assert (told.status, told.body) == (401, {"error": "Token expired or invalid"})
        assert order.status == "OPEN"


def test_a_tick_reads_no_other_session_than_those_in_which_it_is_asked() -> None:
    """Guard: `id = ANY` in `queries.customer_rows`. Somebody who logs in and out all day would slow every tick down."""
    alice = a_customer()
    ended = [tokens.trader_pair(User.objects.get(pk=alice.user_id)) for _ in range(3)]
    for pair in ended:
        tokens.revoke(pair.refresh)
    asked = tokens.verify(f"Bearer {ended[0].access}").session_id
    assert asked is not None

    with pipeline() as p:
        row = queries.customer_rows(p, [alice.pk], [asked]).result()[alice.pk]

    assert list(row.ended) == [asked]


@pytest.mark.parametrize("asks", ["as disabled", "as somebody else"])
def test_nobody_but_the_active_owner_is_obeyed_whatever_generation_they_name(asks: str) -> None:
    """Guards: `is_active` and `asker_id` in `_may_ask`."""
    alice, bob = a_customer(with_usd="10_000.00"), a_customer()
    btc_at("42_000.00")
    order = opens(alice)
    User.objects.filter(pk=alice.user_id).update(is_active=asks != "as disabled")
    queued = replace(closing(alice, order.code), generation=User.objects.get(pk=alice.user_id).generation)

    (told,) = tick(replace(queued, asker_id=bob.user_id) if asks == "as somebody else" else queued)

    assert (told.status, told.body) == (401, {"error": "Token expired or invalid"})
    order.refresh_from_db()
    assert order.status == "OPEN"
