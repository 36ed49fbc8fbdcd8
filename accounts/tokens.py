"""Access and refresh tokens: issued here, verified here, one signing key and one algorithm.

An access token says in `use` who calls: a `trader` (their own customer), a `client` (the firm, within the
client's scopes) or a `customer` token (a client's, limited to one customer). `verify` is pure and touches
no database; `caller_of` asks it whether the named user or client may still act.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

import jwt
from django.conf import settings
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts import clock, conflicts
from accounts.errors import InvalidToken, Unauthorized
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES, MARGIN_TRADING, Caller
from accounts.ids import parse_guid
from accounts.models import ApiClient, Customer, User

TRADER: Final = "trader"
CLIENT: Final = "client"
CUSTOMER: Final = "customer"

TRADER_SCOPES: Final = CUSTOMER_SCOPES | {MARGIN_TRADING}

_LONGEST = 4096
_RULES = settings.SIMPLE_JWT
_KEY = _RULES["SIGNING_KEY"].encode()
_ALGORITHMS = [_RULES["ALGORITHM"]]
_AUDIENCE = _RULES["AUDIENCE"]
_ISSUER = _RULES["ISSUER"]
# Times are judged here, by PostgreSQL's clock and not by the host's: PyJWT knows only that one.
_JWT = jwt.PyJWT(
    options={
        "require": ["exp", "iat", "aud", "iss", "jti"],
        "verify_iat": False,
        "verify_exp": False,
        "verify_nbf": False,
    }
)


@dataclass(frozen=True, slots=True)
class Claims:
    """What a genuine, unexpired access token says; whether its bearer may still act is `caller_of`'s question."""

    use: str
    user_id: UUID | None
    customer_id: UUID | None
    client_id: UUID | None
    scopes: frozenset[str]


class TokenPair(NamedTuple):
    access: str
    refresh: str
    expires_in: int


# --- reading ---------------------------------------------------------------------------------------


