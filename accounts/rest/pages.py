"""Pages of lists, for REST framework.

The quotes/trades API counts pages from 0: `{total, page, per_page, objects}`. Three queries whatever the page: the
total, the page's ids, its rows.
"""

from __future__ import annotations

from typing import Any, Final

from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.rest.fields import Schema
from accounts.rest.queries import whole_number

PER_PAGE: Final = 10
MOST_PER_PAGE: Final = 100
LAST_PAGE: Final = 10**9


def parameter(name: str, schema: Schema, description: str = "") -> dict[str, Any]:
    """A query's parameter in OpenAPI."""
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


class Pages(BasePagination):
    """Pages of `per_page` rows, the first of which is 0."""

    parameters = ("page", "per_page")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The rows of the page that is asked for. Raises Malformed."""
        query = request.query_params
        self.page = whole_number(query, "page", default=0, least=0, most=LAST_PAGE)
        self.per_page = whole_number(query, "per_page", default=PER_PAGE, least=1, most=MOST_PER_PAGE)
        first = self.page * self.per_page
        self.total = queryset.order_by().count()
        # The ids alone are found in the index; only the page's own rows are then read from the table.
        ids = list(queryset.values_list("pk", flat=True)[first : first + self.per_page])
        found = {row.pk: row for row in queryset.filter(pk__in=ids)} if ids else {}
        return [found[id_] for id_ in ids if id_ in found]

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"total": self.total, "page": self.page, "per_page": self.per_page, "objects": data})

    def get_paginated_response_schema(self, schema: Schema) -> Schema:
        return {
            "type": "object",
            "required": ["total", "page", "per_page", "objects"],
            "additionalProperties": False,
            "properties": {
                "total": {"type": "integer", "minimum": 0},
                "page": {"type": "integer", "minimum": 0},
                "per_page": {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE},
                "objects": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        per_page = {"type": "integer", "minimum": 1, "maximum": MOST_PER_PAGE, "default": PER_PAGE}
        return [
            parameter("page", {"type": "integer", "minimum": 0, "maximum": LAST_PAGE, "default": 0}, "Counted from 0."),
            parameter("per_page", per_page, "Rows of a page."),
        ]
