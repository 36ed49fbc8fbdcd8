"""The journal: every deed and every refusal in the admin, on the command line and by operators' machines."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from django.contrib import admin
from django.core.management import BaseCommand, CommandError, call_command, get_commands, load_command_class
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts import deeds
from accounts.identity import Actor
from accounts.management.output import Job
from accounts.models import Customer, JournalEntry, User
from accounts.rest.journalled import OPERATORS
from accounts.rest.viewsets import Resource
from accounts.services import journal
from tests.accounts.calls import the_firm
from tests.accounts.sealing import named, seal, tampered
from tests.admin.actions import act, browser_with, edited, logged_in, page, said, shown
from tests.given import a_customer, a_settling_buy, btc, btc_at
from trades.models import Correction, SettlementBatch
from trades.settlement.cut import cut_now

pytestmark = pytest.mark.django_db

WORD = "a long enough word"
ADJUST = "accounts_customer_propose_adjustment"
NOBODY = "00000000-0000-7000-8000-000000000000"


@pytest.fixture
def alice() -> Customer:
    return a_customer("alice", with_usd="10_000.00")


def rows(**wanted: Any) -> list[JournalEntry]:
    """What the journal shows, oldest first."""
    return list(journal.entries().filter(**wanted).order_by("pk"))


def newest(**wanted: Any) -> JournalEntry:
    return rows(**wanted)[-1]


def adjustment(**changed: Any) -> dict[str, Any]:
    return {"direction": "credit", "amount": "25.00", "asset": "USD", "reason": "goodwill", "reference": "", **changed}


# --- whole: nothing that can be done is without a row ---------------------------------------------------


def every_way_to_do_something() -> Iterator[tuple[str, str]]:
    """Each page of the admin that takes a POST: the deed's name, and its address, of a row that isn't there."""
    for model, site_page in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        request = RequestFactory().get("/")
        request.user = User(is_superuser=True, is_staff=True, is_active=True)
        site_page_any: Any = site_page
        for action in site_page_any._get_base_actions_list():
            yield action.action_name, reverse(f"admin:{action.action_name}")
        for action in site_page_any._get_base_actions_detail():
            yield action.action_name, reverse(f"admin:{action.action_name}", args=[NOBODY])
        yield f"{name}_add", reverse(f"admin:{name}_add")
        yield f"{name}_change", reverse(f"admin:{name}_change", args=[NOBODY])
        yield f"{name}_delete", reverse(f"admin:{name}_delete", args=[NOBODY])
        for name_of_action in site_page.get_actions(request):
            yield f"{name}_{name_of_action}", reverse(f"admin:{name}_changelist") + f"#{name_of_action}"


def test_no_page_dialog_or_action_does_anything_without_a_row(browser: Client, operator: User) -> None:
    """Guard: `brokerage.http.pages.Journal`. A new page is in this walk, and in the journal, by itself."""
    browser.raise_request_exception = False  # what a row that isn't there comes to is another test's
    ways = list(every_way_to_do_something())

    for name, url in ways:
        path, _, action = url.partition("#")
        asked = {"action": action, "_selected_action": NOBODY, "index": "0"} if action else {"x": "1"}
        count = JournalEntry.objects.count()
        browser.post(path, asked)
        made = list(JournalEntry.objects.order_by("-pk")[: JournalEntry.objects.count() - count])
        assert [(one.deed, one.user_id) for one in made] == [(name, operator.pk)] * 2, (name, made)
        assert made[1].outcome == "begun"
        assert (made[0].begun_id, made[0].outcome != "begun") == (made[1].pk, True)
    assert len(ways) > 200


# Nobody's deeds: what they look at or run has its own rows, and what they change they change for nobody.
LOOKS_OR_RUNS = {
    *("audit_ledger", "backfill_candles", "demo", "feed_sources", "migrate", "next_cuts", "run_engine", "run_feed"),
    *("run_exporter", "backup", "restore", "archive_wal"),
    *("run_stream", "seal", "seed", "settle_batch", "settlement_status", "up"),
}


def our_commands() -> dict[str, BaseCommand]:
    ours = {name: app for name, app in get_commands().items() if app in ("accounts", "brokerage", "quotes", "trades")}
    return {name: load_command_class(app, name) for name, app in ours.items()}


def leaves(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    """Every subcommand with the words that name it."""
    below = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not below:
        yield words, parser
    for one in below:
        for word, inner in one.choices.items():
            yield from leaves(inner, [*words, word])


def filled_in(words: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """Arguments that a subcommand takes; what they mean doesn't matter."""
    filled = [*words]
    one_of = [group._group_actions[0] for group in parser._mutually_exclusive_groups if group.required]
    for one in parser._actions:
        is_asked = not one.option_strings or one.required or one in one_of
        takes = not isinstance(one, argparse._HelpAction) and is_asked
        if not takes or one.nargs in ("?", "*"):
            continue
        value = str(next(iter(one.choices))) if one.choices else "1"
        for text in (value, "2026-01-01"):
            try:
                parser._get_value(one, text)
            except argparse.ArgumentError:
                continue
            filled += [*one.option_strings[:1], text]
            break
    return filled


