"""Whatever bytes arrive, the API answers with JSON and a status of the client's, and goes on."""

from __future__ import annotations

import encodings
import json
import pkgutil
import random

import pytest

from tests.given import a_customer, token_of
from tests.live import Live
from tests.stack.wire import Said, ask, connected, get
from tests.stack.wire import answer as answer_on

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

PATHS = ("/api/v1/account?a=b", "/api/trades?state=storing", "/oauth/token?a=b", "/api/nowhere?a=b")
JSON, FORM = "Content-Type: application/json", "Content-Type: application/x-www-form-urlencoded"
CODECS = sorted({module.name for module in pkgutil.iter_modules(encodings.__path__)})


def is_told(said: Said, *, method: str = "GET") -> bool:
    """Whether it is an answer of the API: the client's fault, or none, and JSON."""
    if not 200 <= said.status < 500:
        return False
    if method == "HEAD" or said.status == 204:
        return True
    return said.headers.get("content-type", "").startswith("application/json") and json.loads(said.body) is not None


def is_refused(said: Said) -> bool:
    """HAProxy's own page, which says nothing about anybody, or from 3.2.4 on our answer (test_proxy_answers.py)."""
    page_or_ours = b"Your browser sent" in said.body or b'"message_code":"invalid_parameter"' in said.body
    return said.status == 400 and said.headers.get("connection") == "close" and page_or_ours


@pytest.mark.parametrize("path", PATHS)
def test_text_is_utf_8_whatever_the_header_calls_it(live: Live, path: str) -> None:
    """Guard: `Utf8Request`. A charset of rot13 was 500 with an empty body."""
    plain = ask(live.port, get(path, "Content-Type: application/json"))
    for codec in [*CODECS, "", "é", "\xff", "x" * 3000, '"', "a.b", "../x"]:
        said = ask(live.port, get(path, f"Content-Type: application/json; charset={codec}"))
        assert (said.status, said.body) == (plain.status, plain.body), codec


def test_a_body_is_utf_8_whatever_the_header_calls_it(live: Live) -> None:
    token = token_of(a_customer())
    for codec in CODECS:
        said = ask(
            live.port,
            get(
                "/api/v1/trade/close?a=b",
                f"Authorization: Bearer {token}",
                f"Content-Type: application/json; charset={codec}",
                method="POST",
                body='{"orderId": "ö"}'.encode(),
            ),
        )
        assert said.status == 400, (codec, said)
        assert b"not found" in said.body.lower(), (codec, said)


