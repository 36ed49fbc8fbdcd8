"""Calling the API in a test: JSON in and out with exact numbers, the status and the body in one hand."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts import json_codec, services, tokens
from accounts.identity import FIRM_SCOPES


class Answer(NamedTuple):
    status: int
    body: Any
    raw: bytes
    response: HttpResponse


class Api:
    """One caller. `Api()` has no token."""

    def __init__(self, token: str = "") -> None:
        self._client = Client()
        self._headers = {"HTTP_AUTHORIZATION": f"Bearer {token}"} if token else {}

    def get(self, path: str, **query: str) -> Answer:
        return _answer(self._client.get(path, query, **self._headers))

    def post(self, path: str, body: Any = None, *, raw: bytes | None = None, as_: str = "application/json") -> Answer:
        data = json_codec.dumps(body) if raw is None else raw
        return _answer(self._client.generic("POST", path, data, content_type=as_, **self._headers))

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        data = b"" if body is None else json_codec.dumps(body)
        return _answer(self._client.generic(method, path, data, content_type="application/json", **self._headers))


def _answer(response: HttpResponse) -> Answer:
    is_json = response.headers.get("Content-Type") == "application/json" and response.content != b""
    body = json_codec.loads(response.content) if is_json else None
    return Answer(response.status_code, body, response.content, response)


def the_firm(*scopes: str) -> Api:
    """An API client with these scopes, or with all of them."""
    client, _ = services.create_api_client("a partner", scopes or FIRM_SCOPES, timezone.now())
    return Api(tokens.client_token(client, client.scopes))
