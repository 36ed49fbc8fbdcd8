"""What operators do in the admin, and what it tells them."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import services, streams
from accounts.admin.base import MOST_COUNTED, BoundedPaginator
from accounts.models import ApiClient, Customer, LedgerAudit, User
from quotes import symbols
from quotes.models import Instrument
from tests.admin.actions import act as acts
from tests.admin.actions import edited, page, said, sent, shown
from tests.admin.many_rows import many_rows
from tests.given import (
    a_customer,
    a_cut,
    a_settling_buy,
    btc,
    btc_at,
    every_price_at_its_start,
    exits,
    price_at,
    settles,
    states,
)
from tests.without_guards import without_guards
from trades.models import Order, SettlementBatch, SettlementWindow
from trades.states import BatchState

pytestmark = pytest.mark.django_db


# --- positions -------------------------------------------------------------------------------------


def test_open_positions_show_the_current_price_and_the_floating_profit(browser):
    many_rows(1)
    btc_at("42_400.00", "42_410.00")

    text = shown(browser.get(reverse("admin:trades_position_changelist")))

    assert "42,350.00" in text
    assert "42,400.00" in text
    assert "+25.00 USD" in text  # half a bitcoin bought at 42,350.00, the bid is 50.00 higher


def test_a_losing_sell_is_marked_at_the_ask(browser):
    many_rows(1)
    without_guards("trades_order", "UPDATE trades_order SET side = 'sell' WHERE status = 'OPEN'")
    btc_at("42_400.00", "42_410.00")
    position = Order.objects.get(status="OPEN")

    text = shown(browser.get(page("trades_position", position.pk)))

    assert "42,410.00" in text
    assert "-30.00 USD" in text


def test_a_stale_price_is_still_told_and_marked_and_without_any_there_is_no_floating_profit(browser):
    many_rows(1)
    positions = reverse("admin:trades_position_changelist")

    text = shown(browser.get(positions))
    assert "no price" in text
    assert "+25.00 USD" not in text

    price_at("BTC-USD", "42_400.00", at=timezone.now() - timedelta(hours=1))
    text = shown(browser.get(positions))
    assert "42,400.00 stale" in text
    assert "+25.00 USD" in text  # as the margin level has it


def test_all_prices_are_read_once_for_a_page_of_positions(browser):
    def commands_for_a_page() -> int:
        asked = [int(streams.client().client_info()["tot-cmds"])]
        browser.get(reverse("admin:trades_position_changelist"))
        asked.append(int(streams.client().client_info()["tot-cmds"]))
        return asked[1] - asked[0] - 1

    every_price_at_its_start()
    many_rows(20)

    assert commands_for_a_page() == 2  # the prices and the clock they are judged by


def test_an_order_is_found_by_its_id_its_customer_and_their_email_and_by_nothing_else(browser):
    many_rows(3)
    order = Order.objects.filter(status="CLOSED").order_by("pk")[1]
    orders = reverse("admin:trades_order_changelist")

    def found(sought: str) -> int:
        return browser.get(orders, {"q": sought}).context["cl"].result_count

    assert found(order.code) == 1
    assert found(order.pk.hex) == found(str(order.pk).upper()) == 1
    assert found(order.customer_id.hex) == found("trader1@example.com") == 4
    assert found(order.code[:-1]) == found("trader1") == 0


# --- settlement ------------------------------------------------------------------------------------


@pytest.fixture
def bought(db):
    btc_at("42_350.00")
    return a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.1"))


@pytest.fixture
def second_person(db) -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("second@example.com", "a long enough word"))
    return client


def act(client: Client, name: str, *args: object):
    """Open a batch's action and answer its dialog."""
    return acts(client, f"trades_settlementbatch_{name}", *args)


def test_one_person_cuts_a_second_confirms_and_settles(browser, second_person, bought):
    answer = act(browser, "cut_everything")
    batch = SettlementBatch.objects.get()
    assert said(answer) == [f"1 trades were cut into batch {batch.pk.hex[-10:]}."]
    assert (batch.made_by.email, batch.state) == ("operator@example.com", BatchState.CUT)

    assert said(act(browser, "confirm_batch", batch.pk)) == [
        "Whoever cut a batch can't decide on it: a second person confirms or cancels it."
    ]

    act(second_person, "confirm_batch", batch.pk)
    batch.refresh_from_db()
    assert (batch.confirmed_by.email, batch.state) == ("second@example.com", BatchState.CONFIRMED)

    assert said(act(browser, "settle_batch", batch.pk)) == ["1 of 1 trades are completed."]
    assert states(bought) == ["completed"]


