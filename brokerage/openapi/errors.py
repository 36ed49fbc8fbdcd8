"""The errors of each operation: its statuses, the codes that come with them, and their exact texts as examples.

What a viewset declares (`refusals`), what every call may meet, and nothing else. An action that changes something and
declares nothing may meet any 409 and 422.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from accounts.errors import (
    ERROR_CODE,
    CustomerNotFound,
    Forbidden,
    InvalidToken,
    KeyUsedForAnother,
    Malformed,
    Refusal,
    StillRunning,
    TooMany,
    Unauthorized,
    Unavailable,
)
from accounts.rest.idempotent import MAY_BE_KEYED
from brokerage.errors import BUG, ORDERS_PREFIX, Told, of_status, told
from brokerage.openapi.rate_limits import STANDS
from trades.api.margin_account import OfMarginAccount
from trades.errors import BatchNotFound
from trades.margin.errors import UnsupportedContent

Schema = dict[str, Any]

OAUTH_PATH: Final = "/oauth/token"
ORDER_ERROR: Final = "OrderError"
ERROR: Final = "Error"
OAUTH_ERROR: Final = "OAuthError"
A_CODE: Final[Schema] = {"type": "string", "pattern": "^[a-z_]+$"}
_KEYS: Final = {
    "status": {"type": "integer", "minimum": 400, "maximum": 599},
    "error_message": {"type": "string", "description": "A sentence for people."},
    "message_code": A_CODE | {"description": "What programs look at."},
}
_OAUTH: Final = ["invalid_request", "invalid_client", "invalid_scope", "unsupported_grant_type"]

SCHEMAS: Final[dict[str, Schema]] = {
    ORDER_ERROR: {
        "type": "object",
        "description": f"An error of /api/v1. Its code is in the header {ERROR_CODE}.",
        "required": ["error"],
        "properties": {
            "error": {"type": "string", "description": "A sentence for people."},
            "message": {"type": "string", "description": "The same again, where the order engine refused."},
            "timeout": {"type": "boolean", "description": "No answer came in time: read the order.", "const": True},
            "orderId": {"type": "string"},
        },
        "additionalProperties": False,
    },
    ERROR: {
        "type": "object",
        "description": "An error of every other path.",
        "required": list(_KEYS),
        "properties": _KEYS,
        "additionalProperties": False,
    },
    OAUTH_ERROR: {
        "type": "object",
        "description": "An error of /oauth/token: OAuth 2's own keys stand beside the API's.",
        "required": list(_KEYS),
        "properties": _KEYS | {"error": {"type": "string", "enum": _OAUTH}, "error_description": {"type": "string"}},
        "additionalProperties": False,
    },
}
RETRY: Final = {"Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer"}}}
WAIT: Final = {"Retry-After": {"description": "Seconds, where waiting helps.", "schema": {"type": "integer"}}}
CHALLENGE: Final = {"WWW-Authenticate": {"required": True, "schema": {"type": "string", "pattern": "^(Bearer|Basic)"}}}
BY_STATUS: Final[Mapping[int, dict[str, Any]]] = {401: CHALLENGE, 429: RETRY | STANDS, 503: RETRY}
ANY_REFUSAL: Final = (409, 422)
SHARED: Final = (401, 403, 413, 415, 429, 500, 503)


def by_status(view: Any, path: str, method: str, *, has_body: bool) -> dict[int, list[Told]]:
    """What an operation may say instead of a success, by status; an empty list stands for any refusal of it."""
    found: dict[int, list[Told]] = {}
    for one in [*map(_told, _met(view, path, method)), *_of_http(has_body=has_body), BUG]:
        same = found.setdefault(int(one.status), [])
        if one not in same:
            same.append(one)
    if method != "GET" and view.action not in view.refusals:
        found |= {status: [] for status in ANY_REFUSAL}
    return dict(sorted(found.items()))


def takes_key(view: Any, method: str) -> bool:
    """Whether an Idempotency-Key makes this call safe to repeat."""
    return (method in MAY_BE_KEYED and view.keeps_answers) or view.action in getattr(view, "direct", ())


def _met(view: Any, path: str, method: str) -> Iterable[type[Refusal]]:
    """The refusals that may be met: by any call, by one with a token, by one that names a row, and its own."""
    yield from (Malformed, TooMany, Unavailable)
    if view.authentication_classes:
        yield from (Unauthorized, InvalidToken, Forbidden)
    if "{" in path:
        yield view.not_found
    if isinstance(view, OfMarginAccount):
        yield CustomerNotFound
    if "{batch_guid}" in path:
        yield BatchNotFound
    if takes_key(view, method):
        yield from (KeyUsedForAnother, StillRunning)
    yield from view.refusals.get(view.action, ())


def _of_http(*, has_body: bool) -> list[Told]:
    return [of_status(413), told(UnsupportedContent()) or BUG] if has_body else []


def _told(kind: type[Refusal]) -> Told:
    """A refusal with its sentence; without one where that isn't fixed."""
    fixed = "__init__" not in vars(kind) and kind.sentence not in (Refusal.sentence, Malformed.sentence)
    return (fixed and told(kind())) or Told(kind.status, "", kind.code)


