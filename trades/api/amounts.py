"""Amounts and fee terms of a request body."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from accounts.errors import Malformed
from accounts.money import MAX_AMOUNT
from quotes.quoting import FeeTerms

_WHOLE_SHARE = 10_000  # hundredths of a percent


def amount(body: Mapping[str, Any], name: str) -> int | None:
    """Whole base units above zero, or None when absent. `1.0`, `"1"` and `true` are no amounts."""
    value = body.get(name)
    if value is None:
        return None
    return _whole(value, name, least=1, most=MAX_AMOUNT)


def reported_amount(body: Mapping[str, Any], name: str) -> int:
    """Whole base units that really moved: required, and zero says that nothing did."""
    return _whole(body.get(name), name, least=0, most=MAX_AMOUNT)


def one_amount(body: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """receive_amount and deliver_amount, of which exactly one is given."""
    receive, deliver = amount(body, "receive_amount"), amount(body, "deliver_amount")
    if (receive is None) == (deliver is None):
        raise Malformed("Give exactly one of receive_amount and deliver_amount.")
    return receive, deliver


def fee_terms(body: Mapping[str, Any]) -> FeeTerms | None:
    """`fees`: at most one of type spread (hundredths of a percent) and one of type fixed (counter base units).

    None when absent: the instrument's own fee applies. An empty list means no fee.
    """
    fees = body.get("fees")
    if fees is None:
        return None
    if not isinstance(fees, list) or len(fees) > 2 or not all(isinstance(fee, Mapping) for fee in fees):
        raise Malformed("fees must be a list of at most two objects.")
    types = [fee.get("type") for fee in fees]
    if any(type_ not in ("spread", "fixed") for type_ in types) or len(set(types)) != len(types):
        raise Malformed("fees may hold one of type spread and one of type fixed.")
    terms = {"spread": 0, "fixed": 0}
    for fee, type_ in zip(fees, types, strict=True):
        if type_ == "spread":
            share = fee.get("spread_fee")
            terms[type_] = _whole(share, "spread_fee", least=0, most=_WHOLE_SHARE - 1, of="hundredths of a percent")
        else:
            terms[type_] = _whole(fee.get("fixed_fee"), "fixed_fee", least=0, most=MAX_AMOUNT)
    return FeeTerms(Decimal(terms["spread"]), terms["fixed"])


def _whole(value: object, name: str, *, least: int, most: int, of: str = "base units") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise Malformed(f"{name} must be a whole number of {of}, at least {least}.")
    if value > most:
        raise Malformed(f"{name} must be a whole number of {of}, at most {most}.")
    return value
