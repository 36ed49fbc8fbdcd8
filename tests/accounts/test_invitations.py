"""A partner makes a login for its customer, who gives it a password: once, in time, and nobody else."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.conf import settings

from accounts import clock, services, tokens
from accounts.ledger import AVAILABLE, MARGIN
from accounts.models import AnsweredRequest, Customer, LedgerAccount, User
from accounts.services import invitations
from tests.accounts.calls import Answer, Api, the_firm
from tests.given import a_customer, token_of
from tests.races.together import together

pytestmark = pytest.mark.django_db(transaction=True)

WORD = "a good long password"
ACCEPT = "/api/v1/auth/accept-invitation"
LOGIN = "/api/v1/auth/login"


def invited(firm: Api, email: str = "Ada@Example.com", **said: Any) -> Customer:
    answer = firm.post("/api/customers", {"type": "individual", "login_email": email, **said})
    assert answer.status == 201, answer.body
    assert "email" not in answer.body
    return Customer.objects.get(pk=answer.body["guid"])


def invitation(firm: Api, customer: Customer) -> str:
    answer = firm.post(f"/api/customers/{customer.pk.hex}/invitation")
    assert answer.status == 201, answer.body
    assert (answer.body["email"], list(answer.body)) == ("ada@example.com", ["token", "email", "expires_at"])
    return str(answer.body["token"])


def accepts(token: Any, password: Any = WORD) -> Answer:
    return Api().post(ACCEPT, {"token": token, "password": password})


def refused(answer: Answer) -> None:
    assert (answer.status, answer.body) == (401, {"error": "Token expired or invalid"})


def test_a_customer_takes_up_the_login_and_trades() -> None:
    firm = the_firm()
    customer = invited(firm, name={"full": "Ada"})
    assert Api().post(LOGIN, {"email": "ada@example.com", "password": WORD}).status == 401
    assert set(LedgerAccount.objects.filter(customer=customer).values_list("type", flat=True)) == {AVAILABLE, MARGIN}

    answer = accepts(invitation(firm, customer))

    assert (answer.status, list(answer.body)) == (200, ["access", "refresh", "expiresIn"])
    claims = tokens.verify(f"Bearer {answer.body['access']}")
    assert tokens.caller_of(claims).customer_id == customer.pk
    assert Api(answer.body["access"]).get("/api/v1/balance").status == 200
    assert Api().post(LOGIN, {"email": "ada@example.com", "password": WORD}).status == 200


def test_an_invitation_is_good_once_and_none_is_given_afterwards() -> None:
    """Guard: the generation, which the password raises (`write_password`)."""
    firm = the_firm()
    customer = invited(firm)
    first, second = invitation(firm, customer), invitation(firm, customer)

    assert accepts(second).status == 200
    for token in (first, second):
        refused(accepts(token, "another good password"))
    again = firm.post(f"/api/customers/{customer.pk.hex}/invitation")
    assert (again.status, again.body["message_code"]) == (422, "not_invited")


def test_of_two_who_accept_at_once_one_gets_the_login() -> None:
    """Guard: `write_password` names the generation that was read."""
    firm = the_firm()
    customer = invited(firm)
    token = invitation(firm, customer)
    words = [f"{WORD} {number}" for number in range(2)]

    became = together([partial(services.accept, token, word) for word in words])

    assert sorted(type(one).__name__ for one in became) == ["InvalidToken", "User"]
    user = User.objects.get(customer=customer)
    assert [user.check_password(word) for word in words] == [isinstance(one, User) for one in became]


def test_an_invitation_ends_with_its_time_and_with_the_login(monkeypatch: pytest.MonkeyPatch) -> None:
    firm = the_firm()
    customer = invited(firm)
    assert customer.user is not None
    old = services.invite(customer, clock.now() - timedelta(days=settings.INVITATION_DAYS))
    refused(accepts(old.token))

    token = invitation(firm, customer)
    User.objects.filter(pk=customer.user.pk).update(is_active=False)
    refused(accepts(token))
    assert firm.post(f"/api/customers/{customer.pk.hex}/invitation").status == 422
    User.objects.filter(pk=customer.user.pk).update(is_active=True)
    refused(accepts(token))  # guard: the generation, which disabling has raised
    assert accepts(invitation(firm, customer)).status == 200


@pytest.mark.parametrize("token", ["", "x", "a:b:c:d", None, 7, [], {}, "\u0000", "x" * 5000])
def test_what_is_no_invitation_is_refused(token: Any) -> None:
    assert accepts(token).status in (400, 401)
    signed_by_another = invitations.signing.Signer(salt="other").sign(f"{a_customer().user_id.hex}:0:99999999999")
    refused(accepts(signed_by_another))


def test_a_password_that_can_not_be_leaves_the_invitation_good() -> None:
    firm = the_firm()
    token = invitation(firm, invited(firm))
    for word in ("", "short", "ada@example.com", "x" * 5000, None, 12345678):
        assert accepts(token, word).status == 400
    assert accepts(token).status == 200


def test_an_address_is_one_logins_and_what_is_none_opens_nobody() -> None:
    firm, alice = the_firm(), a_customer()
    assert alice.user is not None
    before = Customer.objects.count()

    taken = firm.post("/api/customers", {"type": "individual", "login_email": alice.user.email.upper()})
    assert (taken.status, taken.body["message_code"]) == (409, "data_exists")
    for email in ("x", "@", "a@b", "a" * 250 + "@example.com", 7, [], "a\u0000@example.com"):
        assert firm.post("/api/customers", {"type": "individual", "login_email": email}).status == 400
    assert Customer.objects.count() == before


def test_nobody_but_a_firms_client_with_the_scope_invites() -> None:
    firm = the_firm()
    customer, other = invited(firm), a_customer()
    path = f"/api/customers/{customer.pk.hex}/invitation"

    assert the_firm("customers:read").post(path).status == 403
    assert Api(token_of(other)).post(path).status == 403
    assert Api().post(path).status == 401
    assert firm.post(f"/api/customers/{'0' * 32}/invitation").status == 404
    without_a_login = firm.post("/api/customers", {"type": "individual"}).body["guid"]
    assert firm.post(f"/api/customers/{without_a_login}/invitation").status == 422


def test_no_invitation_is_kept_under_a_key() -> None:
    """Guard: `keeps_answers`; a kept answer would be a password for two days."""
    firm = the_firm()
    customer = invited(firm)
    path = f"/api/customers/{customer.pk.hex}/invitation"
    headers = firm._headers | {"HTTP_IDEMPOTENCY_KEY": "invite-1"}

    answer = firm._client.generic("POST", path, b"", content_type="application/json", **headers)  # type: ignore[arg-type]

    assert answer.status_code == 201
    assert not AnsweredRequest.objects.exists()
