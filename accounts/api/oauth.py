"""A request for a token as OAuth 2 has it (RFC 6749: 2.3.1, 4.4, 5.2): client credentials, as a form or as JSON.

A client says who it is by HTTP Basic or in the body, never by both. What a token endpoint refuses has `error` and
`error_description` beside the three keys of the API, so that libraries raise what they raise everywhere.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote_plus

from django.http import QueryDict
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.request import Request

from accounts import services
from accounts.errors import Forbidden, Malformed, Refusal, Unauthorized
from accounts.models import ApiClient

GRANT = "client_credentials"
LONGEST = {"client_id": 200, "client_secret": 200, "scope": 4000, "grant_type": 200}


class OAuthRefusal(Refusal):
    status: ClassVar[int] = 400
    error: ClassVar[str] = "invalid_request"

    def __init__(self, sentence: str = "") -> None:
        super().__init__(_spelled(sentence))
        self.extra = {"error": self.error, "error_description": self.text}


class InvalidRequest(OAuthRefusal):
    code = "invalid_parameter"
    sentence = "The request for a token can't be read."


class UnsupportedBody(OAuthRefusal):
    status, code = 415, "unsupported_media_type"
    sentence = "Ask for a token with application/x-www-form-urlencoded or application/json."


class UnsupportedGrantType(OAuthRefusal):
    code, error = "invalid_parameter", "unsupported_grant_type"
    sentence = f"grant_type must be {GRANT}."


class InvalidScope(OAuthRefusal):
    code, error = "invalid_parameter", "invalid_scope"


class InvalidClient(OAuthRefusal):
    """The same for every reason: unknown, disabled, a wrong secret, or nobody at all."""

    status, code, error = 401, "unauthorized", "invalid_client"
    sentence = "The client id or the client secret is wrong."
    challenge = 'Basic realm="token"'


REFUSALS = (InvalidRequest, UnsupportedBody, UnsupportedGrantType, InvalidScope, InvalidClient)


@dataclass(frozen=True, slots=True)
class Granted:
    client: ApiClient
    scopes: frozenset[str]


def grant(request: Request) -> Granted:
    """Who asks for a token, and which scopes it gets: those that it wants, or all of its own. Raises OAuthRefusal."""
    body = _parameters(request)
    grant_type, scope = _text(body, "grant_type"), _text(body, "scope")
    id_, secret = _credentials(request, body)
    if not grant_type:
        raise InvalidRequest("grant_type is required.")
    if grant_type != GRANT:
        raise UnsupportedGrantType
    client = _authenticated(id_, secret)
    return Granted(client, _granted(scope.split(), client.scopes))


def client_named(request: Request) -> str:
    """Which client a request for a token names, proven or not; "" where none is, or the request will be refused."""
    try:
        return _credentials(request, _parameters(request))[0]
    except OAuthRefusal:
        return ""


def refusal_of(error: Exception) -> Exception:
    """What REST framework raises for a body that it can't read, as a token endpoint says it; anything else as it is."""
    if isinstance(error, UnsupportedMediaType):
        return UnsupportedBody()
    return InvalidRequest(str(error.detail)) if isinstance(error, ParseError) else error


# --- the parameters --------------------------------------------------------------------------------


def _parameters(request: Request) -> Mapping[str, Any]:
    """The body's. Raises InvalidRequest for one that stands twice, or in the address, where logs would keep it."""
    body = request.data
    if not isinstance(body, Mapping):
        raise InvalidRequest("The body must be a form or a JSON object.")
    _refuse_repeated(request.query_params)
    if isinstance(body, QueryDict):
        _refuse_repeated(body)
    if in_address := sorted(LONGEST.keys() & request.query_params.keys()):
        raise InvalidRequest(f"{in_address[0]} belongs into the body.")
    return body


def _refuse_repeated(given: QueryDict) -> None:
    if repeated := [name for name, values in given.lists() if len(values) > 1]:
        raise InvalidRequest(f"{min(repeated)[:64]} appears twice.")


def _text(body: Mapping[str, Any], name: str) -> str:
    """A parameter, "" where it is absent or without a value, which is the same (RFC 6749, 3.2)."""
    value = body.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or len(value) > LONGEST[name]:
        raise InvalidRequest(f"{name} must be a string of 1 to {LONGEST[name]} characters.")
    return value


# --- who asks --------------------------------------------------------------------------------------


def _credentials(request: Request, body: Mapping[str, Any]) -> tuple[str, str]:
    """Id and secret from the header or from the body. Raises InvalidRequest where both have some."""
    id_, secret = _text(body, "client_id"), _text(body, "client_secret")
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if scheme.lower() != "basic":
        return id_, secret
    if secret:
        raise InvalidRequest("Give the client's secret by HTTP Basic or in the body, not by both.")
    by_basic = _basic(given.strip())
    if id_ and id_ != by_basic[0]:  # to say it twice is no second way, but it must be the same client
        raise InvalidRequest("client_id is another one than that of HTTP Basic.")
    return by_basic


def _basic(given: str) -> tuple[str, str]:
    """Id and secret of `base64(id:secret)`, each of which is encoded like a form's value. Raises InvalidClient."""
    try:
        id_, colon, secret = base64.b64decode(given, validate=True).decode().partition(":")
        if not colon or len(given) > 4 * LONGEST["client_secret"]:
            raise InvalidClient
        return unquote_plus(id_, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError):  # UnicodeDecodeError is one
        raise InvalidClient from None


def _authenticated(id_: str, secret: str) -> ApiClient:
    try:
        return services.authenticate_client(id_, secret)
    except Unauthorized:
        raise InvalidClient from None


def _granted(wanted: Collection[str], allowed: Collection[str]) -> frozenset[str]:
    try:
        return services.granted(wanted, allowed)
    except (Forbidden, Malformed) as beyond:
        raise InvalidScope(beyond.text) from None


def _spelled(text: str) -> str:
    """An error's description in the characters that it may have (RFC 6749, 5.2)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in text)
