"""Rows of which some columns never change once they are written."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models


class FixedColumns(models.Model):
    """`fixed` names the columns, beside the key, that nobody changes: a trigger says so, and the application's role has
    no right to name them in an UPDATE (brokerage/grants.py). So saving a row that exists leaves them out.
    """

    fixed: ClassVar[frozenset[str]] = frozenset()

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        if (
            not self._state.adding
            and not args
            and not kwargs.get("force_insert")
            and kwargs.get("update_fields") is None
        ):
            kwargs["update_fields"] = [
                field.name
                for field in self._meta.concrete_fields
                if not (field.primary_key or field.generated or field.attname in self.fixed)
            ]
        super().save(*args, **kwargs)
