"""The firm's limits: what would open beyond one is refused, or cancelled where it waited; what closes never is."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import Malformed
from accounts.ids import partition_of
from accounts.models import Customer
from tests.given import a_customer, btc_at, price_at
from tests.trades.corrections.staff import a_member_of_staff
from tests.trades.engine_steps import (
    became,
    changing,
    closes,
    closing_all,
    fires,
    judges,
    now,
    opening,
    opens,
    places,
    placing,
    refused,
    says,
    tick,
)
from trades import controls, risk_limits
from trades.margin.errors import code_of
from trades.models import OpenExposure, Order, OrderEvent, RiskLimit
from trades.order_audit import CHECKS

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

FULL = "Beyond a limit: no more of BTC-USD can be opened now"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


@pytest.fixture
def bob(alice: Customer) -> Customer:
    """Of another partition than alice."""
    for number in range(100):
        customer = a_customer(f"bob{number}", with_usd="100_000.00")
        if partition_of(customer.pk) != partition_of(alice.pk):
            return customer
    raise AssertionError("all of one partition")


def raised(limit: RiskLimit, amount: int | None) -> None:
    maker, checker, at = a_member_of_staff("maker").pk, a_member_of_staff("checker").pk, timezone.now()
    change = risk_limits.raising(limit.pk, amount)
    one = controls.propose("limit", limit.pk, [change], reason="hedged", by=maker, at=at)
    controls.apply(one.pk, by=checker, at=at)


def counted() -> dict[str, tuple[int, int]]:
    """What is counted in each symbol, bought and sold, in whole units."""
    found: dict[str, tuple[int, int]] = {}
    for row in OpenExposure.objects.all():
        bought, sold = found.get(row.instrument_id, (0, 0))
        found[row.instrument_id] = bought + int(row.bought) // 100, sold + int(row.sold) // 100
    return found


# --- of an order ------------------------------------------------------------------------------------------------


def test_an_order_beyond_the_limit_of_one_order_is_refused_also_where_it_would_wait(alice: Customer) -> None:
    """Guards: `check_order` in `check_own`, and `check_pending` in `create`."""
    risk_limits.put("order", 4_000)
    opens(alice, quantity="0.1", leverage=10)

    told = refused(opening(alice, quantity="0.2", leverage=10))
    assert told == ("Beyond a limit: an order may come to $4000.00 at the most, and this one comes to $8000.00")
    assert code_of(400, f'{{"error":"{told}"}}') == "risk_limit"
    assert "at the most" in refused(placing(alice, "buy limit", "39000", quantity="0.2", leverage=10))
    places(alice, "buy limit", "39000", quantity="0.1", leverage=10)
    risk_limits.put("order", 1_000, of="eth-usd")
    opens(alice, quantity="0.1", leverage=10)
    price_at("ETH-USD", "2000.00", "2000.00")
    assert "at the most" in refused(opening(alice, symbol="ETH-USD", quantity="1", leverage=10))


def test_an_order_that_waited_is_cancelled_where_the_limit_is_reached_when_its_price_comes(alice: Customer) -> None:
    """Guard: LimitReached in `open_pending`. Its event says which limit."""
    orders = [places(alice, "buy limit", "39000", quantity=size, leverage=10) for size in ("0.2", "0.1")]
    risk_limits.put("order", 4_000)
    btc_at("38_000.00")
    fires(*orders)

    assert [became(one) for one in orders] == [("CANCELLED", "limit"), ("OPEN", "")]
    event = OrderEvent.objects.get(order_id=orders[0].pk, kind="cancelled")
    assert event.detail == {"reason": "limit", "limit": "order"}
    assert now(orders[0]).margin == 0


# --- of a customer ------------------------------------------------------------------------------------------------


def test_a_customers_positions_are_added_up_and_what_closes_makes_room(alice: Customer, bob: Customer) -> None:
    """Guard: the customer's part of `check_own`. Long and short count together; both of one tick are seen."""
    risk_limits.put("customer", 10_000)
    first = opens(alice, quantity="0.1", leverage=10)
    told = tick(opening(alice, type="sell", quantity="0.1"), opening(alice, quantity="0.1"))
    assert [one.status for one in told] == [200, 400]
    assert told[1].body["error"] == (
        "Beyond a limit: your open positions may come to $10000.00 at the most, and with this order $12000.00"
    )
    opens(bob, quantity="0.2", leverage=10)

    closes(alice, first, quantity="0.05")
    opens(alice, quantity="0.1", leverage=10)
    risk_limits.put("customer", 1_000, of=alice.pk.hex)
    assert "your open positions" in refused(opening(alice, quantity="0.01"))
    opens(bob, quantity="0.05", leverage=10)