ODD = [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    get("/api/v1/account").replace(b"Host: localhost", b"Host: evil.example"),
    get("/api/v1/account").replace(b"Host: localhost\r\n", b""),
    get("/api/v1/account", "X: " + "x" * 20_000),
    get("/api/v1/account", "X: " + "x" * 40_000),
    get("/api/trades", "X: " + "x" * 40_000),
    get("/api/trades", *[f"X-{n}: 1" for n in range(90)]),
    get("/api/trades?a=" + "x" * 30_000),
    get("/api/" + "x" * 100_000),
    get("/api/%"),
    get("/api/%zz?%zz=%"),
    get("/api/%00"),
    get("/api/trades/%00"),
    get("/api/customers/%00?a=%00"),
    get("/api/trades?state=%00"),
    get("/api/trades?customer_guid=%00&state=%ff%fe"),
    get("/api/v1/trade/orders/%00"),
    get("/api/v1/trade/orders?symbol=%00"),
    get("/api/%ff%fe%c3%28?%ff=%c3%28"),
    get("/api/%ed%a0%80?%ed%a0%80=1"),
    get("/api/../admin/"),
    get("/api//../../etc/passwd"),
    get("/api/%2e%2e/admin/"),
    get("/api/trades?" + "&".join(f"a{n}=1" for n in range(2000))),
    get("http://localhost/api/trades"),
    get("/api/trades", method="BREW"),
    get("/api/trades", method="TRACE"),
    get("/api/trades", method="OPTIONS"),
    get("/api/v1/trade/close", method="OPTIONS"),
    get("/api/v1/trade/close", method="PATCH"),
    get("/api/trades", method="x" * 300),
    get("/api/v1/trade/close", "Transfer-Encoding: chunked", "Content-Length: 5", method="POST") + b"0\r\n\r\n",
    get("/api/v1/trade/close", "Content-Type: application/json", method="POST", body=b"\xff\xfe{}"),
    get("/api/v1/trade/close", "Content-Type: application/json", method="POST", body=b'{"orderId": "\\u0000"}'),
    get(
        "/api/v1/auth/login",
        "Content-Type: application/json",
        method="POST",
        body=b'{"email":"\\u0000","password":"\\ud800"}',
    ),
    get("/api/v1/auth/login", "Content-Type: application/json", method="POST", body=b"[" * 50_000),
    get(
        "/oauth/token",
        "Content-Type: application/x-www-form-urlencoded",
        method="POST",
        body=b"grant_type=%00&client_id=%ff",
    ),
    get("/oauth/token", "Content-Type: multipart/form-data; boundary=\x01", method="POST", body=b"--x"),
    get("/oauth/token", "Content-Type: multipart/form-data", method="POST", body=b"--x"),
    get("/api/trades", "Cookie: a=\xff; =; ;;; sessionid=%00; csrftoken=" + "x" * 5000),
    get("/api/trades", 'Cookie: a="\\777"; b'),
    get("/api/trades", "Authorization: Bearer \xff"),
    get("/api/trades", "Authorization: Bearer " + "a." * 8000),
    get("/api/trades", "Authorization: Basic ====="),
    get("/oauth/token", "Authorization: Basic //79", method="POST"),
    get("/api/v1/account", "Authorization: bearer"),
    get("/api/trades", "Expect: something"),
    get("/api/trades", "Content-Encoding: gzip"),
    get("/api/trades", "Range: bytes=0-1,5-"),
    get("/api/trades", "If-None-Match: \xff", "If-Modified-Since: never"),
    get("/api/trades", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"),
    get("/api/trades", "Connection: Host, Authorization"),
    get("/api/trades", "X-Forwarded-For: \xff, ,,", "X-Forwarded-Proto: nonsense", "X-Forwarded-Host: evil.example"),
    get("/api/trades", "Accept: text/html;q=\xff", "Accept-Language: " + ",".join(["x"] * 3000)),
    get("/api/trades").replace(b"HTTP/1.1", b"HTTP/1.0"),
    get("/api/trades").replace(b"\r\n", b"\n"),
    get("api/trades"),
]

# Nothing that HAProxy takes for HTTP: its own 400, before there is a path, and it closes the connection.
NOT_HTTP = [
    get("/api/v1/account", "Host: evil.example"),
    get("/api/v1/account").replace(b"Host: localhost", b"Host: a b\xff"),
    get("/api/trades").replace(b"Host: localhost", b"Host: [::1"),
    get("/api/trades", "X: " + "x" * 500_000),
    get("/api/trades", *[f"X-{n}: 1" for n in range(500)]),
    get("/api/\x00"),
    get("/api/\xff\xfe"),
    get("/api/trades?\xff=\xff"),
    get("/api/trades#part"),
    get("http://evil.example/api/trades"),
    get("/api/v1/trade/close", "Content-Length: 3", "Content-Length: 4", method="POST") + b"{} {}",
    get("/api/v1/trade/close", "Content-Length: 2, 3", method="POST") + b"{}",
    get("/api/v1/trade/close", "Content-Length: -1", method="POST"),
    get("/api/v1/trade/close", "Content-Length: x", method="POST"),
    get("/api/v1/trade/close", "Content-Length: " + "9" * 30, method="POST"),
    get("/api/v1/trade/close", "Transfer-Encoding: gzip", method="POST"),
    get("/api/v1/trade/close", "Transfer-Encoding: chunked", method="POST") + b"zz\r\n{}\r\n0\r\n\r\n",
    get("/api/v1/trade/close", "Transfer-Encoding: chunked, chunked", method="POST") + b"2\r\n{}\r\n0\r\n\r\n",
    get(
        "/api/trades", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13"
    ),
    get("/api/trades", " folded: header"),
    get("/api/trades", "no colon"),
    get("/api/trades", "Na me: x"),
    get("/api/trades", "Name : x"),
    get("/api/trades", "X: a\x00b"),
    get("/api/trades").replace(b"HTTP/1.1", b"HTTQ"),
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 60 + b"\r\n\r\n",
    b"\x00\r\n\r\n",
    b"GET\r\n\r\n",
]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_odd_bytes_get_an_answer_of_the_api(live: Live, number: int) -> None:
    said = ask(live.port, ODD[number])
    assert is_told(said), (ODD[number][:200], said)
    assert "server" not in said.headers


@pytest.mark.parametrize("number", range(len(NOT_HTTP)))
def test_what_is_not_http_is_refused_and_closes_the_connection(live: Live, number: int) -> None:
    assert is_refused(ask(live.port, NOT_HTTP[number])), NOT_HTTP[number][:200]


def test_requests_with_bytes_changed_at_random_get_answers_of_the_api(live: Live) -> None:
    """The same bytes each time: the seed is fixed."""
    chance = random.Random(13)
    token = token_of(a_customer())
    seeds = [
        get("/api/v1/trade/orders?symbol=BTC-USD&page=2", f"Authorization: Bearer {token}", "Cookie: a=b; c=d"),
        get("/api/v1/trade/close", f"Authorization: Bearer {token}", JSON, method="POST", body=b'{"orderId": "o"}'),
        get("/oauth/token", FORM, "Expect: 100-continue", method="POST", body=b"grant_type=client_credentials&scope=a"),
        get("/api/trades?state=storing&page=0&per_page=5", "Accept: */*", "Authorization: Bearer x.y.z"),
    ]  # fmt: skip
    for _ in range(400):
        request = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(request))
            request[place : place + chance.randint(0, 2)] = chance.choice(
                [bytes([chance.randrange(256)]), b"%00", b"%ff", b"%", b"\r\n", b"\x00", b": ", b"%ed%a0%80", b"\xff"]
            )
        with connected(live.port) as wire:
            wire.sendall(bytes(request))
            wire.shutdown(1)  # a length that was changed is waited for no longer
            said = answer_on(wire)
        outside = said.status in {0, 302, 404, 405, 505}  # not whole, another path than the API's, another HTTP
        assert outside or is_refused(said) or is_told(said), (bytes(request), said)
    assert ask(live.port, get("/livez")).status == 200


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/api/v1/trade/close", b'{"error":'),
        ("/api/quotes", b'{"status":415,'),
        ("/oauth/token", b'{"status":415,'),
        ("/api/nowhere", b'{"status":415,'),
    ],
)
def test_a_body_that_is_compressed_is_refused(live: Live, path: str, text: bytes) -> None:
    """Guard: ENCODED in `request_bytes.refusal`."""
    said = ask(live.port, get(path, "Content-Encoding: gzip", method="POST", body=b"\x1f\x8b"))
    assert said.status == 415
    assert said.body.startswith(text)


