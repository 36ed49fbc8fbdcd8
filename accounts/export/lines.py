"""The whole ledger as text, in an order that is always the same, however long it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from accounts.export import books
from accounts.export.books import ExportedPrice
from accounts.export.forms import Form


def lines(form: Form, prices: Iterable[ExportedPrice]) -> Iterator[str]:
    """Assets, accounts, prices, transfers, and at the end what every account holds: a page at a time.

    The caller reads it within `in_one_snapshot`, prices included.
    """
    first = last = books.first_day()
    yield form.head(books.assets(), first)
    for account in books.accounts():
        yield form.account(account, first)
    for price in prices:
        yield form.price(price)
    for transfer in books.transfers():
        last = max(last, transfer.day)
        yield form.transfer(transfer)
    day = date.fromisoformat(last) + timedelta(days=1)  # a balance is that of the day's beginning
    for account in books.accounts():
        yield form.balance(account, day.isoformat())
