"""API clients, their tokens and what each may do; and a view that asks for nothing stays closed."""

from __future__ import annotations

import uuid

import pytest
from django.urls import get_resolver
from django.utils import timezone
from rest_framework.permissions import AllowAny
from rest_framework.views import APIView

from accounts import services, tokens
from accounts.api.external_bank_accounts import PII
from accounts.identity import CUSTOMER_SCOPES, FIRM_SCOPES
from accounts.models import ApiClient, Customer
from accounts.rest.viewsets import Resource
from brokerage.http.scopes import ScopeRequired
from tests.accounts.calls import Answer, Api, the_firm
from tests.given import a_customer, token_of
from tests.without_guards import without_guards

pytestmark = pytest.mark.django_db

OAUTH = ("error", "error_description")
PUBLIC = {
    "accounts.api.identity.SessionViewSet",
    "accounts.api.clients.TokenViewSet",
    "accounts.api.accounts.AssetViewSet",
    "quotes.api.markets.MarketViewSet",
    "drf_spectacular.views.SpectacularSwaggerSplitView",
}


def a_client(*scopes: str) -> tuple[ApiClient, str]:
    return services.create_api_client("partner", scopes or FIRM_SCOPES, timezone.now())


def asks_for_a_token(**changes: object) -> Answer:
    client, secret = a_client("quotes:read", "trades:read")
    given = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
    return Api().post("/oauth/token", given | changes)


def error(status: int, code: str, answer: Answer, oauth: str = "") -> None:
    """`oauth`: what a token endpoint says beside the three keys."""
    assert answer.status == status
    assert list(answer.body) == ["status", "error_message", "message_code", *(OAUTH if oauth else ())]
    assert answer.body.get("error", "") == oauth
    assert (answer.body["status"], answer.body["message_code"]) == (status, code)


# --- getting a token -------------------------------------------------------------------------------


def test_a_client_gets_a_token_with_all_its_scopes():
    answer = asks_for_a_token()

    assert answer.status == 200
    assert list(answer.body) == ["access_token", "token_type", "expires_in", "scope", "created_at"]
    assert (answer.body["token_type"], answer.body["scope"]) == ("Bearer", "quotes:read trades:read")
    assert abs(answer.body["created_at"] - timezone.now().timestamp()) < 60
    assert tokens.verify(f"Bearer {answer.body['access_token']}").scopes == {"quotes:read", "trades:read"}


def test_a_client_gets_a_token_with_the_scopes_it_asks_for():
    answer = asks_for_a_token(scope="trades:read")

    assert answer.body["scope"] == "trades:read"
    assert tokens.verify(f"Bearer {answer.body['access_token']}").scopes == {"trades:read"}


@pytest.mark.parametrize(
    "twice", ["scope=quotes%3Aread&scope=trades%3Aread", "client_id=x", "grant_type=client_credentials"]
)
def test_a_form_with_a_field_twice_gives_no_token(twice):
    client, secret = a_client()
    form = f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}&{twice}"

    answer = Api().post("/oauth/token", raw=form.encode(), as_="application/x-www-form-urlencoded")

    assert (answer.status, answer.body["message_code"]) == (400, "invalid_parameter")
    assert answer.body["error_message"] == f"{twice.partition('=')[0]} appears twice."


def test_a_client_that_posts_a_form_gets_a_token_too():
    client, secret = a_client()
    form = f"grant_type=client_credentials&client_id={client.client_id}&client_secret={secret}&scope=quotes%3Aread"

    answer = Api().post("/oauth/token", raw=form.encode(), as_="application/x-www-form-urlencoded")

    assert (answer.status, answer.body["scope"]) == (200, "quotes:read")


def test_a_scope_beyond_the_clients_own_is_400():
    for scope in ("quotes:read settlements:execute", "everything"):
        error(400, "invalid_parameter", asks_for_a_token(scope=scope), "invalid_scope")


def test_wrong_credentials_are_401_and_all_look_the_same():
    disabled, secret = a_client()
    ApiClient.objects.filter(pk=disabled.pk).update(is_active=False)

    answers = [
        asks_for_a_token(client_secret="wrong"),
        asks_for_a_token(client_id="client_" + "0" * 32),
        asks_for_a_token(client_id="nobody"),
        asks_for_a_token(client_id=disabled.client_id, client_secret=secret),
        Api().post(
            "/oauth/token",
            raw=b"grant_type=client_credentials&client_id=%00&client_secret=%00",
            as_="application/x-www-form-urlencoded",
        ),
    ]

    for answer in answers:
        error(401, "unauthorized", answer, "invalid_client")
    assert len({answer.raw for answer in answers}) == 1


