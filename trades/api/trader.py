"""What the margin account's views share: whose account it is, the prices to show it by, the query's limits."""

from __future__ import annotations

import logging
from datetime import datetime

import redis
from django.http import QueryDict
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api.lists import given, parse_timestamp
from accounts.errors import Malformed
from accounts.identity import MARGIN_TRADING, Caller
from quotes import prices as markets
from quotes.prices import Prices
from trades.gateway.submit import Trader
from trades.margin.errors import NotATrader

log = logging.getLogger("orders")


class TraderView(APIView):
    scopes = {"GET": MARGIN_TRADING}

    @staticmethod
    def trader(request: Request) -> Trader:
        """Only a trader's own token has this view's scope, and it names both."""
        caller: Caller = request.user  # type: ignore[assignment]
        if caller.user_id is None or caller.customer_id is None:
            raise NotATrader
        return Trader(caller.user_id, caller.customer_id)

    @staticmethod
    def prices() -> Prices | None:
        """The latest prices, or None while Redis is away: money is shown all the same."""
        try:
            return markets.latest()
        except redis.RedisError:
            log.warning("no prices: Redis is away")
            return None


def text(query: QueryDict, name: str, *, longest: int) -> str:
    """A parameter as a string that is given once, "" where it is absent. Raises Malformed."""
    said = given(query, name)
    if len(said) > longest or not said.isprintable():
        raise Malformed(f"{name} must be a string of 1 to {longest} characters")
    return said


def timestamp_in(query: QueryDict, name: str) -> datetime | None:
    """A parameter as a time, None where it is absent. Raises Malformed."""
    said = given(query, name)
    if not said:
        return None
    at = parse_timestamp(said)
    if at is None:
        raise Malformed(f"{name} must be a time such as 2026-01-31T12:00:00.000Z")
    return at
