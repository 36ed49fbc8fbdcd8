"""What every page of the admin has in common: bounded work, exact searches, no writing by accident."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ClassVar, cast
from uuid import UUID

from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin, TabularInline
from unfold.views import ChangeList

from accounts import deeds
from accounts.admin import export
from accounts.admin.numbers import PlainDecimalField, PlainIntegerField
from accounts.admin.once import WrittenOnce
from accounts.ids import pasted_guid
from accounts.models import Customer

MOST_COUNTED = 10_000
LEDGERS_FIELDS = frozenset({"movements", "settled_money"})  # transfers, on the pages of what moved them


def leave_dialog(request: HttpRequest, to: str, *args: object) -> HttpResponse:
    """From a dialog to a page: its script must be told, since it would put a followed redirect into the dialog."""
    url = reverse(to, args=args)
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def does(request: HttpRequest, *names: str) -> bool:
    """Whether somebody has any of these deeds (accounts/deeds.py). Where not, the page that refuses it names them."""
    allowed = request.user.is_staff and any(request.user.has_perm(deeds.permission(name)) for name in names)
    if not allowed:
        request.missing = deeds.missing(*names)  # type: ignore[attr-defined]
    return allowed


def reads(request: HttpRequest, model: str) -> bool:
    """Whether somebody may read the rows of an app_model."""
    allowed = bool(request.user.has_perm(deeds.reading(model)))
    if not allowed:
        request.missing = deeds.missing_reading(model)  # type: ignore[attr-defined]
    return allowed


def may(*names: str) -> Callable[..., bool]:
    """What an action's `permissions` ask for: a method that says whether somebody has any of these deeds.

    Unfold takes a permission's name itself, too, and asks the database whether it exists at every system check:
    `migrate` on an empty one would fail. Raises KeyError at import for a deed that isn't listed.
    """
    for name in names:
        deeds.permission(name)

    def has(model_admin: Any, request: HttpRequest, obj: object = None) -> bool:
        return does(request, *names)

    return has


def may_read(model: str) -> Callable[..., bool]:
    """What an action's `permissions` ask for that only shows rows: whether somebody may read those of an app_model."""

    def has(model_admin: Any, request: HttpRequest, obj: object = None) -> bool:
        return reads(request, model)

    return has


def withdraws_or(request: HttpRequest, deed: str, proposals: type[Model], proposal_id: UUID) -> None:
    """Who proposed something may take it back; somebody else's proposal is refused by whoever decides.

    Raises PermissionDenied for anybody else.
    """
    mine = proposals._default_manager.filter(pk=proposal_id, made_by=request.user.pk)
    if not does(request, deed) and not mine.exists():
        raise PermissionDenied


def open_to(
    request: HttpRequest, maker: UUID | None, deed: str, offered: list[Any], *, decide: str, refuse: str = ""
) -> list[Any]:
    """The buttons of a proposal for whoever looks at it: its maker doesn't decide, and takes it back; whoever can't
    decide doesn't refuse."""
    is_makers = maker is not None and maker == request.user.pk
    hidden = [decide] if is_makers else [] if does(request, deed) else [refuse]
    return [one for one in offered if not any(name and one.action_name.endswith(f"_{name}") for name in hidden)]


def is_administrator(request: HttpRequest) -> bool:
    """Whether somebody is an Administrator; a role can't be given what only those do."""
    allowed = bool(request.user.is_active and request.user.is_staff and request.user.is_superuser)
    if not allowed:
        request.missing = deeds.missing("manage_staff")  # type: ignore[attr-defined]
    return allowed


class ByDeed:
    """A page whose rows are read by role, and made and changed by a deed: by none where it names none."""

    deed: ClassVar[str] = ""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        meta = self.opts  # type: ignore[attr-defined]
        return reads(request, f"{meta.app_label}_{meta.model_name}")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.deed) and does(request, self.deed)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.deed) and does(request, self.deed)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(self.deed) and does(request, self.deed)


