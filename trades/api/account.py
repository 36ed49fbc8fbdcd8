"""The margin account: free cash, figures, and the statement as JSON pages or one CSV."""

from __future__ import annotations

from functools import partial
from typing import Final

from django.conf import settings
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import selectors
from accounts.errors import Malformed
from accounts.identity import READ_ORDERS
from accounts.rest import fields
from accounts.rest.queries import Query
from trades.api.margin_account import OfMarginAccount
from trades.currency import in_currency
from trades.reads.figures import figures, shown_figures
from trades.reads.in_doubt import decided
from trades.reads.statement import Statement
from trades.reads.statement_csv import as_csv

MOST_PER_PAGE: Final = 1000
DEFAULT_PAGE: Final = 100
FORMATS: Final = ("json", "csv")


class StatementQuery(Query):
    """`from` is inclusive, `to` exclusive. `limit` and `cursor` belong to `format=json`."""

    vars()["from"] = fields.Time()  # a word of Python's
    to = fields.Time()
    asset = fields.Text(longest=10, help_text="The account currency unless said.")
    format = fields.Choice(FORMATS, default="json")
    limit = fields.WholeText(least=1, most=MOST_PER_PAGE)
    cursor = fields.Verbatim(help_text="The nextCursor of the page before.")


class BalanceOut(fields.Shown):
    """Cash free of reserved margin."""

    status = fields.Choice(["success"])
    message = fields.Number()


class FiguresOut(fields.Shown):
    currency = fields.Choice([settings.ACCOUNT_CURRENCY])
    balance = fields.Number(help_text="Reserved margin included.")
    equity = fields.Number(allow_null=True)
    margin = fields.Number(help_text="Of all open orders, less what is hedged.")
    hedgedMargin = fields.Number(help_text="Of the open orders' margins, what positions against each other save.")  # noqa: N815
    freeMargin = fields.Number(allow_null=True)  # noqa: N815 - the contract's names, here and below
    marginLevel = fields.Number(allow_null=True, help_text="Percent; null while nothing is open.")  # noqa: N815
    unrealizedProfit = fields.Number(allow_null=True)  # noqa: N815
    marginCall = fields.YesNo()  # noqa: N815
    closeoutPercent = fields.Number(allow_null=True)  # noqa: N815
    withdrawable = fields.Number(allow_null=True)


class MovementOut(fields.Shown):
    time = fields.Time()
    kind = fields.Text()
    text = fields.Text()
    orderId = fields.Text(allow_null=True)  # noqa: N815
    reference = fields.Text(allow_null=True)
    amount = fields.Number()
    reserved = fields.Number()
    balance = fields.Number()
    free = fields.Number()


class StatementOut(fields.Shown):
    currency = fields.Text()
    openingBalance = fields.Number()  # noqa: N815
    closingBalance = fields.Number()  # noqa: N815
    message = MovementOut(many=True)
    nextCursor = fields.Text(allow_null=True)  # noqa: N815


def _asset(named: str) -> str:
    """Raises Malformed for one that there isn't."""
    if named and not selectors.assets().filter(pk=named).exists():
        raise Malformed(f"There is no asset {named!r}.")
    return named


class MarginAccountViewSet(OfMarginAccount):
    scopes = dict.fromkeys(["balance", "account", "statement"], READ_ORDERS)

    @extend_schema(responses=BalanceOut)
    @action(detail=False)
    def balance(self, request: Request) -> Response:
        """Cash free of reserved margin."""
        Query.read(request.query_params, *self.parameters)
        customer = self.holder.customer_id
        free = decided(customer, partial(figures, customer, None)).free_cash
        return Response({"status": "success", "message": in_currency(free)})

    @extend_schema(responses=FiguresOut)
    @action(detail=False)
    def account(self, request: Request) -> Response:
        """Balance, equity, margin, and what can be spent."""
        Query.read(request.query_params, *self.parameters)
        customer = self.holder.customer_id
        return Response(shown_figures(decided(customer, partial(figures, customer, self.prices()))))

    @extend_schema(
        parameters=[StatementQuery],
        responses={(200, "application/json"): StatementOut, (200, "text/csv"): str},
    )
    @action(detail=False)
    def statement(self, request: Request) -> HttpResponseBase:
        """Every movement of money with the running balance."""
        asked = StatementQuery.read(request.query_params, *self.parameters)
        customer = self.holder.customer_id
        statement = Statement(customer, asked.get("from"), asked.get("to"), _asset(asked.get("asset", "")))
        if asked["format"] == "json":
            limit, cursor = asked.get("limit", DEFAULT_PAGE), asked.get("cursor", "")
            return Response(decided(customer, partial(statement.page, limit, cursor)))
        if "limit" in asked or "cursor" in asked:
            raise Malformed("limit and cursor belong to format=json; a CSV is the whole period")
        # A database that is away is told by a status, not by a torn file.
        return as_csv(statement, decided(customer, statement.opening))
