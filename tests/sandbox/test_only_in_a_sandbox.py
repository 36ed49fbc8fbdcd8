"""With SANDBOX=0 there is no sandbox: no route, no middleware, and its paths are answered as any that nobody knows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES
from brokerage.stack.where import CHECKOUT
from tests.document import document
from tests.live import environment

pytestmark = pytest.mark.django_db(transaction=True)

# Asks for each path as it comes, and for another one that nobody has ever heard of.
_ASKS = """
import json, sys
import django
django.setup()
from django.conf import settings
from django.test import Client
from django.urls import get_resolver

def routes(found):
    for one in found:
        if hasattr(one, "url_patterns"):
            yield from routes(one.url_patterns)
        else:
            yield str(one.pattern)

asked = json.loads(sys.stdin.read())
http = Client(headers={"Authorization": "Bearer " + asked["token"]}, raise_request_exception=False)

def said(method, path):
    answer = http.generic(method, path, b"{}", content_type="application/json")
    headers = {name: text for name, text in answer.headers.items() if not name.startswith(("X-Request", "RateLimit"))}
    return [answer.status_code, answer.content.decode(), headers]

print(json.dumps({
    "routes": [one for one in routes(get_resolver().url_patterns) if "sandbox" in one],
    "middleware": [one for one in settings.MIDDLEWARE if "sandbox" in one],
    "answers": [[said(method, path), said(method, path.replace("box", "pit"))] for method, path in asked["asks"]],
}))
"""


def of_the_document() -> list[tuple[str, str]]:
    return [
        (method.upper(), path.replace("{guid}", "0" * 32).replace("{symbol}", "BTC-USD"))
        for path, operations in document().said["paths"].items()
        if path.startswith("/api/sandbox/")
        for method in operations
    ]


def found(sandbox: str, token: str) -> dict[str, Any]:
    given = json.dumps({"token": token, "asks": [*of_the_document(), ("GET", "/api/sandbox")]})
    said = environment() | {"SANDBOX": sandbox, "ALLOWED_HOSTS": "testserver"}
    said |= {"DJANGO_SETTINGS_MODULE": "brokerage.settings"}
    said |= {"SECRET_KEY": "secret key of a test " * 4, "JWT_SIGNING_KEY": "only for tests " * 4}
    ran = subprocess.run(
        [sys.executable, "-c", _ASKS], cwd=CHECKOUT, env=said, input=given, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return dict(json.loads(ran.stdout))


def test_without_a_sandbox_its_paths_are_as_unknown_as_any() -> None:
    """Guard: `if settings.SANDBOX` in `brokerage/urls.py`, and in the settings' middleware."""
    client, _ = services.create_api_client("firm", FIRM_SCOPES, timezone.now())
    token = tokens.client_token(client, FIRM_SCOPES)
    assert len(of_the_document()) >= 9

    without = found("0", token)
    assert (without["routes"], without["middleware"]) == ([], [])
    for asked, unknown in without["answers"]:
        assert asked == unknown
        assert asked[0] == 404

    with_one = found("1", token)
    assert len(with_one["routes"]) >= 6
    assert with_one["middleware"] == ["brokerage.sandbox.forcing.ForcedFaults"]
    assert all(asked != unknown for asked, unknown in with_one["answers"][:-1])


def test_the_document_says_where_it_is() -> None:
    for path, operations in document().said["paths"].items():
        for operation in operations.values():
            is_of_sandboxes = path.startswith("/api/sandbox/")
            assert operation.get("x-sandbox-only", False) is is_of_sandboxes
            assert (operation["tags"] == ["sandbox"]) is is_of_sandboxes
            assert ("In a sandbox only" in operation.get("description", "")) is is_of_sandboxes
