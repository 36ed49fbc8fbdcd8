"""The bearer token of an API call becomes its Caller."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import tokens
from accounts.identity import Caller


class BearerAuthentication(BaseAuthentication):
    """Refuses a call without a good token; a public view declares `authentication_classes = []`."""

    def authenticate(self, request: Request) -> tuple[Caller, tokens.Claims]:
        claims = tokens.claims_of(request._request)
        return tokens.caller_of(claims), claims

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
