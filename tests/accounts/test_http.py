"""What the outermost layer answers: unknown paths, wrong methods, servers that are away, bugs; in both dialects."""

from __future__ import annotations

import json
import time
from decimal import Decimal

import psycopg
import pytest
import redis
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpResponse
from django.test import RequestFactory
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import host_clock, streams
from accounts.errors import Conflict, NotFound, Refusal, TooMany, Unavailable
from brokerage import errors
from brokerage.http.arrival import ArrivalMiddleware
from brokerage.observe import health
from tests.accounts.calls import Api, the_firm
from tests.given import a_customer, token_of

ORDERS, TRADES = "/api/v1/trade/close", "/api/quotes"


def answered(path: str, error: Exception) -> HttpResponse:
    """What a plain Django view's exception becomes."""
    response = ArrivalMiddleware(lambda request: HttpResponse()).process_exception(RequestFactory().get(path), error)
    assert response is not None
    return response


class Failing(APIView):
    authentication_classes = []
    permission_classes = []
    error: Exception = Refusal()

    def get(self, request):
        raise self.error


def answered_by_drf(path: str, error: Exception) -> HttpResponse:
    response = Failing.as_view(error=error)(RequestFactory().get(path))
    return response.render()


class TwiceRefused(Refusal):
    status = 400
    twice = True
    extra = {"timeout": True}


@pytest.mark.django_db
def test_an_unknown_path_is_json_in_its_dialect():
    assert Api().get("/api/v1/nothing").raw == b'{"error":"Not found"}'
    assert Api().get("/api/nothing").raw == b'{"status":404,"error_message":"Not found","message_code":"not_found"}'
    assert Api().get("/oauth/nothing").status == 404


@pytest.mark.django_db
def test_a_wrong_method_is_405_and_says_which_are_right():
    answer = Api().get("/api/v1/auth/login")

    assert (answer.status, list(answer.body)) == (405, ["error"])
    assert "POST" in answer.response["Allow"]


@pytest.mark.parametrize("handle", [answered, answered_by_drf])
def test_a_refusal_is_the_same_from_a_plain_view_and_from_drf(handle):
    assert handle(ORDERS, NotFound()).content == b'{"error":"Not found."}'
    assert json.loads(handle(TRADES, Conflict("Used already.")).content) == {
        "status": 409,
        "error_message": "Used already.",
        "message_code": "data_exists",
    }
    assert json.loads(handle(ORDERS, TwiceRefused("No.")).content) == {
        "error": "No.",
        "message": "No.",
        "timeout": True,
    }
    assert handle(ORDERS, TooMany())["Retry-After"] == "1"
    assert handle(TRADES, Unavailable())["Retry-After"] == "1"


@pytest.mark.parametrize("handle", [answered, answered_by_drf])
def test_an_error_of_the_orders_dialect_says_its_code_in_a_header(handle):
    assert handle(ORDERS, NotFound())["Error-Code"] == "not_found"
    assert handle(ORDERS, TooMany())["Error-Code"] == "too_many_requests"
    assert "Error-Code" not in handle(TRADES, NotFound())


@pytest.mark.django_db
def test_what_no_view_answers_has_its_code_too():
    assert Api().get("/api/v1/nothing").response["Error-Code"] == "not_found"
    assert Api().get("/api/v1/auth/login").response["Error-Code"] == "method_not_allowed"
    assert answered(ORDERS, OperationalError("gone"))["Error-Code"] == "unavailable"
    assert answered(ORDERS, KeyError())["Error-Code"] == "internal_server_error"
    assert answered_by_drf(ORDERS, Throttled(wait=7))["Error-Code"] == "too_many_requests"


@pytest.mark.parametrize(
    "away",
    [OperationalError("server closed the connection"), InterfaceError("closed"), redis.ConnectionError("refused"),
     redis.TimeoutError("slow"), redis.exceptions.OutOfMemoryError("full")],
)  # fmt: skip
def test_a_server_that_is_away_is_503_with_retry_after(away):
    for path, keys in ((ORDERS, ["error"]), (TRADES, ["status", "error_message", "message_code"])):
        response = answered(path, away)
        assert (response.status_code, response["Retry-After"]) == (503, "1")
        assert list(json.loads(response.content)) == keys


def test_a_bug_is_500_without_a_word_about_it_and_is_logged(caplog):
    for path in (ORDERS, TRADES):
        response = answered(path, ZeroDivisionError("secret detail"))
        assert response.status_code == 500
        assert b"secret" not in response.content
        assert b"Internal server error" in response.content
    assert answered(ORDERS, ZeroDivisionError()).content == b'{"error":"Internal server error"}'
    assert json.loads(answered(TRADES, KeyError()).content)["message_code"] == "internal_server_error"
    assert "secret detail" in caplog.text


def test_a_request_is_stamped_on_arrival():
    seen = []
    before = time.monotonic()

    ArrivalMiddleware(lambda request: seen.append(request.arrived) or HttpResponse())(RequestFactory().get("/"))

    assert before <= seen[0] <= time.monotonic()


