"""What every HTTP client expects of an API: caching, conditions, compression, OPTIONS, CORS; at the real server."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from django.utils import timezone

from accounts import services, tokens
from accounts.identity import FIRM_SCOPES
from tests.given import a_customer, a_quote, a_settling_buy, btc, btc_at, token_of
from tests.live import Live
from tests.trades.engine_steps import opens

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

ORDERS = "/api/v1/trade/orders"
SHOP = "https://shop.example"


@pytest.fixture
def firm(live: Live) -> Iterator[httpx.Client]:
    client, _ = services.create_api_client("a partner", FIRM_SCOPES, timezone.now())
    with live.client(tokens.client_token(client, FIRM_SCOPES)) as http:
        yield http


# --- stored by nobody ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/quotes",
        "/api/trades/" + "0" * 32,
        "/api/customers",
        "/api/assets",
        "/api/nowhere",
        "/api/v1/supportedAssets",
    ],
)
def test_whatever_a_token_was_shown_for_is_stored_by_nobody(firm: httpx.Client, path: str) -> None:
    assert firm.get(path).headers["Cache-Control"] == "no-store"


def test_so_is_what_a_trader_reads_and_does_and_every_refusal(live: Live) -> None:
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    with live.client(token_of(alice)) as http, live.client() as nobody:
        answers = [
            http.get("/api/v1/balance"),
            http.get("/api/v1/statement", params={"format": "csv"}),
            http.post(
                "/api/v1/trade/create", json={"symbol": "BTC-USD", "type": "buy", "quantity": 0.1, "leverage": 10}
            ),
            http.post("/api/v1/trade/close", json={}),
            nobody.get("/api/v1/balance"),
            nobody.get("/api/v1/nowhere"),
            nobody.post("/api/v1/auth/login", json={"email": "a@example.com", "password": "x"}),
            nobody.post("/oauth/token", content="{"),
        ]
    assert [answer.headers["Cache-Control"] for answer in answers] == ["no-store"] * len(answers)


def test_what_anybody_may_read_may_be_stored(live: Live) -> None:
    with live.client() as nobody:
        for path in ("/api/v1/supportedAssets", "/api/assets"):
            assert "Cache-Control" not in nobody.get(path).headers


# --- nothing has changed ---------------------------------------------------------------------------


def test_a_quote_a_trade_and_an_order_are_told_again_only_when_they_changed(live: Live) -> None:
    btc_at("40_000.00")
    alice = a_customer(with_usd="100_000.00")
    quote, trade, order = a_quote(alice, receive=btc("0.1")), a_settling_buy(alice, btc("0.1")), opens(alice)
    with live.client(token_of(alice)) as http:
        for path in (
            f"/api/quotes/{quote.pk.hex}",
            f"/api/trades/{trade.pk.hex}",
            f"/api/v1/trade/orders/{order.code}",
        ):
            first = http.get(path)
            etag = first.headers["ETag"]
            for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
                again = http.get(path, headers={"If-None-Match": known})
                assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
                assert again.headers["Cache-Control"] == "no-store"
            other = http.get(path, headers={"If-None-Match": '"other"'})
            assert (other.status_code, other.content, other.headers["ETag"]) == (200, first.content, etag)

        btc_at("41_000.00")  # the order's floating profit is another one
        moved = http.get(f"{ORDERS}/{order.code}", headers={"If-None-Match": etag})
        assert (moved.status_code, moved.headers["ETag"] == etag) == (200, False)


def test_a_tag_tells_nothing_about_what_belongs_to_somebody_else(live: Live) -> None:
    btc_at("40_000.00")
    alice, bob = a_customer("alice", with_usd="10_000.00"), a_customer("bob")
    path = f"/api/trades/{a_settling_buy(alice, btc('0.1')).pk.hex}"
    with live.client(token_of(alice)) as http:
        etag = http.get(path).headers["ETag"]
    with live.client(token_of(bob)) as http:
        answers = [http.get(path, headers={"If-None-Match": known}) for known in (etag, "*")]
    assert [answer.status_code for answer in answers] == [404, 404]


# --- compressed ------------------------------------------------------------------------------------


def test_long_answers_of_the_api_are_compressed_and_short_ones_and_the_admin_are_not(
    live: Live, firm: httpx.Client
) -> None:
    """Guards: `gzip._WORTH_IT` and `is_api`."""
    btc_at("40_000.00")
    alice = a_customer(with_usd="100_000.00")
    for _ in range(6):
        a_quote(alice, receive=btc("0.1"))

    long = firm.get("/api/quotes", headers={"Accept-Encoding": "gzip"})
    assert (long.headers["Content-Encoding"], long.json()["total"]) == ("gzip", 6)
    assert "Accept-Encoding" in long.headers["Vary"]
    assert int(long.headers["Content-Length"]) < len(long.content)
    assert "Content-Encoding" not in firm.get("/api/quotes", headers={"Accept-Encoding": "identity"}).headers
    assert "Content-Encoding" not in firm.get("/api/trades", headers={"Accept-Encoding": "gzip"}).headers
    page = firm.get("/admin/login/", headers={"Accept-Encoding": "gzip"})
    assert len(page.content) > 1400
    assert "Content-Encoding" not in page.headers


# --- which methods there are -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/api/quotes", "GET, HEAD, POST, OPTIONS"),
        ("/api/quotes/" + "0" * 32, "GET, HEAD, OPTIONS"),
        ("/api/settlement_batches/x/confirm/", "POST, OPTIONS"),
        ("/oauth/token", "POST, OPTIONS"),
        ("/api/v1/auth/login", "POST, OPTIONS"),
        ("/api/v1/supportedAssets", "GET, HEAD, OPTIONS"),
        ("/api/v1/trade/create", "POST, OPTIONS"),
        ("/api/v1/trade/close", "GET, HEAD, POST, OPTIONS"),
        ("/api/v1/trade/close-all", "POST, OPTIONS"),
        ("/api/v1/trade/orders", "GET, HEAD, OPTIONS"),
        ("/api/v1/trade/orders/ord_0123456789abcdef", "GET, HEAD, PATCH, DELETE, OPTIONS"),
    ],
)
def test_options_name_the_methods_without_a_token_and_say_nothing_else(live: Live, path: str, allowed: str) -> None:
    """Guard: `Resource.initial`. Without it most paths ask for a token, and refuse the one that has it."""
    with live.client() as nobody:
        answer = nobody.options(path)
    assert (answer.status_code, answer.content) == (204, b"")
    assert set(answer.headers["Allow"].split(", ")) == set(allowed.split(", "))


def test_options_of_nowhere_are_404(live: Live) -> None:
    with live.client() as nobody:
        assert nobody.options("/api/nowhere").status_code == 404


# --- pages of others in a browser --------------------------------------------------------------------


def test_no_page_in_a_browser_may_call_unless_it_is_named(live: Live) -> None:
    with live.client() as browser:
        asked = browser.options("/api/quotes", headers={"Origin": SHOP, "Access-Control-Request-Method": "POST"})
        read = browser.get("/api/v1/supportedAssets", headers={"Origin": SHOP})
    for answer in (asked, read):
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.fixture
def open_to_the_shop() -> Iterator[Live]:
    running = Live(("web",), {"CORS_ALLOWED_ORIGINS": SHOP})
    running.start()
    yield running
    running.stop()


def test_a_page_that_is_named_may_call_the_api_and_not_the_admin(open_to_the_shop: Live) -> None:
    before = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    with open_to_the_shop.client() as browser:
        asked = browser.options("/api/quotes", headers={"Origin": SHOP} | before)
        read = browser.get("/api/quotes", headers={"Origin": SHOP})
        others = browser.options("/api/quotes", headers={"Origin": "https://thief.example"} | before)
        admin = browser.get("/admin/login/", headers={"Origin": SHOP})

    assert asked.headers["Access-Control-Allow-Origin"] == read.headers["Access-Control-Allow-Origin"] == SHOP
    assert "idempotency-key" in asked.headers["Access-Control-Allow-Headers"]
    assert "Idempotent-Replayed" in read.headers["Access-Control-Expose-Headers"]
    assert (read.status_code, "Access-Control-Allow-Credentials" in read.headers) == (401, False)
    assert "Access-Control-Allow-Origin" not in others.headers
    assert "Access-Control-Allow-Origin" not in admin.headers


# --- what went wrong -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "code"),
    [
        ("GET", "/api/v1/nowhere", {}, 404, "not_found"),
        ("GET", "/api/v1/balance", {"Host": "thief.example"}, 400, "invalid_parameter"),
        ("PUT", "/api/v1/balance", {}, 401, "unauthorized"),
        ("PUT", "/api/v1/trade/create", {}, 401, "unauthorized"),
        ("GET", "/api/v1/balance", {}, 401, "unauthorized"),
        ("POST", "/api/v1/trade/close", {"Content-Length": "2000000"}, 413, "payload_too_large"),
        (
            "POST",
            "/api/v1/auth/login",
            {"Content-Type": "text/xml", "Content-Length": "1"},
            415,
            "unsupported_media_type",
        ),
        ("POST", "/api/v1/auth/login", {}, 400, "invalid_parameter"),
    ],
)
def test_every_error_of_the_orders_dialect_says_its_code_whoever_found_it(
    live: Live, method: str, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    """Also those that middleware or Django itself answers, before any view."""
    with live.client() as nobody:
        content = b"x" * int(headers.get("Content-Length", "0"))
        answer = nobody.request(method, path, headers={"Content-Type": "application/json"} | headers, content=content)
    assert (answer.status_code, answer.headers["Error-Code"]) == (status, code)
    assert list(answer.json()) == ["error"]


# --- close everything ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "as_", [None, "application/json", "text/plain", "application/x-www-form-urlencoded", "nonsense"]
)
def test_close_all_without_a_body_closes_all_whatever_type_nothing_has(live: Live, as_: str | None) -> None:
    btc_at("42_000.00")
    alice = a_customer(with_usd="10_000.00")
    order = opens(alice)
    with live.client(token_of(alice)) as http:
        answer = http.post("/api/v1/trade/close-all", headers={} if as_ is None else {"Content-Type": as_})

    assert (answer.status_code, [one["orderId"] for one in answer.json()["results"]]) == (200, [order.code])