@pytest.mark.parametrize(
    "change",
    [{"grant_type": None}, {"client_secret": 7}, {"scope": ["a"]}, {"client_id": "c" * 300}, {"scope": "s" * 5_000}],
)
def test_a_malformed_request_for_a_token_is_400(change):
    error(400, "invalid_parameter", asks_for_a_token(**change), "invalid_request")


def test_another_content_type_is_415():
    answer = Api().post("/oauth/token", raw=b"<a/>", as_="application/xml")
    error(415, "unsupported_media_type", answer, "invalid_request")


# --- a customer's token ----------------------------------------------------------------------------


def test_a_customers_token_is_limited_to_that_customer_and_its_scopes():
    alice, bob = a_customer("alice"), a_customer("bob")

    answer = the_firm().post("/api/customer_tokens", {"customer_guid": alice.pk.hex, "scopes": ["accounts:read"]})

    assert (answer.status, list(answer.body)) == (201, ["access_token"])
    api = Api(answer.body["access_token"])
    assert {account["customer_guid"] for account in api.get("/api/accounts").body["objects"]} == {alice.pk.hex}
    assert api.get("/api/accounts", customer_guid=bob.pk.hex).body["total"] == 0
    error(403, "invalid_scope", api.get("/api/customers"))


def test_a_customers_token_never_has_more_than_its_client_or_than_a_customer_may():
    guid = a_customer("alice").pk.hex

    error(403, "invalid_scope", the_firm("customers:execute", "customers:read").post(
        "/api/customer_tokens", {"customer_guid": guid, "scopes": ["trades:execute"]}
    ))  # fmt: skip
    for scope in ("customers:execute", "settlements:execute", "login"):
        error(403, "invalid_scope", the_firm().post(
            "/api/customer_tokens", {"customer_guid": guid, "scopes": [scope]}
        ))  # fmt: skip


def test_only_the_firms_clients_give_tokens_to_customers():
    alice = a_customer("alice")
    wanted = {"customer_guid": alice.pk.hex, "scopes": ["accounts:read"]}

    error(403, "invalid_scope", Api(token_of(alice)).post("/api/customer_tokens", wanted))
    error(403, "invalid_scope", the_firm("customers:read").post("/api/customer_tokens", wanted))
    error(401, "unauthorized", Api().post("/api/customer_tokens", wanted))


@pytest.mark.parametrize("scopes", [None, [], "accounts:read", [7], [None], ["accounts:read"] * 101])
def test_a_customer_token_needs_a_list_of_scopes(scopes):
    wanted = {"customer_guid": a_customer("alice").pk.hex, "scopes": scopes}
    error(400, "invalid_parameter", the_firm().post("/api/customer_tokens", wanted))


def test_a_customer_token_for_nobody_is_404():
    wanted = {"customer_guid": uuid.uuid4().hex, "scopes": ["accounts:read"]}
    error(404, "not_found", the_firm().post("/api/customer_tokens", wanted))


# --- every endpoint asks for its scope -------------------------------------------------------------

