"""A trader signs up, logs in, refreshes, logs out here or everywhere, and takes another password."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from accounts import clock, services, tokens
from accounts.errors import Forbidden, InvalidCredentials, InvalidToken, SignupRefused, WrongPassword
from accounts.identity import OWN_LOGIN
from accounts.rest import fields
from accounts.rest.viewsets import EVERYBODY, PublicResource, Resource


class AllOf(fields.Body):
    """A body of which every required name that is missing is told at once."""

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        needed = [name for name, field in self.fields.items() if field.required]
        if isinstance(data, dict) and (missing := [name for name in needed if data.get(name) in (None, "")]):
            raise ValidationError(f"Missing required parameters: {', '.join(missing)}")
        return super().to_internal_value(data)


class Email(fields.Verbatim):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.taken = self.taken | {"format": "email"}


class SignupIn(AllOf):
    email = Email(required=True)
    password = fields.Verbatim(required=True, help_text="At least 8 characters, and none of the common ones.")
    name = fields.Text(longest=200)


class LoginIn(AllOf):
    email = fields.Verbatim(required=True)
    password = fields.Verbatim(required=True)


class RefreshIn(AllOf):
    refresh = fields.Verbatim(required=True)


class PasswordIn(AllOf):
    oldPassword = fields.Verbatim(required=True)  # noqa: N815 - as the others of this dialect
    newPassword = fields.Verbatim(required=True)  # noqa: N815


class UserOut(fields.Shown):
    id = fields.Guid()
    email = fields.Text()
    customerGuid = fields.Guid()  # noqa: N815 - the contract's name


class SignupOut(fields.Shown):
    message = fields.Text()
    user = UserOut()
    access = fields.Text()
    refresh = fields.Text()


class PairOut(fields.Shown):
    access = fields.Text()
    refresh = fields.Text()
    expiresIn = fields.Whole(least=1, most=10**9, source="expires_in")  # noqa: N815 - the contract's name


class AcceptIn(AllOf):
    token = fields.Verbatim(required=True)
    password = fields.Verbatim(required=True, help_text="At least 8 characters, and none of the common ones.")


class MessageOut(fields.Shown):
    message = fields.Text()


class SessionViewSet(PublicResource):
    """A trader's session. The body itself proves who calls."""

    refusals = {
        "signup": (SignupRefused,),
        "login": (InvalidCredentials,),
        "refresh": (InvalidToken,),
        "logout": (InvalidToken,),
        "accept_invitation": (InvalidToken,),
    }

    @extend_schema(request=SignupIn, responses={201: SignupOut})
    @action(detail=False, methods=["post"], throttle_scope="signup")
    def signup(self, request: Request) -> Response:
        """Make a user with a customer of their own."""
        body = self.body(SignupIn)
        at = clock.now()
        customer = services.create_customer(body["email"], body["password"], body.get("name", ""), at)
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

    @extend_schema(request=LoginIn, responses=PairOut)
    @action(detail=False, methods=["post"], throttle_scope="login")
    def login(self, request: Request) -> Response:
        """Get an access and a refresh token."""
        body = self.body(LoginIn)
        user = services.authenticate(body["email"], body["password"])
        return Response(PairOut(tokens.trader_pair(user, clock.now())).data)

    @extend_schema(request=RefreshIn, responses=PairOut)
    @action(detail=False, methods=["post"], throttle_scope="refresh")
    def refresh(self, request: Request) -> Response:
        """Get a new pair for a refresh token, which is dead from now on."""
        return Response(PairOut(tokens.rotate(self.body(RefreshIn)["refresh"], clock.now())).data)

    @extend_schema(request=RefreshIn, responses=MessageOut)
    @action(detail=False, methods=["post"])
    def logout(self, request: Request) -> Response:
        """End the session of a refresh token: it and its access tokens are worthless from now on."""
        tokens.revoke(self.body(RefreshIn)["refresh"])
        return Response({"message": "Logged out successfully"})

    @extend_schema(request=AcceptIn, responses=PairOut)
    @action(detail=False, methods=["post"], url_path="accept-invitation", throttle_scope="refresh")
    def accept_invitation(self, request: Request) -> Response:
        """Give an invited login its password, and get an access and a refresh token."""
        body = self.body(AcceptIn)
        user = services.accept(body["token"], body["password"])
        return Response(PairOut(tokens.trader_pair(user, clock.now())).data)


class OwnLoginViewSet(Resource):
    """What a trader does about their own login. An access token proves who calls."""

    owner = EVERYBODY  # there are no rows: everything is about the caller
    scopes = dict.fromkeys(["password", "logout_everywhere"], OWN_LOGIN)  # which only a trader's own token has
    refusals = {"password": (WrongPassword,), "logout_everywhere": ()}
    keeps_answers = False  # tokens

    @extend_schema(request=PasswordIn, responses=PairOut)
    @action(detail=False, methods=["post"], throttle_scope="password")
    def password(self, request: Request) -> Response:
        """Take another password. Every token from before is worthless from now on; the answer has new ones."""
        body = self.body(PasswordIn)
        user = services.change_password(self._user_id, self.caller.generation, body["oldPassword"], body["newPassword"])
        return Response(PairOut(tokens.trader_pair(user, clock.now())).data)

    @extend_schema(request=None, responses=MessageOut)
    @action(detail=False, methods=["post"], url_path="logout-everywhere")
    def logout_everywhere(self, request: Request) -> Response:
        """Make every token worthless that this user has, in every session."""
        services.log_out_everywhere([self._user_id])
        return Response({"message": "Logged out everywhere"})

    @property
    def _user_id(self) -> UUID:
        if self.caller.user_id is None:
            raise Forbidden
        return self.caller.user_id