def test_no_command_does_anything_for_somebody_without_a_row(operator: User) -> None:
    """Guard: `Job.execute`. A new command either has `--by`, or `is_deed`, or stands in LOOKS_OR_RUNS."""
    walked = 0
    for name, command in our_commands().items():
        deeds = []
        for words, leaf in leaves(command.create_parser("manage.py", name), []):
            if any(one.dest == "by" for one in leaf._actions):
                deeds.append(filled_in(words, leaf))
        assert isinstance(command, Job) or name == "migrate"
        assert bool(deeds) or getattr(command, "is_deed", False) or name in LOOKS_OR_RUNS, name
        for words in deeds:
            before = JournalEntry.objects.count()
            with suppress(CommandError):  # one that only looks may do so for a stranger
                call_command(name, *words, "--by", "stranger@firm.example")
            assert JournalEntry.objects.count() == before + 2, (name, words)
            made = newest()
            assert (made.via, made.deed.split()[0]) == ("command", name), made.said
            assert "stranger" not in made.said
            walked += made.outcome == "refused"
    assert walked > 30


def test_every_route_of_an_operators_machine_is_a_deed() -> None:
    """By the scope that an action asks for."""
    with_deeds = {view.__name__ for view in _viewsets(Resource) for scope in view.scopes.values() if scope in OPERATORS}

    assert {"SettlementBatchViewSet", "SettlementLegViewSet", "CustomerViewSet"} <= with_deeds


def _viewsets(base: type[Resource]) -> Iterator[type[Resource]]:
    for one in base.__subclasses__():
        yield one
        yield from _viewsets(one)


# --- told: what a row says -------------------------------------------------------------------------------


def test_a_proposal_and_its_decision_say_who_what_why_and_with_whom(
    maker: Client, checker: Client, alice: Customer
) -> None:
    act(maker, ADJUST, alice.pk, **adjustment(amount="5000.00"))
    correction = Correction.objects.get()
    act(checker, "trades_correction_apply", correction.pk)
    correction.refresh_from_db()

    proposed, applied = newest(deed=ADJUST), newest(deed="trades_correction_apply")

    assert proposed.user_id == correction.made_by_id
    assert (proposed.outcome, proposed.reason, proposed.via, proposed.address) == (
        *("done", "goodwill", "admin"),
        "127.0.0.1",
    )
    assert proposed.asked == {"direction": "credit", "amount": "5000.00", "asset": "USD"}
    assert set(proposed.objects_named) == {alice.pk.hex, correction.pk.hex}
    assert (applied.user_id, applied.second_id) == (correction.checked_by_id, correction.made_by_id)
    assert (applied.before["state"], applied.after["state"]) == ("proposed", "applied")
    assert applied.request_id is not None


