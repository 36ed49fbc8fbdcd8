"""API clients, and the customers they act for, get their tokens."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import FormParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import clock, selectors, services, tokens
from accounts.api import oauth
from accounts.errors import CustomerNotFound, Forbidden
from accounts.identity import CUSTOMER_SCOPES
from accounts.rest import fields
from accounts.rest.fields import Schema
from accounts.rest.viewsets import FIRM, PublicResource, Resource

MOST_SCOPES = 100


class TokenIn(fields.Body):
    grant_type = fields.Choice(["client_credentials"], required=True)
    client_id = fields.Text(longest=oauth.LONGEST["client_id"])
    client_secret = fields.Text(longest=oauth.LONGEST["client_secret"])
    scope = fields.Text(longest=oauth.LONGEST["scope"])


class TokenOut(fields.Shown):
    access_token = fields.Text()
    token_type = fields.Choice(["Bearer"])
    expires_in = fields.Whole(least=1, most=10**9)
    scope = fields.Text()
    created_at = fields.Whole(least=0, most=10**11)


class Scopes(fields.Field):
    schema: Schema = {"type": "array", "minItems": 1, "maxItems": MOST_SCOPES, "items": {"type": "string"}}

    def to_internal_value(self, data: Any) -> list[str]:
        if not isinstance(data, list) or not 0 < len(data) <= MOST_SCOPES or not all(isinstance(s, str) for s in data):
            self.refuse("must be a list of scopes")
        return data


class CustomerTokenIn(fields.Body):
    customer_guid = fields.Guid(required=True)
    scopes = Scopes(required=True)


class CustomerTokenOut(fields.Shown):
    access_token = fields.Text()


class TokenViewSet(PublicResource):
    """OAuth 2 client credentials, as JSON or as a form."""

    throttle_scope = "token"
    refusals = {"create": oauth.REFUSALS}
    parser_classes = (*APIView.parser_classes, FormParser)

    def handle_exception(self, exc: Exception) -> Response:
        return super().handle_exception(oauth.refusal_of(exc))

    @extend_schema(request=TokenIn, responses={200: TokenOut})
    def create(self, request: Request) -> Response:
        """Get an access token for an API client."""
        granted = oauth.grant(request)
        at = clock.now()
        return Response(
            {
                "access_token": tokens.client_token(granted.client, granted.scopes, at),
                "token_type": "Bearer",
                "expires_in": settings.CLIENT_TOKEN_SECONDS,
                "scope": " ".join(sorted(granted.scopes)),
                "created_at": int(at.timestamp()),
            }
        )


class CustomerTokenViewSet(Resource):
    """A token with which a customer's own device may do, for this customer, what the client allows it."""

    owner = FIRM
    scopes = {"create": "customers:execute"}
    keeps_answers = False
    refusals = {"create": (CustomerNotFound,)}

    @extend_schema(request=CustomerTokenIn, responses={201: CustomerTokenOut})
    def create(self, request: Request) -> Response:
        """Get a token that is limited to one customer."""
        body = self.body(CustomerTokenIn)
        caller = self.caller
        if caller.client_id is None:
            raise Forbidden
        scopes = services.granted(body["scopes"], caller.scopes & CUSTOMER_SCOPES)
        customer = selectors.customer_seen_by(caller, body["customer_guid"])
        token = tokens.customer_token(caller.client_id, customer.pk, scopes, clock.now(), caller.generation)
        return Response({"access_token": token}, status=201)
