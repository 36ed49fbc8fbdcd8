"""What a partner tells of a customer comes back where it is asked for, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import IdentificationNumber
from tests.accounts.calls import the_firm

pytestmark = pytest.mark.django_db

ADA: dict[str, Any] = {
    "type": "individual",
    "name": {"first": "Ada", "middle": None, "last": "Lovelace"},
    "aliases": [{"full": "Countess"}],
    "address": {"street": "1 Main St", "city": "New York", "subdivision": "NY", "country_code": "US"},
    "date_of_birth": "1990-12-10",
    "phone_number": "+12025550123",
    "email_address": "ada@example.com",
    "identification_numbers": [
        {"type": "passport", "issuing_country_code": "US", "identification_number": "X12345678"}
    ],
    "labels": ["vip"],
    "external_id": "crm-1",
}


def test_what_was_told_is_shown_where_it_is_asked_for():
    firm = the_firm()
    made = firm.post("/api/customers", ADA)
    path = f"/api/customers/{made.body['guid']}"

    assert made.status == 201
    plain, whole = firm.get(path).body, firm.get(path, include_pii="true").body

    assert not {"address", "date_of_birth", "identification_numbers", "aliases", "email_address"} & set(plain)
    assert plain["name"] == {"first": None, "middle": None, "last": None, "full": "Ada Lovelace"}
    assert whole["name"] == {"first": "Ada", "middle": None, "last": "Lovelace", "full": "Ada Lovelace"}
    assert whole["address"]["street"] == "1 Main St"
    assert whole["aliases"] == [{"full": "Countess"}]
    assert (whole["date_of_birth"], whole["phone_number"]) == ("1990-12-10", "+12025550123")
    assert whole["identification_numbers"] == [
        {"type": "passport", "issuing_country_code": "US", "identification_number": "****5678"}
    ]
    assert "website" not in whole
    assert firm.get("/api/customers", external_id="crm-1").body["total"] == 1
    assert firm.get("/api/customers", external_id="crm-2").body["total"] == 0


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"date_of_birth": "10.12.1990"}, "date_of_birth must be a date such as 1990-01-31."),
        ({"date_of_birth": 1990}, "date_of_birth must be a date such as 1990-01-31."),
        ({"aliases": "Countess"}, "aliases must be a list of objects."),
        ({"aliases": [{"full": "a"}, {"full": "b"}]}, "aliases has one of them at most."),
        ({"aliases": [None]}, "aliases must be a list of objects."),
        ({"address": {"city": "New York"}}, "street is required."),
        ({"address": []}, "address must be an object."),
        ({"identification_numbers": [{"type": "passport"}]}, "issuing_country_code is required."),
        ({"name": "Ada"}, "name must be an object."),
    ],
)
def test_what_can_not_be_meant_is_refused_and_nothing_is_kept(changed, sentence):
    firm = the_firm()
    answer = firm.post("/api/customers", ADA | changed)

    assert (answer.status, answer.body["error_message"]) == (400, sentence)
    assert not IdentificationNumber.objects.exists()
    assert firm.get("/api/customers").body["total"] == 0
