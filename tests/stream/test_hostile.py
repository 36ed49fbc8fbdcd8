"""What is sent by those who mean no good, and by those who only send half."""

from __future__ import annotations

import json
import struct
import time

import pytest
from websockets.exceptions import ConnectionClosed

from accounts import streams
from quotes.price_scripts import PRICES
from tests.given import a_customer, btc_at, token_of
from tests.stream.listening import Stream

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("stream")]

KEY = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
UPGRADE = f"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{KEY}"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /api/events/stream HTTP/2\r\n\r\n", 400),
        (b"GET /api/events/stream HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /api/events/stream?after=%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /%s HTTP/1.1\r\n\r\n" % (b"a" * 9_000), 414),
        (b"GET /api/stream HTTP/1.1\r\nA: %s\r\n\r\n" % (b"a" * 9_000), 431),
        (b"GET /api/stream HTTP/1.1\r\n%s\r\n" % (b"A: b\r\n" * 200), 431),
        (b"GET /api/stream HTTP/1.1\r\n%s" % (b"A: %s\r\n" % (b"b" * 4_000) * 5), 431),
        (b"GET //[ HTTP/1.1\r\n\r\n", 404),
        (b"GET /api/events/stream?%s HTTP/1.1\r\n\r\n" % (b"a&" * 2_000), 400),
        (b"GET /api/events/stream HTTP/1.1\r\nAuthorization: Bearer \xff.\xfe.\xfd\r\n\r\n", 401),
        (b"GET /api/events/stream HTTP/1.1\r\nLast-Event-ID: \xff\r\n\r\n", 400),
        (b"POST /api/events/stream HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"OPTIONS /api/events/stream HTTP/1.1\r\nHost: x\r\nOrigin: https://thief.example\r\n\r\n", 405),
        (b"GET /api/events/stream HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /api/events/stream HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /api/events/stream HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\n\r\n", 400),
        (b"GET /api/events/stream HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", 400),
        (f"GET /api/stream HTTP/1.1\r\n{UPGRADE}\r\n".replace("13", "8").encode(), 426),
        (f"GET /api/stream HTTP/1.1\r\n{UPGRADE}\r\n".encode() + b"\x89\x80\0\0\0\0", 400),
    ],
)
def test_what_is_no_request_is_answered_and_closed(stream: Stream, sent: bytes, status: int) -> None:
    answer, body, _ = stream.sends(sent)

    assert answer == body["status"] == status
    assert set(body) == {"status", "error_message", "message_code"}


def frame(first: int, payload: bytes, *, masked: bool = True, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    mark = 128 if masked else 0
    head = bytes([first, mark | size]) if size < 126 else bytes([first, mark | 127]) + struct.pack("!Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(0x81, b"{}", masked=False), 1002),
        (frame(0x81, b"", length=1 << 40), 1009),
        (frame(0x01, b"a" * 8_000) + frame(0x80, b"a" * 8_000), 1009),
        (frame(0x82, b"{}"), 1003),
        (frame(0x83, b"{}"), 1002),
        (frame(0xC1, b"{}"), 1002),
        (frame(0x80, b"{}"), 1002),
        (frame(0x81, b"\xff\xfe"), 1008),
        (frame(0x81, b"[" * 8_000), 1008),
        (frame(0x81, b'{"type":"subscribe","after":"now"}'), 1008),
        (frame(0x81, b'{"type":"subscribe","event_type":[1]}'), 1008),
        (frame(0x89, b"") * 1_000, 1008),
        (frame(0x81, b'{"type":"subscribe"}') * 100, 1008),
    ],
)
def test_what_is_no_message_closes_the_connection_with_a_code(stream: Stream, sent: bytes, code: int) -> None:
    """Guards: the sizes, the count of frames and the slices in `Connection._read_frames`."""
    reader = stream.ws(token_of(a_customer()))
    reader.first("ready")
    reader.wire.socket.sendall(sent)

    with pytest.raises(ConnectionClosed) as said:
        reader.until(lambda _: False)

    assert said.value.rcvd is not None
    assert said.value.rcvd.code == code


def test_a_message_in_parts_is_a_message(stream: Stream) -> None:
    reader = stream.ws(token_of(a_customer()))
    reader.first("ready")
    said = json.dumps({"type": "subscribe", "event_type": "customer.frozen"}).encode()
    reader.wire.socket.sendall(frame(0x01, said[:9]) + frame(0x89, b"") + frame(0x80, said[9:]))

    assert reader.first("ready")["event_type"] == ["customer.frozen"]


def test_more_after_the_head_ends_a_stream(stream: Stream) -> None:
    reader = stream.sse(token_of(a_customer()))
    reader.first("ready")
    reader.wire.sendall(b"GET / HTTP/1.1\r\n\r\n")

    assert reader.first("error")["message_code"] == "invalid_parameter"
    reader.rest()


def test_a_price_that_somebody_wrote_into_redis_is_told_to_nobody(stream: Stream) -> None:
    """Guard: prices are judged (`prices.latest`), and only instruments' are told."""
    btc_at("40_000.00")
    reader = stream.sse(token_of(a_customer()), "?event_type=prices&symbol=BTC-USD,ETH-USD")
    reader.first_price()
    now = int(time.time() * 1000)
    forged = {"BTC-USD": f"1|2|{now}", "XXX-USD": f"1|2|{now}", "ETH-USD": "\n\nevent: error\ndata: {}\n\n"}
    streams.client().hset(PRICES, mapping=forged)

    after = reader.first("prices")

    assert (after["prices"], after["gone"]) == ([], ["BTC-USD"])
