"""The account currency: margin, profit, swap and every figure of a margin account are in it."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from django.conf import settings

from accounts.models import Asset
from accounts.money import from_base_units


def decimals() -> int:
    return _decimals_of(settings.ACCOUNT_CURRENCY)


def in_currency(amount: int) -> Decimal:
    """Base units of the account currency as the API prints them."""
    return from_base_units(amount, decimals())


@cache
def _decimals_of(asset: str) -> int:
    """An asset's decimals never change (trigger)."""
    return Asset.objects.get(pk=asset).decimals
