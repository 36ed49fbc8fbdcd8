"""schemathesis with every check and link, in a small round: what it makes up of openapi.yaml is answered as that says.

`make fuzz` plays many such rounds against all of `make run`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import timezone

from accounts import services, streams, tokens
from accounts.identity import FIRM_SCOPES
from tests.contract.fuzz import FIRM, LEAVING, LOGOUT, Asker, known, play
from tests.given import a_customer, token_of
from tests.live import Live

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("live")]

SEED = 1
PER_OPERATION = 2
TRADER = ("--include-path-regex", "^/api/v1/", "--exclude-path", LOGOUT)  # `make fuzz` asks as a trader for all


@pytest.fixture(scope="module")
def trading(django_db_setup: None, django_db_blocker: pytest.FixtureRequest) -> Iterator[Live]:
    """The processes that answer and execute, with prices."""
    with django_db_blocker.unblock():  # type: ignore[attr-defined]
        streams.client().flushdb()
    running = Live(("web", "engine", "worker", "feed"))
    running.start()
    yield running
    running.stop()


@pytest.mark.parametrize("who", ["trader", "firm"])
def test_what_schemathesis_makes_up_is_answered_as_the_document_says(who: str, trading: Live) -> None:
    alice = a_customer(with_usd="10_000.00")
    client, _ = services.create_api_client("fuzz", FIRM_SCOPES, timezone.now())
    token = token_of(alice) if who == "trader" else tokens.client_token(client, client.scopes)
    asker = Asker(who, token, known(alice.pk.hex), TRADER if who == "trader" else FIRM)

    played = play(trading.url, asker, seed=SEED, most=PER_OPERATION)

    assert played.code == 0, played.text
    assert played.cases > 1000


def test_so_is_a_trader_who_ends_every_session(trading: Live) -> None:
    """By itself, for afterwards the token is worth nothing."""
    alice = a_customer()
    asker = Asker("leaving", token_of(alice), known(alice.pk.hex), LEAVING, reads="")

    played = play(trading.url, asker, seed=SEED, most=PER_OPERATION)

    assert played.code == 0, played.text


def test_a_round_whose_token_ended_on_the_way_counts_as_failed(trading: Live) -> None:
    """Guard: `_read` in `play`. A round of nothing but 401 once passed for an hour."""
    alice = a_customer()
    asker = Asker("leaving", token_of(alice), known(alice.pk.hex), LEAVING)

    played = play(trading.url, asker, seed=SEED, most=PER_OPERATION)

    assert (played.code, played.text.splitlines()[-1]) == (1, "The token was 401 at /api/trades in the end.")
