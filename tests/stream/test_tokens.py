"""Who may connect, and when that ends while they are connected."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts import tokens
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient, EndedSession, User
from accounts.tokens import caller_of, callers_of, verify
from tests.given import a_customer, token_of
from tests.stream.listening import Stream, Ws
from tests.stream.who import a_client, a_customers_token, a_firms_token, freeze

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]
SOON = 6.0  # seconds in which a token's end is noticed


def get(stream: Stream, token: str = "", path: str = "/api/events/stream", **headers: str) -> tuple[int, Any, bytes]:
    given = {"Host": "x", **({"Authorization": f"Bearer {token}"} if token else {}), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return stream.sends(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())


def code(answer: tuple[int, Any, bytes]) -> tuple[int, str]:
    status, body, _ = answer
    assert set(body) == {"status", "error_message", "message_code"}
    assert body["status"] == status
    return status, body["message_code"]


def closed(reader: Ws, seconds: float = SOON) -> tuple[int, str, dict[str, Any]]:
    """The close's code and reason, and the message before it."""
    last = reader.first("error", seconds)
    with pytest.raises(ConnectionClosed) as said:
        reader.next()
    assert said.value.rcvd is not None
    return said.value.rcvd.code, said.value.rcvd.reason, last


# --- coming ----------------------------------------------------------------------------------------


def test_who_has_no_good_token_is_told_so_in_the_apis_words(stream: Stream) -> None:
    alice = a_customer()
    dead = a_customers_token(alice)
    claims = verify(f"Bearer {dead}")
    _disable(claims.client_id)
    no_head = get(stream)

    assert code(no_head) == (401, "unauthorized")
    assert b"\r\nWWW-Authenticate: Bearer" in no_head[2]
    assert code(get(stream, "x.y.z")) == (401, "unauthorized")
    assert code(get(stream, dead)) == (401, "unauthorized")
    assert code(get(stream, a_firms_token(frozenset({"customers:read"})))) == (403, "invalid_scope")
    only_batches = "/api/events/stream?event_type=settlement_batch.cut"
    assert code(get(stream, a_customers_token(alice), only_batches)) == (403, "invalid_scope")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/events/stream?after=x", 400),
        ("/api/events/stream?event_type=trade", 400),
        ("/api/events/stream?symbol=DOGE-XYZ", 400),
        ("/api/events/stream?token=eyJhbGciOi.eyJ1c2Vy.c2ln", 400),
        ("/api/stream?access_token=eyJhbGciOi.eyJ1c2Vy.c2ln", 400),
        ("/api/events", 404),
        ("/", 404),
        ("/api/stream", 426),
    ],
)
def test_what_cant_be_meant_is_refused(stream: Stream, path: str, status: int) -> None:
    """Guard: `Wishes.read`, which knows no other parameter: a token in the address would stand in logs on the way."""
    answer = get(stream, a_firms_token(), path)

    assert code(answer)[0] == status
    assert "eyJhbGciOi" not in json.dumps(answer[1])


def test_a_browsers_first_message_says_the_token(stream: Stream) -> None:
    alice = a_customer()
    reader = stream.ws()
    reader.say(type="authenticate", token=token_of(alice), event_type="customer.frozen")
    ready = reader.next()
    freeze(alice)

    assert (ready["type"], ready["event_type"], ready["symbol"]) == ("ready", ["customer.frozen"], None)
    assert reader.events(1)[0]["object_guid"] == alice.pk.hex


@pytest.mark.parametrize(
    "said",
    [
        {"type": "authenticate", "token": "x.y.z"},
        {"type": "authenticate", "token": 1},
        {"type": "authenticate"},
        {"type": "subscribe", "event_type": ["prices"]},
        ["authenticate"],
        "authenticate",
        {},
    ],
)
def test_any_other_first_message_ends_it(stream: Stream, said: Any) -> None:
    reader = stream.ws()
    reader.wire.send(json.dumps(said))

    number, reason, last = closed(reader)

    assert (number, reason) == (1008, last["message_code"])
    assert last["status"] in (400, 401)


def test_a_page_of_another_site_cant_connect(stream: Stream) -> None:
    """Guard: the origin in `asking.read`."""
    token = a_firms_token()

    with pytest.raises(InvalidStatus) as refused:
        stream.ws(token, Origin="https://thief.example")

    assert refused.value.response.status_code == 403
    assert json.loads(refused.value.response.body)["message_code"] == "invalid_scope"
    stream.ws(token, Origin="https://shop.example").first("ready")
    answer = stream.sse(token, Origin="https://shop.example")
    assert "Access-Control-Allow-Origin: https://shop.example" in answer.head
    assert "Access-Control" not in stream.sse(token, Origin="https://thief.example").head


def test_no_token_is_written_into_the_log_whatever_its_level(stream: Stream) -> None:
    """Guard: the logger that `connected.py` gives the library. It writes whole heads at DEBUG, as this process is."""
    token = a_firms_token()
    stream.ws(token).first("ready")
    second = stream.ws()
    second.say(type="authenticate", token=token)
    second.first("ready")
    stream.sse(token).first("ready")

    assert token.rpartition(".")[2] not in stream.log
    assert "Authorization" not in stream.log


