"""An API client asks for a customer: the engine looks in its own transaction whether it still may.

Guard of every refusal here: `decide._may_ask`, whose rows the tick has read itself.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from accounts import services
from accounts.identity import FIRM_SCOPES
from accounts.ids import uuid7
from accounts.models import ApiClient, Customer, User
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import opening, refused, says, tick
from tests.without_guards import without_guards
from trades.margin.commands import Command, Poison, decode, encode
from trades.margin.kinds import Actor
from trades.models import Order

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


@pytest.fixture
def alice() -> Customer:
    btc_at("42_000.00")
    return a_customer(with_usd="10_000.00")


@pytest.fixture
def client() -> ApiClient:
    return services.create_api_client("partner", FIRM_SCOPES, timezone.now())[0]


def asked_by(client: ApiClient, for_: Customer, **said: Any) -> Command:
    """By a client whose token is of its generation as it was read."""
    asked = opening(for_)
    return replace(asked, asker_id=client.pk, actor=Actor.CLIENT, **({"generation": client.generation} | said))


def turned_away(command: Command) -> None:
    (told,) = tick(command)
    assert (told.status, told.body) == (401, {"error": "Token expired or invalid"})
    assert not Order.objects.exists()


def test_a_client_opens_for_a_customer(alice: Customer, client: ApiClient) -> None:
    assert says(asked_by(client, alice))["message"] == "Order created successfully"


def test_a_client_that_was_disabled_a_moment_ago_is_turned_away(alice: Customer, client: ApiClient) -> None:
    command = asked_by(client, alice)
    ApiClient.objects.filter(pk=client.pk).update(is_active=False)
    turned_away(command)


def test_a_client_that_is_disabled_is_turned_away_whatever_its_token_says(alice: Customer, client: ApiClient) -> None:
    ApiClient.objects.filter(pk=client.pk).update(is_active=False)
    client.refresh_from_db()  # the generation, too
    turned_away(asked_by(client, alice))


def test_a_token_of_before_the_client_was_disabled_and_enabled_is_worth_nothing(
    alice: Customer, client: ApiClient
) -> None:
    command = asked_by(client, alice)
    ApiClient.objects.filter(pk=client.pk).update(is_active=False)
    without_guards("accounts_apiclient", "UPDATE accounts_apiclient SET is_active = true WHERE id = %s", client.pk)
    turned_away(command)


def test_a_client_whose_scope_was_taken_away_is_turned_away(alice: Customer, client: ApiClient) -> None:
    ApiClient.objects.filter(pk=client.pk).update(scopes=sorted(FIRM_SCOPES - {"orders:execute"}))
    turned_away(asked_by(client, alice))


@pytest.mark.parametrize("asker", [UUID(int=7), None])
def test_a_client_that_there_is_not_is_turned_away(alice: Customer, client: ApiClient, asker: UUID | None) -> None:
    turned_away(replace(asked_by(client, alice), asker_id=asker))


def test_a_user_is_no_client_and_a_client_is_no_user(alice: Customer, client: ApiClient) -> None:
    turned_away(replace(opening(alice), actor=Actor.CLIENT))
    turned_away(replace(asked_by(client, alice), actor=Actor.TRADER))


def test_a_client_opens_nothing_for_a_customer_who_may_not_or_whose_login_is_disabled(
    alice: Customer, client: ApiClient
) -> None:
    """Guard: `may_open` of the customer's row."""
    assert alice.user is not None
    User.objects.filter(pk=alice.user.pk).update(is_active=False)
    assert refused(asked_by(client, alice)) == "This account may not open orders"
    User.objects.filter(pk=alice.user.pk).update(is_active=True)
    Customer.objects.filter(pk=alice.pk).update(state="frozen")
    assert refused(asked_by(client, alice)) == "This account may not open orders"


def test_a_clients_command_goes_through_the_stream_unchanged(alice: Customer, client: ApiClient) -> None:
    command = asked_by(client, alice, ttl_ms=5000)
    assert decode(encode(command)) == command


@pytest.mark.parametrize("actor", ["engine", "Client", "", None, 7])
def test_the_stream_names_no_other_actor(alice: Customer, client: ApiClient, actor: Any) -> None:
    text = encode(replace(asked_by(client, alice), id=uuid7()))["c"]
    wanted = '"' + str(actor) + '"' if isinstance(actor, str) else ("null" if actor is None else str(actor))
    with pytest.raises(Poison):
        decode({"c": text.replace('"actor":"client"', f'"actor":{wanted}')})
