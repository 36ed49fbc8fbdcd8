"""The commands of operators and scripts: one line for a person, one JSON object for a script."""

from __future__ import annotations

import io
import json
import stat
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken

from accounts import json_codec, services, tasks, tokens
from accounts.identity import FIRM_SCOPES
from accounts.models import ApiClient, Customer, LedgerAudit, User
from brokerage.management.commands import seed
from tests.accounts.calls import Api
from tests.given import a_customer, balance, usd

pytestmark = pytest.mark.django_db


def said(*command: str) -> str:
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def facts(*command: str) -> dict[str, Any]:
    return json_codec.loads(said(*command, "--json").encode())


def test_a_client_is_made_whose_secret_works_and_is_not_kept():
    made = facts("create_api_client", "partner", "--scopes", "quotes:read", "trades:read")

    client = ApiClient.objects.get(client_id=made["client_id"])
    assert client.scopes == made["scopes"] == ["quotes:read", "trades:read"]
    assert services.authenticate_client(made["client_id"], made["client_secret"]) == client
    assert made["client_secret"] not in str(ApiClient.objects.values())


def test_a_client_has_all_scopes_of_the_firm_unless_told_otherwise():
    assert set(facts("create_api_client", "partner")["scopes"]) == FIRM_SCOPES


@pytest.mark.parametrize("arguments", [["x", "--scopes", "everything"], ["", "--scopes", "quotes:read"], ["n" * 101]])
def test_a_client_that_cannot_be_made_is_refused_in_one_line(arguments):
    with pytest.raises(CommandError):
        call_command("create_api_client", *arguments)
    assert not ApiClient.objects.exists()


def test_a_customer_is_made_who_can_log_in():
    made = facts("create_customer", "--email", "Alice@Example.com", "--name", "Alice")

    assert made["email"] == "alice@example.com"
    assert Customer.objects.get(pk=made["customer_guid"]).name == "Alice"
    login = {"email": made["email"], "password": made["password"]}
    assert Api().post("/api/v1/auth/login", login).status == 200


def test_a_given_password_is_not_repeated():
    assert "password" not in facts("create_customer", "--email", "a@example.com", "--password", "correct horse")


def test_a_customer_that_cannot_be_made_is_refused_in_one_line():
    a_taken = a_customer("alice").user.email

    for arguments in (["--email", a_taken], ["--email", "nobody"], ["--email", "b@example.com", "--password", "x"]):
        with pytest.raises(CommandError):
            call_command("create_customer", *arguments)


def test_money_comes_in_and_goes_out_by_guid_or_address():
    alice = a_customer("alice")

    come = facts("deposit", alice.user.email.upper(), "usd", "10000.00")
    gone = facts("withdraw", alice.pk.hex, "USD", "0.01")

    assert (come["moved"], come["available"]) == (True, {"amount": 1_000_000, "asset": "USD", "decimals": 2})
    assert (gone["moved"], gone["available"]) == (True, {"amount": 999_999, "asset": "USD", "decimals": 2})
    assert balance(alice) == usd("9999.99")


def test_a_deposit_with_a_key_is_made_once():
    alice = a_customer("alice")

    outcomes = [facts("deposit", alice.pk.hex, "USD", "5", "--key", "wire-7")["moved"] for _ in range(2)]

    assert outcomes == [True, False]
    assert balance(alice) == usd("5.00")
    with pytest.raises(CommandError, match="names another movement"):
        call_command("deposit", alice.pk.hex, "USD", "6", "--key", "wire-7")


@pytest.mark.parametrize(
    ("command", "asset", "amount"),
    [("deposit", "USD", "1.001"), ("deposit", "USD", "-1"), ("deposit", "USD", "ten"), ("deposit", "DOGE", "1"),
     ("withdraw", "USD", "0.01"), ("deposit", "USD", "1e400"), ("deposit", "USD", "0")],
)  # fmt: skip
def test_money_that_cannot_be_moved_is_refused_in_one_line(command, asset, amount):
    alice = a_customer("alice")

    with pytest.raises(CommandError):
        call_command(command, alice.pk.hex, asset, f"--key=k{amount}", "--", amount)

    assert balance(alice) == 0


