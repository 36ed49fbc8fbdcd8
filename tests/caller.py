"""A program that calls the API, without a network in between."""

from __future__ import annotations

import json
from typing import Any

from django.test import Client
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES

UNKNOWN = "0" * 32


class Api:
    """A caller of the API: answers are (status, body)."""

    def __init__(self, token: str) -> None:
        self.http = Client(headers={"Authorization": f"Bearer {token}"})

    def post(self, path: str, body: Any = None) -> tuple[int, Any]:
        text = body if isinstance(body, (str, bytes)) else json.dumps(body if body is not None else {})
        answer = self.http.post(path, text, content_type="application/json")
        return answer.status_code, json.loads(answer.content)

    def get(self, path: str, **query: Any) -> tuple[int, Any]:
        answer = self.http.get(path, query)
        return answer.status_code, json.loads(answer.content)


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    """Status and message_code of an error, which has the contract's three keys and no other."""
    status, body = answer
    assert set(body) == {"status", "error_message", "message_code"}, body
    assert body["status"] == status
    return status, body["message_code"]


def a_firm(scopes: frozenset[str] = FIRM_SCOPES) -> Api:
    """A new API client of the firm, with its token."""
    client, _ = services.create_api_client("firm", scopes, timezone.now())
    return Api(tokens.client_token(client, scopes))
