"""Who may change an instrument: one person within the band, two beyond it, and the band isn't walked out of."""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import KeyReused, Malformed
from quotes import symbols
from quotes.errors import UnknownSymbol
from quotes.models import Instrument, InstrumentChange, TermBand
from quotes.models.instrument import MOVING
from tests.given import a_customer, a_quote, a_trade, btc, btc_at, executes
from tests.trades.engine_steps import opens, places
from tests.trades.instruments.staff import BTC, a_hedger, applies, now, proposes, somebody
from trades.errors import MakerIsChecker
from trades.instruments import change
from trades.instruments.errors import (
    ChangeDecided,
    ChangeNotFound,
    ChangeWaits,
    FiresMore,
    InstrumentInUse,
    InstrumentMoved,
    NothingChanges,
)

pytestmark = pytest.mark.django_db

WIDE = {"spread_bps": "9999"}


def refused_by(sql: str, *given: object) -> str:
    """Which constraint, or which trigger's sentence, refuses this statement."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, given)
    return str(refused.value)


# --- one proposes, another applies -------------------------------------------------------------------


def test_a_spread_wider_than_the_greatest_is_not_even_proposed():
    """None of its prices would count. Guard: the comparison in `terms.out_of_bounds`."""
    Instrument.objects.filter(pk=BTC).update(max_spread_percent=5)

    for wanted in ({"spread_bps": "9999"}, {"spread_bps": "500.001"}, {"max_spread_percent": "0.04"}):
        with pytest.raises(Malformed, match="Wider than the greatest spread"):
            proposes(**wanted)
    assert proposes(spread_bps="500", max_spread_percent="5").state == "proposed"


def test_the_operators_9999_waits_for_a_second_person_who_is_told_what_it_fires():
    a_hedger()
    maker = somebody()

    proposed = proposes(by=maker, **WIDE)

    assert (proposed.state, proposed.needs_checker, proposed.fires) == ("proposed", True, True)
    assert (proposed.old, proposed.new) == ({"spread_bps": "5.000"}, {"spread_bps": "9999.000"})
    assert proposed.stated["stop_losses"] == 2
    with pytest.raises(MakerIsChecker):
        applies(proposed, by=maker)
    assert now().spread_bps == 5

    done = applies(proposed)

    assert (done.state, now().spread_bps, now().agreed) == ("applied", Decimal("9999.000"), {})
    assert done.stated_when_applied["stop_losses"] == 2


def test_a_change_takes_effect_in_this_process_at_once(django_capture_on_commit_callbacks):
    assert symbols.instruments()[BTC].leverage_cap == 100

    with django_capture_on_commit_callbacks(execute=True):
        proposes(leverage_cap=20)

    assert symbols.instruments()[BTC].leverage_cap == 20
    symbols.forget()


def test_a_refused_change_changes_nothing_and_is_final():
    proposed = proposes(**WIDE)

    assert change.refuse(proposed.pk, by=somebody(), at=timezone.now()).state == "refused"
    assert now().spread_bps == 5
    with pytest.raises(ChangeDecided):
        applies(proposed)


def test_its_maker_withdraws_it():
    maker = somebody()
    proposed = proposes(by=maker, **WIDE)

    done = change.refuse(proposed.pk, by=maker, at=timezone.now())

    assert (done.state, done.checked_by_id) == ("refused", None)


def test_one_change_of_an_instrument_waits_at_a_time():
    proposed = proposes(**WIDE)

    with pytest.raises(ChangeWaits):
        proposes(spread_bps="6")
    row = InstrumentChange.objects.filter(pk=proposed.pk).values().get()
    with pytest.raises(IntegrityError, match="one_open_change_per_instrument"), transaction.atomic():
        InstrumentChange.objects.create(**row | {"id": uuid.uuid4()})


def test_what_would_fire_more_than_was_stated_is_refused_with_what_it_would_fire_now():
    """Guard: the comparison in change.apply. Without it the second person sets off what nobody was told."""
    alice, *_ = a_hedger()
    proposed = proposes(**WIDE)
    opens(alice, quantity="0.01", leverage=10, stopLoss="39000")

    with pytest.raises(FiresMore, match="3 positions closed by their stop loss"):
        applies(proposed)

    assert (now().spread_bps, InstrumentChange.objects.get().state) == (5, "proposed")


def test_money_may_grow_by_a_tenth_meanwhile_and_no_more():
    a_hedger()
    long, short = 40_020 - 20_007, 60_013 - 40_000
    proposed = proposes(**WIDE)
    assert Decimal(proposed.stated["losses"]) == (long + short) / Decimal(10)
    btc_at("44_400.00", "44_440.00")  # from 22,211.10 to 66,628.90: 1,780.89 and 2,662.89 are 4,443.78

    with pytest.raises(FiresMore):
        applies(proposed)

    btc_at("43_800.00", "43_820.00")
    assert applies(proposed).state == "applied"


def test_an_instrument_that_was_changed_meanwhile_is_not_changed_unseen():
    proposed = proposes(**WIDE)
    Instrument.objects.filter(pk=BTC).update(spread_bps=6)  # the owner, by hand

    with pytest.raises(InstrumentMoved):
        applies(proposed)

    sql = "UPDATE quotes_instrumentchange SET state = 'applied', decided_at = now(), checked_by_id = %s WHERE id = %s"
    assert "not any more as it was" in refused_by(sql, somebody(), proposed.pk)


# --- alone, within the band --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alone", "takes_two"),
    [
        ({"spread_bps": "7.5"}, {"spread_bps": "7.501"}),
        ({"spread_bps": "2.5"}, {"spread_bps": "2.499"}),
        ({"spread_bps": "6"}, {"spread_bps": "0"}),
        ({"leverage_cap": 1}, {"leverage_cap": 101}),
        ({"price_age_limit_seconds": 15}, {"price_age_limit_seconds": 16}),
        ({"price_age_limit_seconds": 5}, {"price_age_limit_seconds": 4}),
        ({"jump_limit_percent": "25"}, {"jump_limit_percent": "50.001"}),
        ({"max_spread_percent": "150"}, {"max_spread_percent": "200.001"}),
        ({"volatility_limit_percent": "0.5"}, {"volatility_limit_percent": "1.5"}),
        ({"quote_life_seconds": 15}, {"quote_life_seconds": 31}),
        ({"fee_bps": "30"}, {"fee_bps": "0"}),
        ({"swap_long_bps": "-3"}, {"swap_long_bps": "5000"}),
        ({"swap_short_bps": "-0.6"}, {"swap_short_bps": "-0.601"}),
        ({"simulator_step_bps": "3"}, {"simulator_step_bps": "100"}),
        ({"spread_bps": "6", "fee_bps": "26"}, {"spread_bps": "6", "fee_bps": "250"}),
        ({"outlier_percent": "0.5"}, {"outlier_percent": "1.001"}),
        (None, {"markup_bps": "0.001"}),
        (None, {"least_sources": "2"}),
        (None, {"swap_triple_weekday": "2"}),
        (None, {"simulator_price": "42351"}),
        (None, {"price_decimals": "3"}),
        (None, {"quantity_decimals": "7"}),
    ],
)
def test_what_one_person_may_do_and_what_takes_two(alone: dict[str, Any] | None, takes_two: dict[str, Any]):
    assert proposes(**takes_two).state == "proposed"
    assert [str(getattr(now(), name)) for name in takes_two] != [str(value) for value in takes_two.values()]
    change.refuse(InstrumentChange.objects.get().pk, by=somebody(), at=timezone.now())
    if alone is not None:
        done = proposes(**alone)
        assert (done.state, done.needs_checker, done.checked_by) == ("applied", False, None)
        for name, value in alone.items():
            assert getattr(now(), name) == Decimal(value), name


def test_a_price_of_twelve_digits_is_proposed_and_applied():
    """Guard: `exact` of `terms.kept`. With all its decimals it has more digits than Decimal's own 28."""
    proposed = proposes(simulator_price="123456789012.5")

    assert proposed.new == {"simulator_price": "123456789012.500000000000000000"}
    applies(proposed)
    assert now().simulator_price == Decimal("123456789012.5")


