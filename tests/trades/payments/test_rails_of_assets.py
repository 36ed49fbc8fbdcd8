"""A rail for single assets: what is said of one that there isn't."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import checks

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({}, []),
        ({"USD": "manual", "EUR": "bank_file"}, []),
        ({"EURO": "bank_file", "EUR": "bank_file", "eur": "manual"}, ["'EURO'", "'eur'"]),
    ],
)
def test_a_rail_of_no_asset_is_named_before_deploying(settings: Any, said: dict[str, str], named: list[str]) -> None:
    """Guard: `rails_of_unknown_assets`."""
    settings.PAYMENT_RAILS = said

    found = checks.run_checks(databases=["default"], include_deployment_checks=True, tags=[checks.Tags.database])

    assert [one.msg for one in found if one.id == "brokerage.W003"] == [
        f"PAYMENT_RAILS names {name}, which is no asset." for name in named
    ]
