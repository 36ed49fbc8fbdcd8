"""How often anybody may ask: who is counted together, what they are told, and what an attack leaves to its target."""

from __future__ import annotations

import base64
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone
from limits import parse_many

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES
from accounts.models import JournalEntry, KnownAddress, User
from accounts.services.addresses import MOST_ADDRESSES
from brokerage.http import counting, request_bytes
from brokerage.http.addresses import address_of
from brokerage.http.limits import _SCOPES
from tests.accounts.calls import Answer, Api, _answer
from tests.admin.actions import sent
from tests.given import a_customer, token_of
from tests.races.together import together

pytestmark = pytest.mark.django_db

EMAIL, PASSWORD = "alice@example.com", "correct horse"
TELLS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture
def limit(settings: Any) -> Any:
    """Set one."""

    def to(**wanted: str) -> None:
        settings.LIMITS = settings.LIMITS | {name: parse_many(text) if text else [] for name, text in wanted.items()}

    return to


@pytest.fixture
def alice() -> Any:
    return services.create_customer(EMAIL, PASSWORD, "Alice", timezone.now())


@pytest.fixture
def valkey_is_away(settings: Any) -> Any:
    """Nobody listens where the limits are counted."""
    settings.LIMITS_URL = "redis://127.0.0.1:1/0"
    counting._storage.cache_clear()
    yield
    counting._storage.cache_clear()


def posted(path: str, body: Any, address: str = "192.0.2.1", **headers: str) -> Answer:
    client = Client(REMOTE_ADDR=address, **headers)
    return _answer(client.post(path, body, content_type="application/json"))


def login(password: str = "a guess", address: str = "192.0.2.1", email: str = EMAIL) -> Answer:
    return posted("/api/v1/auth/login", {"email": email, "password": password}, address)


# --- every call -------------------------------------------------------------------------------------


def test_a_customers_calls_are_counted_together_and_apart_from_others(limit, alice):
    limit(customer="3/minute")
    tokens_of_alice = [token_of(alice), token_of(alice)]

    answers = [Api(token).get("/api/v1/balance") for token in tokens_of_alice * 2]

    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert Api(token_of(a_customer("bob"))).get("/api/v1/balance").status == 200


def test_an_answer_tells_how_many_are_left_and_a_refusal_when_to_come_again(limit, alice):
    limit(customer="3/minute")
    api = Api(token_of(alice))

    answers = [api.get("/api/v1/balance") for _ in range(4)]

    told = [[answer.response[name] for name in TELLS[:2]] for answer in answers]
    assert told == [["3", "2"], ["3", "1"], ["3", "0"], ["3", "0"]]
    refusal = answers[-1]
    assert 1 <= int(refusal.response["Retry-After"]) == int(refusal.response["RateLimit-Reset"]) <= 60
    assert refusal.response["Error-Code"] == "too_many_requests"
    assert refusal.raw == b'{"error":"Too many requests; try again later."}'