@pytest.mark.parametrize(
    "amount", ["\u0661\u0660", "\uff11\uff10", " 10", "10 ", "10\n", "1_0", "0x10", "--1", "\xa010"]
)
@pytest.mark.parametrize("command", ["deposit", "withdraw"])
def test_an_amount_that_only_some_would_read_as_ten_moves_nothing(command, amount):
    alice = a_customer("alice", with_usd="100.00")

    with pytest.raises(CommandError, match="is not an amount above zero"):
        call_command(command, alice.pk.hex, "USD", "--key=k", "--", amount)

    assert balance(alice) == usd("100.00")


def test_a_deposit_of_35_digits_is_told_that_it_is_too_large():
    with pytest.raises(CommandError, match="must be less than 100000000000000000000"):
        call_command("deposit", a_customer("alice").pk.hex, "USD", "9" * 35)


def test_an_unknown_customer_cannot_be_paid():
    for nobody in ("nobody@example.com", "0" * 32, ""):
        with pytest.raises(CommandError, match="no customer"):
            call_command("deposit", nobody, "USD", "1")


def test_the_scheduled_audit_leaves_a_row():
    tasks.audit()

    assert LedgerAudit.objects.get().ok


def test_expired_refresh_tokens_are_forgotten():
    alice = a_customer("alice")
    tokens.trader_pair(alice.user)
    OutstandingToken.objects.update(expires_at="2020-01-01T00:00:00Z")
    kept = tokens.trader_pair(alice.user).refresh

    tasks.forget_expired_tokens()

    assert OutstandingToken.objects.count() == 1
    tokens.rotate(kept)


# --- seed ------------------------------------------------------------------------------------------


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(seed, "data_dir", lambda: tmp_path)
    return tmp_path


def test_the_seed_makes_three_callers_whose_secrets_work_and_says_how_to_call(data_dir):
    shown = said("seed")

    kept = json.loads((data_dir / "seed.json").read_text())
    assert stat.S_IMODE((data_dir / "seed.json").stat().st_mode) == 0o600
    assert User.objects.get(email=kept["operator"]["email"]).check_password(kept["operator"]["password"])
    assert User.objects.get(email=kept["operator"]["email"]).is_superuser
    trader = services.authenticate(kept["trader"]["email"], kept["trader"]["password"])
    assert trader.customer.pk.hex == kept["trader"]["customer_guid"]
    assert balance(trader.customer) == usd("10_000.00")
    client = services.authenticate_client(kept["client"]["client_id"], kept["client"]["client_secret"])
    assert set(client.scopes) == FIRM_SCOPES
    for told in (kept["operator"]["password"], kept["trader"]["password"], kept["client"]["client_secret"]):
        assert told in shown
    for path in ("/api/v1/auth/login", "/api/v1/trade/create", "/api/v1/trade/orders", "/api/v1/trade/close",
                 "/oauth/token", "/api/quotes", "/api/trades"):  # fmt: skip
        assert f"curl -s http://127.0.0.1:8000{path} " in shown


def test_a_second_seed_changes_nothing_and_is_one_line(data_dir):
    said("seed")
    kept = (data_dir / "seed.json").read_bytes()

    shown = said("seed")

    assert shown.count("\n") == 1
    assert str(data_dir / "seed.json") in shown
    assert (data_dir / "seed.json").read_bytes() == kept
    assert (User.objects.count(), Customer.objects.count(), ApiClient.objects.count()) == (2, 1, 1)
    assert balance(Customer.objects.get()) == usd("10_000.00")


def test_secrets_of_a_database_that_is_gone_are_replaced(data_dir):
    (data_dir / "seed.json").write_text('{"trader": {"email": "x", "password": "old"}}')

    said("seed")

    kept = json.loads((data_dir / "seed.json").read_text())
    assert services.authenticate(kept["trader"]["email"], kept["trader"]["password"])


def test_production_is_not_seeded(data_dir, settings):
    settings.SANDBOX = False

    assert "nothing is seeded" in said("seed")

    assert not User.objects.exists()
    assert not (data_dir / "seed.json").exists()
