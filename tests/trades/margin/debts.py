"""Customers in debt: a hedge over two markets, of which one is closed when the other has lost more than there is.

The house advances what is missing.
"""

from __future__ import annotations

from accounts.ledger import ADVANCES, PROTECTION
from accounts.models import Customer
from tests.given import btc_at, market_closed_at, price_at, usd
from tests.trades.engine_steps import cash, fires, house, opens, owed
from trades.models import MarginAccount, Order


def a_hedge(by: Customer, ether: str = "10", **limits: str) -> tuple[Order, Order]:
    """A whole bitcoin bought at 40,000.00 with a stop loss at 39,000.00, and ether sold at 2,000.00, leverage 100."""
    btc_at("40_000.00")
    price_at("ETH-USD", "2_000.00")
    return (
        opens(by, quantity="1", leverage=100, stopLoss="39000"),
        opens(by, symbol="eth", type="sell", quantity=ether, leverage=100, **limits),
    )


def a_debt(by: Customer) -> Order:
    """The winning half, of somebody with 1,000.00. The losing one was stopped out while ether rested.

    1,000.00 of its 2,000.00 were advanced, and nothing is left.
    """
    bitcoin, ether = a_hedge(by)
    market_closed_at("ETH-USD", "2_000.00")
    btc_at("38_000.00")
    fires(bitcoin)
    return ether


def ends_with(alice: Customer, what: str, *, borne: str = "0") -> None:
    """The customer has this much, owes nothing, and the house has borne the rest."""
    assert (cash(alice), owed(alice)) == (usd(what), 0)
    assert (house(ADVANCES), house(PROTECTION)) == (0, -usd(borne))
    assert MarginAccount.objects.get(customer=alice).owed_at is None
