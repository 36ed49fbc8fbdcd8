"""`Idempotency-Key` on the POSTs and PATCHes of the quotes/trades API: one request, one piece of work, one answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, connection, transaction
from django.urls import get_resolver

from accounts import clock, services, tokens
from accounts.models import AnsweredRequest, Customer, LedgerAccount
from accounts.rest.idempotent import Idempotent
from accounts.services.idempotency import forget_old
from quotes import prices
from tests.accounts.calls import Api, the_firm
from tests.given import a_customer, a_quote, a_settling_buy, btc, btc_at, deposit, token_of, what_the_audit_finds
from tests.races.together import together, wait_until_waiting
from trades.models import SettlementBatch, Trade, TradeEvent
from trades.spot.advance import advance

pytestmark = pytest.mark.django_db(transaction=True)

SOMEBODY = {"type": "individual", "name": {"full": "Ada"}}

# What hands out or ends tokens keeps no answer: it would be a secret, and to ask again does no harm.
WITHOUT = {
    "accounts.api.identity.SessionViewSet",
    "accounts.api.identity.OwnLoginViewSet",
    "accounts.api.clients.TokenViewSet",
    "accounts.api.clients.CustomerTokenViewSet",
    "accounts.api.subscriptions.SubscriptionViewSet",
}


class Keyed(Api):
    """One caller; `says` is their POST under a key."""

    def says(self, path: str, body: Any, key: str = "once", method: str = "post", **headers: str) -> Any:
        asks = getattr(self._client, method)
        answer = asks(
            path, body, content_type="application/json", headers={"Idempotency-Key": key, **headers}, **self._headers
        )
        answer.replayed = answer.headers.get("Idempotent-Replayed") == "true"
        return answer


def a_partner() -> Keyed:
    return keyed(the_firm())


def keyed(api: Api) -> Keyed:
    return Keyed(api._headers["HTTP_AUTHORIZATION"].removeprefix("Bearer "))


# --- the same again --------------------------------------------------------------------------------


def test_the_same_request_again_brings_the_same_bytes_and_does_nothing():
    """Guard: `idempotency._kept`. Without it there is a second customer."""
    partner = a_partner()

    first, again = partner.says("/api/customers", SOMEBODY), partner.says("/api/customers/", SOMEBODY)

    assert (first.status_code, first.replayed) == (201, False)
    assert (again.status_code, again.content, again.replayed) == (201, first.content, True)
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert Customer.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/customers", {"type": "business"}),
        ("/api/accounts", SOMEBODY),
        ("/api/customers?a=b", SOMEBODY),
        ("/api/customers", SOMEBODY | {"labels": ["1"]}),
    ],
)
def test_another_request_under_a_key_is_422_and_does_nothing(path, body):
    partner = a_partner()
    partner.says("/api/customers", SOMEBODY)

    other = partner.says(path, body)

    assert (other.status_code, other.json()["message_code"]) == (422, "idempotency_key_reused")
    assert Customer.objects.count() == 1


def test_a_patch_may_be_sent_twice_as_well():
    """Guard: PATCH in `idempotent.MAY_BE_KEYED`. Without it the second takes back what an operator did in between, a
    decision that its sender never saw."""
    partner = a_partner()
    alice = a_customer("alice")
    path, body = f"/api/customers/{alice.pk.hex}", {"state": "unverified"}

    first = partner.says(path, body, method="patch")
    services.decide_on_customer(alice.pk, "verified", clock.now())
    again = partner.says(path, body, method="patch")

    assert (first.status_code, first.replayed, first.json()["state"]) == (200, False, "unverified")
    assert (again.status_code, again.replayed, again.content) == (200, True, first.content)
    assert Customer.objects.get(pk=alice.pk).state == "verified"
    assert partner.says(path, body).status_code == 405  # another method is another request, and this one has no POST
    wanted = {"type": "fiat", "asset": "USD", "name": "a", "customer_guid": alice.pk.hex}
    path = f"/api/accounts/{partner.says('/api/accounts', wanted, key='opens').json()['guid']}"
    twice = [partner.says(path, {"labels": ["vip"]}, key="labels", method="patch") for _ in range(2)]
    assert [(one.status_code, one.replayed) for one in twice] == [(200, False), (200, True)]
    assert partner.says(path, {"labels": ["eu"]}, key="labels", method="patch").status_code == 422


def test_no_answer_with_a_token_is_kept():
    """Guard: `keeps_answers` of what hands out tokens. A stored one is a token more to steal."""
    alice = a_customer("alice")
    pair = tokens.trader_pair(alice.user)
    password = "correct horse " + re.sub(r"\D*(\d+).*", r"\1", alice.user.email)
    changed = Keyed(pair.access).says(
        "/api/v1/auth/password", {"oldPassword": password, "newPassword": "a longer correct horse"}
    )

    assert (changed.status_code, set(changed.json()) >= {"access", "refresh"}) == (200, True)
    assert not AnsweredRequest.objects.exists()


def says_raw(by: Keyed, raw: bytes, key: str = "once") -> Any:
    headers = {"Idempotency-Key": key}
    return by._client.generic(
        "POST", "/api/customers", raw, content_type="application/json", headers=headers, **by._headers
    )


def test_the_same_in_other_words_is_the_same_request():
    partner = a_partner()
    first = says_raw(partner, b'{"type":"individual","name":{"full":"Ada","first":null}}')
    again = says_raw(partner, b'{"name": {"first": null, "full": "Ad\\u0061"}, "type": "individual"}')

    assert (first.status_code, again.status_code, again.content) == (201, 201, first.content)
    assert Customer.objects.count() == 1


def test_a_body_of_ten_thousand_levels_is_no_failure_of_ours():
    """Guard: RecursionError in `idempotent._sha256`."""
    partner = a_partner()
    for levels in (200, 800, 950, 10_000):
        raw = b'{"type":"individual","deep":' + b"[" * levels + b"]" * levels + b"}"
        assert says_raw(partner, raw, key=f"{levels}").status_code in {201, 400}


@pytest.mark.parametrize("key", ["", "k" * 129, "a\tb", "\x7f"])
def test_what_is_no_key_is_400(key):
    refused = a_partner().says("/api/customers", SOMEBODY, key=key)

    assert (refused.status_code, refused.json()["message_code"]) == (400, "invalid_parameter")
    assert not Customer.objects.exists()


def test_a_key_of_128_characters_is_one():
    assert a_partner().says("/api/customers", SOMEBODY, key="k" * 128).status_code == 201


def test_each_caller_has_keys_of_their_own():
    """Guard: the caller's three columns. A customer's token must never bring back another customer's answer."""
    btc_at("40_000.00")
    alice, bob = a_customer("alice"), a_customer("bob")
    client = the_firm()
    id_ = tokens.verify(client._headers["HTTP_AUTHORIZATION"]).client_id
    assert id_ is not None
    devices = [Keyed(tokens.customer_token(id_, one.pk, ["quotes:execute"])) for one in (alice, bob)]
    everybody = [*devices, Keyed(token_of(alice)), Keyed(token_of(bob))]
    wanted = {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000}

    answers = [one.says("/api/quotes", wanted) for one in everybody]

    assert [answer.status_code for answer in answers] == [201] * 4
    assert not any(answer.replayed for answer in answers)
    assert [answer.json()["customer_guid"] for answer in answers] == [alice.pk.hex, bob.pk.hex] * 2


