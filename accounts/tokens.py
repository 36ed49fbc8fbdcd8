"""Access and refresh tokens: issued here, verified here, one signing key and one algorithm.

An access token says in `use` who calls: a `trader` (their own customer), a `client` (the firm, within the
client's scopes) or a `customer` token (a client's, limited to one customer). `verify` is pure and touches
no database; `caller_of` asks it whether the named user or client may still act.

A login begins a session, which its tokens name (`sid`); each refresh goes on with it. The tokens also name the
generation of the user or client (`gen`): what raises that number ends every session at once. A token from before there
were either is of generation 0, and a refresh token without a session began one that has its own id (`jti`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

import jwt
from django.conf import settings
from django.db.models import Exists, Q
from django.http import HttpRequest
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken, Token

from accounts import clock, conflicts
from accounts.errors import InvalidToken, Unauthorized
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES, OWN_LOGIN, Caller
from accounts.ids import parse_guid, uuid7
from accounts.models import ApiClient, Customer, EndedSession, User

TRADER: Final = "trader"
CLIENT: Final = "client"
CUSTOMER: Final = "customer"

TRADER_SCOPES: Final = CUSTOMER_SCOPES | {OWN_LOGIN}

MOST_GENERATIONS: Final = 2**31 - 1  # what the column holds

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
    generation: int = 0
    session_id: UUID | None = None


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
    return verify_until(authorization_header)[0]


def verify_until(authorization_header: str | None) -> tuple[Claims, int]:
    """The same with when the token expires (epoch seconds by PostgreSQL's clock). Raises as `verify` does."""
    scheme, _, token = (authorization_header or "").strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized
    if len(token) > _LONGEST:
        raise InvalidToken
    claims, expires_at = _read(token)
    _refuse_expired(expires_at)
    return claims, expires_at


def claims_of(request: HttpRequest) -> Claims:
    """The claims of a request's token, which is looked at once however many ask. Raises as `verify` does."""
    known: Claims | None = getattr(request, "claims", None)
    if known is None:
        known = request.claims = verify(request.META.get("HTTP_AUTHORIZATION"))  # type: ignore[attr-defined]
    return known


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
    if expires_at <= clock.about_now_seconds():
        raise InvalidToken


def _claims(payload: dict[str, Any]) -> Claims:
    """The payload as Claims; every kind of token must name exactly those it acts for."""
    use, generation = payload.get("use"), _generation(payload)
    user, customer, client = (parse_guid(payload.get(name)) for name in ("user_id", "customer_id", "client_id"))
    if use == TRADER and user is not None and customer is not None:
        return Claims(TRADER, user, customer, None, TRADER_SCOPES, generation, parse_guid(payload.get("sid")))
    scopes = frozenset(str(payload.get("scope", "")).split())
    if use == CLIENT and client is not None:
        return Claims(CLIENT, None, None, client, scopes & FIRM_SCOPES, generation)
    if use == CUSTOMER and client is not None and customer is not None:
        return Claims(CUSTOMER, None, customer, client, scopes & CUSTOMER_SCOPES, generation)
    raise InvalidToken


def _generation(payload: dict[str, Any]) -> int:
    said = payload.get("gen", 0)
    if type(said) is not int or not 0 <= said <= MOST_GENERATIONS:
        raise InvalidToken
    return said


def caller_of(claims: Claims) -> Caller:
    """Who calls, after one query: the user is active, in this session, and owns the customer; the client is active.

    An API client's scopes are those of the token that the client still has. Raises InvalidToken.
    """
    if claims.user_id is not None and claims.customer_id is not None:
        owner = Customer.objects.filter(
            _goes_on(claims.session_id),
            pk=claims.customer_id,
            user_id=claims.user_id,
            user__is_active=True,
            user__generation=claims.generation,
        )
        if not owner.exists():
            raise InvalidToken
        return _caller(claims, claims.scopes)
    if claims.client_id is None:
        raise InvalidToken
    client = ApiClient.objects.filter(pk=claims.client_id, is_active=True, generation=claims.generation)
    granted = client.values_list("scopes", flat=True).first()
    if granted is None:
        raise InvalidToken
    # A customer is never deleted (trigger), so the one named when the token was issued still exists.
    return _caller(claims, claims.scopes & frozenset(granted))


def callers_of(several: Collection[Claims]) -> dict[Claims, Caller]:
    """What `caller_of` says of many, in three queries at most; who may not act is left out."""
    ids = [claims.customer_id for claims in several if claims.user_id is not None and claims.customer_id is not None]
    sessions = [claims.session_id for claims in several if claims.session_id is not None]
    clients = [claims.client_id for claims in several if claims.user_id is None and claims.client_id is not None]
    owners: dict[UUID, tuple[UUID, bool, int]] = {}
    if ids:
        owned = Customer.objects.filter(pk__in=ids, user__isnull=False)
        columns = ("pk", "user_id", "user__is_active", "user__generation")
        owners = {pk: (user, active, number) for pk, user, active, number in owned.values_list(*columns)}
    ended = {*EndedSession.objects.filter(pk__in=sessions).values_list("pk", flat=True)} if sessions else set()
    granted: dict[UUID, tuple[int, frozenset[str]]] = {}
    if clients:
        active_ones = ApiClient.objects.filter(pk__in=clients, is_active=True)
        rows = active_ones.values_list("pk", "generation", "scopes")
        granted = {pk: (number, frozenset(scopes)) for pk, number, scopes in rows}
    found = {}
    for claims in several:
        if claims.user_id is not None and claims.customer_id is not None:
            owner = owners.get(claims.customer_id)
            if owner == (claims.user_id, True, claims.generation) and claims.session_id not in ended:
                found[claims] = _caller(claims, claims.scopes)
        elif claims.client_id is not None and claims.client_id in granted:
            generation, scopes = granted[claims.client_id]
            if generation == claims.generation:
                found[claims] = _caller(claims, claims.scopes & scopes)
    return found


def _caller(claims: Claims, scopes: frozenset[str]) -> Caller:
    """Whoever the claims name, with these scopes; a token names a user or a client, never both (`_claims`)."""
    return Caller(scopes, claims.user_id, claims.client_id, claims.customer_id, claims.generation)


def _goes_on(session_id: UUID | None) -> Q:
    """That a session has not ended by itself; a token from before sessions has none."""
    return Q() if session_id is None else Q(~Exists(EndedSession.objects.filter(pk=session_id)))


# --- issuing ---------------------------------------------------------------------------------------


@conflicts.atomic  # a refresh token is written down where it could be revoked
def trader_pair(user: User, at: datetime | None = None, session_id: UUID | None = None) -> TokenPair:
    """A new access and refresh token for a user who owns a customer; `at` defaults to now.

    They begin a session, or go on with the one that is named, in the user's generation as it was read: where it has
    been raised since, the tokens are worth nothing.

    Raises InvalidToken for a user without a customer: a token without one would be the firm's.
    """
    customer_id = Customer.objects.filter(user=user).values_list("pk", flat=True).first()
    if customer_id is None:
        raise InvalidToken
    refresh = RefreshToken.for_user(user)
    refresh["use"] = TRADER
    refresh["user_id"] = user.pk.hex
    refresh["customer_id"] = customer_id.hex
    refresh["gen"] = user.generation
    refresh["sid"] = (session_id or uuid7()).hex
    at = at or clock.about_now()
    refresh.current_time = at
    refresh.set_iat(at_time=at)
    refresh.set_exp(from_time=at)
    return TokenPair(str(refresh.access_token), str(refresh), int(_RULES["ACCESS_TOKEN_LIFETIME"].total_seconds()))


class _Replayed(InvalidToken):
    """A refresh token that was used before: two have it, and one of them is a thief."""


@contextmanager
def _replay_ends(refresh: object) -> Iterator[None]:
    """Outside of what was undone: the session of a token that was used before ends, and its bearer learns no more."""
    try:
        yield
    except _Replayed:
        _end(refresh)
        raise InvalidToken from None


def rotate(refresh: object, at: datetime | None = None) -> TokenPair:
    """A new pair for a refresh token, which is dead from now on.

    Raises InvalidToken for a token that is forged, expired, of a session that has ended, or whose user is disabled.
    For one that was used before as well, and then its session ends: nobody knows which of the two is the thief.
    """
    with _replay_ends(refresh):
        return _rotate(refresh, at)


@conflicts.atomic
def _rotate(refresh: object, at: datetime | None) -> TokenPair:
    token = _refresh_token(refresh)
    _blacklist(token)
    return trader_pair(_user_of(token), at, _session_of(token))


def revoke(refresh: object) -> None:
    """End the session of a refresh token, with its access tokens. Raises InvalidToken where the token is dead."""
    with _replay_ends(refresh):
        _revoke(refresh)


@conflicts.atomic
def _revoke(refresh: object) -> None:
    token = _refresh_token(refresh)
    _blacklist(token)
    _user_of(token)
    _end(refresh)


@conflicts.atomic
def _end(refresh: object) -> None:
    """End the session of a genuine refresh token, used before or not."""
    token = RefreshToken(refresh, verify=False)  # type: ignore[arg-type]
    user = User.objects.filter(pk=token["user_id"]).first()
    if user is not None:
        ended = EndedSession(pk=_session_of(token), user=user, ended_at=clock.about_now())
        EndedSession.objects.bulk_create([ended], ignore_conflicts=True)


def _user_of(token: RefreshToken) -> User:
    """Whose token it is. Raises InvalidToken where they may not act, or not in this session any more."""
    user = User.objects.filter(
        _goes_on(_session_of(token)),
        pk=token["user_id"],
        is_active=True,
        generation=_generation(token.payload),
    ).first()
    if user is None:
        raise InvalidToken
    return user


def _session_of(token: RefreshToken) -> UUID:
    session_id = parse_guid(token.get("sid", token["jti"]))
    if session_id is None:
        raise InvalidToken
    return session_id


def _refresh_token(refresh: object) -> RefreshToken:
    if not isinstance(refresh, str) or not refresh or len(refresh) > _LONGEST:
        raise InvalidToken
    _refuse_expired(int(_payload(refresh, RefreshToken.token_type)["exp"]))
    try:
        token = RefreshToken(refresh, verify=False)  # type: ignore[arg-type]  # which was done above
    except (TokenError, ValueError, RecursionError):
        raise InvalidToken from None
    if token.get("use") != TRADER or parse_guid(token.get("user_id")) is None:
        raise InvalidToken
    _session_of(token)
    try:
        token.check_blacklist()
    except TokenError:
        raise _Replayed from None
    return token


def _blacklist(token: RefreshToken) -> None:
    """Blacklist; of several at once only the one whose row is new goes on (a unique row decides the race)."""
    _, is_new = cast(tuple[object, bool], token.blacklist())  # its annotation forgets the flag
    if not is_new:
        raise _Replayed


def client_token(client: ApiClient, scopes: Iterable[str], at: datetime | None = None) -> str:
    """An access token for an API client with these of its scopes, good for CLIENT_TOKEN_SECONDS."""
    return _signed(CLIENT, client.pk, client.generation, None, scopes, at)


def customer_token(
    client_id: UUID, customer_id: UUID, scopes: Iterable[str], at: datetime | None = None, generation: int = 0
) -> str:
    """An API client's access token limited to one customer, good for CLIENT_TOKEN_SECONDS.

    `generation` is that of the client's own token, with which it asks for this one: both end together.
    """
    return _signed(CUSTOMER, client_id, generation, customer_id, scopes, at)


def _signed(
    use: str,
    client_id: UUID,
    generation: int,
    customer_id: UUID | None,
    scopes: Iterable[str],
    at: datetime | None,
) -> str:
    at = at or clock.about_now()
    token: Token = AccessToken()
    token.set_iat(at_time=at)
    token.set_exp(from_time=at, lifetime=timedelta(seconds=settings.CLIENT_TOKEN_SECONDS))
    token["use"] = use
    token["client_id"] = client_id.hex
    token["gen"] = generation
    if customer_id is not None:
        token["customer_id"] = customer_id.hex
    token["scope"] = " ".join(sorted(scopes))
    return str(token)