def test_a_batch_offers_only_what_its_state_allows(browser, second_person, bought):
    batch = a_cut()

    def offered() -> set[str]:
        text = browser.get(page("trades_settlementbatch", batch.pk)).content.decode()
        return {name for name in ("confirm", "settle", "cancel") if f"/{name}_batch/" in text}

    assert offered() == {"confirm", "cancel"}
    act(second_person, "confirm_batch", batch.pk)
    assert offered() == {"settle", "cancel"}
    act(browser, "settle_batch", batch.pk)
    assert offered() == set()


def test_opening_a_dialog_changes_nothing(browser, bought):
    browser.get(reverse("admin:trades_settlementbatch_cut_everything"))

    assert not SettlementBatch.objects.exists()


def test_a_batch_is_not_settled_before_it_is_confirmed(browser, bought):
    batch = a_cut()

    assert said(act(browser, "settle_batch", batch.pk)) == ["The batch is cut."]
    assert states(bought) == ["settling"]


def test_a_cancelled_batch_lets_its_trades_go(browser, bought):
    batch = a_cut()

    act(browser, "cancel_batch", batch.pk)

    bought.refresh_from_db()
    assert bought.batch_id is None
    assert said(act(browser, "cancel_batch", batch.pk)) == ["The batch is cancelled."]


def test_cutting_when_nothing_waits_says_so(browser):
    assert said(act(browser, "cut_everything")) == ["No trade is waiting for a settlement batch."]


def test_staff_who_may_only_look_can_not_act(db):
    many_rows(1)
    looker = User.objects.create_user("looker@example.com", "a long enough word", is_staff=True)
    client = Client()
    client.force_login(looker)
    batch = SettlementBatch.objects.get()

    for name, args in (("cut_everything", []), ("confirm_batch", [batch.pk]), ("settle_batch", [batch.pk])):
        url = reverse(f"admin:trades_settlementbatch_{name}", args=args)
        assert client.post(url, sent()).status_code == 403


def test_a_batch_shows_its_legs_and_leads_to_exactly_its_trades(browser, bought):
    exit_trade = exits(bought)
    batch = a_cut()
    other = a_settling_buy(a_customer(with_usd="10_000.00"), btc("0.2"))

    text = browser.get(page("trades_settlementbatch", batch.pk)).content.decode()
    listed = browser.get(re.search(r'href="([^"]*batch__id__exact[^"]*)"', text)[1].replace("&amp;", "&"))

    assert "BTC" in text
    assert {row.pk for row in listed.context["cl"].result_list} == {bought.pk, exit_trade.pk}
    assert other.pk not in {row.pk for row in listed.context["cl"].result_list}


def test_a_trade_shows_its_steps_its_money_and_its_exit(browser, bought):
    exit_trade = exits(bought)
    settles(a_cut())

    text = shown(browser.get(page("trades_trade", bought.pk)))

    assert "0.10 BTC" in text
    assert "4,245.59 USD" in text  # 4,235.00 and a fee of 25 bps on top, against the customer
    assert exit_trade.pk.hex[-10:] in text
    for became in ("storing", "settling", "completed"):
        assert became in text


def test_a_window_is_refused_a_schedule_that_can_not_be_read_and_shows_the_next_cuts(browser):
    window = SettlementWindow.objects.order_by("name").first()
    url = page("trades_settlementwindow", window.pk)
    good = {"name": window.name, "asset_kind": "crypto", "cron": "30 9 * * *", "time_zone": "America/New_York"}
    good |= {"netting": "batch", "value_days": "0"}

    for wrong in (
        {"cron": "every day"},
        {"time_zone": "Mars/Olympus"},
        {"calendar": "NOWHERE"},
        {"cron": "0 0 31 2 *"},
    ):
        answer = edited(browser, url, {**good, **wrong})
        assert answer.status_code == 200, wrong
    window.refresh_from_db()
    assert window.cron == "0 9-17 * * *"

    assert edited(browser, url, {**good, "calendar": "NYSE", "is_active": "on"}).status_code == 302
    window.refresh_from_db()
    assert (window.cron, window.is_automatic) == ("30 9 * * *", False)
    assert "09:30" in shown(browser.get(url))


