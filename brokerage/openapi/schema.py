"""One operation of the document: its name, its scope, its Idempotency-Key, its links, and the errors of its dialect."""

from __future__ import annotations

import inspect
from typing import Any, Final

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import build_examples_list

from accounts.rest.conditional import Conditional
from accounts.rest.fields import A_GUID, Body, Shown
from accounts.rest.queries import Query
from brokerage.openapi import extensions  # noqa: F401 - they are found by having been imported
from brokerage.openapi.errors import SCHEMAS, SHARED, Errors, by_status, shared, takes_key
from brokerage.openapi.links import LINKS
from brokerage.openapi.rate_limits import HEADERS, STANDS
from trades.api.margin_account import CUSTOMER, HEADER, OfMarginAccount
from trades.api.order_bodies import OrderId

KEY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "1 to 128 printable characters. The same key with the same request answers the same bytes again.",
    "schema": {"type": "string", "pattern": r"^[\x20-\x7e\xa1-\xac\xae-\xff]{1,128}$"},
}
IN_SANDBOXES: Final = "In a sandbox only (`SANDBOX=1`): elsewhere there is no such path."
OF_CUSTOMER: Final = "The customer whose margin account it is; a trader's own without it."
WHOSE: Final = [
    {"name": CUSTOMER, "in": "query", "required": False, "description": OF_CUSTOMER, "schema": A_GUID},
    {"name": HEADER, "in": "header", "required": False, "description": f"In place of `{CUSTOMER}`.", "schema": A_GUID},
]
REPLAYED: Final = {
    "Idempotent-Replayed": {
        "description": "This key was used with the same request before: these are the bytes of then.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
ETAG: Final = {"ETag": {"required": True, "schema": {"type": "string", "pattern": '^(W/)?"[0-9a-f]{32}"$'}}}
IN_PATHS: Final = {
    "guid": A_GUID,
    "batch_guid": A_GUID,
    "order_id": OrderId.schema,
    "symbol": {"type": "string", "pattern": "^[A-Za-z0-9-]{1,32}$"},
}


class ExactSchema(AutoSchema):
    view: Any  # a viewset

    def get_operation_id(self) -> str:
        """`quote_create`, `order_close`, `leg_of_batch_list`."""
        initkwargs = getattr(self.view, "basename", "") or ""
        second = "_again" if self.path.endswith("/open") else ""
        return f"{initkwargs}_{self.view.action}{second}".replace("-", "_")

    def get_tags(self) -> list[str]:
        if self._is_of_sandboxes:
            return ["sandbox"]
        return [str(self.view.basename).removesuffix("-of-batch").replace("-", " ")]

    def get_description(self) -> str:  # type: ignore[override]
        """The action's docstring, and the scope that it asks for."""
        said = super().get_description()
        if self._is_of_sandboxes:
            said = f"{said}\n\n{IN_SANDBOXES}"
        scope = getattr(self.view, "scopes", {}).get(self.view.action)
        return f"{said}\n\nScope: `{scope}`.".strip() if scope else said

    def get_extensions(self) -> dict[str, Any]:
        return {"x-sandbox-only": True} if self._is_of_sandboxes else {}

    @property
    def _is_of_sandboxes(self) -> bool:
        return self.path.startswith("/api/sandbox/")

    def _get_parameters(self) -> list[Any]:
        parameters: list[Any] = super()._get_parameters()
        for one in parameters:
            if one["in"] == "path":
                one["schema"] = IN_PATHS[one["name"]]
        whose = WHOSE if isinstance(self.view, OfMarginAccount) else []
        return [*parameters, *whose, *([KEY] if takes_key(self.view, self.method) else [])]

    def _get_request_body(self, direction: Any = "request") -> Any:
        """No body is an empty one: it may be left out where nothing in it is needed."""
        body = super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        if body:
            taken: Any = self.get_request_serializer()
            fields = getattr(taken() if isinstance(taken, type) else taken, "fields", {})
            body["required"] = (
                not fields
                or any(field.required for field in fields.values())
                or bool(taken.rules.keys() - {"not"})  # what an empty body breaks
            )
        return body

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for code, body in bodies.items():
            body["description"] = body["description"] or "Done."
            body["headers"] = dict(STANDS)
            if links := LINKS.get((self.get_operation_id(), code)):
                body["links"] = links
        if self.view.action == "retrieve" and issubclass(type(self.view), Conditional):
            bodies["200"]["headers"] = ETAG | STANDS
            bodies["304"] = {"description": "What If-None-Match names is still so.", "headers": ETAG | STANDS}
        name = "".join(part.title() for part in self.get_operation_id().split("_"))
        errors = Errors(self.path, name, self.registry)
        said = by_status(self.view, self.path, self.method, has_body=bool(self._get_request_body()))
        for status, told in said.items():
            bodies.setdefault(str(status), errors.answer(status, told, self._error_examples(status)))
        if takes_key(self.view, self.method):
            for body in (body for status, body in bodies.items() if int(status) not in SHARED):
                body["headers"] = body.get("headers", {}) | REPLAYED
        return dict(sorted(bodies.items()))

    def _error_examples(self, status: int) -> dict[str, Any]:
        told = [one for one in self.get_examples() if str(status) in map(str, one.status_codes or ())]
        return dict(build_examples_list(told))


def without_slash(endpoints: list[tuple[str, str, str, Any]]) -> list[tuple[str, str, str, Any]]:
    """A hook of drf-spectacular's: both slash forms are one path, told without; each path once."""
    return [(path.rstrip("/"), *rest) for path, *rest in endpoints]


def with_errors(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular's: the two shapes of errors, and paths in order."""
    result["components"]["headers"] = HEADERS
    result["components"]["schemas"] |= SCHEMAS
    result["components"]["responses"] = shared(result["paths"])
    inherited = {inspect.getdoc(base) for base in (Body, Query, Shown)}
    for schema in result["components"]["schemas"].values():
        if schema.get("description") in inherited:
            del schema["description"]
    result["components"]["schemas"] = dict(sorted(result["components"]["schemas"].items()))
    result["paths"] = dict(sorted(result["paths"].items()))
    return result
