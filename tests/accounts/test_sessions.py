"""Sessions end: by a new password, by disabling, everywhere; or alone, by a logout or a stolen refresh token."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import clock, services, tasks, tokens
from accounts.errors import InvalidToken
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient, Customer, EndedSession, User
from tests.accounts.calls import Api
from tests.admin.actions import sent
from tests.given import a_customer
from tests.without_guards import without_guards

pytestmark = pytest.mark.django_db

DEAD = (401, {"error": "Token expired or invalid"})
NEW = "a staple battery"


def logged_in(customer: Customer) -> dict[str, Any]:
    """The tokens of another session of theirs."""
    assert customer.user is not None
    pair = tokens.trader_pair(User.objects.get(pk=customer.user_id))
    return {"access": pair.access, "refresh": pair.refresh}


def refreshed(refresh: str) -> tuple[int, Any]:
    answer = Api().post("/api/v1/auth/refresh", {"refresh": refresh})
    return answer.status, answer.body


def is_alive(session: dict[str, Any]) -> bool:
    return Api(session["access"]).get("/api/accounts").status == 200


def is_dead(*sessions: dict[str, Any]) -> bool:
    return not any(is_alive(one) for one in sessions) and all(refreshed(one["refresh"]) == DEAD for one in sessions)


def from_before(token: str) -> str:
    """A token as it was issued before there were sessions."""
    payload = jwt.decode(token, options={"verify_signature": False})
    del payload["gen"], payload["sid"]
    return jwt.encode(payload, settings.JWT_SIGNING_KEY, algorithm="HS256")


@pytest.fixture
def alice() -> Customer:
    """Her password is "correct horse"."""
    return services.create_customer("alice@example.com", "correct horse", "Alice", timezone.now())


def change(session: dict[str, Any], old: object = "correct horse", new: object = NEW) -> Any:
    return Api(session["access"]).post("/api/v1/auth/password", {"oldPassword": old, "newPassword": new})


# --- everywhere at once -----------------------------------------------------------------------------


def test_a_new_password_ends_every_session_and_begins_one(alice):
    """Guard: the trigger `ends_sessions`, and what `caller_of` and `_user_of` ask for."""
    here, there = logged_in(alice), logged_in(alice)

    answer = change(here)

    assert (answer.status, list(answer.body)) == (200, ["access", "refresh", "expiresIn"])
    assert is_dead(here, there)
    assert is_alive(answer.body)
    assert Api().post("/api/v1/auth/login", {"email": "alice@example.com", "password": "correct horse"}).status == 401
    assert Api().post("/api/v1/auth/login", {"email": "alice@example.com", "password": NEW}).status == 200


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("wrong horse", NEW, "The old password is wrong"),
        ("correct horse", "short1!", "too short"),
        ("correct horse", " " * 12, "too short"),
        ("correct horse", "alice@example", "too similar to the email"),
        ("correct horse", 12345678, "newPassword must be a string"),
        (None, NEW, "Missing required parameters: oldPassword"),
    ],
)
def test_a_password_that_is_refused_changes_nothing(alice, old, new, says):
    session = logged_in(alice)

    answer = change(session, old, new)

    assert answer.status == 400
    assert says in answer.body["error"]
    assert is_alive(session)


def test_only_a_person_has_a_password_and_is_logged_out(alice):
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    partner = Api(tokens.client_token(client, FIRM_SCOPES))
    passwords = {"oldPassword": "correct horse", "newPassword": NEW}

    assert partner.post("/api/v1/auth/logout-everywhere").status == 403
    assert partner.post("/api/v1/auth/password", passwords).status == 403
    assert Api().post("/api/v1/auth/logout-everywhere").status == 401
    assert Api().post("/api/v1/auth/password", passwords).status == 401


def test_logging_out_everywhere_ends_every_session_and_nobody_elses(alice):
    here, there, bobs = logged_in(alice), logged_in(alice), logged_in(a_customer("bob"))

    answer = Api(here["access"]).post("/api/v1/auth/logout-everywhere/")

    assert (answer.status, answer.body) == (200, {"message": "Logged out everywhere"})
    assert is_dead(here, there)
    assert is_alive(bobs)


def test_enabling_again_revives_nothing(alice):
    """Guard: the trigger `ends_sessions`, whoever writes the column."""
    session = logged_in(alice)

    User.objects.filter(pk=alice.user_id).update(is_active=False)
    User.objects.filter(pk=alice.user_id).update(is_active=True)

    assert is_dead(session)
    assert is_alive(logged_in(alice))


def test_tokens_of_somebody_who_is_disabled_are_worth_nothing_in_whatever_generation(alice):
    """Guards: `is_active` in `tokens.caller_of`, of users and of clients, and in `tokens._user_of`."""
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    User.objects.filter(pk=alice.user_id).update(is_active=False)
    ApiClient.objects.filter(pk=client.pk).update(is_active=False)

    assert is_dead(logged_in(alice))
    assert Api(tokens.client_token(ApiClient.objects.get(pk=client.pk), FIRM_SCOPES)).get("/api/accounts").status == 401


@pytest.mark.parametrize("ended", ["logged out", "disabled"])
def test_a_password_that_was_on_its_way_when_the_sessions_ended_changes_nothing(alice, ended):
    """Guards: `generation` and `is_active` in `sessions.write_password`: the old one is hashed before, for a while."""
    asked = User.objects.get(pk=alice.user_id)
    if ended == "logged out":
        services.log_out_everywhere([asked.pk])
        generation = asked.generation
    else:
        User.objects.filter(pk=asked.pk).update(is_active=False)
        generation = User.objects.get(pk=asked.pk).generation

    with pytest.raises(InvalidToken):
        services.change_password(asked.pk, generation, "correct horse", NEW)

    assert User.objects.get(pk=asked.pk).check_password("correct horse")


def test_a_client_that_is_enabled_again_asks_for_new_tokens():
    """Guard: the trigger `ends_sessions`, and the generation in what `caller_of` asks for."""
    client, secret = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    alice = a_customer()
    wanted = {"customer_guid": alice.pk.hex, "scopes": ["accounts:read"]}

    def tokens_of_the_client() -> list[Api]:
        asked = {"grant_type": "client_credentials", "client_id": client.client_id, "client_secret": secret}
        own = Api(Api().post("/oauth/token", asked).body["access_token"])
        return [own, Api(own.post("/api/customer_tokens", wanted).body["access_token"])]

    before = tokens_of_the_client()
    ApiClient.objects.update(is_active=False)
    without_guards("accounts_apiclient", "UPDATE accounts_apiclient SET is_active = true")
    after = tokens_of_the_client()

    assert [api.get("/api/accounts").status for api in (*before, *after)] == [401, 401, 200, 200]


def test_an_operator_logs_somebody_out_and_ends_a_clients_tokens(alice):
    browser, session = Client(), logged_in(alice)
    browser.force_login(User.objects.create_superuser("operator@example.com", "a long enough word"))
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())
    partner = Api(tokens.client_token(client, FIRM_SCOPES))

    log_out = reverse("admin:accounts_user_log_out_everywhere", args=[alice.user_id])
    assert browser.post(log_out, sent()).status_code == 302
    chosen = {"action": "end_tokens", ACTION_CHECKBOX_NAME: [str(client.pk)]}
    assert browser.post(reverse("admin:accounts_apiclient_changelist"), chosen).status_code == 302

    assert is_dead(session)
    assert partner.get("/api/accounts").status == 401


def test_a_row_that_was_read_before_revives_nothing(alice):
    """Guard: `NEW.generation := OLD.generation` in the trigger `ends_sessions`."""
    session, read_before = logged_in(alice), User.objects.get(pk=alice.user_id)
    services.log_out_everywhere([alice.user_id])

    read_before.name = "Alice B."
    read_before.save()

    assert is_dead(session)


def test_a_login_that_was_on_its_way_when_the_sessions_ended_brings_nothing(alice):
    user = services.authenticate("alice@example.com", "correct horse")
    services.log_out_everywhere([alice.user_id])

    pair = tokens.trader_pair(user)

    assert is_dead({"access": pair.access, "refresh": pair.refresh})


def test_another_hash_of_the_same_password_ends_nothing(alice):
    """Guard: `_keep_hash`, which the trigger `ends_sessions` asks."""
    session = logged_in(alice)
    old = make_password("correct horse", hasher="pbkdf2_sha256")
    services.log_out_everywhere([])
    with_old_hash(alice, old)
    session = logged_in(alice)

    services.authenticate("alice@example.com", "correct horse")

    assert User.objects.get(pk=alice.user_id).password != old
    assert is_alive(session)


def test_another_password_in_the_same_transaction_ends_everything_all_the_same(alice):
    """Guard: the second `set_config` in `_keep_hash`. Without it, what comes after would be the same password, too."""
    with transaction.atomic():
        with_old_hash(alice, make_password("correct horse", hasher="pbkdf2_sha256"))
        session = logged_in(alice)
        services.authenticate("alice@example.com", "correct horse")
        assert is_alive(session)

        User.objects.filter(pk=alice.user_id).update(password=make_password(NEW))

    assert is_dead(session)


def with_old_hash(customer: Customer, password_hash: str) -> None:
    User.objects.filter(pk=customer.user_id).update(password=password_hash)


def test_a_session_of_the_admin_ends_too_and_not_by_ones_own_new_password():
    """Guard: `User._get_session_auth_hash`; and that `User.save` looks what the database made of it."""
    operator = User.objects.create_superuser("operator@example.com", "a long enough word")
    home = reverse("admin:index")
    here, there = Client(), Client()
    here.force_login(operator)
    there.force_login(operator)
    asked = {"old_password": "a long enough word", "new_password1": NEW, "new_password2": NEW}

    assert here.post(reverse("admin:password_change"), asked).status_code == 302
    assert (here.get(home).status_code, there.get(home).status_code) == (200, 302)

    services.log_out_everywhere([operator.pk])
    assert here.get(home).status_code == 302


# --- one session ------------------------------------------------------------------------------------


def test_a_refresh_token_that_is_shown_twice_ends_its_session_and_no_other(alice):
    """Guards: `_end` in `tokens.rotate`, and `_goes_on` in `tokens._user_of`."""
    first, elsewhere = logged_in(alice), logged_in(alice)
    _, second = refreshed(first["refresh"])
    _, third = refreshed(second["refresh"])

    assert refreshed(second["refresh"]) == DEAD

    assert is_dead(first, second, third)
    assert is_alive(elsewhere)
    assert refreshed(elsewhere["refresh"])[0] == 200


def test_a_logout_ends_the_access_tokens_of_its_session_as_well(alice):
    """Guard: `_goes_on` in `tokens.caller_of`."""
    here, there = logged_in(alice), logged_in(alice)
    _, later = refreshed(here["refresh"])

    assert Api().post("/api/v1/auth/logout", {"refresh": later["refresh"]}).status == 200

    assert is_dead(here, later)
    assert is_alive(there)


def test_a_logout_with_a_token_that_is_dead_is_told_so(alice):
    """Guard: `_user_of` in `tokens._revoke`."""
    session = logged_in(alice)
    services.log_out_everywhere([alice.user_id])

    answer = Api().post("/api/v1/auth/logout", {"refresh": session["refresh"]})

    assert (answer.status, answer.body) == DEAD
    assert not EndedSession.objects.exists()


# --- an upgrade, and housekeeping --------------------------------------------------------------------


def test_tokens_from_before_sessions_go_on_until_the_first_end(alice):
    session = {name: from_before(token) for name, token in logged_in(alice).items()}
    assert is_alive(session)
    status, following = refreshed(session["refresh"])
    assert (status, is_alive(following)) == (200, True)

    assert refreshed(session["refresh"]) == DEAD  # shown twice: what came from it is dead, too
    assert is_dead(following)

    services.log_out_everywhere([alice.user_id])
    assert not is_alive(session)


@pytest.mark.parametrize("said", [-1, 2**31, 10**30, "0", 1.0, None, [], True])
def test_a_generation_that_is_none_is_refused(alice, said):
    payload = jwt.decode(logged_in(alice)["access"], options={"verify_signature": False}) | {"gen": said}

    token = jwt.encode(payload, settings.JWT_SIGNING_KEY, algorithm="HS256")

    assert Api(token).get("/api/accounts").status == 401


def test_what_is_ended_is_kept_as_long_as_its_tokens_could_live(alice, monkeypatch):
    tokens.revoke(logged_in(alice)["refresh"])
    tasks.forget_expired_tokens()
    assert EndedSession.objects.count() == 1

    later = clock.now() + settings.SIMPLE_JWT["REFRESH_TOKEN_LIFETIME"] + timedelta(days=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    tasks.forget_expired_tokens()

    assert EndedSession.objects.count() == 0
