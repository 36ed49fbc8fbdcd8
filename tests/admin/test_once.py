"""What a form writes is written once, and from what it was made of; who was signed out comes back to it."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from accounts.admin.dialogs import DialogForm, OwnKeyForm, dialog
from accounts.admin.noting import ONCE
from accounts.admin.once import VERSION, WITHOUT, WrittenOnce
from accounts.models import ApiClient, Customer, JournalEntry
from accounts.services import journal
from accounts.states import CustomerState
from quotes.models import Instrument
from tests.admin.actions import act, hidden, logged_in, page, said
from tests.admin.many_rows import many_rows
from tests.given import a_customer
from trades.models import Correction

pytestmark = pytest.mark.django_db

# Every page that edits rows, with a column of it that somebody may change and what two persons make of it.
EDITED: dict[str, tuple[str, Any, Any]] = {
    "accounts_apiclient": ("name", "first", "second"),
    "accounts_customer": ("name", "first", "second"),
    "accounts_user": ("name", "first", "second"),
    "accounts_webhooksubscription": ("", "", ""),
    "django_celery_beat_crontabschedule": ("minute", "7", "8"),
    "django_celery_beat_intervalschedule": ("every", "71", "72"),
    "django_celery_beat_periodictask": ("description", "first", "second"),
    "quotes_instrument": ("name", "first", "second"),
    "trades_settlementwindow": ("name", "first", "second"),
}


def pages() -> dict[str, Any]:
    return {f"{model._meta.app_label}_{model._meta.model_name}": one for model, one in admin.site._registry.items()}


class Form:
    """A form as a browser has it open."""

    def __init__(self, client: Client, url: str) -> None:
        self.client, self.url = client, url
        answer = client.get(url)
        assert answer.status_code == 200
        form = answer.context["adminform"].form
        self.data: dict[str, Any] = {}
        for name in form.fields:
            bound = form[name]
            parts = bound.value() if bound.value() is not None else ""
            if isinstance(parts, bool):
                self.data.update({bound.html_name: "on"} if parts else {})
            else:
                self.data[bound.html_name] = [getattr(one, "pk", one) for one in parts] if _many(parts) else parts
        if "labels" in self.data and _many(self.data["labels"]):
            self.data["labels"] = ",".join(self.data["labels"])

    def send(self, **changed: Any) -> Any:
        return self.client.post(self.url, {**self.data, **changed})


def _many(value: object) -> bool:
    return not isinstance(value, str) and hasattr(value, "__iter__")


def refusal(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    return " ".join(answer.context["adminform"].form.non_field_errors())


# --- forms ------------------------------------------------------------------------------------------------


def test_every_form_that_edits_a_row_refuses_to_save_over_somebody_elses_change(maker: Client, checker: Client) -> None:
    """Guard: `WrittenOnce.get_form`, of whose pages a new one is in this walk."""
    many_rows(1)
    walked = set()
    for name, site_page in pages().items():
        assert isinstance(site_page, WrittenOnce), name
        row = site_page.model._default_manager.last()
        url = page(name, row.pk)
        if b'name="_save"' not in maker.get(url).content:
            continue
        column, first, second = EDITED[name]
        mine, theirs = Form(maker, url), Form(checker, url)
        saved = theirs.send(**{column: first})
        assert saved.status_code == 302, (name, saved.context["adminform"].form.errors)

        told = refusal(mine.send(**{column: second}))

        row.refresh_from_db()
        assert str(getattr(row, column)) == first, name
        assert told.startswith(f"Nothing was saved: since this form was opened, {column}"), (name, told)
        assert "by checker@firm.example at 20" in told, (name, told)
        assert Form(maker, url).send(**{column: second}).status_code == 302, name
        walked.add(name)
    assert walked == {name for name, (column, *_) in EDITED.items() if column}


def test_a_corrected_name_does_not_unfreeze_a_customer(maker: Client, checker: Client) -> None:
    alice = a_customer("alice")
    form = Form(maker, page("accounts_customer", alice.pk))
    Form(checker, page("accounts_customer", alice.pk)).send(state="frozen")

    told = refusal(form.send(name="Alice Liddell"))

    assert "state (now frozen) changed, by checker@firm.example" in told
    assert Customer.objects.values_list("state", "name").get(pk=alice.pk) == (CustomerState.FROZEN, alice.name)
    assert JournalEntry.objects.latest("pk").outcome == "refused"


def test_what_a_command_or_a_service_changed_counts_as_well(maker: Client) -> None:
    form = Form(maker, page("quotes_instrument", "BTC-USD"))
    Instrument.objects.filter(pk="BTC-USD").update(leverage_cap=30)

    told = refusal(form.send(name="Bitcoin"))

    assert "leverage cap changed, by a command, by API or by the system itself" in told
    assert Instrument.objects.get(pk="BTC-USD").leverage_cap == 30


@pytest.mark.parametrize("version", [None, "", "nonsense", "eyJ4IjoxfQ:1abc:xyz"])
def test_a_form_without_its_version_saves_nothing(maker: Client, version: str | None) -> None:
    alice = a_customer("alice")
    form = Form(maker, page("accounts_customer", alice.pk))
    form.data.pop(VERSION)

    answer = form.send(name="x", **({} if version is None else {VERSION: version}))

    assert WITHOUT in refusal(answer)
    assert Customer.objects.get(pk=alice.pk).name == alice.name


@pytest.mark.django_db(transaction=True)
def test_of_two_who_save_at_the_same_moment_the_second_is_told() -> None:
    """Guard: `lock=True` in `_Versioned.clean`: the second compares with what the first has committed."""
    alice = a_customer("alice")
    form = Form(logged_in("maker@firm.example"), page("accounts_customer", alice.pk))
    answers: list[Any] = []

    def save() -> None:
        try:
            answers.append(form.send(name="second"))
        finally:
            connection.close()

    second = threading.Thread(target=save)
    with transaction.atomic():
        Customer.objects.filter(pk=alice.pk).update(type=Customer.Type.BUSINESS)
        second.start()
        wait_until_waiting()
    second.join()

    assert "type changed" in refusal(answers[0])
    assert Customer.objects.get(pk=alice.pk).name == alice.name


def wait_until_waiting() -> None:
    from tests.races.together import wait_until_waiting as wait

    wait()


def test_a_form_that_makes_a_row_makes_one_however_often_it_is_sent(maker: Client) -> None:
    """Guard: `a_dialog_is_answered_once`."""
    form = Form(maker, reverse("admin:accounts_apiclient_add"))
    first, second = (form.send(name="a partner", scopes=["quotes:read"]) for _ in range(2))

    assert (first.status_code, second.status_code) == (302, 302)
    assert ApiClient.objects.filter(name="a partner").count() == 1
    assert "This was sent already; it was done." in said(maker.get(second["Location"], follow=True))


# --- dialogs ----------------------------------------------------------------------------------------------


def dialogs() -> dict[str, type[DialogForm]]:
    found = {}
    for site_page in pages().values():
        for action in (*site_page._get_base_actions_list(), *site_page._get_base_actions_detail()):
            if action.dialog:
                found[action.action_name] = action.dialog["form_class"]
    return found


def test_every_dialog_has_a_one_time_key() -> None:
    """Guard: `dialog` takes no other form."""
    assert len(dialogs()) > 40
    for name, form in dialogs().items():
        assert issubclass(form, DialogForm), name
        own = "once" if issubclass(form, OwnKeyForm) else ONCE
        assert form.base_fields[own].required, name

    from unfold.forms import BaseDialogForm

    with pytest.raises(TypeError, match="no DialogForm"):
        dialog("?", "", "", BaseDialogForm)


def test_a_dialog_answered_twice_is_carried_out_once(maker: Client) -> None:
    """Guards: `a_dialog_is_answered_once`, and `JournalMiddleware.process_view`, which asks before the view does."""
    url = reverse("admin:trades_counterparty_add_one")
    opened = maker.get(url)
    answers = {**hidden(opened), **_filled(opened)}

    first, second = (maker.post(url, answers, follow=True) for _ in range(2))

    assert said(second)[-1] == "This was sent already; it was done.", said(first)
    assert JournalEntry.objects.filter(deed="trades_counterparty_add_one").count() == 2  # begun, done


def _filled(opened: Any) -> dict[str, str]:
    from trades.admin.counterparties import CounterpartyForm

    form = CounterpartyForm(opened.wsgi_request)
    filled = {}
    for name, field in form.fields.items():
        if not field.widget.is_hidden and field.required:
            choices = [key for key, _ in getattr(field, "choices", []) if key]
            filled[name] = choices[0] if choices else "Bank"
    return filled


def test_a_dialog_that_is_shown_again_has_another_key_and_can_be_answered(maker: Client) -> None:
    alice = a_customer("alice", with_usd="10_000.00")
    url = reverse("admin:accounts_customer_propose_erasure", args=[alice.pk])
    opened = maker.get(url)

    again = maker.post(url, {**hidden(opened), "reason": ""})
    assert again.status_code == 200
    assert hidden(again)[ONCE] != hidden(opened)[ONCE]
    assert journal.entries().latest("pk").outcome == "nothing"

    assert maker.post(url, {**hidden(again), "reason": "asked for"}).status_code == 302


def test_a_dialog_without_its_key_does_nothing(maker: Client, checker: Client) -> None:
    alice = a_customer("alice", with_usd="10_000.00")
    asked = {"direction": "credit", "amount": "5000.00", "asset": "USD", "reason": "goodwill", "reference": ""}
    act(maker, "accounts_customer_propose_adjustment", alice.pk, **asked)
    correction = Correction.objects.get()

    checker.post(reverse("admin:trades_correction_apply", args=[correction.pk]), {"_form_submitted": "True"})

    correction.refresh_from_db()
    assert correction.state == "proposed"


# --- signed out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_was_signed_out_is_told_and_comes_back_to_the_page(maker: Client, method: str) -> None:
    alice = a_customer("alice")
    url = page("accounts_customer", alice.pk)
    maker.session.flush()

    answer = getattr(maker, method)(url, {"name": "x"} if method == "post" else {}, follow=True)

    assert "Signed out. Sign in to go on." in answer.content.decode()
    assert answer.redirect_chain[0][0].startswith(f"/admin/login/?next={url}")


def test_who_was_signed_out_in_a_dialog_is_led_to_the_login_and_back_to_the_dialogs_page(maker: Client) -> None:
    alice = a_customer("alice")
    dialog_url = reverse("admin:accounts_customer_propose_adjustment", args=[alice.pk])
    where = page("accounts_customer", alice.pk)
    maker.session.flush()

    answer = maker.post(
        dialog_url, {"amount": "1"}, headers={"HX-Request": "true", "HX-Current-URL": f"http://testserver{where}"}
    )

    assert answer["HX-Redirect"] == f"/admin/login/?next={where.replace('/', '%2F')}"
    assert not JournalEntry.objects.exists()


def test_a_stranger_is_not_told_that_they_were_signed_out() -> None:
    assert "Signed out" not in Client().get("/admin/", follow=True).content.decode()
