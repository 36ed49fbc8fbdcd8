"""The collection of requests has every operation of the document, each callable as it stands."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.contract.collection import DOCUMENT, collection

METHODS = {"get", "post", "patch", "put", "delete"}


def test_every_operation_is_a_request_with_its_path_and_a_body_that_has_what_is_required() -> None:
    document: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text())
    operations = {
        one["operationId"]: (method.upper(), path, one)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if method in METHODS
    }

    requests = {item["name"]: item["request"] for folder in collection(document)["item"] for item in folder["item"]}

    assert requests.keys() == operations.keys()
    for name, request in requests.items():
        method, path, operation = operations[name]
        assert request["method"] == method, name
        wanted = path.replace("{", ":").replace("}", "")
        assert request["url"]["raw"] == f"{{{{baseUrl}}}}{wanted}", name
        assert ("body" in request) == ("requestBody" in operation), name
        if "body" in request:
            json.loads(request["body"]["raw"])


def test_an_orders_request_names_the_fields_that_it_must_have() -> None:
    made = collection(yaml.safe_load(DOCUMENT.read_text()))
    (orders,) = [folder for folder in made["item"] if folder["name"] == "order"]
    (create,) = [item["request"] for item in orders["item"] if item["name"] == "order_create"]

    assert {"symbol", "type", "quantity", "leverage"} <= json.loads(create["body"]["raw"]).keys()
    assert "auth" not in create  # the collection's bearer token