def test_many_small_steps_do_not_walk_out_of_the_band():
    """Guard: `agreed`, from which the band is measured. Measured from what stands, 5 bps become 9999 in twenty steps,
    each of them narrow."""
    maker = somebody()
    assert proposes(by=maker, spread_bps="6.25").state == "applied"
    assert proposes(by=maker, spread_bps="7.5").state == "applied"
    assert now().agreed == {"spread_bps": "5.000"}

    assert proposes(by=maker, spread_bps="7.6").state == "proposed"
    change.refuse(InstrumentChange.objects.get(state="proposed").pk, by=maker, at=timezone.now())
    assert proposes(by=somebody(), spread_bps="8").state == "proposed"  # nor do two, each with steps of their own
    change.refuse(InstrumentChange.objects.get(state="proposed").pk, by=maker, at=timezone.now())

    assert proposes(by=maker, spread_bps="2.5").state == "applied"  # and back, within what was agreed
    assert now().spread_bps == Decimal("2.5")


def test_what_two_persons_agree_to_is_where_the_band_begins_anew():
    proposes(spread_bps="7.5")
    applies(proposes(spread_bps="20"))
    assert now().agreed == {}

    assert proposes(spread_bps="24").state == "applied"
    assert now().agreed == {"spread_bps": "20.000"}
    assert proposes(spread_bps="26").state == "proposed"


