"""Where an answer leads: what it made can be read, changed or used by its id."""

from __future__ import annotations

from typing import Any, Final


def _to(operation: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "parameters": parameters}


def _with(operation: str, body: dict[str, str]) -> dict[str, Any]:
    return {"operationId": operation, "requestBody": body}


GUID: Final = "$response.body#/guid"
FIRST: Final = "$response.body#/objects/0/guid"
FIRSTS_BATCH: Final = "$response.body#/objects/0/batch_guid"
ORDER: Final = "$response.body#/orderId"

LINKS: Final[dict[tuple[str, str], dict[str, Any]]] = {
    ("customer_create", "201"): {
        "read": _to("customer_retrieve", guid=GUID),
        "change": _to("customer_partial_update", guid=GUID),
    },
    ("account_create", "201"): {
        "read": _to("account_retrieve", guid=GUID),
        "change": _to("account_partial_update", guid=GUID),
    },
    ("external_bank_account_create", "201"): {
        "read": _to("external_bank_account_retrieve", guid=GUID),
        "delete": _to("external_bank_account_destroy", guid=GUID),
        "pay": _with("transfer_create", {"external_bank_account_guid": GUID}),
    },
    ("quote_create", "201"): {
        "read": _to("quote_retrieve", guid=GUID),
        "execute": _with("trade_create", {"quote_guid": GUID}),
    },
    ("trade_create", "201"): {
        "read": _to("trade_retrieve", guid=GUID),
        "exit": _with("quote_create", {"product_type": "trading_exit", "reference_trade_guid": GUID}),
    },
    ("batch_create", "201"): {
        "read": _to("batch_retrieve", guid=GUID),
        "confirm": _to("batch_confirm", guid=GUID),
        "cancel": _to("batch_cancel", guid=GUID),
        "legs": _to("leg_of_batch_list", batch_guid=GUID),
        "left_out": _to("batch_left_out", guid=GUID),
        "trades": _to("batch_trades", guid=GUID),
    },
    ("leg_list", "200"): {
        "read": _to("leg_retrieve", guid=FIRST),
        "settle": _to("leg_settle", guid=FIRST),
        "fail": _to("leg_fail", guid=FIRST),
    },
    ("leg_of_batch_list", "200"): {
        "read": _to("leg_of_batch_retrieve", batch_guid=FIRSTS_BATCH, guid=FIRST),
        "settle": _to("leg_of_batch_settle", batch_guid=FIRSTS_BATCH, guid=FIRST),
        "fail": _to("leg_of_batch_fail", batch_guid=FIRSTS_BATCH, guid=FIRST),
    },
    ("order_create", "200"): {
        "read": _to("order_retrieve", order_id=ORDER),
        "change": _to("order_partial_update", order_id=ORDER),
        "cancel": _to("order_destroy", order_id=ORDER),
        "close": _with("order_close", {"orderId": ORDER}),
    },
}
