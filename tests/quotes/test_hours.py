"""When markets trade: exact moments at clock changes, holidays and breaks, and random weeks against a plain model."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quotes.hours import BadHours, Hours, MarketHours, Phase, Switch, hours
from quotes.swap_calendar import times_counted
from tests.hours import ALWAYS, FX, METALS, moment

NEW_YORK = ZoneInfo("America/New_York")
A_MICROSECOND = timedelta(microseconds=1)


def opened(of: Hours, at: str) -> tuple[str, str]:
    """From when until when it is open, at a moment at which it is."""
    state = MarketHours(of).state_at(moment(at))
    assert (state.phase, state.next_open) == (Phase.OPEN, None)
    return f"{state.since:%Y-%m-%d %H:%M}", f"{state.until:%Y-%m-%d %H:%M}"


def closed(of: Hours, at: str) -> str:
    """When it opens next, at a moment at which it is closed."""
    state = MarketHours(of).state_at(moment(at))
    assert state.phase in (Phase.CLOSED, Phase.PRE_OPEN)
    return f"{state.next_open:%Y-%m-%d %H:%M}"


# --- weeks, breaks, clock changes -------------------------------------------------------------------


def test_currencies_trade_from_sunday_to_friday_evening_in_new_york():
    assert opened(FX, "2026-12-02 03:00") == ("2026-11-29 22:00", "2026-12-04 22:00")
    assert opened(FX, "2026-11-29 22:00") == opened(FX, "2026-12-04 21:59:59.999999")
    assert closed(FX, "2026-12-04 22:00") == closed(FX, "2026-12-06 21:59:59.999999") == "2026-12-06 22:00"


def test_the_week_in_which_the_clocks_go_back_is_an_hour_longer_and_forward_an_hour_shorter():
    assert opened(FX, "2026-10-28 12:00") == ("2026-10-25 21:00", "2026-10-30 21:00")
    assert opened(FX, "2026-11-04 12:00") == ("2026-11-01 22:00", "2026-11-06 22:00")
    assert opened(FX, "2026-03-11 12:00") == ("2026-03-08 21:00", "2026-03-13 21:00")
    assert closed(FX, "2026-10-31 12:00") == "2026-11-01 22:00"


def test_gold_rests_for_an_hour_a_day():
    assert opened(METALS, "2026-12-01 12:00") == ("2026-11-30 23:00", "2026-12-01 22:00")
    assert closed(METALS, "2026-12-01 22:00") == "2026-12-01 23:00"
    assert opened(METALS, "2026-12-01 23:00") == ("2026-12-01 23:00", "2026-12-02 22:00")
    assert closed(METALS, "2026-12-04 22:30") == "2026-12-06 23:00"


def test_a_holiday_closes_its_trading_day_from_the_evening_before():
    assert opened(FX, "2026-12-24 21:59") == ("2026-12-20 22:00", "2026-12-24 22:00")
    assert closed(FX, "2026-12-24 22:00") == "2026-12-27 22:00"
    assert closed(FX, "2026-12-31 22:00") == "2027-01-03 22:00"
    assert closed(METALS, "2026-04-02 21:00") == "2026-04-05 22:00"  # Good Friday


def test_a_half_day_closes_early_and_stays_a_trading_day():
    """Guard: `half_days` in `_of_day`. The session of the next day begins when it would."""
    shares = hours("America/New_York", "mon-fri 09:30-16:00", "", "12-25, 2026-12-24 13:00, 11-27 13:00")
    assert opened(shares, "2026-12-24 15:00") == ("2026-12-24 14:30", "2026-12-24 18:00")
    assert closed(shares, "2026-12-24 18:00") == "2026-12-28 14:30"
    assert opened(shares, "2026-11-27 15:00")[1] == opened(shares, "2026-11-27 15:00")[0][:10] + " 18:00"
    assert opened(shares, "2025-12-24 19:00")[1] == "2025-12-24 21:00"
    assert shares.trades_on(date(2026, 12, 24))

    night = hours("America/New_York", "mon-fri 18:00-17:00", "", "2026-12-24 13:00")
    assert opened(night, "2026-12-24 03:00") == ("2026-12-23 23:00", "2026-12-24 18:00")
    assert opened(night, "2026-12-25 03:00") == ("2026-12-24 23:00", "2026-12-25 22:00")
    early = hours("UTC", "mon-fri 09:00-12:00; mon-fri 13:00-16:00", "", "2026-12-24 08:00, 2026-12-23 13:00")
    assert closed(early, "2026-12-23 12:30") == closed(early, "2026-12-24 09:30") == "2026-12-25 09:00"


def test_a_session_that_skips_or_repeats_an_hour_of_its_clock():
    night = hours("America/New_York", "sun 02:30-04:00")
    assert opened(night, "2026-03-08 07:45") == ("2026-03-08 07:30", "2026-03-08 08:00")  # 02:30 is skipped: 03:30
    twice = hours("America/New_York", "sun 01:30-04:00")
    assert opened(twice, "2026-11-01 06:15") == ("2026-11-01 05:30", "2026-11-01 09:00")  # the first 01:30 of two


def test_crypto_never_closes_and_sessions_that_meet_are_one():
    state = MarketHours(ALWAYS).state_at(moment("2026-12-25 00:00"))
    assert (state.phase, state.since, state.until, state.next_open) == (Phase.OPEN, None, None, None)
    two = hours("UTC", "mon 09:00-12:00; mon 12:00-15:00; mon 16:00-17:00")
    assert opened(two, "2026-11-30 09:00") == ("2026-11-30 09:00", "2026-11-30 15:00")
    assert closed(two, "2026-11-30 15:00") == "2026-11-30 16:00"


def test_a_market_without_any_trading_day_ahead_has_no_next_opening():
    never = hours("UTC", "mon 09:00-12:00", "", ", ".join(f"{d:%m-%d}" for d in _every_day_of_a_year()))
    assert MarketHours(never).state_at(moment("2026-11-30 10:00")) == (Phase.CLOSED, None, None, None)


def _every_day_of_a_year() -> list[date]:
    return [date(2024, 1, 1) + timedelta(days=number) for number in range(366)]


# --- before the opening, and switched ---------------------------------------------------------------


def test_the_last_minutes_before_an_opening():
    """Guard: `until` of the closed time is when prices begin, not when trading does."""
    before = MarketHours(FX).state_at(moment("2026-11-29 21:54:59"))
    assert (before.phase, before.until) == (Phase.CLOSED, moment("2026-11-29 21:55"))
    last = MarketHours(FX).state_at(moment("2026-11-29 21:55"))
    assert (last.phase, last.until, last.next_open) == (
        Phase.PRE_OPEN,
        moment("2026-11-29 22:00"),
        moment("2026-11-29 22:00"),
    )
    assert (last.takes_pending, last.opens, last.closes, last.has_prices) == (True, False, False, True)


@pytest.mark.parametrize(
    ("switch", "open_", "before", "closed_"),
    [
        (Switch.NONE, Phase.OPEN, Phase.PRE_OPEN, Phase.CLOSED),
        (Switch.CLOSE_ONLY, Phase.CLOSE_ONLY, Phase.CLOSED, Phase.CLOSED),
        (Switch.HALTED, Phase.HALTED, Phase.HALTED, Phase.CLOSED),
    ],
)
def test_a_switch_only_makes_the_hours_narrower(switch, open_, before, closed_):
    """Guard: `_BEFORE`. A halted market would take orders in the last minutes before its opening."""
    at = moment("2026-11-27 10:00")
    fx = MarketHours(FX, switch, at)
    assert fx.state_at(moment("2026-11-27 12:00")).phase is open_
    assert fx.state_at(moment("2026-11-29 21:57")).phase is before
    assert fx.state_at(moment("2026-11-28 12:00")).phase is closed_
    assert MarketHours(ALWAYS, switch, at).state_at(at) == (open_, at, None, None)


def test_what_executes_may_do_so_since_the_opening_or_the_last_switch():
    """Guard: the later of both."""
    at = moment("2026-12-02 10:00")
    assert MarketHours(FX, Switch.NONE, at).state_at(at).since == at
    assert MarketHours(FX, Switch.NONE, at).state_at(moment("2026-12-09 10:00")).since == moment("2026-12-06 22:00")


# --- against a plain model --------------------------------------------------------------------------


@st.composite
def weeks(draw):
    sessions = []
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.integers(0, 6))
        last = draw(st.integers(first, 6))
        times = [f"{draw(st.integers(0, 23)):02}:{draw(st.sampled_from([0, 30])):02}" for _ in range(2)]
        sessions.append((range(first, last + 1), *times))
    zone = draw(st.sampled_from(["UTC", "America/New_York", "Europe/London", "Asia/Kolkata", "Pacific/Auckland"]))
    days = st.dates(date(2026, 10, 20), date(2026, 11, 10))
    off = draw(st.lists(days, max_size=3))
    half = draw(st.dictionaries(days, st.sampled_from(["00:00", "08:30", "13:00"]), max_size=3))
    return zone, sessions, off, {day: early for day, early in half.items() if day not in off}


def plainly_open(zone: str, sessions: list, off: list[date], half: dict[date, str], at: datetime) -> bool:
    """Minute by minute of the local clock, from the trading days around: no merging, no looking ahead."""
    place = ZoneInfo(zone)
    for number in range(-3, 4):
        day = at.astimezone(place).date() + timedelta(days=number)
        for weekdays, opens, closes in sessions:
            if day.weekday() in weekdays and day not in off:
                begin = datetime.fromisoformat(f"{day if opens < closes else day - timedelta(days=1)} {opens}")
                end = datetime.fromisoformat(f"{day} {min(closes, half.get(day, closes))}")
                if begin.replace(tzinfo=place).timestamp() <= at.timestamp() < end.replace(tzinfo=place).timestamp():
                    return True
    return False


@given(weeks(), st.datetimes(datetime(2026, 10, 22), datetime(2026, 11, 8)))
def test_random_weeks_are_open_when_a_plain_model_says_so(week, at):
    zone, sessions, off, early = week
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    text = "; ".join(f"{days[w[0]]}-{days[w[-1]]} {opens}-{closes}" for w, opens, closes in sessions)
    said = [f"{day}" for day in sorted(set(off))] + [f"{day} {closes}" for day, closes in early.items()]
    market = MarketHours(hours(zone, text, "", ", ".join(said)))
    at = at.replace(tzinfo=UTC)

    state = market.state_at(at)

    def is_open(when: datetime) -> bool:
        return plainly_open(zone, sessions, off, early, when)

    assert (state.phase is Phase.OPEN) == is_open(at)
    turns = state.until if state.phase is Phase.OPEN else state.next_open
    assert turns is not None
    if turns - at > timedelta(days=300):  # open for as long as anybody looks ahead
        return
    assert is_open(turns - A_MICROSECOND) == (state.phase is Phase.OPEN)
    assert is_open(turns) == (state.phase is not Phase.OPEN)
    half = timedelta(minutes=30)
    between = [at + half * n for n in range(int((min(turns, at + timedelta(days=4)) - at) / half))]
    assert all(is_open(when) == (state.phase is Phase.OPEN) for when in between)
    if state.phase is Phase.OPEN:
        assert state.since is not None
        is_its_beginning = at - state.since < timedelta(days=300)  # further back nobody looks
        assert (is_open(state.since), is_open(state.since - A_MICROSECOND)) == (True, not is_its_beginning)


# --- as they are written ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        (("Mars/Olympus", "always"), "There is no time zone 'Mars/Olympus'."),
        (("UTC", "mon-fri"), "'mon-fri' is no session"),
        (("UTC", "fri-mon 09:00-10:00"), "fri-mon is no weekday"),
        (("UTC", "mon 25:00-26:00"), "25:00 is no time of a day."),
        (("UTC", "mon 09:00-10:00", "NOWHERE"), "There is no calendar NOWHERE."),
        (("UTC", "mon 09:00-10:00", "", "13-01"), "'13-01' is no day"),
        (("UTC", "mon 09:00-10:00", "", "12-24 13"), "'12-24 13' is no day"),
        (("UTC", "mon 09:00-10:00", "", "12-24 25:00"), "'12-24 25:00' is no day"),
        (("UTC", "mon 09:00-10:00", "", "", 1441), "from 0 to 1440 minutes"),
        (("UTC", "always", "NYSE"), "A market that never closes has no holidays"),
        (("UTC", ""), "'' is no session"),
    ],
)
def test_hours_that_can_t_be_read_say_why(given_, says):
    with pytest.raises(BadHours, match=says.replace("'", ".")):
        hours(*given_)


# --- nights ----------------------------------------------------------------------------------------


def nights(of: Hours, since: str, count: int, triple: int | None = 2) -> list[int]:
    first = date.fromisoformat(since)
    return [times_counted(first + timedelta(days=n), triple, of.trades_on) for n in range(count)]


def test_nights_of_an_ordinary_week_count_as_before():
    assert nights(FX, "2026-11-30", 7) == [1, 1, 3, 1, 1, 0, 0]
    assert nights(FX, "2026-11-30", 7, None) == [1, 1, 1, 1, 3, 0, 0]
    assert [times_counted(date(2026, 11, 30) + timedelta(days=n), None) for n in range(7)] == [1] * 7
    assert [times_counted(date(2026, 11, 30) + timedelta(days=n), 2) for n in range(7)] == [1, 1, 3, 1, 1, 0, 0]


def test_a_holiday_moves_the_nights_that_reach_over_it():
    """Friday the 25th is none: Tuesday's night puts settlement off from Thursday to Monday."""
    assert nights(FX, "2026-12-21", 14) == [1, 4, 1, 1, 0, 0, 0, 1, 4, 1, 1, 0, 0, 0]


@given(st.integers(0, 2000), st.integers(1, 60), st.sampled_from([0, 1, 2, 3, 4, None]))
def test_from_one_settlement_to_another_nights_are_as_many_as_days(start, length, triple):
    """Guard: value dates. Whatever the holidays, nobody is charged for a day twice, or not at all."""
    first = date(2026, 1, 1) + timedelta(days=start)
    last = first + timedelta(days=length)
    trading = [day for n in range(length + 30) if METALS.trades_on(day := first + timedelta(days=n))]
    lag = 0 if triple is None else 4 - triple
    later = [day for day in trading if day >= last]
    counted = sum(nights(METALS, f"{first}", length, triple))
    assert counted == (later[lag] - trading[lag]).days
