"""Labels: a partner's own words on a row, at most 8 of 1 to 64 characters."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.lookups import IsNull

MOST_LABELS: Final = 8
LONGEST_LABEL: Final = 64


def few_labels(row: str) -> models.CheckConstraint:
    """A CHECK that a row's `labels` are few and none is empty; how long each may be is the column's type."""
    none_is_empty = IsNull(
        models.Func("labels", models.Value(""), function="array_position", output_field=models.IntegerField()), True
    )
    few = Q(labels__isnull=True) | Q(labels__len__lte=MOST_LABELS) & Q(none_is_empty)
    return models.CheckConstraint(condition=few, name=f"{row}_labels_few")