def test_a_body_in_chunks_is_read(live: Live) -> None:
    """Guard: `_join_chunks`. Without it the body is taken for none: "orderId is required"."""
    headers = (f"Authorization: Bearer {token_of(a_customer())}", "Content-Type: application/json")
    body = b'{"orderId":"ord_0123456789abcdef"}'
    whole = ask(live.port, get("/api/v1/trade/close", *headers, method="POST", body=body))
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body) + b"0\r\n\r\n"

    said = ask(live.port, get("/api/v1/trade/close", *headers, "Transfer-Encoding: chunked", method="POST") + chunks)

    assert (said.status, said.body) == (whole.status, whole.body)
    assert b"not found" in said.body


def test_a_body_in_chunks_has_the_limit_of_any_other(live: Live) -> None:
    headers = ("Content-Type: application/json", "Transfer-Encoding: chunked")
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    said = ask(live.port, get("/api/v1/trade/close", *headers, method="POST") + chunk * 5 + b"0\r\n\r\n")
    assert (said.status, said.headers["connection"]) == (413, "close")
    assert said.body == b'{"error":"The body is too large."}'


@pytest.mark.parametrize("method", ["TRACE", "BREW", "DELETE", "PUT"])
@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/livez", "GET, HEAD"),
        ("/readyz", "GET, HEAD"),
        ("/static/brokerage/icon.svg", "GET, HEAD"),
        ("/api/docs/", "GET, HEAD"),
        ("/admin/", "GET, HEAD, POST"),
        ("/admin/login/", "GET, HEAD, POST"),
        ("/api/trades", "GET, POST, HEAD, OPTIONS"),
        ("/api/v1/supportedAssets", "GET, HEAD, OPTIONS"),
    ],
)
def test_a_method_that_a_path_doesnt_have_is_told_those_that_it_has(
    live: Live, method: str, path: str, allowed: str
) -> None:
    """Guards: `_not_allowed` in `HealthMiddleware`, and `pages.Methods`. TRACE was answered as GET is, with 200."""
    said = ask(live.port, get(path, f"Authorization: Bearer {token_of(a_customer())}", method=method))
    assert (said.status, said.headers["allow"]) == (405, allowed)
    assert b"Bearer" not in said.body