def test_two_that_waited_and_fit_only_alone(alice: Customer) -> None:
    risk_limits.put("customer", 4_500)
    orders = [places(alice, "buy limit", "39000", quantity="0.1", leverage=10) for _ in range(2)]
    btc_at("38_000.00")
    fires(*orders)

    assert [became(one) for one in orders] == [("OPEN", ""), ("CANCELLED", "limit")]


def test_a_position_is_counted_once_whatever_fires_beside_it(alice: Customer) -> None:
    """Guard: `lose` in `may_be_spent`, which looks through all positions. Counted again there, each order that fires
    would take up what was open already: the customer's, the symbol's and that of the leverage's tiers."""
    risk_limits.put("customer", 12_000)
    risk_limits.put("symbol", 1_000_000)
    opens(alice, quantity="0.1", leverage=10)
    orders = [places(alice, "buy limit", "38000", quantity="0.05", leverage=10) for _ in range(3)]
    btc_at("38_000.00")
    fires(*orders)

    assert [became(one) for one in orders] == [("OPEN", "")] * 3
    assert counted() == {"BTC-USD": (9_700, 0)}
    poor = a_customer("poor", with_usd="500.00")
    opens(poor, quantity="0.1", leverage=10)
    for _ in range(2):
        waits = places(poor, "buy limit", "37000", quantity="0.1", leverage=10)
        btc_at("37_000.00")
        fires(waits)
        assert became(waits) == ("CANCELLED", "no_margin")
        btc_at("38_000.00")
    assert counted() == {"BTC-USD": (13_500, 0)}


def test_who_could_not_pay_learns_nothing_of_what_others_have_open(alice: Customer) -> None:
    """Guard: `check_firms` comes last. Refused orders cost nothing, and would tell the firm's figures to the dollar."""
    risk_limits.put("symbol_net", 4_000)
    opens(alice, quantity="0.1", leverage=10)
    poor = a_customer("poor", with_usd="0.01")

    assert "Insufficient" in refused(opening(poor, quantity="0.1", leverage=10))
    assert refused(opening(alice, quantity="0.1", leverage=10)) == FULL


# --- of a symbol and of the firm, over all engines ----------------------------------------------------------------


def test_a_symbols_limit_is_of_all_customers_of_all_partitions(alice: Customer, bob: Customer) -> None:
    """Guard: the sums of trades_openexposure. What was open before the limit is counted as well."""
    opens(alice, quantity="0.1", leverage=10)
    assert OpenExposure.objects.count() == 0
    risk_limits.put("symbol", 10_000, of="BTC-USD")
    assert counted() == {"BTC-USD": (4_000, 0)}
    sold = opens(bob, type="sell", quantity="0.1", leverage=5)
    assert counted() == {"BTC-USD": (4_000, 4_000)}

    assert refused(opening(bob, quantity="0.1")) == FULL
    assert refused(opening(alice, type="sell", quantity="0.1")) == FULL
    price_at("ETH-USD", "2000.00", "2000.00")
    opens(alice, symbol="ETH-USD", quantity="10", leverage=10)

    closes(bob, sold, quantity="0.05")
    assert counted()["BTC-USD"] == (4_000, 2_000)
    opens(alice, quantity="0.1", leverage=10)
    assert refused(opening(alice, quantity="0.001")) == FULL


def test_the_firms_limit_adds_symbols_up(alice: Customer, bob: Customer) -> None:
    price_at("ETH-USD", "2000.00", "2000.00")
    risk_limits.put("firm", 10_000)
    opens(alice, quantity="0.1", leverage=10)
    opens(bob, symbol="ETH-USD", type="sell", quantity="2.9", leverage=10)

    assert refused(opening(bob, symbol="ETH-USD", quantity="1")) == FULL.replace("BTC", "ETH")
    opens(bob, quantity="0.00001", leverage=1)


