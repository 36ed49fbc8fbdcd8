"""OANDA's stream, from a real HTTP server.

The shapes are those of developer.oanda.com, REST-v20: "Pricing Endpoints" (`/v3/accounts/{accountID}/pricing/stream`,
Authorization, Accept-Datetime-Format, one object a line), "Pricing Definitions" (ClientPrice, PricingHeartbeat), and
"Account Endpoints" (`/v3/accounts/{accountID}/instruments`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from quotes.feeds import live
from quotes.feeds.sources import Asked, made
from quotes.feeds.venue import Venue
from tests.feeds.servers import HttpStream, listening

HEARTBEAT = b'{"type":"HEARTBEAT","time":"2016-09-20T15:05:50.163791738Z"}\n'


def price(bid: str, ask: str, instrument: str = "EUR_USD", **more: object) -> bytes:
    """The documentation's example, with these numbers."""
    said = {
        "type": "PRICE",
        "time": "2016-09-20T15:05:47.960449532Z",
        "bids": [{"price": bid, "liquidity": 10000000}, {"price": "0.00001", "liquidity": 10000000}],
        "asks": [{"price": ask, "liquidity": 10000000}, {"price": "9.00000", "liquidity": 10000000}],
        "closeoutBid": bid,
        "closeoutAsk": ask,
        "status": "tradeable",
        "tradeable": True,
        "instrument": instrument,
    }
    return json.dumps(said | more).encode() + b"\n"


def has(*names: str) -> bytes:
    """What the account may trade."""
    instruments = [{"name": name, "type": "CURRENCY", "displayName": name.replace("_", "/")} for name in names]
    return json.dumps({"instruments": instruments, "lastTransactionID": "6356"}).encode()


