"""Lists of rows that only ever grow: turned by id, never counted, and no page looks further than it may.

A page begins below an id and shows the newest rows there. Where a filter has no index, the page looks at LOOK rows at
the most and says how far it came; the next one goes on from there. So the last page of ten million rows costs what the
first one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts.admin.base import ListAsFile
from accounts.ids import parse_guid

LOOK = 100_000
BEFORE = "before"


class KeysetPaginator(Paginator):
    """For its template; the list itself knows what comes next."""

    template_name = "admin/keyset_pagination.html"


class KeysetList(ListAsFile):
    """Newest first."""

    is_first: bool
    looked_at: str  # how many rows, where the page isn't full and older ones were not looked at; else empty
    older: str  # the query of the next page; empty at the end

    def get_filters_params(self, params: Any = None) -> Any:
        self.filter_params.pop(BEFORE, None)  # no filter, and left behind when another one is chosen
        return super().get_filters_params(params)

    def get_results(self, request: HttpRequest) -> None:
        before = parse_guid(request.GET.get(BEFORE))
        rows: QuerySet[Any] = self.queryset.filter(pk__lt=before) if before else self.queryset
        wanted = self.unindexed_of(request)
        end: UUID | None = None
        if wanted:
            end = rows.values_list("pk", flat=True)[LOOK - 1 : LOOK].first()
            rows = rows.filter(**wanted) if end is None else rows.filter(pk__gte=end, **wanted)
        found: Sequence[Model] = list(rows[: self.list_per_page + 1])
        self._show(found[: self.list_per_page], is_full=len(found) > self.list_per_page, end=end)
        self.is_first = before is None

    def _show(self, page: Sequence[Model], *, is_full: bool, end: UUID | None) -> None:
        next_ = page[-1].pk if is_full else end
        self.older = self.get_query_string({BEFORE: next_.hex}) if next_ else ""
        self.looked_at = f"{LOOK:,}" if end and not is_full else ""
        self.result_list = page
        self.result_count = self.full_result_count = len(page)
        self.show_full_result_count = self.show_admin_actions = False
        self.can_show_all = self.multi_page = False
        self.paginator = KeysetPaginator(page, self.list_per_page)