def test_drfs_own_errors_speak_both_dialects():
    assert answered_by_drf(ORDERS, ValidationError({"price": ["price is required."]})).content == (
        b'{"error":"price is required."}'
    )
    assert answered_by_drf(TRADES, ValidationError(["Wrong."])).status_code == 400
    throttled = answered_by_drf(TRADES, Throttled(wait=7))
    assert (throttled.status_code, throttled["Retry-After"]) == (429, "7")


@pytest.mark.django_db
@pytest.mark.parametrize("body", [b"{", b"NaN", b'{"type": 1e400}', b"\xff", rb'{"type":"\u0000"}', b"[" * 5_000])
def test_a_malformed_body_is_400(body):
    answer = the_firm().post("/api/customers", raw=body)

    assert (answer.status, answer.body["message_code"]) == (400, "invalid_parameter")


@pytest.mark.django_db
def test_another_content_type_is_415_and_an_endless_body_413():
    firm = the_firm()

    assert firm.post("/api/customers", raw=b"type=individual", as_="application/x-www-form-urlencoded").status == 415
    assert firm.post("/api/customers", raw=b"{}", as_="text/plain").status == 415
    assert firm.post("/api/customers", raw=b" " * 1_000_001).status == 413
    assert firm.post("/api/customers", raw=b"{}", as_="application/json; charset=utf-8").status == 400


@pytest.mark.django_db
def test_the_answer_is_json_whatever_the_caller_would_accept():
    api = Api(token_of(a_customer("alice")))
    api._headers["HTTP_ACCEPT"] = "text/html"

    for query, status in (({}, 200), ({"format": "xml"}, 400)):
        answer = api.get("/api/accounts", **query)
        assert (answer.status, answer.response["Content-Type"]) == (status, "application/json")


def test_decimals_leave_a_view_digit_for_digit():
    class Shown(APIView):
        authentication_classes = []
        permission_classes = []

        def get(self, request):
            return Response({"profit": Decimal("125.50")})

    assert Shown.as_view()(RequestFactory().get("/api/x")).render().content == b'{"profit":125.50}'


# --- health ----------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_process_is_ready_when_both_servers_answer_and_migrations_are_applied():
    answer = Api().get("/readyz")

    assert answer.status == 200
    assert answer.body == {
        "status": "ready",
        "postgresql": "ok",
        "role": "ok",
        "migrations": "ok",
        "clock": "ok",
        "redis": "ok",
    }


@pytest.mark.django_db
def test_a_process_without_its_redis_lives_but_is_not_ready(monkeypatch):
    nowhere = redis.Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=1)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(streams, "prompt_client", lambda: nowhere)
        ready, alive = Api().get("/readyz"), Api().get("/livez")

    assert (ready.status, ready.body["redis"]) == (503, "unreachable")
    assert alive.status == 200


@pytest.mark.django_db
def test_a_process_whose_database_lacks_a_migration_is_not_ready(monkeypatch):
    from django.db.migrations.recorder import MigrationRecorder

    monkeypatch.setattr(health, "_migrated", health.threading.Event())
    MigrationRecorder.Migration.objects.filter(app="accounts").delete()

    answer = Api().get("/readyz")

    assert (answer.status, answer.body["migrations"]) == (503, "missing")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ahead", "said"),
    [(0, "ok"), (4, "ok"), (-4, "ok"), (7, "7 s ahead of PostgreSQL's"), (-1500, "25 min behind PostgreSQL's")],
)
def test_a_host_whose_clock_is_off_is_not_ready_and_says_by_how_much(monkeypatch, caplog, ahead, said):
    right = time.time
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(time, "time", lambda: right() + ahead)
        answer = Api().get("/readyz")
        for _ in range(3):
            host_clock.look()
    host_clock.look()

    assert (answer.status, answer.body["clock"]) == (200 if said == "ok" else 503, said)
    lines = [] if said == "ok" else [f"this host's clock is {said}: set it right", "this host's clock is right again"]
    assert [record.getMessage() for record in caplog.records if record.name == "clock"] == lines


@pytest.mark.parametrize(
    ("ended_by", "status"),
    [
        (psycopg.errors.IdleInTransactionSessionTimeout, 503),
        (psycopg.errors.TransactionTimeout, 503),
        (psycopg.errors.InternalError_, 500),
    ],
)
def test_a_transaction_that_postgresql_ended_by_its_limit_is_told_as_not_done(ended_by, status):
    error = InternalError("terminating connection")
    error.__cause__ = ended_by()

    answer = answered(ORDERS, error)

    assert answer.status_code == status
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_the_two_dialects_are_told_apart_by_the_path():
    not_found = errors.of_status(404)

    assert list(not_found.body("/api/v1/x")) == ["error"]
    assert list(not_found.body("/api/v2/x")) == ["status", "error_message", "message_code"]
