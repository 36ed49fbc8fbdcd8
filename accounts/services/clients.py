"""API clients: programs that act for the firm with an id and a secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime

from accounts import conflicts
from accounts.errors import Forbidden, Malformed, Unauthorized
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient

_LONGEST_NAME = 100
_CLIENT_ID = re.compile(r"client_[0-9a-f]{32}", re.ASCII)
_NO_CLIENTS_DIGEST = hashlib.sha256(b"").hexdigest()


@conflicts.atomic
def create_api_client(name: str, scopes: Iterable[str], at: datetime) -> tuple[ApiClient, str]:
    """A new client and its secret, which is kept nowhere and can't be shown again.

    Raises Malformed for a scope that doesn't exist or a name that is blank or too long.
    """
    scopes = sorted(set(scopes))
    if unknown := [scope for scope in scopes if scope not in FIRM_SCOPES]:
        raise Malformed(f"There is no scope {', '.join(unknown)}.")
    if not 0 < len(name) <= _LONGEST_NAME:
        raise Malformed(f"A client's name has 1 to {_LONGEST_NAME} characters.")
    secret = secrets.token_urlsafe(32)
    client = ApiClient.objects.create(
        name=name,
        client_id=f"client_{secrets.token_hex(16)}",
        secret_sha256=_digest(secret),
        scopes=scopes,
        created_at=at,
    )
    return client, secret


def authenticate_client(client_id: str, secret: str) -> ApiClient:
    """The active client with this id and secret. Raises Unauthorized, the same for every reason."""
    known = client_id if _CLIENT_ID.fullmatch(client_id) else ""
    client = ApiClient.objects.filter(client_id=known, is_active=True).first()
    genuine = hmac.compare_digest(_digest(secret), client.secret_sha256 if client else _NO_CLIENTS_DIGEST)
    if client is None or not genuine:
        raise Unauthorized("The client id or the client secret is wrong.")
    return client


def granted(wanted: Collection[str], allowed: Collection[str]) -> frozenset[str]:
    """The wanted scopes, or all the allowed ones where none is wanted. Raises Forbidden past the allowed.

    A client's row may name a scope that no endpoint asks for any more: that one isn't granted.
    """
    allowed = FIRM_SCOPES.intersection(allowed)
    if beyond := sorted(set(wanted).difference(allowed)):
        raise Forbidden(f"These scopes are not granted: {', '.join(beyond)[:200]}.")
    return frozenset(wanted or allowed)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