def verify(authorization_header: str | None) -> Claims:
    """The claims of `Authorization: Bearer …`, without any query.

    Raises Unauthorized where there is no bearer token, InvalidToken for one that is forged, expired,
    meant for somebody else, or no access token.
    """
    scheme, _, token = (authorization_header or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    if len(token) > _LONGEST:
        raise InvalidToken
    claims, expires_at = _read(token)
    _refuse_expired(expires_at)
    return claims


@lru_cache(maxsize=4096)
def _read(token: str) -> tuple[Claims, int]:
    """The claims of a genuine access token, and when it expires (epoch seconds).

    A signature stays true, so a token that is shown again costs a look-up; only its age is asked each time.
    """
    payload = _payload(token, AccessToken.token_type)
    return _claims(payload), int(payload["exp"])


def _payload(token: str, kind: str | None) -> dict[str, Any]:
    """What a genuine token of this kind says, however old. Raises InvalidToken."""
    try:
        payload: dict[str, Any] = _JWT.decode(token, _KEY, algorithms=_ALGORITHMS, audience=_AUDIENCE, issuer=_ISSUER)
        int(payload["exp"])
    except (jwt.PyJWTError, TypeError, ValueError, OverflowError, RecursionError):
        raise InvalidToken from None
    if payload.get("token_type") != kind:
        raise InvalidToken
    return payload


def _refuse_expired(expires_at: int) -> None:
    if expires_at <= clock.about_now().timestamp():
        raise InvalidToken


def _claims(payload: dict[str, Any]) -> Claims:
    """The payload as Claims; every kind of token must name exactly those it acts for."""
    use = payload.get("use")
    user, customer, client = (parse_guid(payload.get(name)) for name in ("user_id", "customer_id", "client_id"))
    if use == TRADER and user is not None and customer is not None:
        return Claims(TRADER, user, customer, None, TRADER_SCOPES)
    scopes = frozenset(str(payload.get("scope", "")).split())
    if use == CLIENT and client is not None:
        return Claims(CLIENT, None, None, client, scopes & FIRM_SCOPES)
    if use == CUSTOMER and client is not None and customer is not None:
        return Claims(CUSTOMER, None, customer, client, scopes & CUSTOMER_SCOPES)
    raise InvalidToken


def caller_of(claims: Claims) -> Caller:
    """Who calls, after one query: the user is active and owns the customer, the client is active.

    An API client's scopes are those of the token that the client still has. Raises InvalidToken.
    """
    if claims.user_id is not None and claims.customer_id is not None:
        owner = Customer.objects.filter(pk=claims.customer_id, user_id=claims.user_id, user__is_active=True)
        if not owner.exists():
            raise InvalidToken
        return Caller(claims.scopes, user_id=claims.user_id, customer_id=claims.customer_id)
    if claims.client_id is None:
        raise InvalidToken
    client = ApiClient.objects.filter(pk=claims.client_id, is_active=True)
    granted = client.values_list("scopes", flat=True).first()
    if granted is None:
        raise InvalidToken
    # A customer is never deleted (trigger), so the one named when the token was issued still exists.
    return Caller(claims.scopes & frozenset(granted), client_id=claims.client_id, customer_id=claims.customer_id)


# --- issuing ---------------------------------------------------------------------------------------


@conflicts.atomic  # a refresh token is written down where it could be revoked
def trader_pair(user: User, at: datetime | None = None) -> TokenPair:
    """A new access and refresh token for a user who owns a customer; `at` defaults to now.

    Raises InvalidToken for a user without a customer: a token without one would be the firm's.
    """
    customer_id = Customer.objects.filter(user=user).values_list("pk", flat=True).first()
    if customer_id is None:
        raise InvalidToken
    refresh = RefreshToken.for_user(user)
    refresh["use"] = TRADER
    refresh["user_id"] = user.pk.hex
    refresh["customer_id"] = customer_id.hex
    at = at or clock.about_now()
    refresh.current_time = at
    refresh.set_iat(at_time=at)
    refresh.set_exp(from_time=at)
    return TokenPair(str(refresh.access_token), str(refresh), int(_RULES["ACCESS_TOKEN_LIFETIME"].total_seconds()))


@conflicts.atomic
def rotate(refresh: object, at: datetime | None = None) -> TokenPair:
    """A new pair for a refresh token, which is dead from now on.

    Raises InvalidToken for a token that is forged, expired, used before, or whose user is disabled.
    """
    token = _refresh_token(refresh)
    _blacklist(token)
    user = User.objects.filter(pk=token["user_id"], is_active=True).first()
    if user is None:
        raise InvalidToken
    return trader_pair(user, at)


@conflicts.atomic
def revoke(refresh: object) -> None:
    """Make a refresh token worthless. Raises InvalidToken where it is already."""
    _blacklist(_refresh_token(refresh))


def _refresh_token(refresh: object) -> RefreshToken:
    if not isinstance(refresh, str) or not refresh or len(refresh) > _LONGEST:
        raise InvalidToken
    _refuse_expired(int(_payload(refresh, RefreshToken.token_type)["exp"]))
    try:
        token = RefreshToken(refresh, verify=False)  # type: ignore[arg-type]  # which was done above
        token.check_blacklist()
    except (TokenError, ValueError, RecursionError):
        raise InvalidToken from None
    if token.get("use") != TRADER or parse_guid(token.get("user_id")) is None:
        raise InvalidToken
    return token


def _blacklist(token: RefreshToken) -> None:
    """Blacklist; of several at once only the one whose row is new goes on (a unique row decides the race)."""
    _, is_new = cast(tuple[object, bool], token.blacklist())  # its annotation forgets the flag
    if not is_new:
        raise InvalidToken


def client_token(client: ApiClient, scopes: Iterable[str], at: datetime | None = None) -> str:
    """An access token for an API client with these of its scopes, good for CLIENT_TOKEN_SECONDS."""
    return _signed(CLIENT, client.pk, None, scopes, at)


def customer_token(client_id: UUID, customer_id: UUID, scopes: Iterable[str], at: datetime | None = None) -> str:
    """An API client's access token limited to one customer, good for CLIENT_TOKEN_SECONDS."""
    return _signed(CUSTOMER, client_id, customer_id, scopes, at)


def _signed(use: str, client_id: UUID, customer_id: UUID | None, scopes: Iterable[str], at: datetime | None) -> str:
    at = at or clock.about_now()
    token: Token = AccessToken()
    token.set_iat(at_time=at)
    token.set_exp(from_time=at, lifetime=timedelta(seconds=settings.CLIENT_TOKEN_SECONDS))
    token["use"] = use
    token["client_id"] = client_id.hex
    if customer_id is not None:
        token["customer_id"] = customer_id.hex
    token["scope"] = " ".join(sorted(scopes))
    return str(token)
