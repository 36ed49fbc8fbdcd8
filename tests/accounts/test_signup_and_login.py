"""A trader signs up, logs in, refreshes and logs out: the identity part of the orders contract."""

from __future__ import annotations

import uuid

import pytest
from django.contrib.auth.hashers import make_password

from accounts import services
from accounts.models import Customer, LedgerAccount, User
from accounts.services import customers
from tests.accounts.calls import Api
from tests.given import a_customer

pytestmark = pytest.mark.django_db

GOOD = {"email": "Alice@Example.com", "password": "correct horse", "name": "Alice"}


def signed_up(**changes: object) -> dict:
    answer = Api().post("/api/v1/auth/signup", GOOD | changes)
    assert answer.status == 201, answer.body
    return answer.body


def test_signup_answers_the_user_the_customer_and_a_pair_that_works():
    body = signed_up()

    user = User.objects.get(email="alice@example.com")
    assert list(body) == ["message", "user", "access", "refresh"]
    assert body["user"] == {"id": user.pk.hex, "email": "alice@example.com", "customerGuid": user.customer.pk.hex}
    assert Api(body["access"]).get("/api/accounts").status == 200
    assert Api().post("/api/v1/auth/refresh", {"refresh": body["refresh"]}).status == 200


def test_signup_opens_the_cash_and_the_margin_account():
    signed_up()

    opened = LedgerAccount.objects.filter(customer__user__email="alice@example.com").order_by("type")
    assert [(account.asset_id, account.type, account.balance) for account in opened] == [
        ("USD", "available", 0),
        ("USD", "margin", 0),
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Missing required parameters: email, password"),
        ({"email": "a@example.com"}, "Missing required parameters: password"),
        ({"email": "", "password": None}, "Missing required parameters: email, password"),
        ({"email": "nobody", "password": "correct horse"}, "Email must be a valid e-mail address"),
        ({"email": "a@" + "b" * 300 + ".com", "password": "correct horse"}, "Email must be a valid e-mail address"),
        ({"email": ["a@example.com"], "password": "correct horse"}, "email must be a string"),
        ({"email": True, "password": "correct horse"}, "email must be a string"),
        ({"email": "a@example.com", "password": 12345678}, "password must be a string"),
        ({"email": "a@example.com", "password": "short1!"}, "too short"),
        ({"email": "a@example.com", "password": "password"}, "too common"),
        ({"email": "a@example.com", "password": "x" * 2_000}, "at most 1024"),
        ({"email": "a@example.com", "password": "correct horse", "name": 7}, "name must be a string"),
        ({"email": "a@example.com", "password": "correct horse", "name": "n" * 201}, "200 characters"),
        ([], "must be a JSON object"),
        ("text", "must be a JSON object"),
        (None, "must be a JSON object"),
    ],
)
def test_an_invalid_signup_says_why_and_makes_nothing(body, says):
    answer = Api().post("/api/v1/auth/signup", body)

    assert answer.status == 400
    assert list(answer.body) == ["error"]
    assert says in answer.body["error"]
    assert not User.objects.exists()
    assert not Customer.objects.exists()


def test_an_address_is_taken_whatever_its_case():
    signed_up()

    answer = Api().post("/api/v1/auth/signup", GOOD | {"email": " ALICE@example.com"})

    assert (answer.status, answer.body) == (400, {"error": "An account can't be opened with this email and password"})


def test_a_taken_address_costs_the_same_hash_as_a_free_one(monkeypatch):
    """Guard: the hash before the look in `create_customer`: a refusal's time doesn't tell who has an account."""
    signed_up()
    hashed: list[str] = []
    monkeypatch.setattr(customers, "make_password", lambda password: hashed.append(password) or make_password(password))

    Api().post("/api/v1/auth/signup", GOOD | {"password": "another long sentence"})

    assert hashed == ["another long sentence"]


def test_nobody_signs_up_as_staff_or_with_a_balance():
    signed_up(is_staff=True, is_superuser=True, isStaff=True, balance=1_000_000, customerGuid=uuid.uuid4().hex)

    user = User.objects.get(email="alice@example.com")
    assert (user.is_staff, user.is_superuser) == (False, False)


