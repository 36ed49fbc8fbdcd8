"""`Accept: application/json;numbers=text`: every number of an answer is a string of its own digits.

Guard: `number_texts.write` in `ApiAnswersMiddleware`, which stands outside of everything that answers.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from accounts import json_codec
from brokerage.http import number_texts
from brokerage.http.number_texts import CONTENT_TYPE
from tests.caller import UNKNOWN, a_firm
from tests.given import a_customer, every_price_at_its_start, token_of

pytestmark = pytest.mark.django_db(transaction=True)

AS_TEXT = {"Accept": "application/json;numbers=text"}
WEI = 10**18 + 1


def as_texts(body: bytes) -> Any:
    """The body as JSON, each number as a text; read by the standard library, without our code."""
    return json.loads(body, parse_int=str, parse_float=str)


def numbers_in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [number for item in value.values() for number in numbers_in(item)]
    if isinstance(value, list):
        return [number for item in value for number in numbers_in(item)]
    return [value] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def a_quote_of_wei(firm: Client, customer: str) -> HttpResponse:
    body = {"customer_guid": customer, "symbol": "ETH-USD", "side": "buy", "receive_amount": WEI}
    return firm.post("/api/quotes", json.dumps(body), content_type="application/json", headers=AS_TEXT)


def test_amounts_and_counts_are_texts_of_their_own_digits():
    every_price_at_its_start()
    alice = a_customer(with_usd="10_000.00")
    firm = a_firm().http

    quote = a_quote_of_wei(firm, alice.pk.hex)
    assert (quote.status_code, quote["Content-Type"], quote["Vary"]) == (201, CONTENT_TYPE, "Accept")
    assert json.loads(quote.content)["receive_amount"] == str(WEI) == "1000000000000000001"

    for path in ("/api/quotes", "/api/accounts", "/api/prices", "/api/assets", "/api/v1/supportedAssets"):
        plain, text = firm.get(path), firm.get(path, headers=AS_TEXT)
        assert numbers_in(json.loads(plain.content)) != []
        assert json.loads(text.content) == as_texts(plain.content)
        assert numbers_in(json.loads(text.content)) == []
        assert int(text["Content-Length"]) == len(text.content)
    assert json.loads(firm.get("/api/quotes", headers=AS_TEXT).content)["total"] == "1"


def test_cents_of_the_margin_account_keep_their_zeros():
    trader = Client(headers={"Authorization": f"Bearer {token_of(a_customer(with_usd='10_000.00'))}"})

    assert trader.get("/api/v1/balance").content == b'{"status":"success","message":10000.00}'
    text = trader.get("/api/v1/balance", headers=AS_TEXT)
    assert text.content == b'{"status":"success","message":"10000.00"}'


def test_errors_are_no_exception_wherever_they_come_from():
    firm = a_firm().http
    said = b'{"status":"404","error_message":"%s","message_code":"not_found"}'

    assert firm.get(f"/api/trades/{UNKNOWN}", headers=AS_TEXT).content == said % b"There is no such trade."
    assert firm.get("/api/nothing", headers=AS_TEXT).content == said % b"Not found"
    without = Client().get("/api/trades", headers=AS_TEXT)
    assert (without.status_code, json.loads(without.content)["status"]) == (401, "401")


def test_who_does_not_ask_is_answered_as_before_and_caches_are_told_of_both():
    firm = a_firm().http

    for accept in (
        "*/*",
        "application/json",
        "application/json;numbers=float",
        "text/plain;numbers=text",
        "numbers=text",
    ):
        answer = firm.get("/api/assets", headers={"Accept": accept})
        assert (answer["Content-Type"], answer["Vary"]) == ("application/json", "Accept"), accept
        assert isinstance(json.loads(answer.content)["total"], int), accept


@pytest.mark.parametrize(
    "accept",
    [
        "application/json; numbers=text",
        'Application/JSON;numbers="text"',
        "text/html, application/json;numbers=text;q=0.9, */*;q=0.1",
        "application/json;numbers=text, application/json;q=0.5",
    ],
)
def test_other_ways_to_write_the_header_ask_for_the_same(accept: str):
    answer = a_firm().http.get("/api/assets", headers={"Accept": accept})

    assert answer["Content-Type"] == CONTENT_TYPE
    assert isinstance(json.loads(answer.content)["total"], str)


def test_a_long_answer_may_be_compressed_besides():
    """Guard: `ApiAnswersMiddleware` compresses last."""
    answer = a_firm().http.get("/api/v1/supportedAssets", headers=AS_TEXT | {"Accept-Encoding": "gzip"})

    body = gzip.decompress(answer.content) if answer.get("Content-Encoding") == "gzip" else answer.content
    assert answer["Content-Type"] == CONTENT_TYPE
    assert numbers_in(json.loads(body)) == []


def test_the_other_form_of_an_answer_is_no_reason_to_load_it_again():
    """Guard: a strong ETag would say that both forms have the same bytes."""

    def tagged(request: HttpRequest) -> HttpResponse:
        return HttpResponse(b'{"a":1}', content_type="application/json", headers={"ETag": '"7"'})

    for accept, etag in (("*/*", '"7"'), (AS_TEXT["Accept"], 'W/"7"')):
        request = RequestFactory().get("/api/trades/1", headers={"Accept": accept})
        answer = tagged(request)
        number_texts.write(request, answer)
        assert answer["ETag"] == etag


def test_what_is_no_json_stays_as_it_is():
    trader = Client(headers={"Authorization": f"Bearer {token_of(a_customer(with_usd='10.00'))}"})

    answer = trader.get("/api/v1/statement?format=csv", headers=AS_TEXT)

    assert answer["Content-Type"].startswith("text/csv")
    assert answer.getvalue().startswith(b"time,kind,text")


def test_each_form_of_a_number_is_printed_as_it_was_written():
    written = b'{"a":[-0.50,1e2,12345678901234567890123456789012345678,0],"b":{"c":1.10,"d":null,"e":true},"f":"1"}'

    assert json_codec.numbers_as_text(written) == (
        b'{"a":["-0.50","1e2","12345678901234567890123456789012345678","0"],"b":{"c":"1.10","d":null,"e":true},"f":"1"}'
    )