def test_options_of_the_page_about_the_api_are_refused_and_no_failure(live: Live) -> None:
    """Guard: `http_method_names` in brokerage/urls.py. It was 500."""
    said = ask(live.port, get("/api/docs/", method="OPTIONS"))
    assert (said.status, said.headers["allow"]) == (405, "GET, HEAD")


def test_a_version_of_http_that_is_none_is_refused_and_told(live: Live) -> None:
    """Guard: the line of haproxy.cfg with 505."""
    said = ask(live.port, get("/livez").replace(b"HTTP/1.1", b"HTTP/3.7"))
    assert (said.status, json.loads(said.body)["message_code"]) == (505, "http_version_not_supported")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_health_is_told_whatever_the_host(live: Live, path: str) -> None:
    """Guard: `pages.Health` stands before whatever looks at the host: a probe names a pod by its address."""
    for host in ("10.1.2.3:8000", "evil.example", "a_b"):
        assert ask(live.port, get(path).replace(b"localhost", host.encode())).status == 200, host
    assert ask(live.port, get("/api/v1/account").replace(b"localhost", b"10.1.2.3:8000")).status == 400


@pytest.mark.parametrize(
    "path", ["/admin/login/", "/static/brokerage/icon.svg", "/nowhere", "/api/v1/account", "/livez"]
)
def test_no_answer_names_the_server(live: Live, path: str) -> None:
    """Guard: del-header in haproxy.cfg."""
    said = ask(live.port, get(path))
    assert said.status > 0
    assert not {"server", "via", "x-powered-by"} & set(said.headers)


def test_a_page_says_what_it_may_load(live: Live) -> None:
    """Guard: `PagePolicyMiddleware`."""
    admin, elsewhere = ask(live.port, get("/admin/login/")), ask(live.port, get("/nowhere"))
    directives = [one.strip() for one in admin.headers["content-security-policy"].split(";")]
    assert "script-src 'self' 'unsafe-eval'" in directives
    assert "default-src 'none'" in elsewhere.headers["content-security-policy"]
    assert "script-src" not in elsewhere.headers["content-security-policy"]