def test_a_refused_dialog_is_kept_though_what_it_did_is_undone(maker: Client, alice: Customer) -> None:
    act(maker, ADJUST, alice.pk, **adjustment(amount="5000.00"))
    answer = act(maker, "trades_correction_apply", Correction.objects.get().pk)

    refused = newest()
    assert (refused.deed, refused.outcome) == ("trades_correction_apply", "refused")
    assert [refused.said] == said(answer)
    assert (refused.before, refused.after) == ({}, {})


def test_a_page_that_somebody_may_not_open_is_kept(alice: Customer) -> None:
    client = logged_in("support@firm.example", "accounts.view_customer")

    assert client.get(page("accounts_customer", alice.pk)).status_code == 200
    assert JournalEntry.objects.count() == 0  # looking is no deed
    assert client.get(reverse("admin:trades_correction_changelist")).status_code == 403
    assert client.post(reverse(f"admin:{ADJUST}", args=[alice.pk]), adjustment()).status_code == 403

    assert [(one.deed, one.outcome) for one in rows()] == [
        ("trades_correction_changelist", "refused"),
        (ADJUST, "refused"),
    ]


def test_logins_failed_logins_and_logouts_are_kept_and_no_word_that_was_typed(operator: User) -> None:
    trader = a_customer("trader").user
    assert trader is not None
    client, login = Client(), reverse("admin:login")
    for email, word in (
        (operator.email, "my other password"),
        ("typed-my-password-here", WORD),
        (trader.email, WORD),
        (operator.email, WORD),
    ):
        client.post(login, {"username": email, "password": word, "next": "/admin/"})
    client.post(reverse("admin:logout"))

    found = rows()
    assert [(one.deed, one.outcome, one.user_id) for one in found] == [
        ("login", "refused", operator.pk),
        ("login", "refused", None),
        ("login", "refused", None),
        ("login", "done", operator.pk),
        ("logout", "done", operator.pk),
    ]
    assert {one.address for one in found} == {"127.0.0.1"}
    kept = everything()
    assert "password" not in kept.replace("or the password is wrong", "")
    assert trader.email not in kept


def everything() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(json_agg(to_jsonb(r))::text, '') FROM accounts_journalentry r")
        text: str = cursor.fetchone()[0]
    return text


def test_of_personal_data_and_passwords_it_says_only_that_they_changed(browser: Client, alice: Customer) -> None:
    """Guard: `row_facts._hidden`."""
    form = {"name": "Alice Liddell", "type": alice.type, "state": alice.state, "labels": "wonderland"}
    edited(browser, page("accounts_customer", alice.pk), form)
    alice.refresh_from_db()
    assert alice.name == "Alice Liddell"
    browser.post(
        reverse("admin:accounts_user_add"),
        {"email": "new@firm.example", "password1": "quite another word", "password2": "quite another word"},
    )

    changed, added = newest(deed="accounts_customer_change"), newest(deed="accounts_user_add")
    assert changed.after == {"name": "changed", "labels": "changed"}
    assert added.outcome == "done"
    assert added.objects_named == [User.objects.get(email="new@firm.example").pk.hex]
    kept = everything()
    for word in ("Liddell", "wonderland", "new@firm", "another word", "md5$"):
        assert word not in kept, word


def test_a_word_that_looks_like_an_address_is_left_out_of_what_is_said() -> None:
    entry = journal.record(
        "x", by=Actor(), via=journal.Via.COMMAND, outcome=journal.Outcome.REFUSED, said="There is no 'a@b.example'.\0"
    )

    assert entry.said == "There is no '…@…'."


def test_a_command_says_who_ran_it_on_what_and_what_came_of_it(operator: User, alice: Customer) -> None:
    btc_at("40_000.00")
    trade = a_settling_buy(alice, btc("0.1"))

    call_command("flag_trade", trade.pk.hex, "--reason", "looked at", "--by", operator.email)

    done = newest()
    assert (done.deed, done.via, done.user_id, done.outcome) == ("flag_trade", "command", operator.pk, "done")
    assert (done.reason, done.objects_named[0]) == ("looked at", trade.pk.hex)