def test_a_net_limit_lets_open_what_makes_it_smaller(alice: Customer, bob: Customer) -> None:
    """Guard: `after > before`. Closing the other side is allowed, and takes it beyond the limit."""
    risk_limits.put("symbol_net", 4_000)
    risk_limits.put("firm_net", 5_000)
    opens(alice, quantity="0.1", leverage=10)
    assert refused(opening(alice, quantity="0.1")) == FULL
    sold = opens(bob, type="sell", quantity="0.2", leverage=10)
    assert refused(opening(bob, type="sell", quantity="0.1")) == FULL
    opens(alice, quantity="0.1", leverage=10)

    closes(bob, sold)
    assert counted() == {"BTC-USD": (8_000, 0)}
    assert refused(opening(alice, quantity="0.001")) == FULL
    opens(bob, type="sell", quantity="0.05", leverage=10)
    price_at("ETH-USD", "2000.00", "2000.00")
    assert refused(opening(bob, symbol="ETH-USD", type="sell", quantity="1")) == FULL.replace("BTC", "ETH")


def test_closing_is_never_refused_whatever_becomes_of_the_limits(alice: Customer) -> None:
    """All ways to close, and to change an order, with every limit at nothing."""
    orders = [opens(alice, quantity="0.1", leverage=10) for _ in range(5)]
    waits = places(alice, "buy limit", "39000", quantity="0.1", leverage=10)
    for kind in RiskLimit.Kind.values:
        risk_limits.put(kind, 0)

    closes(alice, orders[0], quantity="0.05")
    closes(alice, orders[0])
    says(changing(alice, orders[1].code, stopLoss="39500"))
    btc_at("39_400.00")
    fires(orders[1])
    assert became(orders[1]) == ("CLOSED", "stop_loss")
    btc_at("38_900.00")
    fires(waits)
    assert became(waits) == ("CANCELLED", "limit")
    says(closing_all(alice))
    assert counted() == {"BTC-USD": (0, 0)}
    assert Order.objects.filter(status="OPEN").count() == 0


def test_stop_outs_and_winners_that_pay_are_counted(alice: Customer) -> None:
    carol = a_customer("carol", with_usd="1_000.00")
    risk_limits.put("firm", 10**6)
    opens(carol, quantity="0.2", leverage=10)
    assert counted() == {"BTC-USD": (8_000, 0)}
    btc_at("36_000.00")
    judges(carol)

    assert counted() == {"BTC-USD": (0, 0)}


# --- as they change -----------------------------------------------------------------------------------------------


def test_one_person_lowers_a_limit_and_two_raise_it(alice: Customer) -> None:
    """The next tick goes by it."""
    limit = risk_limits.put("order", 4_000)
    with pytest.raises(risk_limits.LimitIsLower):
        risk_limits.put("order", 4_001)
    with pytest.raises(risk_limits.LimitIsLower):
        risk_limits.lower(limit.pk, 4_001)
    risk_limits.lower(limit.pk, 3_000)
    assert "at the most" in refused(opening(alice, quantity="0.1"))

    raised(limit, 4_000)
    opens(alice, quantity="0.1")
    raised(limit, None)
    opens(alice, quantity="0.2")
    risk_limits.put("order", 1_000)
    assert "at the most" in refused(opening(alice, quantity="0.1"))