def test_login_answers_a_pair_and_its_life():
    a_customer("alice")
    signed_up()

    answer = Api().post("/api/v1/auth/login", {"email": "ALICE@example.com", "password": "correct horse"})

    assert answer.status == 200
    assert list(answer.body) == ["access", "refresh", "expiresIn"]
    assert answer.body["expiresIn"] == 3600
    assert Api(answer.body["access"]).get("/api/accounts").status == 200


def test_every_failed_login_looks_the_same():
    signed_up()
    User.objects.create_superuser("operator@example.com", "correct horse")
    signed_up(email="disabled@example.com")
    User.objects.filter(email="disabled@example.com").update(is_active=False)

    answers = {
        Api().post("/api/v1/auth/login", {"email": email, "password": password}).raw
        for email, password in [
            ("alice@example.com", "wrong horse"),
            ("nobody@example.com", "correct horse"),
            ("operator@example.com", "correct horse"),
            ("disabled@example.com", "correct horse"),
            ("x" * 10_000, "correct horse"),
        ]
    }

    assert answers == {b'{"error":"Invalid email or password"}'}


def test_an_unknown_address_costs_the_same_hash_as_a_wrong_password(monkeypatch):
    """The clock of a loaded machine proves nothing, so the work itself is counted."""
    signed_up()
    hashed: list[str] = []
    monkeypatch.setattr(customers, "make_password", lambda password: hashed.append(password) or make_password(password))

    Api().post("/api/v1/auth/login", {"email": "nobody@example.com", "password": "a guess"})

    assert hashed == ["a guess"]


@pytest.mark.parametrize("body", [{}, {"email": "a@example.com"}, {"password": "x"}, {"email": 1, "password": "x"}, 7])
def test_a_login_without_its_fields_is_400(body):
    assert Api().post("/api/v1/auth/login", body).status == 400


def test_a_refresh_token_works_once():
    first = signed_up()["refresh"]

    second = Api().post("/api/v1/auth/refresh", {"refresh": first})
    third = Api().post("/api/v1/auth/refresh", {"refresh": second.body["refresh"]})
    again = Api().post("/api/v1/auth/refresh", {"refresh": first})

    assert (second.status, third.status) == (200, 200)
    assert list(second.body) == ["access", "refresh", "expiresIn"]
    assert (again.status, again.body) == (401, {"error": "Token expired or invalid"})


def test_after_logout_the_refresh_token_is_dead():
    refresh = signed_up()["refresh"]

    assert Api().post("/api/v1/auth/logout", {"refresh": refresh}).status == 200
    assert Api().post("/api/v1/auth/refresh", {"refresh": refresh}).status == 401
    assert Api().post("/api/v1/auth/logout", {"refresh": refresh}).status == 401


def test_a_disabled_user_cannot_refresh():
    refresh = signed_up()["refresh"]
    User.objects.update(is_active=False)

    assert Api().post("/api/v1/auth/refresh", {"refresh": refresh}).status == 401


@pytest.mark.parametrize("refresh", ["nonsense", "a.b.c", "é" * 9, "x" * 10_000])
def test_what_is_no_refresh_token_is_refused(refresh):
    for path in ("/api/v1/auth/refresh", "/api/v1/auth/logout"):
        answer = Api().post(path, {"refresh": refresh})
        assert (answer.status, answer.body) == (401, {"error": "Token expired or invalid"})


def test_an_access_token_is_no_refresh_token():
    assert Api().post("/api/v1/auth/refresh", {"refresh": signed_up()["access"]}).status == 401


@pytest.mark.parametrize("refresh", [None, 7, [], {}, True])
def test_a_refresh_that_is_not_a_string_is_400(refresh):
    assert Api().post("/api/v1/auth/refresh", {"refresh": refresh}).status == 400


def test_both_slash_forms_are_taken():
    assert Api().post("/api/v1/auth/signup/", GOOD).status == 201
    assert Api().post("/api/v1/auth/login/", {"email": GOOD["email"], "password": GOOD["password"]}).status == 200


def test_a_password_is_kept_as_a_hash_alone():
    signed_up()

    assert "correct horse" not in User.objects.get(email="alice@example.com").password
    assert services.authenticate("alice@example.com", "correct horse").email == "alice@example.com"
