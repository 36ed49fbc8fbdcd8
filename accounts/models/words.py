"""A column of words says in the database, too, which words there are."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models


def known(row: str, column: str, words: Iterable[str | int]) -> models.CheckConstraint:
    """A CHECK, named after row and column, that takes these words and no other (and NULL, where that may be)."""
    return models.CheckConstraint(condition=models.Q(**{f"{column}__in": list(words)}), name=f"{row}_{column}_known")