def test_who_may_no_longer_gets_nothing_back():
    alice = a_customer("alice")
    trader = Keyed(token_of(alice))
    trader.says("/api/accounts", {"type": "fiat", "asset": "USD", "name": "mine"})
    alice.user.is_active = False
    alice.user.save()

    assert trader.says("/api/accounts", {"type": "fiat", "asset": "USD", "name": "mine"}).status_code == 401


# --- refusals --------------------------------------------------------------------------------------


def test_a_refusal_is_an_answer_and_is_brought_back():
    partner = a_partner()
    alice = a_customer("alice")
    wanted = {"type": "trading", "asset": "USD", "name": "mine", "customer_guid": alice.pk.hex}

    refused, again = partner.says("/api/accounts", wanted), partner.says("/api/accounts", wanted)

    assert (refused.status_code, refused.json()["message_code"]) == (422, "account_type_mismatch")
    assert (again.status_code, again.content, again.replayed) == (422, refused.content, True)


def test_a_refusal_undoes_what_was_done_before_it(monkeypatch):
    """Guard: the savepoint in `Idempotent._answered`. Without it the refusal is kept together with the account."""
    from accounts import services
    from accounts.errors import NotFound

    open_account = services.open_account

    def opens_and_refuses(*given: Any) -> None:
        open_account(*given)
        raise NotFound

    monkeypatch.setattr(services, "open_account", opens_and_refuses)
    alice = a_customer("alice")
    wanted = {"type": "fiat", "asset": "USD", "name": "mine", "customer_guid": alice.pk.hex}

    assert a_partner().says("/api/accounts", wanted).status_code == 404
    assert not LedgerAccount.objects.filter(name="mine").exists()
    assert AnsweredRequest.objects.get().status == 404


