"""Every list, and every question, refuses a parameter that it doesn't know: passed over, it would give everything."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.caller import a_firm
from tests.given import a_customer, btc_at, token_of
from tests.test_ownership import ids_of, path_of, routes

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_route_that_reads_parameters_refuses_one_that_it_does_not_know() -> None:
    """Guard: `refuse_unknown`, wherever a query string is read."""
    btc_at("60000")
    bob = a_customer("bob", with_usd="200000")
    firm = a_firm()
    firm.http.defaults["HTTP_X_CUSTOMER_GUID"] = bob.pk.hex  # margin orders are a customer's
    ids, batch = ids_of(bob, firm)
    callers = [firm.http, Client(headers={"Authorization": f"Bearer {token_of(bob)}"})]
    walked = 0
    for route in routes(with_ids_alone=False):
        if route.callback.actions.get("get", "retrieve") in {"retrieve", "execution"}:  # one row, by its path alone
            continue
        its = ids.get(route.callback.initkwargs["basename"], "")
        path = path_of(route, {"guid": its, "batch_guid": batch})
        known = [one.get(path).status_code for one in callers]
        answers = [one.get(path, {"no_such": "1"}) for one in callers]
        refused = [answer for answer in answers if b"Unknown parameter no_such; there are " in answer.content]
        assert {answer.status_code for answer in answers} <= {400, 403}, (path, answers)
        assert len(refused) == len([status for status in known if status != 403]) > 0, (path, known)
        walked += 1
    assert walked > 20