def asked_once(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """For what a page shows by a query: Unfold asks for the same field of the same row several times."""
    kept = f"_{method.__name__}_shown"

    @wraps(method)
    def shown_of(model_admin: Any, row: Any) -> Any:
        if not hasattr(row, kept):
            setattr(row, kept, method(model_admin, row))
        return getattr(row, kept)

    return shown_of


def names_in(fieldsets: Any) -> tuple[str, ...]:
    """Every field that a page shows: what a page that only shows calls read-only."""
    return tuple(
        name for _, part in fieldsets for row in part["fields"] for name in ((row,) if isinstance(row, str) else row)
    )


class BoundedPaginator(Paginator):
    """Counts no further than MOST_COUNTED rows, so a list of ten million opens as fast as one of ten.

    Rows past that are found by searching or filtering, not by turning pages.
    """

    template_name = "admin/bounded_pagination.html"

    @cached_property
    def counted(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        return int(rows.order_by()[: MOST_COUNTED + 1].count())

    @cached_property
    def count(self) -> int:
        return min(self.counted, MOST_COUNTED)

    @property
    def count_text(self) -> str:
        return f"more than {MOST_COUNTED:,}" if self.counted > MOST_COUNTED else f"{self.counted:,}"


class ListAsFile(ChangeList):
    """A list that can be taken out. `unindexed` are the fields that are filtered by looking at row after row, as
    `?field=value`."""

    unindexed: ClassVar[tuple[str, ...]] = ()

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.is_file_offered = getattr(self.model_admin, "exports", False) and deeds.does(request.user, "export")

    @property
    def files(self) -> list[tuple[str, str]]:
        """What they are called and where they are, of what the filters leave; none where it is no list to take out."""
        if not self.is_file_offered:
            return []
        named = ((export.CSV, "CSV"), (export.XLSX, f"XLSX, {export.MOST_ROWS:,} rows at the most"))
        return [(text, self.get_query_string({kind: "1"}, ["p", "before"])) for kind, text in named]

    def get_query_string(self, new_params: Mapping[str, Any] | None = None, remove: Sequence[str] | None = None) -> str:
        """Removes just these names, and for one that ends with "__" all that begin with it, which is how filters of
        dates ask. Django's removes whatever begins with any of them: of "p", `product_type`."""
        leave = [name for name in self.filter_params if _is_among(name, remove or ())]
        return str(super().get_query_string({**dict.fromkeys(leave), **(new_params or {})}))

    def get_ordering_field(self, field_name: Any) -> Any:
        """None, and so not sorted by, for what isn't in `sortable_by`: Django only offers no link."""
        return super().get_ordering_field(field_name) if field_name in self.sortable_by else None

    def unindexed_of(self, request: HttpRequest) -> dict[str, str]:
        return {name: value for name in self.unindexed if (value := request.GET.get(name))}


def _is_among(name: str, removed: Sequence[str]) -> bool:
    return any(name == one or (one.endswith("__") and name.startswith(one)) for one in removed)


class BoundedList(ListAsFile):
    """A list whose one count is the paginator's."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.full_result_count = self.result_count


class BoundedAdmin(WrittenOnce, ByDeed, ModelAdmin):
    """A list, newest first, and a page per row. `related` is joined, so no row costs a query of its own.

    Searching finds exact ids only, each through an index: `search_guids` (the row's own first), `search_texts`,
    and `search_customer`, the column of the customer whose e-mail address is given.
    """

    list_per_page = 50
    list_fullwidth = True
    show_full_result_count = False
    paginator = BoundedPaginator
    ordering: Any = ("-pk",)
    sortable_by: Any = ()
    empty_value_display = "–"
    compressed_fields = True
    warn_unsaved_form = True
    formfield_overrides: Any = {
        models.DecimalField: {"form_class": PlainDecimalField},
        models.IntegerField: {"form_class": PlainIntegerField},
    }

    related: ClassVar[tuple[str, ...]] = ()
    search_guids: ClassVar[tuple[str, ...]] = ()
    search_texts: ClassVar[tuple[str, ...]] = ()
    search_customer: ClassVar[str] = ""
    exports: ClassVar[bool] = True
    nothing: ClassVar[str] = "Nothing yet."  # what an empty list says

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
        kind = export.asked_for(request) if self.exports else ""
        if not kind:
            return cast(HttpResponseBase, super().changelist_view(request, extra_context))
        query = request.GET.copy()
        del query[kind]
        request.GET = query  # type: ignore[assignment]  # a list knows its filters, and nothing else
        if not (self.has_view_or_change_permission(request) and does(request, "export")):
            raise PermissionDenied
        try:
            listed = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseRedirect(request.path)
        unindexed = listed.unindexed_of(request)
        return export.as_file(kind, self, listed.queryset, self.get_list_display(request), unindexed)

    def before_export(self, rows: list[Any]) -> None:
        """For what a list tells its rows once for a page."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Without what is the ledger's, for whoever may not read that."""
        parts = super().get_fieldsets(request, obj)
        if request.user.has_perm(deeds.reading("accounts_transfer")):
            return parts
        return [(title, part) for title, part in parts if not LEDGERS_FIELDS.issuperset(part["fields"])]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        if "\x00" in object_id:  # PostgreSQL's text can't hold one, so it names nothing
            return None
        return super().get_object(request, object_id, from_field)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        found: tuple[str, ...] = tuple(self.search_fields)
        exact = (*self.search_guids, *self.search_texts, *filter(None, [self.search_customer]))
        return found or exact  # the box is shown where there is something to search

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if self.search_fields:
            found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term)
            return found
        term = search_term.strip()
        return (self._exactly(queryset, term) if term else queryset), False

    def _exactly(self, rows: QuerySet[Any], term: str) -> QuerySet[Any]:
        guid = pasted_guid(term)
        if guid is not None:
            return self._first_that_finds(rows, self.search_guids, guid)
        if "@" in term and self.search_customer:
            customer = Customer.objects.filter(user__email=term.lower()).first()
            return rows.filter(**{self.search_customer: customer.pk}) if customer else rows.none()
        return self._first_that_finds(rows, self.search_texts, term)

    def _first_that_finds(self, rows: QuerySet[Any], columns: tuple[str, ...], wanted: UUID | str) -> QuerySet[Any]:
        """One column after the other, each by its own index: an OR of them would read the whole table."""
        for column in columns:
            found = rows.filter(**{column: wanted})
            if found.exists():
                return found
        return rows.none()


class NamesNobody:
    """The admin's own log is never removed: of whom something was done, it says the guid, and no name."""

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return _logged(request, obj, ADDITION, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return _logged(request, obj, CHANGE, message)


def _logged(request: HttpRequest, obj: Model, flag: int, message: Any) -> LogEntry:
    return LogEntry.objects.create(
        user_id=cast(UUID, request.user.pk),
        content_type=ContentType.objects.get_for_model(obj, for_concrete_model=False),
        object_id=str(obj.pk),
        object_repr=str(obj.pk),
        action_flag=flag,
        change_message=json.dumps(message) if isinstance(message, list) else message,
    )


class ReadOnly:
    """Rows that only the system writes."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class NeverDeleted:
    """Rows that operators edit and nobody removes."""

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyAdmin(ReadOnly, BoundedAdmin):
    warn_unsaved_form = False


class ReadOnlyInline(ReadOnly, TabularInline):
    """A few rows below their owner; what may be many is linked, not listed."""

    extra = 0
    can_delete = False
    show_change_link = False
    hide_title = True
    ordering = ("pk",)
    related: ClassVar[tuple[str, ...]] = ()

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Whoever may read the owner."""
        return True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)
        return rows.select_related(*self.related) if self.related else rows
