"""A trader signs up, logs in, refreshes, logs out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock, services, tokens
from accounts.api import bodies
from accounts.errors import Malformed


class PublicView(APIView):
    """Needs no token: the body itself proves who calls."""

    authentication_classes = []
    permission_classes = []


def fields_of(request: Request, *names: str) -> Mapping[str, Any]:
    """The body, with all these strings in it."""
    body = bodies.object_in(request.data)
    if missing := bodies.missing(body, *names):
        raise Malformed(f"Missing required parameters: {', '.join(missing)}")
    for name in names:
        if not isinstance(body[name], str):
            raise Malformed(f"{name} must be a string")
    return body


class SignupView(PublicView):
    def post(self, request: Request) -> Response:
        body = fields_of(request, "email", "password")
        name = bodies.text(body, "name", longest=200)
        at = clock.now()
        customer = services.create_customer(body["email"], body["password"], name, at)
        user = customer.user
        assert user is not None  # it was made with the customer
        pair = tokens.trader_pair(user, at)
        return Response(
            {
                "message": "User created successfully",
                "user": {"id": user.pk, "email": user.email, "customerGuid": customer.pk},
                "access": pair.access,
                "refresh": pair.refresh,
            },
            status=201,
        )


class LoginView(PublicView):
    def post(self, request: Request) -> Response:
        body = fields_of(request, "email", "password")
        user = services.authenticate(body["email"], body["password"])
        return _pair(tokens.trader_pair(user, clock.now()))


class RefreshView(PublicView):
    def post(self, request: Request) -> Response:
        body = fields_of(request, "refresh")
        return _pair(tokens.rotate(body["refresh"], clock.now()))


class LogoutView(PublicView):
    def post(self, request: Request) -> Response:
        body = fields_of(request, "refresh")
        tokens.revoke(body["refresh"])
        return Response({"message": "Logged out successfully"})


def _pair(pair: tokens.TokenPair) -> Response:
    return Response({"access": pair.access, "refresh": pair.refresh, "expiresIn": pair.expires_in})