@pytest.fixture
def made_for(settings: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    servers: list[HttpStream] = []

    def venue(
        *streams: list[bytes], status: int = 200, listed: bytes = has("EUR_USD", "XAU_USD")
    ) -> tuple[Venue, HttpStream]:
        server = HttpStream(*streams, status=status, lists={"/v3/accounts/101-004-1/instruments": listed})
        servers.append(server)
        settings.OANDA_API_URL = server.url
        settings.OANDA_URL, settings.OANDA_ACCOUNT, settings.OANDA_TOKEN = server.url, "101-004-1", "a token"
        monkeypatch.setattr(live, "FIRST_PAUSE_SECONDS", 0.05)
        symbols = ["EUR-USD", "XAU-USD"]
        return made(Asked("oanda", lambda kinds: symbols if "metal" in kinds else [], dict, 1, 0.25)), server

    yield venue
    for server in servers:
        server.stop()


def test_the_documented_price_is_a_tick_and_the_token_goes_in_the_header(made_for):
    venue, server = made_for([price("1.11811", "1.11823"), HEARTBEAT] * 20)

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    assert heard.ticks[0][:3] == ("EUR-USD", Decimal("1.11811"), Decimal("1.11823"))
    assert heard.ticks[0].at == 1474383947960
    path, token = server.asked[0]
    assert path == "/v3/accounts/101-004-1/pricing/stream?instruments=EUR_USD%2CXAU_USD"
    assert token == "Bearer a token"


def test_what_the_account_has_not_is_left_out_and_said_once(made_for, caplog):
    """Guard: `_those_it_has`. Asked for one instrument that it doesn't know, the venue refuses the whole stream."""
    prices = [price("1.1", "1.2"), HEARTBEAT]
    venue, server = made_for(prices, prices, prices * 20, listed=has("USD_JPY", "EUR_USD"))

    with listening(venue) as heard:
        heard.until(lambda: len(server.asked) >= 3)

    assert {path for path, _ in server.asked} == {"/v3/accounts/101-004-1/pricing/stream?instruments=EUR_USD"}
    assert {token for _, token in server.listed} == {"Bearer a token"}
    assert heard.prices()[0] == ("1.1", "1.2")
    told = [one.getMessage() for one in caplog.records if "XAU_USD" in one.getMessage()]
    assert told == ["oanda: the account has no XAU_USD; the others go on"]


def test_an_account_that_has_none_of_them_is_asked_for_nothing(made_for):
    venue, server = made_for([HEARTBEAT], listed=has("USD_JPY"))

    with listening(venue) as heard:
        heard.until(lambda: len(server.listed) >= 2)

    assert venue.health.trouble == "the account has none of the instruments"
    assert server.asked == []


@pytest.mark.parametrize("listed", [b"{", b'{"instruments":3}', b'{"instruments":[{"type":"CURRENCY"}]}'])
def test_a_list_that_can_not_be_read_takes_no_prices_away(made_for, listed):
    venue, server = made_for([price("1.1", "1.2"), *[HEARTBEAT] * 20], listed=listed)

    with listening(venue) as heard:
        heard.until(lambda: heard.ticks)

    assert server.asked[0][0].endswith("instruments=EUR_USD%2CXAU_USD")


def test_lines_may_come_in_any_pieces_and_empty_ones_between_them(made_for):
    one, other = price("1.1", "1.2"), price("2000.1", "2000.9", "XAU_USD")
    venue, _ = made_for([one[:17], one[17:] + other[:40], other[40:], b"\n\n", HEARTBEAT, HEARTBEAT])

    with listening(venue) as heard:
        heard.until(lambda: len(heard.ticks) >= 2)

    assert {tick.symbol: str(tick.bid) for tick in heard.ticks[:2]} == {"EUR-USD": "1.1", "XAU-USD": "2000.1"}


@pytest.mark.parametrize(
    "garbage",
    [price("1.3", "1.4", time="x"), price("NaN", "1.4"), b"{\n", b"\xff\xfe\n"],
    ids=["no time", "no number", "no JSON", "no text"],
)
def test_a_price_that_can_not_be_read_takes_the_one_before_away(made_for, monkeypatch, garbage):
    """Guard: garbage is a gap where what was not changed is confirmed. Else the price before it is told as of now."""
    monkeypatch.setattr(live, "CONFIRM_SECONDS", 0.1)
    venue, server = made_for([price("1.1", "1.2"), garbage, *[HEARTBEAT] * 40], [HEARTBEAT] * 40)

    with listening(venue) as heard:
        heard.until(lambda: venue.health.messages >= 22)

    assert heard.prices() == [("1.1", "1.2"), ("0", "0")]
    assert (venue.health.garbage, venue.health.gaps, len(server.asked)) == (1, 0, 2)


def test_what_can_not_be_traded_has_no_price_and_no_heartbeat_says_otherwise(made_for, monkeypatch):
    """Guard: `tradeable`. Friday's last price is told as untradeable; taken for one it would stand all weekend."""
    monkeypatch.setattr(live, "CONFIRM_SECONDS", 0.1)
    closed = price("1.1", "1.2", tradeable=False, status="non-tradeable")
    venue, _ = made_for([price("1.1", "1.2"), closed, *[HEARTBEAT] * 20])

    with listening(venue) as heard:
        heard.until(lambda: len(heard.ticks) > 4)

    assert heard.prices()[0] == ("1.1", "1.2")
    assert set(heard.prices()[1:]) == {("0", "0")}


def test_a_heartbeat_confirms_what_was_not_changed(made_for, monkeypatch):
    monkeypatch.setattr(live, "CONFIRM_SECONDS", 0.1)
    venue, _ = made_for([price("1.1", "1.2"), *[HEARTBEAT] * 20])

    with listening(venue) as heard:
        heard.until(lambda: len(heard.ticks) > 4)

    assert set(heard.prices()) == {("1.1", "1.2")}


def test_a_stream_that_ends_is_begun_anew(made_for):
    venue, server = made_for([price("1.1", "1.2")], [price("1.3", "1.4"), *[HEARTBEAT] * 20])

    with listening(venue) as heard:
        heard.until(lambda: ("1.3", "1.4") in heard.prices())

    assert len(server.asked) >= 2


def test_a_token_that_is_refused_is_said_and_nothing_of_it(made_for, caplog):
    venue, _ = made_for([b'{"errorMessage":"Insufficient authorization to perform request."}\n'], status=401)

    with listening(venue) as heard:
        heard.until(lambda: venue.health.trouble)

    assert venue.health.trouble == "the stream answers 401"
    assert "a token" not in caplog.text


def test_a_silent_stream_is_left(made_for, monkeypatch):
    from quotes.feeds.venues import oanda

    monkeypatch.setattr(oanda, "SILENT_SECONDS", 0.3)
    venue, server = made_for([b" "] * 0 + [price("1.1", "1.2")], [price("1.1", "1.2")])

    with listening(venue) as heard:
        heard.until(lambda: len(server.asked) >= 2)


def test_without_a_token_there_is_no_such_source(settings):
    settings.OANDA_TOKEN = ""

    with pytest.raises(ImproperlyConfigured, match="OANDA_TOKEN"):
        made(Asked("oanda", lambda kinds: [], dict, 1, 0.25))
