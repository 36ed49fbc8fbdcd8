"""How often anybody may ask, and what they are told about it (docs/decisions/0056-limits-and-sessions.md).

`ApiLimits` counts every call of the API by who makes it: a customer, an API client, or the address of whoever
shows no good token. `LoginThrottle` is REST framework's hook for what asks for a password, a secret, or a new account:
a view names its `throttle_scope`. The admin's login form is no view of ours, so `AdminLoginLimits` counts it
as a login, and what fails there by a limit of its own.

Every answer tells `RateLimit-Limit`, `RateLimit-Remaining` and `RateLimit-Reset` (seconds) of the limit that is
nearest; a refusal is 429 with `Retry-After`, in the path's dialect.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.throttling import BaseThrottle

from accounts import clock, selectors, services, tokens
from accounts.api import oauth
from accounts.errors import TooMany, Unauthorized
from accounts.identity import Caller
from accounts.services import logins
from brokerage.errors import answer, told
from brokerage.http import counting, headers
from brokerage.http.addresses import address_of
from brokerage.http.counting import Standing
from brokerage.http.paths import is_api

if TYPE_CHECKING:  # DRF imports this module while it makes its views
    from rest_framework.request import Request
    from rest_framework.views import APIView

log = logging.getLogger(__name__)

_ADMIN_LOGIN: Final = "/admin/login/"


class _Limits:
    """Counts a request, lets it through or refuses it, and says how its sender stands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not self.counts(request):
            return self.get_response(request)
        try:
            self.count(request)
        except TooMany as refusal:
            said = told(refusal)
            assert said is not None
            response: HttpResponseBase = answer(said, request.path)
        else:
            response = self.get_response(request)
            _note_login(request, response)
        _tell(request, response)
        return response

    @staticmethod
    def counts(request: HttpRequest) -> bool:
        raise NotImplementedError

    @staticmethod
    def count(request: HttpRequest) -> None:
        """Raises TooMany."""
        raise NotImplementedError


class ApiLimits(_Limits):
    """Of every call of the API, those that change an order included."""

    counts = staticmethod(is_api)

    @staticmethod
    def count(request: HttpRequest) -> None:
        name, who = _caller(request)
        standing = counting.take(name, who)
        if standing is not None:
            _stand(request, [standing])


