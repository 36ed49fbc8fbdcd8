"""What is forgotten by its age, in pieces, and what is never forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts.models import AnsweredRequest
from accounts.services import forgetting
from tests.given import a_customer
from trades.models import IdempotentAnswer

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "AT_ONCE", 3)


def a_token(expires_at: datetime, *, is_ended: bool = False) -> OutstandingToken:
    made = OutstandingToken.objects.create(jti=uuid4().hex, token="…", expires_at=expires_at)
    if is_ended:
        BlacklistedToken.objects.create(token=made)
    return made


def test_sessions_go_a_day_after_their_end_in_pieces() -> None:
    """Guard: the day, for hosts whose clocks differ."""
    a_day_ago = NOW - timedelta(days=1)
    for number in range(8):
        Session.objects.create(session_key=f"old{number}", session_data="", expire_date=a_day_ago)
    Session.objects.create(session_key="new", session_data="", expire_date=a_day_ago + A_SECOND)

    assert forgetting.forget_sessions(NOW) == 8

    assert [row.session_key for row in Session.objects.all()] == ["new"]
    assert forgetting.forget_sessions(NOW) == 0


def test_tokens_go_when_they_have_expired_and_those_between_stay() -> None:
    """Guard: `expires_at` in `_TOKENS`. Forgotten while it is good, an ended token would be good again."""
    for number in range(7):
        a_token(NOW, is_ended=number % 2 == 0)
    good = a_token(NOW + A_SECOND, is_ended=True)
    a_token(NOW - A_SECOND)
    later = [a_token(NOW + A_SECOND) for _ in range(4)]

    assert forgetting.forget_tokens(NOW) == 8

    assert set(OutstandingToken.objects.all()) == {good, *later}
    assert [row.token for row in BlacklistedToken.objects.all()] == [good]


def test_a_session_that_somebody_holds_is_passed_over_and_goes_the_next_time() -> None:
    """Guard: SKIP LOCKED. Without it this waits for the holder until its time is over."""
    for number in range(4):
        Session.objects.create(session_key=f"old{number}", session_data="", expire_date=NOW - timedelta(days=2))
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM django_session WHERE session_key = 'old1' FOR UPDATE")
        assert forgetting.forget_sessions(NOW) == 3

    assert forgetting.forget_sessions(NOW) == 1


def test_answers_of_orders_are_refused_to_be_forgotten_and_other_answers_for_a_day() -> None:
    """Guards: the tables' triggers. An order's key that is new again opens a second position."""
    alice = a_customer()
    IdempotentAnswer.objects.create(
        customer_id=alice.pk, key="k", request_sha256="0" * 64, command_id=uuid4(), status=200, body="{}", at=NOW
    )
    AnsweredRequest.objects.create(user_id=alice.pk, key="k", request_sha256="0" * 64, path="/", status=201, body="{}")

    for rows in (IdempotentAnswer.objects.all(), AnsweredRequest.objects.all()):
        with pytest.raises(DatabaseError), transaction.atomic():
            rows.delete()


def test_a_token_that_somebody_holds_is_passed_over_and_goes_the_next_time() -> None:
    """Guard: SKIP LOCKED in `_TOKENS`. Without it one holder fails the task until tomorrow."""
    tokens = [a_token(NOW, is_ended=True) for _ in range(4)]
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT FROM token_blacklist_outstandingtoken WHERE id = %s FOR UPDATE", [tokens[1].pk])
        assert forgetting.forget_tokens(NOW) == 3
    assert [row.token for row in BlacklistedToken.objects.all()] == [tokens[1]]
    assert forgetting.forget_tokens(NOW) == 1
