"""The table of terms: what it names is there, once, and an order's row has every column that its table has."""

from __future__ import annotations

from trades.margin.rows import COLUMNS
from trades.margin.terms import CHANGEABLE, ENTRY_PRICES, STOPS, TERMS, Use
from trades.margin.triggers import EXITS, WAITS_FOR
from trades.models import Order
from trades.states import OrderType


def test_every_column_of_an_order_is_in_the_row_that_the_rules_work_on() -> None:
    """Guard: `rows.COLUMNS`, of which the statements are made. A column that is left out is stored as its default."""
    assert {field.attname for field in Order._meta.concrete_fields} == set(COLUMNS)


def test_every_term_that_is_kept_names_its_column_and_no_name_stands_there_twice() -> None:
    kept = [term.column for term in TERMS if term.use is not Use.MARKET]

    assert set(kept) <= set(COLUMNS)
    for names in (kept, [term.name for term in TERMS], [term.asked or term.name for term in TERMS]):
        assert len(set(names)) == len(names)
    written = [name for term in TERMS for name in term.written.split(", ") if name]
    assert len(set(written)) == len(written)
    assert not set(written) & {term.asked or term.name for term in TERMS}


def test_every_price_that_fires_is_a_term_of_its_kind() -> None:
    """Else nobody could ask for it: a type would wait for a price that no request can name."""
    assert set().union(*WAITS_FOR.values()) == {term.column for term in ENTRY_PRICES}
    assert {trigger.column for trigger in EXITS} <= {term.column for term in STOPS}
    assert set(CHANGEABLE) == {*ENTRY_PRICES, *STOPS}
    assert WAITS_FOR.keys() == set(OrderType)