ENDPOINTS = [
    ("GET", "/api/customers", "customers:read"),
    ("GET", "/api/customers/" + "0" * 32, "customers:read"),
    ("POST", "/api/customers", "customers:execute"),
    ("PATCH", "/api/customers/" + "0" * 32, "customers:write"),
    ("GET", "/api/accounts", "accounts:read"),
    ("GET", "/api/accounts/" + "0" * 32, "accounts:read"),
    ("POST", "/api/accounts", "accounts:execute"),
    ("PATCH", "/api/accounts/" + "0" * 32, "accounts:write"),
    ("POST", "/api/customer_tokens", "customers:execute"),
    ("GET", "/api/external_bank_accounts", "external_bank_accounts:read"),
    ("GET", "/api/external_bank_accounts/" + "0" * 32, "external_bank_accounts:read"),
    ("POST", "/api/external_bank_accounts", "external_bank_accounts:execute"),
    ("DELETE", "/api/external_bank_accounts/" + "0" * 32, "external_bank_accounts:execute"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_an_endpoint_opens_for_its_scope_and_for_no_other(method, path, scope):
    others = the_firm(*(FIRM_SCOPES - {scope}))

    error(403, "invalid_scope", others.call(method, path))
    assert the_firm(scope).call(method, path).status in {200, 400, 404}
    error(401, "unauthorized", Api().call(method, path))


def test_a_trader_has_every_customer_scope_and_none_of_the_firms():
    api = Api(token_of(a_customer("alice")))

    for method, path, scope in ENDPOINTS:
        is_refused = api.call(method, path).status == 403
        assert is_refused == (scope not in CUSTOMER_SCOPES)


def patterns(found):
    for pattern in found:
        yield from patterns(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern]


def test_every_view_of_the_system_says_its_scopes_or_is_known_to_be_public():
    for pattern in patterns(get_resolver().url_patterns):
        view = getattr(pattern.callback, "cls", None)
        if view is None or not issubclass(view, APIView) or f"{view.__module__}.{view.__name__}" in PUBLIC:
            continue
        assert ScopeRequired in view.permission_classes, view
        open_ = set(pattern.callback.actions.values()) - set(view.scopes) - getattr(view, "direct", set())
        assert not open_, f"{view} leaves {open_} without a scope"


def test_every_path_of_the_api_is_of_a_viewset_in_a_router_and_takes_both_slash_forms():
    """But for the document and the page that shows it, there is no view beside them, and no second table of routes."""
    of_the_api = {
        pattern.pattern.regex.pattern: hasattr(pattern.callback, "actions")
        for pattern in patterns(get_resolver().url_patterns)
        if pattern.pattern.regex.pattern.startswith(("^api", "^oauth"))
    }

    assert {path for path, is_a_viewsets in of_the_api.items() if not is_a_viewsets} == {
        "^api/schema/?$",
        "^api/docs/?$",
    }
    assert {path for path in of_the_api if not path.endswith("/?$")} == set()
    assert len(of_the_api) > 50


def test_a_viewset_that_does_not_say_whose_its_rows_are_is_not_made():
    """Guard: `Resource.__init_subclass__`."""
    with pytest.raises(TypeError, match="owner"):

        class Forgotten(Resource):
            scopes = {"list": "quotes:read"}


def test_a_view_without_scopes_is_refused():
    class Forgotten(APIView):
        def get(self, request):
            raise AssertionError("reached")

    from django.test import RequestFactory

    client, _ = a_client()
    request = RequestFactory().get("/api/x", HTTP_AUTHORIZATION=f"Bearer {tokens.client_token(client, FIRM_SCOPES)}")

    assert Forgotten.as_view()(request).status_code == 403
    assert AllowAny not in Forgotten.permission_classes


def test_a_method_that_does_not_exist_is_405_and_options_tell_nothing():
    assert the_firm().call("DELETE", "/api/customers").status == 405
    options = Api().call("OPTIONS", "/api/customers")
    assert (options.status, options.raw, options.response["Allow"]) == (204, b"", "GET, POST, HEAD, OPTIONS")
    assert the_firm().call("HEAD", "/api/customers").status == 200


def test_no_customer_was_made_by_any_of_these_calls():
    the_firm("customers:read").post("/api/customers", {"type": "individual"})

    assert not Customer.objects.exists()


def test_every_scope_that_is_granted_has_an_endpoint():
    """Guard: none is granted for what there isn't yet."""
    asked_for = {PII}  # of a parameter
    for pattern in patterns(get_resolver().url_patterns):
        asked_for |= set(getattr(getattr(pattern.callback, "cls", None), "scopes", {}).values())

    assert asked_for >= FIRM_SCOPES


def test_a_scope_that_a_client_has_of_before_is_not_granted():
    client, secret = a_client()
    before = "UPDATE accounts_apiclient SET scopes = '{transfers:write,trades:read}' WHERE id = %s"
    without_guards("accounts_apiclient", before, client.pk)
    body = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}

    assert Api().post("/oauth/token", body).body["scope"] == "trades:read"
    refused = Api().post("/oauth/token", body | {"scope": "transfers:write"})
    error(400, "invalid_parameter", refused, "invalid_scope")
