"""The table of instruments knows the way from a currency to the account's, and refuses what would turn one."""

from __future__ import annotations

import psycopg
import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Asset
from quotes.conversion import path
from quotes.models import Instrument
from tests.roles import ONE_ROLE, application

__all__ = ["application"]

CODES = ("AAA", "BBB", "CCC", "DDD", "USD")
OF_THE_PAIR = ("symbol", "base_asset_id", "counter_asset_id")


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([f"{a}-{b}" for a in CODES for b in CODES if a != b]), min_size=1, unique=True))
def test_it_is_the_way_that_everything_is_converted_by(pairs):
    """Guard: the order of ways in `conversion_way`."""
    like = Instrument.objects.filter(pk="BTC-USD").values().get()
    with transaction.atomic(), connection.cursor() as cursor:
        for code in CODES:
            Asset.objects.get_or_create(code=code, defaults={"name": code, "type": "fiat", "decimals": 2})
        Instrument.objects.bulk_create(
            Instrument(**like | {"symbol": pair, "base_asset_id": pair[:3], "counter_asset_id": pair[4:]})
            for pair in pairs
        )
        for source in CODES[:-1]:
            cursor.execute("SELECT conversion_way(%s, 'USD', '')", [source])
            legs = path(pairs, source, "USD")
            assert cursor.fetchone()[0] == (None if legs is None else " ".join(leg.symbol for leg in legs))
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(ONE_ROLE, reason="this PostgreSQL was given with one role")
@pytest.mark.parametrize(("symbol", "says"), [("JPY-USD", "JPY-USD would convert JPY another way"), ("GBP-JPY", "")])
def test_the_application_can_not_add_what_would_turn_one(application, symbol, says):
    """Guard: the trigger `ways_stay`."""
    columns = ", ".join(f.column for f in Instrument._meta.concrete_fields if f.attname not in OF_THE_PAIR)
    said = ""
    try:
        with application.transaction(force_rollback=True):
            application.execute(
                f"INSERT INTO quotes_instrument (symbol, base_asset_id, counter_asset_id, {columns})"
                f" SELECT %s, %s, %s, {columns} FROM quotes_instrument WHERE symbol = 'BTC-USD'",
                [symbol, *symbol.split("-")],
            )
    except psycopg.errors.InsufficientPrivilege as refused:
        said = str(refused)

    assert said.startswith(says)
    assert bool(said) == bool(says)
