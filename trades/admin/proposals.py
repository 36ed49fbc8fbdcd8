"""What the pages of proposals have in common: who made one and who decided, and that deciding twice is told once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from django.contrib import admin
from django.db.models import Model, QuerySet

from accounts.admin import shown
from accounts.errors import Refusal

Row = TypeVar("Row", bound=Model)


class ProposalColumns:
    """Columns of a row with `state`, `made_by`, `made_at`, `checked_by` and `decided_at`: a page's first base."""

    states: ClassVar[Mapping[str, str]]  # a state's colour

    def alone(self, one: Any) -> str:
        """Why nobody had to check it; empty where somebody has or had to."""
        return ""

    @admin.display(description="Guid")
    def guid(self, one: Any) -> str:
        return shown.guid(one.pk)

    @admin.display(description="State")
    def state_label(self, one: Any) -> str:
        return shown.chip(one.state, self.states)

    @admin.display(description="Maker")
    def maker(self, one: Any) -> str:
        return shown.who(one.made_by)

    @admin.display(description="Checker")
    def checker(self, one: Any) -> str:
        return self.alone(one) or shown.who(one.checked_by, otherwise=undecided(one))

    @admin.display(description="Proposed at")
    def made_when(self, one: Any) -> str:
        return shown.timestamp(one.made_at)

    @admin.display(description="Decided at")
    def decided_when(self, one: Any) -> str:
        return shown.timestamp(one.decided_at)


def undecided(one: Any) -> str:
    """What stands in the place of a checker: its maker took it back, or it waits."""
    return "withdrawn" if one.decided_at else shown.NOTHING


def decided_once(decide: Callable[[], Row], already: type[Refusal], mine: QuerySet[Row]) -> Row:
    """Decide; whoever answers the dialog a second time is told what they did the first time.

    `mine` are the rows that this person has decided in this way. Raises what `decide` does, `already` only where
    there is none of them.
    """
    try:
        return decide()
    except already:
        first = mine.first()
        if first is None:
            raise
        return first