# --- customers and clients -------------------------------------------------------------------------


def test_a_customers_page_shows_the_balance_of_each_asset(browser, bought):
    text = shown(browser.get(page("accounts_customer", bought.customer_id)))

    assert "Bitcoin" in text
    assert "0.10 BTC" in text  # settling
    assert "5,754.41 USD" in text  # available


def test_freezing_a_customer_is_one_change_that_is_written_down(browser):
    customer = a_customer()

    form = {"name": customer.name, "type": "individual", "state": "frozen"}
    answer = edited(browser, page("accounts_customer", customer.pk), form)

    assert answer.status_code == 302
    assert Customer.objects.get(pk=customer.pk).state == "frozen"
    history = browser.get(reverse("admin:accounts_customer_history", args=[customer.pk]))
    assert "state: verified → frozen" in shown(history)


def test_a_new_clients_secret_is_shown_once_and_only_its_hash_is_kept(browser):
    form = {"name": "partner", "scopes": ["quotes:read", "trades:read"]}

    answer = browser.post(reverse("admin:accounts_apiclient_add"), form, follow=True)

    client = ApiClient.objects.get(name="partner")
    secret = re.search(r"secret <code[^>]*>([^<]+)</code>", answer.content.decode())[1]
    assert client.secret_sha256 == hashlib.sha256(secret.encode()).hexdigest()
    assert services.authenticate_client(client.client_id, secret) == client
    assert client.scopes == ["quotes:read", "trades:read"]
    assert secret not in browser.get(page("accounts_apiclient", client.pk)).content.decode()


def test_a_client_loses_scopes_and_is_switched_off_without_a_new_secret(browser):
    client, _ = services.create_api_client("partner", ["quotes:read", "trades:read"], timezone.now())
    hash_before = client.secret_sha256

    edited(browser, page("accounts_apiclient", client.pk), {"name": "partner", "scopes": ["quotes:read"]})

    client.refresh_from_db()
    assert (client.scopes, client.is_active, client.secret_sha256) == (["quotes:read"], False, hash_before)


def test_a_scope_that_does_not_exist_is_refused(browser):
    browser.post(reverse("admin:accounts_apiclient_add"), {"name": "partner", "scopes": ["everything"]})

    assert not ApiClient.objects.exists()


def test_a_new_user_logs_in_with_an_email_address(browser):
    word = "correct horse battery"
    form = {"email": "new@example.com", "password1": word, "password2": word, "usable_password": "true"}

    assert browser.post(reverse("admin:accounts_user_add"), form).status_code == 302
    assert User.objects.get(email="new@example.com").check_password(word)


# --- markets ---------------------------------------------------------------------------------------


def instrument_form(**changed: object) -> dict[str, object]:
    """A new instrument, like bitcoin's; of one that is there the form takes nothing that moves money."""
    row = Instrument.objects.get(pk="BTC-USD")
    names = [field.attname for field in Instrument._meta.concrete_fields if field.editable]
    given = {name: getattr(row, name) for name in names}
    form = {name.removesuffix("_id"): "" if value is None else value for name, value in given.items()}
    new = {"symbol": "SOL-EUR", "base_asset": "SOL", "counter_asset": "EUR"}
    return {**form, **new, "is_active": "on", **changed}


def test_an_instruments_rule_is_changed_at_once_in_this_process(browser):
    assert symbols.instruments()["BTC-USD"].max_quantity == 1000

    edited(browser, page("quotes_instrument", "BTC-USD"), instrument_form(max_quantity=20))

    assert symbols.instruments()["BTC-USD"].max_quantity == 20
    symbols.forget()


def test_a_new_instrument_begins_with_all_its_terms(browser):
    assert browser.post(reverse("admin:quotes_instrument_add"), instrument_form(spread_bps="7")).status_code == 302

    assert Instrument.objects.get(pk="SOL-EUR").spread_bps == 7
    symbols.forget()


