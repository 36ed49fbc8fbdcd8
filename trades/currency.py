"""The account currency: margin, profit, swap and every figure of a margin account are in it."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Final

from django.conf import settings

from accounts.models import Asset
from accounts.money import from_base_units

ASSET: Final = f"JOIN accounts_asset a ON a.code = '{settings.ACCOUNT_CURRENCY}'"
"""SQL: the account currency's row, beside orders: their money is in it, whatever their instruments are counted in."""
CONVERTS: Final = f"i.counter_asset_id <> '{settings.ACCOUNT_CURRENCY}'"
"""SQL: whether an order's instrument `i` is counted in another currency."""


def decimals() -> int:
    return _decimals_of(settings.ACCOUNT_CURRENCY)


def in_currency(amount: int) -> Decimal:
    """Base units of the account currency as the API prints them."""
    return from_base_units(amount, decimals())


def in_asset(amount: int, asset: str) -> Decimal:
    """Base units of an asset that there is, likewise."""
    return from_base_units(amount, _decimals_of(asset))


@cache
def _decimals_of(asset: str) -> int:
    """An asset's decimals never change (trigger)."""
    return Asset.objects.get(pk=asset).decimals