class AdminLoginLimits:
    """Of logins to the admin. A refusal is the login's own page, which says for how long: 429, and no password is read.

    Each is counted before its password is looked at, so of a thousand at once no more are than may fail; whoever gets
    in has the account's count back. An address keeps its own: with an account of theirs, somebody could begin anew
    as often as they like.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info != _ADMIN_LOGIN or request.method != "POST":
            return self.get_response(request)
        email, address = logins.account_meant(request.POST.get("username", "")), address_of(request)
        wait = self._count(request, email, address)
        request.login_wait = wait  # type: ignore[attr-defined]  # for the form
        response = self.get_response(request)
        if wait:
            response.status_code = 429
            headers.put(response, {"retry-after": ("Retry-After", str(wait))})
            outcome = logins.Outcome.REFUSED
        elif response.status_code == 302:
            counting.unhit("admin_account", _digest(email), *_known(email, address))
            outcome = logins.Outcome.DONE
        else:
            outcome = logins.Outcome.FAILED
        logins.record(outcome, email, address)
        _note_login(request, response)
        _tell(request, response)
        return response

    @staticmethod
    def _count(request: HttpRequest, email: str, address: str) -> int:
        """Seconds to wait; none where it may be tried."""
        try:
            _hit(request, "login_address", address)
            _hit(request, "admin_address", address)
            _hit_account(request, email, address, 302)
            _hit(request, "admin_account", _digest(email), *_known(email, address))
        except TooMany as refusal:
            return refusal.wait or 1
        return 0


def forget_failures(email: str, addresses: Sequence[str], **_: object) -> None:
    """An owner is let in: what was counted of their account is forgotten, from everywhere."""
    for who in ((), *((address,) for address in addresses)):
        for name in ("admin_account", "login_account"):
            counting.unhit(name, _digest(logins.as_typed(email)), *who)


class LoginThrottle(BaseThrottle):
    def allow_request(self, request: Request, view: APIView) -> bool:
        """Raises TooMany."""
        scope = getattr(view, "throttle_scope", "")
        if scope:
            _SCOPES[scope](request)
        return True


# --- what is counted --------------------------------------------------------------------------------


def _caller(request: HttpRequest) -> tuple[str, str]:
    try:
        claims = tokens.claims_of(request)
    except Unauthorized:  # whose subclass a bad token is
        return "address", address_of(request)
    if claims.customer_id is not None:
        return "customer", claims.customer_id.hex
    assert claims.client_id is not None
    return "client", claims.client_id.hex


def _login(request: Request) -> None:
    address = address_of(request._request)
    _hit(request._request, "login_address", address)
    _hit_account(request._request, logins.as_typed(_text(request, "email")), address, 200)


def _signup(request: Request) -> None:
    _hit(request._request, "signup_address", address_of(request._request))
    request._request.logs_in = (logins.as_typed(_text(request, "email")), 201)  # type: ignore[attr-defined]


def _token(request: Request) -> None:
    """Secrets are of 32 random bytes, so nobody can guess one, and nobody may keep a client from its tokens."""
    address = address_of(request._request)
    _hit(request._request, "token_address", address)
    if client_id := oauth.client_named(request):
        _hit(request._request, "token_client", _digest(client_id), address)


def _refresh(request: Request) -> None:
    _hit(request._request, "token_address", address_of(request._request))


def _password(request: Request) -> None:
    """By whom, wherever they are: whoever has stolen a token may not try every password with it."""
    caller: Caller = request.user  # type: ignore[assignment]
    if caller.user_id is not None:
        _hit(request._request, "login_account", "password", caller.user_id.hex)


_SCOPES: Final[Mapping[str, Callable[[Request], None]]] = {
    "login": _login,
    "signup": _signup,
    "token": _token,
    "refresh": _refresh,
    "password": _password,
}


def _hit_account(request: HttpRequest, email: str, address: str, success: int) -> None:
    """By the account that is meant, whether there is one or not.

    An address from which its owner has logged in is counted by itself: strangers can't use up those attempts.
    """
    if not email:
        return
    _hit(request, "login_account", _digest(email), *_known(email, address))
    request.logs_in = (email, success)  # type: ignore[attr-defined]


def _known(email: str, address: str) -> tuple[str, ...]:
    """An address from which its owner has logged in counts by itself."""
    return (address,) if email and selectors.is_known_address(email, address) else ()


def _hit(request: HttpRequest, name: str, *who: str) -> None:
    _stand(request, counting.hit(name, *who))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _text(request: Request, name: str) -> str:
    """A field of the body; what is wrong with it is the view's to say."""
    body = request.data
    said = body.get(name) if isinstance(body, Mapping) else None
    return said if isinstance(said, str) else ""


# --- what is told, and what is kept ------------------------------------------------------------------


def _stand(request: HttpRequest, standings: list[Standing]) -> None:
    """Note how a caller stands; the nearest limit is told. Raises TooMany where one is over."""
    noted: Standing | None = getattr(request, "standing", None)
    for one in standings:
        if noted is None or one.remaining * noted.limit < noted.remaining * one.limit or one.is_over:
            noted = one
    if noted is not None:
        request.standing = noted  # type: ignore[attr-defined]
        if noted.is_over:
            raise TooMany(wait=noted.reset)


def _tell(request: HttpRequest, response: HttpResponseBase) -> None:
    standing: Any = getattr(request, "standing", None)
    if standing is not None:
        headers.put(
            response,
            {
                "ratelimit-limit": ("RateLimit-Limit", str(standing.limit)),
                "ratelimit-remaining": ("RateLimit-Remaining", str(standing.remaining)),
                "ratelimit-reset": ("RateLimit-Reset", str(standing.reset)),
            },
        )


def _note_login(request: HttpRequest, response: HttpResponseBase) -> None:
    """Keep the address of who got in. An answer that is made already doesn't fail for it."""
    email, success = getattr(request, "logs_in", ("", 0))
    if not email or response.status_code != success or not (address := address_of(request)):
        return
    try:
        services.note_address(email, address, clock.now())
    except DatabaseError as failure:
        log.warning("an address was not noted: %s", failure)