def test_a_client_is_counted_as_one_and_refused_in_its_dialect(limit):
    limit(client="2/minute")
    client, _ = services.create_api_client("partner", FIRM_SCOPES, timezone.now())

    answers = [Api(tokens.client_token(client, FIRM_SCOPES)).get("/api/assets") for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[-1].body == {
        "status": 429,
        "error_message": "Too many requests; try again later.",
        "message_code": "too_many_requests",
    }


def test_whoever_shows_no_good_token_is_counted_by_address(limit):
    limit(address="2/minute")

    answers = [posted("/api/v1/nothing", {}, HTTP_AUTHORIZATION=f"Bearer {n}").status for n in range(3)]

    assert answers == [404, 404, 429]
    assert posted("/api/v1/nothing", {}, "192.0.2.2").status == 404


def test_the_hot_path_is_counted_too(limit, alice):
    limit(customer="2/minute")

    answers = [Api(token_of(alice)).post("/api/v1/trade/close", {}) for _ in range(3)]

    assert [answer.status for answer in answers] == [400, 400, 429]


def test_half_of_a_limit_is_shared_out_among_processes_and_the_whole_is_never_passed(limit, settings):
    """Guard: what `_Shares.take` asks Valkey for. Each of two processes has a quarter of it to itself."""
    limit(customer="40/minute")
    settings.WEB_WORKERS = 2
    processes = [counting._Shares(), counting._Shares()]
    (item,) = settings.LIMITS["customer"]

    through = [not processes[n % 2].take("customer", item, "alice").is_over for n in range(100)]

    assert sum(through) == 40
    one = counting._Shares()
    assert sum(not one.take("customer", item, "bob").is_over for _ in range(100)) == 30


def test_nobody_trades_less_where_valkey_is_away(limit, alice, valkey_is_away):
    limit(customer="4/minute")

    assert {Api(token_of(alice)).get("/api/v1/balance").status for _ in range(9)} == {200}


# --- logins -----------------------------------------------------------------------------------------


def test_guesses_at_an_account_are_counted_wherever_they_come_from(limit, alice):
    limit(login_account="3/minute")

    answers = [login(address=f"192.0.2.{n}").status for n in range(5)]

    assert answers == [401, 401, 401, 429, 429]
    assert login(PASSWORD, "192.0.2.9").status == 429  # nor does the right one get in


def test_an_account_that_is_none_is_counted_as_one_is(limit, alice):
    """Nobody learns from it who has an account."""
    limit(login_account="3/minute")

    seen = {email: [login(email=email) for _ in range(5)] for email in (EMAIL, "nobody@example.com")}

    of_alice, of_nobody = ([(one.status, one.raw, one.response["RateLimit-Remaining"]) for one in each]
                           for each in seen.values())  # fmt: skip
    assert of_alice == of_nobody


def test_the_owner_of_an_attacked_account_gets_in_from_where_they_were_before(limit, alice):
    """Guard: `known` in `_hit_account`."""
    limit(login_account="3/minute")
    assert login(PASSWORD, "198.51.100.7").status == 200
    counting.forget()
    assert [login(address=f"192.0.2.{n}").status for n in range(5)][-1] == 429

    assert login(PASSWORD, "198.51.100.7").status == 200
    assert login(PASSWORD, "198.51.100.8").status == 429
    # and who sits beside them has as many guesses as anybody, not more
    assert [login(address="198.51.100.7").status for _ in range(3)] == [401, 401, 429]


def test_only_who_got_in_is_known_afterwards(limit, alice):
    login("a guess", "192.0.2.1")
    login("a guess", "192.0.2.1", "nobody@example.com")
    assert not KnownAddress.objects.exists()

    posted("/api/v1/auth/signup", {"email": "bob@example.com", "password": PASSWORD}, "192.0.2.2")
    posted("/api/v1/auth/signup", {"email": EMAIL, "password": PASSWORD}, "192.0.2.3")  # refused
    login(PASSWORD, "192.0.2.4")
    login(PASSWORD, "192.0.2.4")

    assert sorted(KnownAddress.objects.values_list("user__email", "address")) == [
        (EMAIL, "192.0.2.4"),
        ("bob@example.com", "192.0.2.2"),
    ]


def test_a_user_has_so_many_known_addresses_and_the_oldest_go(alice):
    for n in range(MOST_ADDRESSES + 5):
        services.note_address(EMAIL, f"192.0.2.{n}", timezone.now())

    kept = set(KnownAddress.objects.values_list("address", flat=True))
    assert kept == {f"192.0.2.{n}" for n in range(5, MOST_ADDRESSES + 5)}


def test_one_address_that_tries_many_accounts_is_stopped(limit):
    limit(login_address="3/minute")

    answers = [login(email=f"{n}@example.com") for n in range(5)]

    assert [answer.status for answer in answers] == [401, 401, 401, 429, 429]
    assert login(email="5@example.com", address="192.0.2.2").status == 401


def test_the_admins_form_is_counted_with_the_api(limit):
    limit(login_account="3/minute")
    User.objects.create_superuser("operator@example.com", PASSWORD)
    form = {"username": " OPERATOR@example.com", "password": "a guess"}
    browser = Client()

    answers = [browser.post("/admin/login/", form) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert int(answers[-1]["Retry-After"]) >= 1
    assert login(PASSWORD, email="operator@example.com").status == 429
    assert browser.get("/admin/login/").status_code == 200


def admin_login(password: str, address: str = "192.0.2.1", email: str = "operator@example.com") -> Any:
    form = {"username": email, "password": password}
    return Client().post("/admin/login/", form, REMOTE_ADDR=address)


def test_five_logins_to_the_admin_fail_and_the_sixth_is_told_to_wait_until_the_owner_is_let_in():
    """Guards: the hit of `admin_account`, and the form that reads no password then. The owner's own word is refused."""
    operator = User.objects.create_superuser("operator@example.com", PASSWORD)

    assert [admin_login("a guess").status_code for _ in range(5)] == [200] * 5
    refused = admin_login(PASSWORD, "192.0.2.2")
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) >= 1
    assert "Too many logins failed. Try again in" in refused.content.decode()

    other = Client()
    other.force_login(User.objects.create_superuser("other@example.com", PASSWORD))
    given = sent(reason="rang me up")
    assert other.post(f"/admin/accounts/user/{operator.pk}/let_in/", given).status_code == 302
    assert admin_login(PASSWORD, "192.0.2.2").status_code == 302


def test_an_address_in_other_letters_of_unicode_is_the_account_that_it_lets_in(limit):
    """Guard: `logins.account_meant`: Django's form reads full-width letters as plain ones, and so does who counts."""
    operator = User.objects.create_superuser("operator@example.com", PASSWORD)
    spelled = ["o" * (n == 0) + "\uff4f" * (n > 0) + "perator@example.com" for n in range(2)]

    assert [admin_login("a guess", email=spelled[n % 2]).status_code for n in range(5)] == [200] * 5
    assert admin_login(PASSWORD, email="operato\uff52@example.com").status_code == 429
    assert set(JournalEntry.objects.values_list("user_id", flat=True)) == {operator.pk}


def test_an_address_that_no_text_can_hold_is_a_login_that_failed(limit):
    assert [admin_login(PASSWORD, email=email).status_code for email in ("\0", "a\0@example.com")] == [200, 200]


@pytest.mark.parametrize("scope", ["signup", "login"])
def test_who_uses_the_api_by_another_spelling_is_not_taken_for_their_namesake(scope, limit, alice):
    """Guard: `as_typed`, not `account_meant`: there it is another user, whose address would be known as Alice's."""
    asked = SimpleNamespace(_request=RequestFactory().post("/"), data={"email": "alice@\uff45xample.com\0"})

    _SCOPES[scope](asked)  # type: ignore[arg-type]

    assert asked._request.logs_in[0] == "alice@\uff45xample.com"  # type: ignore[attr-defined]


def test_who_gets_in_has_the_accounts_failures_back_and_strangers_dont_keep_them_out():
    """Guard: `unhit`, and `_known`."""
    User.objects.create_superuser("operator@example.com", PASSWORD)
    for _ in range(2):
        assert [admin_login("a guess").status_code for _ in range(4)] == [200] * 4
        assert admin_login(PASSWORD).status_code == 302

    assert [admin_login("a guess", "192.0.2.9").status_code for _ in range(6)] == [200] * 5 + [429]
    assert admin_login(PASSWORD).status_code == 302


def test_an_address_that_tries_many_accounts_of_the_admin_waits_too(limit):
    """Guard: the hit of `admin_address`."""
    limit(admin_address="3/minute")
    User.objects.create_superuser("operator@example.com", PASSWORD)

    assert [admin_login(PASSWORD).status_code for _ in range(4)] == [302, 302, 302, 429]


def test_new_accounts_tokens_and_passwords_have_limits_of_their_own(limit, alice):
    limit(signup_address="2/minute", token_client="2/minute", login_account="2/minute")
    passwords = {"oldPassword": "a guess", "newPassword": "a staple battery"}
    me = Api(token_of(alice))

    signups = [posted("/api/v1/auth/signup", {"email": f"{n}@x.example", "password": PASSWORD}).status for n in "abc"]
    asked = {"grant_type": "client_credentials", "client_id": "client_1", "client_secret": "x"}
    asking = [posted("/oauth/token", asked).status for _ in range(3)]
    changes = [me.post("/api/v1/auth/password", passwords).status for _ in range(3)]

    assert signups == [201, 201, 429]
    assert asking == [401, 401, 429]
    assert posted("/oauth/token", asked, "192.0.2.2").status == 401  # the client itself, elsewhere, is let in
    assert changes == [400, 400, 429]
    assert me.post("/api/v1/auth/logout-everywhere").status == 200


def test_a_client_is_counted_as_one_however_it_is_spelled(limit):
    """Guard: `oauth.client_named`. As HTTP Basic has it, a percent sign spells the same name in many ways."""
    limit(token_client="2/minute")

    answers = []
    for name in ("client_1", "cl%69ent_1", "client%5F1"):
        basic = base64.b64encode(f"{name}:x".encode()).decode()
        client = Client(headers={"Authorization": f"Basic {basic}"})
        form = "application/x-www-form-urlencoded"
        answers.append(client.post("/oauth/token", "grant_type=client_credentials", content_type=form))

    assert [answer.status_code for answer in answers] == [401, 401, 429]


def test_a_body_that_is_no_login_is_counted_and_told(limit):
    limit(login_address="3/minute")

    answers = [posted("/api/v1/auth/login", body).status for body in ([], {"email": 7, "password": "x"}, "text", {})]

    assert answers == [400, 400, 400, 429]


def test_while_valkey_is_away_each_process_counts_by_itself(limit, alice, valkey_is_away):
    """Guard: `_alone`. An operator must be able to log in just then, and nobody to guess without end."""
    limit(login_account="3/minute")

    answers = [login().status for _ in range(5)]

    assert answers == [401, 401, 401, 429, 429]


@pytest.mark.parametrize("valkey", ["there", "away"])
def test_of_a_thousand_attempts_at_once_ten_get_through(limit, request, valkey):
    """Guards: that an attempt is counted by one script in Valkey, and one at a time without it. Read and then written,
    as REST framework's own throttle does, ten were 16 and 17."""
    limit(login_account="10/minute")
    if valkey == "away":
        request.getfixturevalue("valkey_is_away")

    through = together([lambda: not counting.hit("login_account", EMAIL)[-1].is_over] * 1000)

    assert (through.count(True), through.count(False)) == (10, 990)


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "203.0.113.5", 0, "192.0.2.1"),  # no proxy of ours wrote it
        ("", "203.0.113.5", 1, "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5", 1, "203.0.113.5"),  # the left one is its own invention
        ("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2", 2, "203.0.113.5"),
        ("10.0.0.1", "nonsense", 1, ""),
        ("2001:db8:1:2:3::4", "", 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("", "", 0, ""),
    ],
)
def test_an_address_is_told_by_the_outermost_proxy_of_ours(settings, peer, forwarded, proxies, address):
    """Guard: `_name_the_client`."""
    settings.PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    request_bytes.take(request)

    assert address_of(request) == address