def test_an_operators_machine_is_in_it_with_what_it_was_refused(operator: User, alice: Customer) -> None:
    btc_at("40_000.00")
    a_settling_buy(alice, btc("0.1"))
    batch = cut_now(at=timezone.now(), by=Actor(user_id=operator.pk), legs_are_automatic=True)
    reader, machine = the_firm("settlements:read"), the_firm()

    refused = reader.post(f"/api/settlement_batches/{batch.pk.hex}/confirm")
    done = machine.post(f"/api/settlement_batches/{batch.pk.hex}/confirm")

    assert (refused.status, done.status) == (403, 200)
    confirmed_by = SettlementBatch.objects.get(pk=batch.pk).confirmed_by_client_id
    first, second = rows(via="api")
    assert (first.outcome, second.outcome) == ("refused", "done")
    assert (second.client_id, second.user_id, second.objects_named) == (confirmed_by, None, [batch.pk.hex])
    assert first.deed == second.deed == "api POST batch-confirm"


def test_what_cannot_be_read_is_refused_by_the_view_as_before(alice: Customer) -> None:
    answer = the_firm().post("/api/settlement_batches", raw=b'{"legs_are_automatic": ')

    assert answer.status == 400
    assert newest(via="api").outcome == "refused"


# --- kept: nobody changes it ------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["outcome = 'nothing'", "user_id = gen_random_uuid()", "said = 'x'"])
def test_a_row_that_was_changed_around_its_guards_is_named_by_the_audit(change: str) -> None:
    """Guards: `append_only` (tests/test_roles.py, with the role's rights) and, for its owner, the seals."""
    entry = journal.record("x", by=Actor(), via=journal.Via.ADMIN, outcome=journal.Outcome.DONE)
    seal()

    tampered(f"UPDATE accounts_journalentry SET {change} WHERE id = %s", entry.pk)

    assert named() == {("sealed accounts_journalentry", entry.pk.hex)}


# --- shown ------------------------------------------------------------------------------------------------


def test_the_journal_is_filtered_by_person_object_day_and_deed(maker: Client, checker: Client, alice: Customer) -> None:
    act(maker, ADJUST, alice.pk, **adjustment())
    act(checker, ADJUST, a_customer("bob").pk, **adjustment())
    url = reverse("admin:accounts_journalentry_changelist")
    today = f"{timezone.now():%Y-%m-%d}"

    def found(**query: str) -> list[str | None]:
        answer = maker.get(url, query)
        assert answer.status_code == 200
        return [User.objects.get(pk=one.user_id).email for one in answer.context["cl"].result_list]

    both = ["checker@firm.example", "maker@firm.example"]
    assert found() == found(deed=ADJUST) == found(outcome="done") == found(q=ADJUST) == both
    assert found(q="maker@firm.example") == found(q=alice.pk.hex) == both[1:]
    assert found(q=f"{alice.pk} checker@firm.example") == found(deed="login") == found(q="2020-01-01") == []
    assert len(found(q=today)) in (0, 2)  # none where the day has just changed


def test_the_history_of_a_row_has_old_and_new_values_of_all_who_changed_it(
    maker: Client, checker: Client, alice: Customer
) -> None:
    act(maker, ADJUST, alice.pk, **adjustment(amount="5000.00"))
    correction = Correction.objects.get()
    act(checker, "trades_correction_apply", correction.pk)

    text = shown(maker.get(reverse("admin:trades_correction_history", args=[correction.pk])))

    assert "state: proposed → applied" in text
    assert "checker@firm.example" in text
    assert "with maker@firm.example" in text
    assert text.index("checker@firm.example") < text.index("trades correction apply")