def test_a_narrow_change_that_fires_anything_takes_two():
    """Guard: change._is_narrow asks what fires; the table refuses one alone that says it does."""
    btc_at("40_000.00", "40_020.00")
    alice = a_customer(with_usd="10_000.00")
    places(alice, "buy stop", "40023", quantity="0.01")

    proposed = proposes(spread_bps="7.5")

    assert (proposed.state, proposed.fires, proposed.stated["opened"]) == ("proposed", True, 1)
    row = InstrumentChange.objects.filter(pk=proposed.pk).values().get() | {"id": uuid.uuid4(), "needs_checker": False}
    with pytest.raises(IntegrityError, match="instrument_change_that_fires_takes_two"), transaction.atomic():
        InstrumentChange.objects.create(**row)


def test_the_terms_the_bands_and_the_guarded_columns_are_the_same():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.attname FROM pg_trigger t JOIN pg_attribute a ON a.attrelid = t.tgrelid"
            " AND a.attnum = ANY (t.tgattr) WHERE t.tgname = 'changed_by_owner'"
            " AND t.tgrelid = 'quotes_instrument'::regclass"
        )
        guarded = {name for (name,) in cursor.fetchall()}
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'carry_out_instrument_change'")
        (body,) = cursor.fetchone()

    assert set(MOVING) == set(TermBand.objects.values_list("term", flat=True)) == guarded - {"agreed"}
    assert all(f"{name} = n.{name}" in body for name in MOVING)


# --- what makes no sense -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"spread_bps": "-1"},
        {"spread_bps": "10000"},
        {"spread_bps": "6.0001"},
        {"spread_bps": "\u0663"},
        {"spread_bps": "none"},
        {"spread_bps": "NaN"},
        {"jump_limit_percent": "0"},
        {"jump_limit_percent": "1000"},
        {"swap_long_bps": "-10000"},
        {"swap_triple_weekday": "5"},
        {"leverage_cap": "0"},
        {"leverage_cap": "20.5"},
        {"leverage_cap": "100000"},
        {"price_decimals": "19"},
        {"quote_life_seconds": "-1"},
        {"simulator_price": "0"},
        {"symbol": "X"},
        {"agreed": "{}"},
        {"is_active": "1"},
        {},
        {"spread_bps": "5", "leverage_cap": "100"},
    ],
)
def test_a_term_that_makes_no_sense_is_refused_by_name(wrong: dict[str, Any]):
    with pytest.raises((Malformed, NothingChanges)):
        proposes(**wrong)

    assert not InstrumentChange.objects.exists()


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "two\nlines"])
def test_a_change_has_a_reason(reason: str):
    with pytest.raises(Malformed, match="reason"):
        change.propose(BTC, WIDE, reason=reason, by=somebody(), at=timezone.now())


def test_what_does_not_exist_is_said():
    with pytest.raises(UnknownSymbol):
        proposes("BTC-XXX", **WIDE)
    with pytest.raises(UnknownSymbol):
        change.would_fire("", WIDE)
    with pytest.raises(ChangeNotFound):
        change.apply(uuid.uuid4(), by=somebody(), at=timezone.now())