@pytest.mark.parametrize(("base", "counter", "turned"), [("JPY", "USD", "JPY"), ("GBP", "JPY", ""), ("EUR", "JPY", "")])
def test_an_instrument_that_would_turn_what_a_currency_is_converted_by_is_not_added(browser, base, counter, turned):
    """Guard: `turned_by` in the form. All that is open in yen would be worth what JPY-USD says."""
    wanted = instrument_form(symbol=f"{base}-{counter}", base_asset=base, counter_asset=counter)
    answer = browser.post(reverse("admin:quotes_instrument_add"), wanted)
    symbols.forget()

    assert answer.status_code == (200 if turned else 302)
    assert (f"would convert {turned} another way" in answer.content.decode()) == bool(turned)
    assert Instrument.objects.filter(pk=f"{base}-{counter}").exists() == (not turned)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_quantity": "0"},
        {"simulator_price": "0"},
        {"spread_bps": "-1"},
        {"jump_limit_percent": "0"},
        {"jump_limit_percent": "-5"},
        {"jump_limit_percent": "1000"},
        {"max_spread_percent": "0"},
        {"max_spread_percent": "-5"},
        {"spread_bps": "9999"},
        {"spread_bps": "500.001", "max_spread_percent": "5"},
        {"swap_long_bps": "-10000"},
        {"swap_triple_weekday": "5"},
        {"leverage_cap": "0"},
        {"price_decimals": "19"},
        {"min_quantity": "5", "max_quantity": "1"},
        {"leverage_cap": "\uff15\uff10"},
        {"leverage_cap": "5_0"},
        {"leverage_cap": " 50"},
        {"spread_bps": "\u0663"},
        {"spread_bps": "0_3"},
        {"spread_bps": "3 "},
    ],
)
def test_an_instrument_is_refused_a_rule_that_makes_no_sense(browser, wrong):
    answer = browser.post(reverse("admin:quotes_instrument_add"), instrument_form(**wrong))

    assert answer.status_code == 200
    assert not Instrument.objects.filter(pk="SOL-EUR").exists()


# --- the dashboard ---------------------------------------------------------------------------------


def cards(browser: Client) -> dict[str, tuple[str, str]]:
    return {card.title: (card.value, card.mood) for card in browser.get("/admin/").context["cards"]}


def test_the_dashboard_of_an_idle_system_says_what_is_missing(browser):
    found = cards(browser)

    assert found["Price feed"] == ("0 of 9 fresh", "admin-bad")
    assert found["Order engine"] == ("not running", "admin-bad")
    assert found["Ledger audit"] == ("none yet", "")
    assert found["Open positions"] == ("0", "")


def test_the_dashboard_of_a_busy_system_counts_what_waits(browser, bought):
    many_rows(2)
    LedgerAudit.objects.create(at=timezone.now(), ok=False, counted={}, findings=[{"check": "x"}])
    symbols.forget()
    every_price_at_its_start()

    found = cards(browser)

    assert found["Price feed"] == ("11 of 11 fresh", "admin-good")
    assert found["Order engine"] == ("running", "admin-good")
    assert found["Ledger audit"] == ("1 findings", "admin-bad")
    assert found["Open positions"] == ("2", "")
    assert found["Settling"] == ("1", "")
    assert found["Batches under way"] == ("2", "admin-bad")


def test_the_admin_stays_open_while_redis_is_away(browser, settings):
    many_rows(1)
    settings.STREAM_URL = "redis://127.0.0.1:1/0"
    streams.client.cache_clear(), streams.prompt_client.cache_clear()
    try:
        assert cards(browser)["Price feed"] == ("no Redis", "admin-bad")
        assert browser.get(reverse("admin:trades_position_changelist")).status_code == 200
        assert browser.get(reverse("admin:quotes_instrument_changelist")).status_code == 200
    finally:
        streams.client.cache_clear(), streams.prompt_client.cache_clear()


def test_a_huge_table_is_counted_no_further_than_the_bound():
    few = BoundedPaginator(Order.objects.order_by("-pk"), 50)
    assert (few.count, few.count_text) == (0, "0")

    many = BoundedPaginator(range(MOST_COUNTED + 5), 50)
    assert (many.count, many.count_text) == (MOST_COUNTED, f"more than {MOST_COUNTED:,}")


def test_asking_for_a_recount_hands_it_to_the_workers(browser):
    queue = streams.client()
    before = queue.llen("brokerage")

    url = reverse("admin:accounts_ledgeraudit_recount")
    answer = browser.post(url, sent(), follow=True)

    assert "asked for" in said(answer)[0]
    assert queue.llen("brokerage") == before + 1
    queue.delete("brokerage")