def test_nobody_raises_a_limit_alone_through_sql(alice: Customer) -> None:
    """Guards: the triggers raised_by_two, never_changed and never_deleted. A proposal of other amounts is none."""
    limit = risk_limits.put("order", 4_000)
    mine = RiskLimit.objects.filter(pk=limit.pk)
    for loosens in (
        lambda: mine.update(amount=4_001),
        lambda: mine.update(amount=None),
        lambda: mine.update(kind="firm"),
        lambda: mine.delete(),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            loosens()
    maker, checker, at = a_member_of_staff("maker").pk, a_member_of_staff("checker").pk, timezone.now()
    one = controls.propose("limit", limit.pk, ["4000 to 5000"], reason="hedged", by=maker, at=at)
    risk_limits.lower(limit.pk, 100)
    with pytest.raises(risk_limits.LimitMoved):
        controls.apply(one.pk, by=checker, at=at)
    one.refresh_from_db()
    one.state, one.checked_by_id, one.decided_at = "applied", checker, at
    one.save(update_fields=["state", "checked_by", "decided_at"])
    with pytest.raises(IntegrityError, match="two persons"), transaction.atomic():
        mine.update(amount=5_000)


@pytest.mark.parametrize(
    ("kind", "amount", "of"),
    [
        ("nothing", 1, ""),
        ("order", -1, ""),
        ("order", 10**15 + 1, ""),
        ("firm", 1, "BTC-USD"),
        ("symbol", 1, "NO-SUCH"),
        ("symbol", 1, "\x00"),
    ],
)
def test_what_is_no_limit_is_refused(kind: str, amount: int, of: str) -> None:
    with pytest.raises(Malformed):
        risk_limits.put(kind, amount, of=of)
    assert not RiskLimit.objects.exists()


@pytest.mark.parametrize(
    "change", ["4000 to 3000", "4000 to 4000", "3999 to 5000", "x", "4000 to 9999999999999999", ""]
)
def test_what_raises_nothing_is_not_proposed(change: str) -> None:
    limit = risk_limits.put("order", 4_000)
    by = a_member_of_staff("maker").pk
    with pytest.raises(controls.NothingIsAdded):
        controls.propose("limit", limit.pk, [change], reason="x", by=by, at=timezone.now())
    with pytest.raises(controls.NothingIsAdded):
        controls.propose("limit", UUID(int=1), ["1 to 2"], reason="x", by=by, at=timezone.now())


def test_without_a_limit_of_the_firm_nothing_is_counted(alice: Customer) -> None:
    limit = risk_limits.put("symbol", 100_000)
    opens(alice, quantity="0.1")
    assert counted() == {"BTC-USD": (4_000, 0)}
    raised(limit, None)
    opens(alice, quantity="0.1")
    assert counted() == {}
    risk_limits.put("symbol", 9_000)
    assert counted() == {"BTC-USD": (8_000, 0)}


# --- the audit ----------------------------------------------------------------------------------------------------


def test_the_version_of_the_limits_stays(alice: Customer) -> None:
    """Guards: the triggers never_deleted and never_emptied. Without a version engines know of no limit."""
    risk_limits.put("order", 4_000)
    for gone in ("DELETE FROM trades_limitversion", "TRUNCATE trades_limitversion"):
        with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(gone)


def test_a_limit_without_a_version_is_a_finding(alice: Customer) -> None:
    """Guard: the check "limits known"."""
    (check,) = [one for one in CHECKS if one.name == "limits known"]
    risk_limits.put("order", 4_000)
    assert not list(check.look().findings)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM trades_limitversion")
        cursor.execute("SET LOCAL session_replication_role = origin")
    assert [one.sentence for one in check.look().findings] == ["Of 1 limits that are set engines know none."]


def test_setting_a_limit_to_what_it_is_counts_anew(alice: Customer) -> None:
    """Guard: `_written` writes also where the amount stays."""
    risk_limits.put("symbol", 100_000)
    opens(alice, quantity="0.1")
    OpenExposure.objects.update(bought=1, sold=2)
    risk_limits.put("symbol", 100_000)
    assert counted() == {"BTC-USD": (4_000, 0)}


def test_what_is_counted_wrongly_is_a_finding(alice: Customer) -> None:
    """Guard: the check "open exposure"."""
    (check,) = [one for one in CHECKS if one.name == "open exposure"]
    risk_limits.put("symbol", 100_000)
    opens(alice, quantity="0.1")

    def findings() -> list[str]:
        return [one.sentence for one in check.look().findings]

    assert findings() == []
    OpenExposure.objects.update(bought=1, sold=2)
    partition = partition_of(alice.pk)
    assert findings() == [
        f"Partition {partition} counts 1 bought and 2 sold in BTC-USD; its open orders come to 400000 and 0."
    ]
    OpenExposure.objects.all().delete()
    assert len(findings()) == 1
    risk_limits.put("symbol", 50_000)  # which counts anew
