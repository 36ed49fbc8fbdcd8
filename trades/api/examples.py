"""The contracts' own examples, for the API's document. Numbers stand as they are printed: 125.50 is no 125.5."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from drf_spectacular.utils import OpenApiExample

ORDER: Final = "ord_1234567890abcdef"
AT: Final = "2026-01-31T12:00:00.000Z"
CUSTOMER: Final = "0196f2a5d3c07b1e8a4f5d6c7b8a9e0f"
REFERENCE: Final = "0196f2a5e1b27c4d9e8f7a6b5c4d3e2f"
QUOTE: Final = "0196f2a5f0a37d5e8b9c0d1e2f3a4b5c"
TRANSFER: Final = "0196f2a612a57f80bd1e2f3a4b5c6d7e"
ACCOUNT: Final = "0196f2a5c1b07a0d8f4e5d6c7b8a9f01"
BANK: Final = "018f0000000070008000000000000001"
TRADE: Final = "0196f2a601947e6fac0d1e2f3a4b5c6d"


def _asked(name: str, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, request_only=True)


def _told(name: str, status: int, value: Any) -> OpenApiExample:
    return OpenApiExample(name, value, response_only=True, status_codes=[status])


def _refused(name: str, text: str) -> OpenApiExample:
    """What the order engine refuses is told twice."""
    return _told(name, 400, {"error": text, "message": text})


# --- orders ----------------------------------------------------------------------------------------

CLOSED: Final[dict[str, Any]] = {
    "message": "Order closed successfully",
    "order": {
        "orderId": ORDER,
        "status": "CLOSED",
        "closePrice": Decimal("42350.75"),
        "profit": Decimal("125.50"),
        "userId": CUSTOMER,
        "symbol": "BTC-USD",
        "type": "buy",
        "quantity": Decimal("0.1"),
        "leverage": 10,
        "openPrice": Decimal("41095.75"),
        "openTime": AT,
        "closeTime": AT,
        "profitLoss": Decimal("125.50"),
        "closeReason": "manual",
        "swap": Decimal("0.00"),
        "fee": Decimal("0.00"),
        "parentOrderId": None,
    },
}
CLOSE: Final = [
    _asked("Close an Order", {"orderId": ORDER}),
    _told("Close an Order", 200, CLOSED),
    _told("Missing Order ID", 400, {"error": "Missing required parameters: orderId"}),
    _refused("Order Not Found", "Order not found or already closed"),
    _told("Order ID Mismatch", 400, {"error": "Order ID mismatch"}),
]
CREATE: Final = [
    _asked("Buy at the market", {"symbol": "BTC-USD", "type": "buy", "quantity": Decimal("0.1"), "leverage": 10}),
    _asked(
        "Wait for a price",
        {
            "symbol": "BTC-USD",
            "type": "buy",
            "quantity": "0.1",
            "leverage": 10,
            "orderType": "limit",
            "price": "40000.00",
            "stopLoss": "39000.00",
        },
    ),
    _told("Limit and stop orders", 200, {"message": "Order created successfully", "orderId": ORDER}),
    *(
        _told(text.partition(":")[0], 400, {"error": text})
        for text in (
            "Missing required parameters: symbol, type, quantity, leverage",
            "Type must be 'buy' or 'sell'",
            "Quantity must be greater than 0",
            "Leverage must be a positive whole number",
            "Slippage must be zero or a positive number",
            "Take profit must be greater than 0",
            "Stop loss must be greater than 0",
            "Slippage and expectedPrice go together",
        )
    ),
    _refused("Insufficient balance", "Insufficient balance. Required: $410.96, Available: $100.00"),
    _refused("No price", "Price data not found for symbol: BTC-USD"),
]

EXECUTION: Final = [
    _told(
        "A market order",
        200,
        {
            "orderId": ORDER,
            "symbol": "BTC-USD",
            "type": "buy",
            "status": "OPEN",
            "deals": [
                {
                    "kind": "open",
                    "side": "buy",
                    "time": AT,
                    "price": Decimal("42350.75"),
                    "quantity": Decimal("0.1"),
                    "reason": None,
                    "conversion": None,
                    "bid": Decimal("42350.25"),
                    "ask": Decimal("42350.75"),
                    "spread": Decimal("0.50"),
                    "mid": Decimal("42350.50"),
                    "slippage": Decimal("0.25"),
                    "slippageBps": Decimal("0.059"),
                    "priceTime": "2026-01-31T11:59:59.900Z",
                    "priceAgeMs": 90,
                    "priceHeld": False,
                    "sources": [
                        {
                            "source": "coinbase",
                            "bid": Decimal("42350.25"),
                            "ask": Decimal("42350.70"),
                            "time": "2026-01-31T11:59:59.900Z",
                            "ageMs": 90,
                            "slippage": Decimal("0.05"),
                            "slippageBps": Decimal("0.0118"),
                        }
                    ],
                    "candle": {
                        "time": "2026-01-31T11:59:00.000Z",
                        "open": Decimal("42349.00"),
                        "high": Decimal("42351.25"),
                        "low": Decimal("42348.50"),
                        "close": Decimal("42350.50"),
                    },
                }
            ],
        },
    )
]

# --- quotes and trades -----------------------------------------------------------------------------

QUOTES: Final = [
    _asked(
        "Buy",
        {
            "product_type": "trading",
            "customer_guid": CUSTOMER,
            "symbol": "BTC-USD",
            "side": "buy",
            "deliver_amount": 100_000,
        },
    ),
    _asked(
        "Bring money in",
        {
            "product_type": "funding",
            "customer_guid": CUSTOMER,
            "asset": "USD",
            "side": "deposit",
            "deliver_amount": 1_000_000,
        },
    ),
    _asked(
        "Create an exit trade quote",
        {"product_type": "trading_exit", "customer_guid": CUSTOMER, "reference_trade_guid": REFERENCE},
    ),
    _told(
        "Create an exit trade quote",
        201,
        {
            "created_at": AT,
            "updated_at": AT,
            "guid": QUOTE,
            "product_type": "trading_exit",
            "customer_guid": CUSTOMER,
            "symbol": "BTC-USD",
            "side": "sell",
            "receive_amount": 99_500,
            "deliver_amount": 235_000,
            "fee": 500,
            "issued_at": AT,
            "expires_at": "2026-01-31T12:00:30.000Z",
            "asset": "BTC",
            "reference_trade_guid": REFERENCE,
        },
    ),
]
TRADES: Final = [
    _asked("Create the exit trade", {"trade_type": "exit", "quote_guid": QUOTE}),
    _told(
        "Create the exit trade",
        201,
        {
            "created_at": AT,
            "updated_at": AT,
            "guid": TRADE,
            "trade_type": "exit",
            "customer_guid": CUSTOMER,
            "quote_guid": QUOTE,
            "symbol": "BTC-USD",
            "side": "sell",
            "state": "storing",
            "failure_code": None,
            "receive_amount": 99_500,
            "deliver_amount": 235_000,
            "fee": 500,
            "reference_trade_guid": REFERENCE,
            "labels": None,
        },
    ),
]

# --- transfers -------------------------------------------------------------------------------------

TRANSFERS: Final = [
    _asked("Take money out", {"quote_guid": QUOTE, "transfer_type": "funding", "labels": ["payout-1"]}),
    _told(
        "Take money out",
        201,
        {
            "created_at": AT,
            "updated_at": AT,
            "guid": TRANSFER,
            "transfer_type": "funding",
            "bank_guid": BANK,
            "customer_guid": CUSTOMER,
            "quote_guid": QUOTE,
            "asset": "USD",
            "side": "withdrawal",
            "state": "storing",
            "failure_code": None,
            "amount": None,
            "estimated_amount": 250_000,
            "fee": 0,
            "source_account": {"guid": ACCOUNT, "type": "fiat", "customer_guid": CUSTOMER},
            "destination_account": {"type": "external_bank_account", "customer_guid": CUSTOMER},
            "labels": ["payout-1"],
        },
    ),
]
