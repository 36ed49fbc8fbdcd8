"""All tables of an app at once, from SQL: what a migration does that stands for many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython, SeparateDatabaseAndState
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState


class Tables(SeparateDatabaseAndState):
    """Run `schema.sql` beside a migration's file, in the schema that tables are made in; `models` say what it makes."""

    def __init__(self, migration: str, models: Sequence[Operation]) -> None:
        super().__init__([RunPython(_runs(Path(migration).with_name("schema.sql")), RunPython.noop)], models)

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """Without classes for the models: each operation would make those anew of all that are related to its own,
        which was nine tenths of the time of a new database. They are made once when they are asked for."""
        state.__dict__.pop("apps", None)
        super().state_forwards(app_label, state)


def _runs(file: Path) -> Any:
    def make(apps: Any, editor: BaseDatabaseSchemaEditor) -> None:
        with editor.connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(current_schema())")
            (schema,) = cursor.fetchone()
            cursor.execute(file.read_text().replace("public.", f"{schema}."))

    return make
