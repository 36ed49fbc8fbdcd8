"""Whose token opens what. Everything that is no genuine, unexpired access token of somebody active is 401."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.utils import timezone

from accounts import clock, services, tokens
from accounts.errors import InvalidToken, Unauthorized
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES, OWN_LOGIN
from tests.accounts.calls import Api
from tests.given import a_customer

pytestmark = pytest.mark.django_db

BAD_TOKEN = {"error": "Token expired or invalid"}


def payload_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def signed(payload: dict[str, Any], *, key: str = "", algorithm: str = "HS256") -> str:
    return jwt.encode(payload, key or settings.JWT_SIGNING_KEY, algorithm=algorithm)


def unsigned(payload: dict[str, Any], algorithm: str) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(payload)}."


def refused(token: str) -> None:
    """By the pure check, and by both dialects of the API."""
    with pytest.raises(InvalidToken):
        tokens.verify(f"Bearer {token}")
    assert Api(token).get("/api/accounts").status == 401


def test_a_traders_token_acts_for_their_own_customer_alone():
    alice = a_customer("alice")

    claims = tokens.verify(f"Bearer {tokens.trader_pair(alice.user).access}")
    caller = tokens.caller_of(claims)

    assert (caller.user_id, caller.customer_id, caller.client_id) == (alice.user_id, alice.pk, None)
    assert caller.scopes == CUSTOMER_SCOPES | {OWN_LOGIN}


def test_a_genuine_token_is_verified_without_any_query(django_assert_num_queries):
    token = tokens.trader_pair(a_customer("alice").user).access

    with django_assert_num_queries(0):
        tokens.verify(f"Bearer {token}")
    with django_assert_num_queries(1):
        tokens.caller_of(tokens.verify(f"Bearer {token}"))


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token"])
def test_no_bearer_token_is_told_from_a_bad_one(header):
    with pytest.raises(Unauthorized) as refusal:
        tokens.verify(header)

    assert not isinstance(refusal.value, InvalidToken)
    assert refusal.value.text == "Unauthorized"


def test_forged_tokens_are_refused():
    genuine = payload_of(tokens.trader_pair(a_customer("alice").user).access)

    refused(unsigned(genuine, "none"))
    refused(unsigned(genuine, "None"))
    refused(unsigned(genuine, "HS256"))
    refused(signed(genuine, key="somebody else's key of enough bytes"))
    refused(signed(genuine, algorithm="HS384"))
    refused(signed(genuine)[:-2])
    refused("not.a.token")
    refused("é" * 50)
    refused("a" * 5_000)
    refused(base64.urlsafe_b64encode(b"[" * 3_000).decode() + ".e30.x")


@pytest.mark.parametrize(
    "change",
    [
        {"exp": int(time.time()) - 1},
        {"exp": None},
        {"exp": "soon"},
        {"aud": "another-api"},
        {"aud": None},
        {"iss": "somebody else"},
        {"iss": None},
        {"jti": None},
        {"token_type": "refresh"},
        {"token_type": None},
        {"use": "operator"},
        {"use": None},
        {"use": "client"},
        {"user_id": None},
        {"user_id": "1"},
        {"customer_id": None},
        {"customer_id": "' OR 1=1"},
    ],
)
def test_a_genuine_signature_under_the_wrong_claims_is_refused(change):
    payload = payload_of(tokens.trader_pair(a_customer("alice").user).access) | change

    refused(signed({name: value for name, value in payload.items() if value is not None}))


def test_a_token_seen_before_still_expires(monkeypatch):
    token = tokens.trader_pair(a_customer("alice").user).access
    tokens.verify(f"Bearer {token}")

    later = clock.about_now() + settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"] + timedelta(seconds=1)
    monkeypatch.setattr(clock, "about_now_seconds", later.timestamp)

    refused(token)


def test_a_token_issued_too_long_ago_is_refused():
    old = timezone.now() - settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"] - timedelta(seconds=1)

    refused(tokens.trader_pair(a_customer("alice").user, old).access)


def test_a_refresh_token_is_no_access_token():
    refused(tokens.trader_pair(a_customer("alice").user).refresh)


def test_a_disabled_users_token_stops_working_at_once():
    alice = a_customer("alice")
    api = Api(tokens.trader_pair(alice.user).access)
    assert api.get("/api/accounts").status == 200

    alice.user.is_active = False
    alice.user.save()

    assert api.get("/api/accounts").status == 401


def test_a_token_naming_somebody_elses_customer_is_refused():
    alice, bob = a_customer("alice"), a_customer("bob")
    payload = payload_of(tokens.trader_pair(alice.user).access) | {"customer_id": bob.pk.hex}

    with pytest.raises(InvalidToken):
        tokens.caller_of(tokens.verify(f"Bearer {signed(payload)}"))


def test_a_disabled_clients_token_and_those_it_gave_to_customers_stop_working():
    alice = a_customer("alice")
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    own = Api(tokens.client_token(client, FIRM_SCOPES))
    given = Api(tokens.customer_token(client.pk, alice.pk, ["accounts:read"]))
    assert (own.get("/api/accounts").status, given.get("/api/accounts").status) == (200, 200)

    client.is_active = False
    client.save()

    assert (own.get("/api/accounts").status, given.get("/api/accounts").status) == (401, 401)


def test_a_scope_taken_from_a_client_is_gone_from_its_tokens():
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    api = Api(tokens.client_token(client, FIRM_SCOPES))

    client.scopes = ["quotes:read"]
    client.save()

    assert api.get("/api/accounts").status == 403


def test_a_user_without_a_customer_gets_no_token():
    operator = a_customer("alice").user.__class__.objects.create_superuser("op@example.com", "correct horse")

    with pytest.raises(InvalidToken):
        tokens.trader_pair(operator)


def test_the_two_401_bodies_of_the_orders_contract():
    assert Api().post("/api/v1/auth/logout", {"refresh": "x"}).body == BAD_TOKEN
    assert (Api().get("/api/accounts").response["WWW-Authenticate"]) == "Bearer"
    assert Api().get("/api/accounts").body == {
        "status": 401,
        "error_message": "Unauthorized",
        "message_code": "unauthorized",
    }
