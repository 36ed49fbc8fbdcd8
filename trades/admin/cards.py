"""A figure of the dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from django.urls import reverse

GOOD, BAD, QUIET = "admin-good", "admin-bad", ""


class Link(NamedTuple):
    """A list of the admin, app_model, and how it is filtered."""

    model: str
    query: str = ""

    @property
    def url(self) -> str:
        return reverse(f"admin:{self.model}_changelist") + self.query


@dataclass(frozen=True, slots=True)
class Card:
    """One figure: what it is called, what it says, what stands below it, whether it is good, where it leads."""

    title: str
    value: str
    note: str
    mood: str
    link: Link
