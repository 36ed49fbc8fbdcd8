"""API clients, and the customers they act for, get their tokens."""

from __future__ import annotations

from django.conf import settings
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock, selectors, services, tokens
from accounts.api import bodies
from accounts.api.identity import PublicView
from accounts.errors import Forbidden, Malformed
from accounts.identity import CUSTOMER_SCOPES, Caller

_MOST_SCOPES = 100
_LONGEST_SCOPES = 4000


class TokenView(PublicView):
    """OAuth 2 client credentials, as JSON or as a form."""

    parser_classes = (*APIView.parser_classes, FormParser)

    def post(self, request: Request) -> Response:
        body = bodies.object_in(request.data)
        bodies.choice(body, "grant_type", ["client_credentials"])
        client_id = bodies.text(body, "client_id", longest=200, required=True)
        secret = bodies.text(body, "client_secret", longest=200, required=True)
        wanted = bodies.text(body, "scope", longest=_LONGEST_SCOPES).split()
        client = services.authenticate_client(client_id, secret)
        scopes = services.granted(wanted, client.scopes)
        at = clock.now()
        return Response(
            {
                "access_token": tokens.client_token(client, scopes, at),
                "token_type": "Bearer",
                "expires_in": settings.CLIENT_TOKEN_SECONDS,
                "scope": " ".join(sorted(scopes)),
                "created_at": int(at.timestamp()),
            },
            headers={"Cache-Control": "no-store"},
        )


class CustomerTokenView(APIView):
    """A token with which a customer's own device may do, for this customer, what the client allows it."""

    scopes = {"POST": "customers:execute"}

    def post(self, request: Request) -> Response:
        body = bodies.object_in(request.data)
        customer_id = bodies.required_guid(body, "customer_guid")
        wanted = body.get("scopes")
        if not isinstance(wanted, list) or not 0 < len(wanted) <= _MOST_SCOPES:
            raise Malformed("scopes must be a list of scopes.")
        if not all(isinstance(scope, str) for scope in wanted):
            raise Malformed("scopes must be a list of scopes.")
        caller: Caller = request.user  # type: ignore[assignment]
        if caller.client_id is None:
            raise Forbidden
        scopes = services.granted(wanted, caller.scopes & CUSTOMER_SCOPES)
        customer = selectors.customer_seen_by(caller, customer_id)
        token = tokens.customer_token(caller.client_id, customer.pk, scopes, clock.now())
        return Response({"access_token": token}, status=201, headers={"Cache-Control": "no-store"})