@pytest.mark.parametrize(
    ("raw", "as_"), [(b"{", "application/json"), (b"<a/>", "text/xml"), (b"{}", "application/json")]
)
def test_what_cant_be_read_leaves_the_key_free(raw, as_):
    partner = a_partner()
    refused = partner._client.generic(
        "POST", "/api/customers", raw, content_type=as_, headers={"Idempotency-Key": "once"}, **partner._headers
    )

    assert refused.status_code in {400, 415}
    assert partner.says("/api/customers", SOMEBODY).status_code == 201


def test_a_failure_of_ours_leaves_the_key_free(monkeypatch):
    from accounts import services

    open_customers = services.open_customers

    def opens_and_fails(*given: Any) -> None:
        open_customers(*given)
        raise RuntimeError("a bug")

    partner = a_partner()
    monkeypatch.setattr(services, "open_customers", opens_and_fails)
    partner._client.raise_request_exception = False
    assert partner.says("/api/customers", SOMEBODY).status_code == 500
    assert not Customer.objects.exists()
    monkeypatch.undo()

    assert (partner.says("/api/customers", SOMEBODY).status_code, Customer.objects.count()) == (201, 1)


# --- at the same time ------------------------------------------------------------------------------


def posts(caller: Keyed, path: str, body: Any, key: str) -> Callable[[], Any]:
    """With a client of its own, for a thread of its own."""
    return partial(keyed(caller).says, path, body, key)


def of_its_own(call: Callable[[], Any]) -> Any:
    """In a thread, whose connection goes back."""
    try:
        return call()
    finally:
        connection.close()


def test_many_at_once_are_one_piece_of_work():
    """Guard: the lock (`locks.try_hold`). Without it the constraint `one_answer_per_caller_and_key` undoes the others'
    work and they are told 500; without that as well, there are sixteen customers."""
    partner = a_partner()

    answers = together([posts(partner, "/api/customers", SOMEBODY, "once")] * 16)

    by_status = {status: [a for a in answers if a.status_code == status] for status in (201, 409)}
    assert sum(map(len, by_status.values())) == 16
    assert len([a for a in by_status[201] if not a.replayed]) == 1
    assert len({a.content for a in by_status[201]}) == 1
    assert Customer.objects.count() == AnsweredRequest.objects.count() == 1


