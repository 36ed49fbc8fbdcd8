"""The API's document: made without a complaint, valid, committed as it is made, and shown as it is committed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from brokerage.openapi.views import loads
from tests.document import document

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_document_is_what_the_viewsets_make(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", fail_on_warn=True, validate=True, file=str(made))

    assert made.read_text() == (ROOT / "openapi.yaml").read_text(), "make openapi"


@pytest.mark.parametrize("path", ["/api/schema", "/api/schema/"])
def test_the_document_is_shown_as_it_is_committed(path: str) -> None:
    committed = (ROOT / "openapi.yaml").read_bytes()
    for accepted in ("", "*/*", "application/yaml", "text/html"):
        answer = Client().get(path, headers={"Accept": accepted} if accepted else {})
        assert (answer["Content-Type"], answer.content) == ("application/yaml", committed)

    as_json = Client().get(path, headers={"Accept": "application/json"})

    assert as_json["Content-Type"] == "application/json"
    assert json.loads(as_json.content, parse_float=Decimal) == loads(committed)
    assert b'"profit":125.50' in as_json.content  # digit for digit
    assert Client().post(path).status_code == 405


def with_examples(said: Any) -> Iterator[tuple[Any, Any]]:
    """Every schema of the document that has examples beside it, and each of them."""
    if isinstance(said, dict):
        if "schema" in said:
            yield from ((said["schema"], one["value"]) for one in said.get("examples", {}).values())
        said = list(said.values())
    if isinstance(said, list):
        for one in said:
            yield from with_examples(one)


def test_every_example_is_one_of_what_it_stands_beside() -> None:
    wrong = [
        (error.message, example)
        for schema, example in with_examples(document().said["paths"])
        for error in document().compiled(schema).iter_errors(example)
    ]
    assert wrong == []
    assert len(list(with_examples(document().said["paths"]))) > 100