class Errors:
    """The error answers of one operation. `name`: the operation's, for the schema of its own refusals."""

    def __init__(self, path: str, name: str, registry: ComponentRegistry) -> None:
        self.path = path
        self.name = name
        self.registry = registry
        self.is_order = path.startswith(ORDERS_PREFIX)

    def answer(self, status: int, said: list[Told], examples: Mapping[str, Any]) -> dict[str, Any]:
        """The answer with this status. `examples`: further ones, by name."""
        content: dict[str, Any] = {"schema": self._schema(status, said)}
        shown = {one.extra.get("error") or self._code(one): {"value": one.body(self.path)} for one in said if one.text}
        if shown or examples:
            content["examples"] = {**shown, **examples}
        headers = dict(BY_STATUS.get(status, {}))
        if not headers and any(one.wait is not None for one in said):
            headers = WAIT
        if self.is_order:
            headers[ERROR_CODE] = {"required": True, "schema": _one_of({self._code(one) for one in said})}
        answer = {"description": HTTPStatus(status).phrase, "content": {"application/json": content}}
        return answer | ({"headers": headers} if headers else {})

    def _code(self, said: Told) -> str:
        return said.headers(self.path)[ERROR_CODE] if self.is_order else str(said.body(self.path)["message_code"])

    def _schema(self, status: int, said: list[Told]) -> Schema:
        if self.is_order:
            return _ref(ORDER_ERROR)
        if self.path == OAUTH_PATH:
            return _ref(OAUTH_ERROR)
        codes = {self._code(one) for one in said}
        if not codes:
            return _ref(ERROR)
        phrase = HTTPStatus(status).phrase.title().replace(" ", "")
        name = f"{self.name}Refused" if status == HTTPStatus.UNPROCESSABLE_ENTITY else f"{phrase}Error"
        keys = _KEYS | {"status": {"type": "integer", "const": status}, "message_code": _one_of(codes)}
        schema = SCHEMAS[ERROR] | {"properties": keys}
        component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema, name)  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        return _ref(name)


def _one_of(codes: Collection[str]) -> Schema:
    return {"type": "string", "enum": sorted(codes)} if codes else A_CODE


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def shared(paths: dict[str, Any]) -> dict[str, Any]:
    """The error answers that several operations have, each told once; in the paths they are references from now on."""
    found: dict[str, Any] = {}
    for path, operations in paths.items():
        for operation in operations.values():
            for status, answer in operation["responses"].items():
                if int(status) in SHARED:
                    dialect = "Order" if path.startswith(ORDERS_PREFIX) else ""
                    name = f"{dialect}{HTTPStatus(int(status)).phrase.title().replace(' ', '')}"
                    if found.setdefault(name, answer) == answer:
                        operation["responses"][status] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(found.items()))