def test_one_that_comes_while_the_first_is_at_work_is_409_at_once():
    """Guard: `locks.try_hold`. With a lock that is waited for, the second one hangs as long as the first."""
    from accounts.db import locks

    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="10_000.00")
    a_settling_buy(alice, btc("0.1"))
    partner = a_partner()
    cut = posts(partner, "/api/settlement_batches", {}, "once")

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        locks.hold(locks.MEMBERSHIP)  # the first cut stands in the middle of its work
        running = pool.submit(of_its_own, cut)
        wait_until_waiting()
        told, other = cut(), posts(partner, "/api/customers", SOMEBODY, "another")()
        assert (told.status_code, told.headers["Retry-After"], told.json()) == (
            409,
            "1",
            {
                "status": 409,
                "error_message": "A request with this Idempotency-Key is still running",
                "message_code": "in_flight",
            },
        )
        assert other.status_code == 201
        assert not AnsweredRequest.objects.filter(key="once").exists()
    first = running.result()

    assert (first.status_code, first.replayed) == (201, False)
    again = cut()
    assert (again.status_code, again.content, again.replayed) == (201, first.content, True)
    assert SettlementBatch.objects.count() == 1


def slow_at_first(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, seconds: float) -> list[None]:
    """Let the first call of a function take longer; how often it was called."""
    function, calls = getattr(where, name), []

    def slower(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        result = function(*args, **kwargs)
        if len(calls) == 1:
            time.sleep(seconds)
        return result

    monkeypatch.setattr(where, name, slower)
    return calls


# --- with the services that it goes around -----------------------------------------------------------


@pytest.mark.parametrize("where", [TradeEvent, AnsweredRequest])
def test_a_trade_under_a_key_must_be_committed_in_time(monkeypatch, where):
    """Guard: `clock.committed_together`. Without it an id made long before its row is seen could lie below a mark."""
    from trades.spot import execute as spot

    monkeypatch.setattr(spot, "LONGEST", timedelta(seconds=0.4))
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="10_000.00")
    quote = a_quote(alice, receive=btc("0.01"))
    slow = slow_at_first(monkeypatch, where.objects, "create", 0.6)

    answer = Keyed(token_of(alice)).says("/api/trades", {"quote_guid": quote.pk.hex})

    assert (answer.status_code, len(slow)) == (201, 2)
    trade = Trade.objects.get()
    assert answer.json()["guid"] == trade.pk.hex
    assert abs(spot.time_of(trade.pk) - clock.now()) < timedelta(seconds=0.4)
    assert TradeEvent.objects.count() == AnsweredRequest.objects.count() == 1


def test_the_worker_is_woken_after_the_commit_and_once(monkeypatch):
    from trades.api import wake_worker

    woken: list[tuple[Any, bool]] = []
    monkeypatch.setattr(wake_worker, "to_advance", lambda id_: woken.append((id_, AnsweredRequest.objects.exists())))
    btc_at("40_000.00")
    alice = a_customer("alice", with_usd="10_000.00")
    quote = a_quote(alice, receive=btc("0.01"))
    trader = Keyed(token_of(alice))

    for _ in range(2):
        assert trader.says("/api/trades", {"quote_guid": quote.pk.hex}).status_code == 201

    assert woken == [(Trade.objects.get().pk, True)]


def test_what_the_database_gave_up_is_begun_anew_as_a_whole():
    """Guard: `conflicts.atomic` around `once`. Without it the caller is told 503."""
    partner = a_partner()
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE SEQUENCE tries; CREATE FUNCTION fail_twice() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN IF nextval('tries') < 3 THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '40001'; END IF;"
            " RETURN NULL; END $$; CREATE TRIGGER fail_twice AFTER INSERT ON accounts_answeredrequest"
            " EXECUTE FUNCTION fail_twice()"
        )
    try:
        answer = partner.says("/api/customers", SOMEBODY)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION fail_twice() CASCADE; DROP SEQUENCE tries")

    assert (answer.status_code, Customer.objects.count(), AnsweredRequest.objects.count()) == (201, 1, 1)