def test_a_dialog_answered_twice_proposes_once():
    maker, once = somebody(), uuid.uuid4()

    first, second = (proposes(by=maker, once=once, **WIDE) for _ in range(2))

    assert first.pk == second.pk
    with pytest.raises(KeyReused):
        proposes(by=maker, once=once, spread_bps="8000")
    with pytest.raises(KeyReused):
        proposes("ETH-USD", by=maker, once=once, **WIDE)


def test_a_dialog_answered_with_something_else_is_refused():
    """Guard: the comparisons in change._made_before. Without one somebody is told that what they said is proposed."""
    maker, once = somebody(), uuid.uuid4()
    proposes(by=maker, once=once, fee_bps="25", **WIDE)
    says = {"reason": "the venue asks for it", "by": maker, "at": timezone.now(), "once": once}

    for wanted, other in (
        ({**WIDE, "fee_bps": "25"}, {"by": somebody()}),
        ({**WIDE, "fee_bps": "25"}, {"reason": "another"}),
        ({**WIDE, "fee_bps": "26"}, {}),
        ({**WIDE, "leverage_cap": "50"}, {}),
        ({"fee_bps": "25"}, {}),
    ):
        with pytest.raises(KeyReused):
            change.propose(BTC, wanted, **says | other)
    assert change.propose(BTC, {**WIDE, "fee_bps": "25"}, **says) == InstrumentChange.objects.get()


# --- decimals ----------------------------------------------------------------------------------------


def test_decimals_change_while_nothing_is_open():
    applies(proposes(price_decimals=3, quantity_decimals=7))

    assert (now().price_decimals, now().quantity_decimals) == (3, 7)


@pytest.mark.parametrize("what", ["open orders", "pending orders", "trades under way", "quotes that may be executed"])
def test_decimals_do_not_change_while_anything_is_open(what: str):
    """Guards: preview.refuse_in_use, and for whoever goes around it the trigger decimals_wait."""
    btc_at("40_000.00", "40_020.00")
    alice = a_customer(with_usd="10_000.00")
    proposed = proposes(price_decimals=1)
    if what == "open orders":
        opens(alice, quantity="0.1")
    elif what == "pending orders":
        places(alice, "buy limit", "30000", quantity="0.01")
    elif what == "trades under way":
        a_trade(alice, receive=btc("0.01"))
    else:
        a_quote(alice, receive=btc("0.01"))

    with pytest.raises(InstrumentInUse, match=f"1 {what}"):
        applies(proposed)
    with pytest.raises(InstrumentInUse, match=f"1 {what}"):
        change.would_fire(BTC, {"quantity_decimals": 6})
    assert f"while there are 1 {what}" in refused_by(
        "UPDATE quotes_instrument SET price_decimals = 1 WHERE symbol = %s", BTC
    )
    sql = "UPDATE quotes_instrumentchange SET state = 'applied', decided_at = now(), checked_by_id = %s WHERE id = %s"
    assert f"while there are 1 {what}" in refused_by(sql, somebody(), proposed.pk)
    assert now().price_decimals == 2


@pytest.mark.parametrize("decimals", ["price_decimals", "quantity_decimals"])
def test_neither_decimals_change_through_sql_once_a_trade_is_written_down(decimals: str):
    """Guard: the trigger decimals_wait, for both columns; a trade in storing is under way."""
    btc_at("40_000.00", "40_020.00")
    trade = executes(a_quote(a_customer(with_usd="10_000.00"), receive=btc("0.01")))

    said = refused_by(f"UPDATE quotes_instrument SET {decimals} = 1 WHERE symbol = %s", BTC)

    assert trade.state == "storing"
    assert "while there are 1 trades under way" in said


# --- what the tables refuse by themselves ------------------------------------------------------------


def test_one_s_own_change_is_not_applied_through_sql():
    proposed = proposes(**WIDE)
    sql = "UPDATE quotes_instrumentchange SET state = 'applied', decided_at = now(), {} WHERE id = %s"

    assert "instrument_change_maker_is_not_checker" in refused_by(sql.format("checked_by_id = made_by_id"), proposed.pk)
    assert "instrument_change_applied_by_a_checker" in refused_by(sql.format("reason = reason"), proposed.pk)
    assert now().spread_bps == 5