@pytest.mark.parametrize(("has", "came_of_it"), [({"with_usd": "10.00"}, "refused"), ({}, "done")])
def test_a_history_keeps_what_was_said_of_other_rows_from_who_may_not_read_them(
    maker: Client, has: dict[str, Any], came_of_it: str
) -> None:
    """Guard: `_is_told_whole`: a dealer reads customers, and neither erasures nor the journal."""
    alice = a_customer("alice", **has)
    act(maker, "accounts_customer_propose_erasure", alice.pk, reason="a letter of hers")
    assert newest().outcome == came_of_it
    act(maker, "accounts_customer_freeze", alice.pk, reason="a court's letter")
    url = reverse("admin:accounts_customer_history", args=[alice.pk])

    dealers, risks = (shown(browser_with(role).get(url)) for role in (deeds.DEALER, deeds.RISK))

    for text in (dealers, risks):
        assert "propose erasure" in text
        assert "state: verified → frozen" in text
        assert "a court&#x27;s letter" in text
    assert "a letter of hers" not in dealers
    assert "a letter of hers" in risks


def test_what_was_taken_away_is_kept_with_the_filters_of_the_list(browser: Client, alice: Customer) -> None:
    url = reverse("admin:trades_order_changelist")
    assert browser.get(url, {"csv": "1", "state__exact": "x"}).status_code == 302  # no filter of this list
    assert browser.get(url, {"csv": "1", "status__exact": "CLOSED", "q": "a@b.example"}).status_code == 200
    browser.get(reverse("admin:trades_order_best_execution"), {"csv": "1", "day": "2026-01-31", "symbol": ""})

    assert [(one.deed, one.asked) for one in rows()] == [
        ("trades_order_export", {"status": "CLOSED", "q": "given"}),
        ("trades_order_best_execution_export", {"day": "2026-01-31"}),
    ]


def test_a_deed_that_was_cut_off_is_shown_as_begun() -> None:
    begun = journal.begin("x", by=Actor(user_id=UUID(NOBODY)), via=journal.Via.ADMIN)
    other = journal.begin("y", by=Actor(user_id=UUID(NOBODY)), via=journal.Via.ADMIN)
    journal.end(other, journal.Outcome.DONE)

    assert [(one.deed, one.outcome) for one in rows()] == [("x", "begun"), ("y", "done")]
    assert rows()[0].pk == begun.entry.pk


def test_what_is_filled_in_is_kept_where_it_can_name_nobody() -> None:
    asked = {"amount": "25.00", "holder": "Alice", "customer": "a" * 32, "note": {"name": "Alice"}, "is_it": "on"}
    asked |= {"phone": "4412345678", "account_number": 12345678, "spread_bps": "9", "state": {"of": "Alice"}}

    assert journal.asked_of(asked) == {
        **{"amount": "25.00", "customer": "a" * 32, "is_it": "on", "spread_bps": "9"},
        **dict.fromkeys(["holder", "note", "phone", "account_number", "state"], "given"),
    }


@pytest.mark.parametrize("name", ["password", "password2", "new_password", "client_secret", "access_token", "code"])
def test_a_secret_that_looks_like_an_id_is_not_kept(name: str) -> None:
    """Guard: `_SECRET`."""
    asked = {name: "0123456789abcdef" * 2, f"BTC-{name}": str(UUID(NOBODY)), f"{name}-x": "a" * 32}
    assert set(journal.asked_of(asked).values()) == {"given"}


def test_what_is_left_out_of_a_long_form_is_counted() -> None:
    """Guard: "left out" of `asked_of`. What nobody filled in, a row's `seen`, takes nobody's place."""
    rows = {f"A{number:02}-{field}": "1" for number in range(60) for field in ("seen", "actual")}

    told = journal.asked_of(rows)

    assert told == {**{f"A{number:02}-actual": "1" for number in range(50)}, "left out": 10}
    few = dict(list(rows.items())[:100])
    assert journal.asked_of(few) == {name: "1" for name in few if name.endswith("-actual")}
