"""How much of each limit is used: exposure, margin x leverage as positions opened, in base units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import F, QuerySet, Sum

from trades.currency import decimals
from trades.margin.risk_limits import COUNTED, Kind
from trades.margin.sides import Sides
from trades.models import OpenExposure, Order, RiskLimit
from trades.states import OrderStatus

NEAR_PERCENT: Final = 80  # from here on a limit is shown in red, and an alert is raised
MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Use:
    """Of a limit: how much is used, and by which symbol or customer; where it is of each, by the one that uses most.

    `used` is None of a limit of one order: nothing uses it up.
    """

    limit: RiskLimit
    used: int | None
    by: UUID | str | None = None

    @property
    def amount(self) -> int:
        """The limit, base units."""
        whole: int = (self.limit.amount or 0) * 10 ** decimals()
        return whole

    @property
    def percent(self) -> int | None:
        """Rounded down; a limit of nothing is used up."""
        if self.used is None:
            return None
        return self.used * 100 // self.amount if self.amount else 100

    @property
    def is_near(self) -> bool:
        return self.percent is not None and self.percent >= NEAR_PERCENT


def of_the_firm() -> list[Use]:
    """The limits of symbols and of the firm, from what engines count: a row a partition and symbol."""
    return _counted(_that_are_set().filter(kind__in=COUNTED)[:MOST])


def all_of_them() -> list[Use]:
    """Every limit, by kind; of those of customers no more than MOST. Where there is one, all open positions are summed
    up."""
    others = _that_are_set().exclude(kind=Kind.CUSTOMER)
    return _used([*_that_are_set().filter(kind=Kind.CUSTOMER)[:MOST], *others])


def of_one(limit: RiskLimit) -> Use:
    """What is used of a limit."""
    (use,) = _used([limit])
    return use


def _used(found: list[RiskLimit]) -> list[Use]:
    of_customers = [one for one in found if one.kind == Kind.CUSTOMER]
    of_firm = [one for one in found if one.kind in COUNTED]
    uses = {use.limit.pk: use for use in (*_of_customers(of_customers), *_counted(of_firm))}
    return [uses.get(one.pk) or Use(one, None) for one in found]


def _that_are_set() -> QuerySet[RiskLimit]:
    found = RiskLimit.objects.filter(amount__isnull=False)
    return found.select_related("customer__user").order_by("kind", "pk")


def _counted(limits: Iterable[RiskLimit]) -> list[Use]:
    listed = list(limits)
    if not listed:
        return []
    rows = OpenExposure.objects.order_by().values_list("instrument_id").annotate(Sum("bought"), Sum("sold"))
    by_symbol = {symbol: Sides(int(bought), int(sold)) for symbol, bought, sold in rows}
    gross = {symbol: one.gross for symbol, one in by_symbol.items()}
    net = {symbol: one.net for symbol, one in by_symbol.items()}
    uses = []
    for one in listed:
        figures = net if one.kind in (Kind.SYMBOL_NET, Kind.FIRM_NET) else gross
        if one.kind in (Kind.FIRM, Kind.FIRM_NET):
            uses.append(Use(one, sum(figures.values())))
        elif one.instrument_id:
            uses.append(Use(one, figures.get(one.instrument_id, 0), one.instrument_id))
        else:
            uses.append(_most(one, figures))
    return uses


def _of_customers(limits: list[RiskLimit]) -> list[Use]:
    if not limits:
        return []
    rows = Order.objects.filter(status=OrderStatus.OPEN).order_by().values_list("customer_id")
    summed = rows.annotate(exposure=Sum(F("margin") * F("leverage")))
    named = [one.customer_id for one in limits if one.customer_id]
    figures = {customer: int(used) for customer, used in summed.filter(customer_id__in=named)} if named else {}
    is_general = any(one.customer_id is None for one in limits)
    largest = {customer: int(used) for customer, used in summed.order_by("-exposure")[:1]} if is_general else {}
    return [
        Use(one, figures.get(one.customer_id, 0), one.customer_id) if one.customer_id else _most(one, largest)
        for one in limits
    ]


def _most(limit: RiskLimit, figures: Mapping[Any, int]) -> Use:
    by = max(figures, key=lambda key: figures[key], default=None)
    return Use(limit, 0 if by is None else figures[by], by)
