"""Labels on accounts and customers: a partner's own words, few, and found by an index."""

from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts import ledger, services
from accounts.models import Customer, LedgerAccount
from accounts.services import NewCustomer
from tests.accounts.calls import Api, the_firm
from tests.given import a_customer, deposit, token_of

pytestmark = pytest.mark.django_db


def opened(customer: Customer, labels: list[str] | None) -> LedgerAccount:
    return services.open_account(customer, "BTC", "trading", "coins", labels)


def test_an_account_keeps_its_labels_and_is_found_by_each_of_them() -> None:
    alice, bob, carol = a_customer("alice"), a_customer("bob"), a_customer("carol")
    one, two = opened(alice, ["vip", "eu"]), opened(bob, ["us"])
    opened(carol, None)
    firm = the_firm()

    def found(label: str) -> list[str]:
        return [account["guid"] for account in firm.get("/api/accounts", label=label).body["objects"]]

    assert found("eu") == [one.pk.hex]
    assert found("vip,us") == [two.pk.hex, one.pk.hex]
    assert found("nobody") == []
    assert firm.get(f"/api/accounts/{one.pk.hex}").body["labels"] == ["vip", "eu"]


def test_labels_stay_while_the_balance_moves() -> None:
    alice = a_customer()
    account = opened(alice, ["vip"])
    deposit(alice, "BTC", "0.5")

    account.refresh_from_db()
    assert (account.labels, account.balance) == (["vip"], 50_000_000)


def test_an_account_takes_another_name_and_other_labels_and_is_found_by_them() -> None:
    alice = a_customer()
    account = opened(alice, ["vip"])
    deposit(alice, "BTC", "0.5")
    firm, path = the_firm(), f"/api/accounts/{account.pk.hex}"

    def found(label: str) -> int:
        return int(firm.get("/api/accounts", label=label).body["total"])

    changed = firm.call("PATCH", path, {"name": "savings", "labels": ["eu", "gold"]})

    assert (changed.status, changed.body["name"], changed.body["labels"]) == (200, "savings", ["eu", "gold"])
    assert firm.get(path).body == changed.body
    assert (changed.body["platform_available"], found("vip"), found("gold")) == (50_000_000, 0, 1)
    assert firm.call("PATCH", path, {"name": "coins", "labels": None}).body["labels"] == ["eu", "gold"]
    assert firm.call("PATCH", path, {"labels": []}).body["labels"] == []
    assert (firm.call("PATCH", path, {}).body["name"], found("gold")) == ("coins", 0)


def test_an_account_that_money_opened_is_named_by_a_patch_and_not_named_again_by_a_post() -> None:
    alice = a_customer(with_usd="1.00")
    firm = the_firm()
    [account] = firm.get("/api/accounts", customer_guid=alice.pk.hex).body["objects"]
    wanted = {"type": "fiat", "asset": "USD", "name": "mine", "customer_guid": alice.pk.hex}

    assert firm.call("PATCH", f"/api/accounts/{account['guid']}", {"name": "cash"}).body["name"] == "cash"
    assert firm.post("/api/accounts", wanted).status == 409


@pytest.mark.parametrize(
    "body", [{"name": "n" * 129}, {"name": 5}, {"labels": ["x"] * 9}, {"labels": [""]}, {"labels": "vip"}, []]
)
def test_what_is_no_name_or_label_is_400_and_changes_nothing(body: object) -> None:
    account = opened(a_customer(), ["vip"])
    firm, path = the_firm(), f"/api/accounts/{account.pk.hex}"
    before = firm.get(path).body

    assert firm.call("PATCH", path, body).status == 400
    assert firm.get(path).body == before


def test_only_a_firms_client_with_the_scope_changes_an_account_and_only_a_customers() -> None:
    """A trader's own labels would be in the way of the partner who looks customers up by them."""
    alice = a_customer()
    account = opened(alice, ["vip"])
    settling = ledger.lock([one := ledger.customers(alice.pk, "BTC", ledger.SETTLING)])[one].id
    body = {"labels": ["mine"], "balance": 10**9, "customer_guid": "0" * 32, "state": "closed"}
    path = f"/api/accounts/{account.pk.hex}"

    assert Api(token_of(alice)).call("PATCH", path, body).status == 403
    assert the_firm("accounts:execute").call("PATCH", path, body).status == 403
    assert Api().call("PATCH", path, body).status == 401
    assert the_firm().call("PATCH", f"/api/accounts/{settling.hex}", body).status == 404
    changed = the_firm("accounts:write").call("PATCH", path, body).body
    assert (changed["labels"], changed["platform_balance"], changed["customer_guid"]) == (["mine"], 0, alice.pk.hex)


@pytest.mark.parametrize("labels", [["x"] * 9, [""], ["a", ""]])
def test_the_tables_refuse_too_many_labels_and_empty_ones(labels: list[str]) -> None:
    """Guard: the CHECKs account_labels_few and customer_labels_few."""
    alice = a_customer()

    with pytest.raises(IntegrityError, match="account_labels_few"), transaction.atomic():
        opened(alice, labels)
    with pytest.raises(IntegrityError, match="customer_labels_few"), transaction.atomic():
        services.open_customers([NewCustomer(labels=labels)], timezone.now())


@pytest.mark.parametrize("table", ["accounts_ledgeraccount", "accounts_customer", "trades_trade"])
def test_a_label_is_looked_up_in_an_index(table: str) -> None:
    """Guard: the GIN indexes; the planner must see that `labels && …` fits their condition."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN SELECT id FROM {table} WHERE labels && %s::varchar(64)[]", [["vip"]])
        plan = " ".join(line for (line,) in cursor.fetchall())

    assert "_by_label" in plan, plan