def test_every_post_of_the_flow_may_be_sent_twice():
    """From a customer to a settled batch, each POST twice under its key: one of each, and the books fit."""
    btc_at("40_000.00")
    maker, checker = a_partner(), a_partner()
    count = 0

    def twice(by: Keyed, path: str, body: Any, status: int) -> Any:
        nonlocal count
        count += 1
        first, again = (by.says(path, body, key=f"step {count}") for _ in range(2))
        assert (first.status_code, first.replayed) == (status, False), first.content
        assert (again.status_code, again.content, again.replayed) == (status, first.content, True)
        return first.json()

    guid = twice(maker, "/api/customers", SOMEBODY, 201)["guid"]
    alice = Customer.objects.get(pk=guid)
    assert services.check([alice.pk], clock.now()) == 1
    twice(maker, "/api/accounts", {"type": "fiat", "asset": "USD", "name": "cash", "customer_guid": guid}, 201)
    deposit(alice, "USD", "10_000.00")
    wanted = {"symbol": "BTC-USD", "side": "buy", "receive_amount": 1000, "customer_guid": guid}
    quote = twice(maker, "/api/quotes", wanted, 201)
    trade = twice(maker, "/api/trades", {"quote_guid": quote["guid"]}, 201)
    advance([Trade.objects.get().pk], prices=prices.latest)
    wanted = {"product_type": "trading_exit", "reference_trade_guid": trade["guid"], "customer_guid": guid}
    twice(maker, "/api/quotes", wanted, 201)
    twice(maker, "/api/settlement_batches/preview", {}, 200)
    batch = twice(maker, "/api/settlement_batches", {"legs_are_automatic": False}, 201)
    path = f"/api/settlement_batches/{batch['guid']}"
    twice(checker, f"{path}/confirm", {}, 200)
    twice(checker, f"{path}/cancel", {}, 200)

    assert (Trade.objects.count(), SettlementBatch.objects.count(), Customer.objects.count()) == (1, 1, 1)
    assert what_the_audit_finds() == []


def test_no_post_or_patch_of_the_api_passes_over_a_key():
    """Whoever adds a viewset gets it with `Resource`; who wants it not, says so, and WITHOUT says why."""

    def patterns(found: Any) -> Any:
        for pattern in found:
            yield from patterns(pattern.url_patterns) if hasattr(pattern, "url_patterns") else [pattern]

    asked = set()
    for pattern in patterns(get_resolver().url_patterns):
        view = getattr(pattern.callback, "cls", None)
        actions = getattr(pattern.callback, "actions", None) or {}
        if view is not None and (hasattr(view, "post") or actions.keys() & {"post", "patch"}):
            asked.add(view)

    without = {
        f"{view.__module__}.{view.__name__}"
        for view in asked
        if not (issubclass(view, Idempotent) and view.keeps_answers)
    }
    assert without == WITHOUT
    assert len(asked) > len(WITHOUT)


# --- the table -------------------------------------------------------------------------------------


def test_an_answer_is_never_changed_and_forgotten_only_when_it_is_old():
    partner = a_partner()
    partner.says("/api/customers", SOMEBODY)
    row = AnsweredRequest.objects.get()

    for change in ({"body": "{}"}, {"status": 200}, {"key": "another"}):
        with pytest.raises((InternalError, IntegrityError)):
            AnsweredRequest.objects.filter(pk=row.pk).update(**change)
    with pytest.raises(IntegrityError):
        row.delete()
    assert forget_old(clock.now()) == 0
    assert partner.says("/api/customers", SOMEBODY).replayed


def test_old_answers_are_forgotten_and_their_keys_free(monkeypatch):
    partner = a_partner()
    partner.says("/api/customers", SOMEBODY)
    partner.says("/api/customers", SOMEBODY, key="younger")
    aged = AnsweredRequest.objects.get(key="once")
    old = clock.now() - timedelta(hours=49)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_answeredrequest DISABLE TRIGGER never_changed")
        from accounts.ids import floor_of

        cursor.execute(
            "UPDATE accounts_answeredrequest SET id = %s, at = %s WHERE id = %s", [floor_of(old), old, aged.pk]
        )
        cursor.execute("ALTER TABLE accounts_answeredrequest ENABLE TRIGGER never_changed")

    assert forget_old(clock.now()) == 1
    assert not partner.says("/api/customers", SOMEBODY).replayed
    assert partner.says("/api/customers", SOMEBODY, key="younger").replayed
