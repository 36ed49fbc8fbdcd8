"""A column with choices has them in the database, too, as a CHECK."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models


def known(row: str, column: str, choices: Iterable[str | int]) -> models.CheckConstraint:
    """A CHECK, named after row and column, that allows these values and no other (and NULL, where the column does)."""
    return models.CheckConstraint(condition=models.Q(**{f"{column}__in": list(choices)}), name=f"{row}_{column}_known")
