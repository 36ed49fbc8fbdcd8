"""Tokens by OAuth 2, as published libraries ask for them: at the real HTTP server."""

from __future__ import annotations

import base64
from urllib.parse import quote

import httpx
import pytest
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from authlib.integrations.requests_client import OAuthError
from django.utils import timezone
from oauthlib.oauth2 import BackendApplicationClient, InvalidClientError, InvalidScopeError
from requests_oauthlib import OAuth2Session

from accounts import services, tokens
from accounts.models import ApiClient
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

KEYS = ["status", "error_message", "message_code", "error", "error_description"]
FORM = "application/x-www-form-urlencoded"
GRANT = "grant_type=client_credentials"


@pytest.fixture
def partner() -> tuple[str, str]:
    """A client's id and secret."""
    client, secret = services.create_api_client("a partner", ["quotes:read", "trades:read"], timezone.now())
    return client.client_id, secret


def asks(
    live: Live, body: str = GRANT, *, as_: str = FORM, query: str = "", basic: str | None = None
) -> httpx.Response:
    headers = {"Content-Type": as_}
    if basic is not None:
        headers["Authorization"] = f"Basic {base64.b64encode(basic.encode()).decode()}"
    with live.client() as http:
        return http.post(f"/oauth/token{query}", content=body, headers=headers)


def refused(answer: httpx.Response, status: int, error: str) -> str:
    """Gives the description."""
    body = answer.json()
    assert (answer.status_code, body["error"], list(body)) == (status, error, KEYS)
    assert (body["status"], body["error_message"]) == (status, body["error_description"])
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    return str(body["error_description"])


# --- published libraries, with their defaults --------------------------------------------------------


def test_authlib_gets_a_token_and_calls_with_it(live: Live, partner: tuple[str, str]) -> None:
    with AuthlibSession(*partner) as session:
        token = session.fetch_token(f"{live.url}/oauth/token", grant_type="client_credentials")
        answer = session.get(f"{live.url}/api/quotes")

    assert (token["token_type"], token["scope"]) == ("Bearer", "quotes:read trades:read")
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_authlib_gets_fewer_scopes_by_either_way_to_say_who_it_is(
    live: Live, partner: tuple[str, str], method: str
) -> None:
    with AuthlibSession(*partner, scope="trades:read", token_endpoint_auth_method=method) as session:
        token = session.fetch_token(f"{live.url}/oauth/token", grant_type="client_credentials")

    assert token["scope"] == "trades:read"


def test_authlib_raises_for_a_wrong_secret_and_for_a_scope_beyond(live: Live, partner: tuple[str, str]) -> None:
    """Guard: `error` in the answer. Without it authlib takes the refusal for a token."""
    with AuthlibSession(partner[0], "wrong") as session, pytest.raises(OAuthError, match="invalid_client"):
        session.fetch_token(f"{live.url}/oauth/token", grant_type="client_credentials")
    with AuthlibSession(*partner, scope="all") as session, pytest.raises(OAuthError, match="invalid_scope"):
        session.fetch_token(f"{live.url}/oauth/token", grant_type="client_credentials")