def test_a_caller_has_so_many_connections_and_gets_another_when_one_is_closed(stream: Stream) -> None:
    """Guard: the count by caller in `Hub.admit`."""
    client = a_client()
    readers = [stream.sse(tokens.client_token(client, FIRM_SCOPES)) for _ in range(20)]
    assert [one.status for one in readers] == [200] * 20

    assert code(get(stream, tokens.client_token(client, FIRM_SCOPES))) == (429, "too_many_requests")
    assert stream.sse(a_firms_token()).status == 200
    readers[0].close()
    time.sleep(0.5)
    assert stream.sse(tokens.client_token(client, FIRM_SCOPES)).status == 200


def test_who_connects_again_and_again_is_told_to_wait(stream: Stream) -> None:
    """Guard: `ATTEMPTS_A_MINUTE`. Each attempt costs a look at its token."""
    token = a_firms_token()
    told = set()
    for _ in range(30):
        several = [stream.sse(token, "?event_type=price.held") for _ in range(10)]
        told |= {one.status for one in several}
        for one in several:
            one.close()

    assert told - {200} == {429}
    assert "Retry-After: 60" in stream.sse(token).head
    assert stream.sse(a_firms_token()).status == 200


# --- while connected -------------------------------------------------------------------------------


def test_each_end_of_a_token_closes_its_connections_with_the_reason_and_no_others(stream: Stream) -> None:
    """Guards: `Admission.check` and the times in `Hub.every_second`. Without them a connection outlives its token."""
    people = {
        name: a_customer(name.replace(" ", "-"))
        for name in ("logs out", "is disabled", "changes the password", "stays")
    }
    readers = {name: stream.ws(token_of(one), "?event_type=customer.frozen") for name, one in people.items()}
    switched_off, narrowed = a_client(), a_client()
    readers["is switched off"] = stream.ws(tokens.client_token(switched_off, FIRM_SCOPES))
    readers["of its customer"] = stream.ws(tokens.customer_token(switched_off.pk, people["stays"].pk, ["trades:read"]))
    readers["loses a scope"] = stream.ws(tokens.client_token(narrowed, FIRM_SCOPES))
    soon = timezone.now() - timedelta(seconds=1800 - 6)
    readers["expires"] = stream.ws(tokens.client_token(a_client(), FIRM_SCOPES, soon))
    by_sse = stream.sse(tokens.client_token(switched_off, FIRM_SCOPES))
    for one in (*readers.values(), by_sse):
        one.first("ready")

    user_of = {name: User.objects.get(pk=one.user_id) for name, one in people.items()}
    session = verify(f"Bearer {_token_of(readers['logs out'])}").session_id
    assert session is not None
    EndedSession.objects.create(pk=session, user=user_of["logs out"], ended_at=timezone.now())
    User.objects.filter(pk=user_of["is disabled"].pk).update(is_active=False)
    User.objects.filter(pk=user_of["changes the password"].pk).update(generation=1)
    _disable(switched_off.pk)
    narrowed.scopes = sorted(FIRM_SCOPES - {"customers:read"})
    narrowed.save(update_fields=["scopes"])

    ends = {name: closed(one)[:2] for name, one in readers.items() if name != "stays"}

    assert ends.pop("loses a scope") == (1008, "invalid_scope")
    assert set(ends.values()) == {(1008, "unauthorized")}
    assert by_sse.first("error")["message_code"] == "unauthorized"
    assert by_sse.rest() == b""
    freeze(people["stays"])
    assert readers["stays"].events(1)[0]["event_type"] == "customer.frozen"


def test_what_is_said_of_many_tokens_is_what_is_said_of_each() -> None:
    """Guard: `tokens.callers_of` beside `tokens.caller_of`, whose rule it repeats for sets."""
    people = [a_customer(str(number)) for number in range(5)]
    said = [verify(f"Bearer {token_of(one)}") for one in people]
    clients = [a_client() for _ in range(3)]
    said += [verify(f"Bearer {tokens.client_token(one, FIRM_SCOPES)}") for one in clients]
    said += [verify(f"Bearer {tokens.customer_token(one.pk, people[0].pk, ['trades:read'])}") for one in clients]
    assert said[1].session_id is not None
    EndedSession.objects.create(pk=said[1].session_id, user_id=people[1].user_id, ended_at=timezone.now())
    User.objects.filter(pk=people[2].user_id).update(is_active=False)
    User.objects.filter(pk=people[3].user_id).update(generation=7)
    _disable(clients[1].pk)
    type(clients[2]).objects.filter(pk=clients[2].pk).update(scopes=["trades:read"], generation=0)

    each = {}
    for claims in said:
        try:
            each[claims] = caller_of(claims)
        except tokens.InvalidToken:
            continue

    assert callers_of(said) == each
    assert len(each) == 6


def _token_of(reader: Ws) -> str:
    assert reader.wire.request is not None
    return str(reader.wire.request.headers["Authorization"]).removeprefix("Bearer ")


def _disable(client_id: Any) -> None:
    ApiClient.objects.filter(pk=client_id).update(is_active=False)
