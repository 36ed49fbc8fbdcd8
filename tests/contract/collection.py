"""A collection of requests in Postman's format, which Bruno and others import, too, made from openapi.yaml:
`python -m tests.contract.collection build/brokerage.postman_collection.json`.

A folder for each tag; a request for each operation, with its path's variables, its query (switched off) and the body
that the document has as an example, or one that names every field. Its variables: `baseUrl` and `token`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

DOCUMENT = Path(__file__).resolve().parents[2] / "openapi.yaml"
SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
VARIABLES = {"baseUrl": "http://127.0.0.1:8000", "token": ""}


def collection(document: dict[str, Any]) -> dict[str, Any]:
    folders: dict[str, list[dict[str, Any]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            folders.setdefault(operation["tags"][0], []).append(_item(document, path, method, operation))
    return {
        "info": {"name": document["info"]["title"], "description": document["info"]["description"], "schema": SCHEMA},
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [{"key": name, "value": value} for name, value in VARIABLES.items()],
        "item": [{"name": tag, "item": items} for tag, items in sorted(folders.items())],
    }


def _item(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    given = operation.get("parameters", [])
    request: dict[str, Any] = {
        "method": method.upper(),
        "description": operation.get("description", "").strip(),
        "url": _url(path, given),
        "header": [_off(one) for one in given if one["in"] == "header"],
    }
    if not operation.get("security"):
        request["auth"] = {"type": "noauth"}
    if body := operation.get("requestBody", {}).get("content", {}).get("application/json"):
        request["header"].append({"key": "Content-Type", "value": "application/json"})
        examples = [one["value"] for one in body.get("examples", {}).values()]
        shown = json.dumps(examples[0] if examples else _example(document, body["schema"]), indent=2)
        request["body"] = {"mode": "raw", "raw": shown, "options": {"raw": {"language": "json"}}}
    return {"name": operation["operationId"], "request": request}


def _url(path: str, given: list[dict[str, Any]]) -> dict[str, Any]:
    named = re.sub(r"\{(\w+)\}", r":\1", path)
    return {
        "raw": f"{{{{baseUrl}}}}{named}",
        "host": ["{{baseUrl}}"],
        "path": named.strip("/").split("/"),
        "variable": [{"key": one["name"], "value": ""} for one in given if one["in"] == "path"],
        "query": [_off(one) for one in given if one["in"] == "query"],
    }


def _off(parameter: dict[str, Any]) -> dict[str, Any]:
    said = parameter.get("description", "")
    return {"key": parameter["name"], "value": "", "description": said, "disabled": True}


def _example(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value in the schema's shape, to be written over."""
    if reference := schema.get("$ref"):
        return _example(document, document["components"]["schemas"][reference.rsplit("/", 1)[1]])
    for said in ("example", "default", "const"):
        if said in schema:
            return schema[said]
    if "enum" in schema:
        return schema["enum"][0]
    if choices := schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf"):
        return _example(document, choices[0])
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return {name: _example(document, one) for name, one in schema.get("properties", {}).items()}
        case "array":
            return [_example(document, schema["items"])]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
    return ""


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    made = collection(yaml.safe_load(DOCUMENT.read_text()))
    target.write_text(json.dumps(made, indent=2) + "\n")
    print(f"{target}: import it into Postman or Bruno, and set its variables baseUrl and token.")