@pytest.fixture
def plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """oauthlib sends no secret without TLS unless it is told to; here the server is on this very machine."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


@pytest.mark.usefixtures("plain_http")
@pytest.mark.parametrize("include_client_id", [None, True])
def test_requests_oauthlib_gets_a_token_and_calls_with_it(
    live: Live, partner: tuple[str, str], include_client_id: bool | None
) -> None:
    id_, secret = partner
    with OAuth2Session(client=BackendApplicationClient(client_id=id_)) as session:
        session.fetch_token(
            f"{live.url}/oauth/token", client_id=id_, client_secret=secret, include_client_id=include_client_id
        )
        answer = session.get(f"{live.url}/api/trades")

    assert (answer.status_code, answer.json()["total"]) == (200, 0)


@pytest.mark.usefixtures("plain_http")
def test_requests_oauthlib_raises_for_a_wrong_secret_and_for_a_scope_beyond(
    live: Live, partner: tuple[str, str]
) -> None:
    id_, secret = partner
    anybody = OAuth2Session(client=BackendApplicationClient(client_id=id_))
    with anybody, pytest.raises(InvalidClientError):
        anybody.fetch_token(f"{live.url}/oauth/token", client_id=id_, client_secret="wrong")
    greedy = OAuth2Session(client=BackendApplicationClient(client_id=id_, scope=["all"]))
    with greedy, pytest.raises(InvalidScopeError):
        greedy.fetch_token(f"{live.url}/oauth/token", client_id=id_, client_secret=secret)


# --- who asks --------------------------------------------------------------------------------------


def test_basic_is_percent_decoded(live: Live, partner: tuple[str, str]) -> None:
    """RFC 6749, 2.3.1. Guard: `unquote_plus` in `oauth._basic`."""
    id_, secret = partner
    every_byte = "".join(f"%{byte:02X}" for byte in secret.encode())

    answer = asks(live, basic=f"{quote(id_)}:{every_byte}")

    assert (answer.status_code, answer.json()["scope"]) == (200, "quotes:read trades:read")
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert tokens.verify(f"Bearer {answer.json()['access_token']}").scopes == {"quotes:read", "trades:read"}


@pytest.mark.parametrize("basic", ["nobody:wrong", "no colon", ":", "%FF:%FF", "client_%00:x", "a:" + "b" * 900])
def test_wrong_credentials_by_basic_are_401_with_a_challenge(live: Live, basic: str) -> None:
    answer = asks(live, basic=basic)

    refused(answer, 401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("given", ["Basic", "Basic !!!", "Basic Zm9v", "Basic w6Q6w6Q=x", "Digest a=b"])
def test_a_header_that_says_nobody_is_401(live: Live, given: str) -> None:
    with live.client() as http:
        answer = http.post("/oauth/token", data={"grant_type": "client_credentials"}, headers={"Authorization": given})
    refused(answer, 401, "invalid_client")


def test_every_reason_to_refuse_a_client_has_the_same_bytes(live: Live, partner: tuple[str, str]) -> None:
    id_, secret = partner
    answers = [asks(live), asks(live, basic="nobody:x"), asks(live, basic=f"{id_}:wrong")]
    ApiClient.objects.update(is_active=False)
    answers += [asks(live, basic=f"{id_}:{secret}"), asks(live, f"{GRANT}&client_id={id_}&client_secret={secret}")]

    assert {refused(answer, 401, "invalid_client") for answer in answers} == {
        "The client id or the client secret is wrong."
    }
    assert len({answer.content for answer in answers}) == 1


def test_a_client_says_who_it_is_in_one_way_only(live: Live, partner: tuple[str, str]) -> None:
    """Guard: `oauth._credentials`. Without it whoever is named in the header gets the token."""
    id_, secret = partner
    basic = f"{id_}:{secret}"

    both = asks(live, f"{GRANT}&client_id={id_}&client_secret={secret}", basic=basic)
    assert "not by both" in refused(both, 400, "invalid_request")
    refused(asks(live, f"{GRANT}&client_secret=x", basic=basic), 400, "invalid_request")
    refused(asks(live, f"{GRANT}&client_id=another", basic=basic), 400, "invalid_request")
    assert asks(live, f"{GRANT}&client_id={id_}", basic=basic).status_code == 200


# --- what is asked for -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "query", "error"),
    [
        ("", "", "invalid_request"),
        ("grant_type=", "", "invalid_request"),
        ("grant_type=password", "", "unsupported_grant_type"),
        (f"{GRANT}&scope=quotes%3Aread+everything", "", "invalid_scope"),
        (f"{GRANT}&scope=caf%C3%A9%22", "", "invalid_scope"),
        (f"{GRANT}&scope=quotes%3Aread&scope=trades%3Aread", "", "invalid_request"),
        (f"{GRANT}&{GRANT}", "", "invalid_request"),
        (f"{GRANT}&other=1&other=2", "", "invalid_request"),
        (GRANT, "?scope=trades%3Aread", "invalid_request"),
        (GRANT, "?other=1&other=2", "invalid_request"),
        (f"{GRANT}&scope={'s' * 4001}", "", "invalid_request"),
    ],
)
def test_what_cant_be_granted_is_400_with_its_reason(
    live: Live, partner: tuple[str, str], body: str, query: str, error: str
) -> None:
    description = refused(asks(live, body, query=query, basic=":".join(partner)), 400, error)
    assert description.isascii()
    assert '"' not in description


@pytest.mark.parametrize("body", ["[]", "null", "{", '{"grant_type":"client_credentials","grant_type":"x"}',
                                  '{"grant_type":7}', '{"scope":["quotes:read"]}'])  # fmt: skip
def test_json_that_is_no_request_is_400(live: Live, partner: tuple[str, str], body: str) -> None:
    refused(asks(live, body, as_="application/json", basic=":".join(partner)), 400, "invalid_request")


def test_json_with_basic_gets_a_token_and_parameters_without_a_value_are_absent(
    live: Live, partner: tuple[str, str]
) -> None:
    body = '{"grant_type":"client_credentials","scope":"","client_secret":null,"unknown":"passed over"}'
    answer = asks(live, body, as_="application/json", basic=":".join(partner))
    assert (answer.status_code, answer.json()["scope"]) == (200, "quotes:read trades:read")


def test_another_content_type_says_its_error_too(live: Live, partner: tuple[str, str]) -> None:
    refused(asks(live, "<a/>", as_="application/xml", basic=":".join(partner)), 415, "invalid_request")