@pytest.mark.parametrize(
    "change_",
    [
        "needs_checker = false",
        "new = '{}'",
        "old = '{}'",
        "stated = '{}'",
        "fires = true",
        "reason = 'y'",
        "once = id",
    ],
)
def test_the_terms_of_a_proposal_never_change(change_: str):
    proposed = proposes(**WIDE)

    assert "never changed" in refused_by(f"UPDATE quotes_instrumentchange SET {change_} WHERE id = %s", proposed.pk)


def test_a_decision_is_final_and_a_change_never_removed():
    proposed = applies(proposes(**WIDE))

    for back in ("state = 'refused'", "state = 'proposed', decided_at = NULL, checked_by_id = NULL"):
        assert "never changed" in refused_by(f"UPDATE quotes_instrumentchange SET {back} WHERE id = %s", proposed.pk)
    assert "never changed" in refused_by("DELETE FROM quotes_instrumentchange")


def test_a_change_does_not_begin_applied_and_alone_stays_within_the_band_through_sql():
    """Guard: carry_out_instrument_change asks for the band itself."""
    maker = somebody()
    row = {
        "instrument_id": BTC,
        "stated": {},
        "fires": False,
        "reason": "x",
        "made_by_id": maker,
        "made_at": timezone.now(),
    }
    old, new = {"spread_bps": "5.000"}, {"spread_bps": "9999.000"}
    with pytest.raises(IntegrityError, match="begins as a proposal"), transaction.atomic():
        InstrumentChange.objects.create(**row, old=old, new=new, state="applied", decided_at=timezone.now())

    def applied(**terms: Any) -> str:
        made = InstrumentChange.objects.create(**row, **terms)
        checker = somebody() if made.needs_checker else None
        sql = (
            "UPDATE quotes_instrumentchange SET state = 'applied', decided_at = now(), checked_by_id = %s WHERE id = %s"
        )
        said = refused_by(sql, checker, made.pk)
        change.refuse(made.pk, by=maker, at=timezone.now())
        return said

    assert "needs a second person" in applied(old=old, new=new, needs_checker=False)
    assert "names terms that it may change" in applied(old={"symbol": BTC}, new={"symbol": "X-Y"})
    assert "names terms that it may change" in applied(old={}, new=new)
    assert "names terms that it may change" in applied(old={"agreed": {}}, new={"agreed": {"spread_bps": "5000"}})
    assert "not any more as it was" in applied(old={"spread_bps": "4"}, new=new)


def test_an_instrument_does_not_begin_with_what_nobody_agreed_to():
    """Guard: the trigger nothing_agreed_before. Without it its maker says a band as wide as they like."""
    like = Instrument.objects.filter(pk=BTC).values().get()
    Instrument.objects.create(
        **like
        | {"symbol": "SOL-BTC", "base_asset_id": "SOL", "counter_asset_id": "BTC", "agreed": {"spread_bps": "5000"}}
    )

    assert now("SOL-BTC").agreed == {}


def test_a_mark_up_is_stated_by_the_price_that_it_makes_and_never_put_on_twice():
    """40,000 / 40,020 with a mark-up of 10 bps is 39,980 / 40,040.01; with 20 instead, not with 30."""
    btc_at("40_000.00", "40_020.00")
    alice = a_customer(with_usd="10_000.00")
    places(alice, "buy stop", "40040", quantity="0.01")
    places(alice, "buy stop", "40070", quantity="0.01")

    proposed = proposes(markup_bps="10")

    assert (proposed.state, proposed.stated["bid"], proposed.stated["ask"]) == ("proposed", "39980.00", "40040.01")
    assert proposed.stated["opened"] == 1
    change.refuse(proposed.pk, by=somebody(), at=timezone.now())

    Instrument.objects.filter(pk=BTC).update(markup_bps=10)
    symbols.forget()
    btc_at("39_980.00", "40_040.01")
    assert proposes(markup_bps="20").stated["ask"] == "40060.02"
