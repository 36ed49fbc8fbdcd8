"""Money comes in and goes out. Every movement has a key: the same key twice moves money once."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Final

from accounts import conflicts, ledger
from accounts.errors import Malformed, UnknownAsset
from accounts.ledger import Movement
from accounts.models import Asset, Customer
from accounts.money import MAX_POSTING, exact, from_base_units, parse_decimal, printed, why_not_kept

log = logging.getLogger(__name__)

LONGEST_KEY: Final = 128


def deposit(customer: Customer, asset: str, amount: int, key: str, at: datetime, by: str) -> bool:
    """Credit `amount` base units that arrived from outside; False when this key was deposited before.

    `by` names who says so, for the log. Raises Malformed, UnknownAsset, KeyReused.
    """
    outside = ledger.house(customer.pk, asset, ledger.EXTERNAL)
    own = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
    return _move("deposit", outside, own, customer, amount, key, at, by)


def withdraw(customer: Customer, asset: str, amount: int, key: str, at: datetime, by: str) -> bool:
    """Pay `amount` base units out of the available balance; False when this key was withdrawn before.

    Raises InsufficientFunds, and what `deposit` raises.
    """
    outside = ledger.house(customer.pk, asset, ledger.EXTERNAL)
    own = ledger.customers(customer.pk, asset, ledger.AVAILABLE)
    return _move("withdrawal", own, outside, customer, amount, key, at, by)


def base_units(asset_code: str, text: str, *, may_be_zero: bool = False) -> int:
    """An amount as people write it, e.g. ("USD", "10000.00") -> 1000000.

    Raises UnknownAsset, and Malformed for what is no positive number, is finer than a base unit, or more than is
    moved at once.
    """
    asset = _asset(asset_code)
    value = parse_decimal(text)
    if value is None and (why := why_not_kept(text)):
        raise Malformed(f"{text[:64]!r} is not an amount: it {why}.")
    if value is None or value < 0 or (value == 0 and not may_be_zero):
        raise Malformed(f"{text[:64]!r} is not an amount {'of zero or above' if may_be_zero else 'above zero'}.")
    whole, rest = exact(lambda: divmod(value.scaleb(asset.decimals), 1))()
    if rest:
        raise Malformed(f"{text} has more decimals than {asset.code}, which has {asset.decimals}.")
    if whole > MAX_POSTING:
        most = printed(from_base_units(MAX_POSTING, asset.decimals))
        raise Malformed(f"{text} is more than is moved at once, which is {most} {asset.code} at most.")
    return int(whole)


def _move(
    kind: str,
    debit: ledger.Account,
    credit: ledger.Account,
    customer: Customer,
    amount: int,
    key: str,
    at: datetime,
    by: str,
) -> bool:
    _asset(debit.asset)
    if not 0 < amount <= MAX_POSTING:
        raise Malformed("The amount must be above zero, and one that can exist.")
    if not 0 < len(key) <= LONGEST_KEY or not key.isprintable():
        raise Malformed(f"A key has 1 to {LONGEST_KEY} characters.")
    movement = Movement(debit, credit, amount, kind, f"{kind}:{key}", customer.pk, None, at)
    is_new = conflicts.atomic(ledger.post)([movement]) == 1
    log.info("%s %s %s for %s by %s, key %s, new %s", kind, amount, debit.asset, customer.pk.hex, by, key, is_new)
    return is_new


def _asset(code: str) -> Asset:
    asset = Asset.objects.filter(pk=code).first()
    if asset is None:
        raise UnknownAsset(f"There is no asset {code[:10]!r}.")
    return asset
