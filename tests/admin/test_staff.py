"""Users in the admin: one Administrator takes rights away, two give them, and what lets somebody in as another."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts import deeds, services
from accounts.models import ApiClient, JournalEntry, User
from tests.admin.actions import act, browser_with, edited, logged_in, offers, page, said, sent, shown, staff
from tests.given import a_customer
from trades.admin.staff import PROPOSED, TWO_PERSONS
from trades.models import ControlChange

pytestmark = pytest.mark.django_db

USER = "accounts_user"
CONTROL = "trades_controlchange"
WORD = "a long enough word"
REFUSES = """
CREATE FUNCTION pg_temp.refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    RAISE EXCEPTION 'no' USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'staff_by_two';
END $$;
CREATE TRIGGER refuses BEFORE UPDATE ON accounts_user FOR EACH ROW EXECUTE FUNCTION pg_temp.refuses();
"""


def propose(browser: Client, user: User, *adds: str) -> list[str]:
    return said(act(browser, f"{USER}_propose_rights", user.pk, adds=list(adds), reason="joins us"))


def applied(browser: Client, **answers: str) -> list[str]:
    return said(act(browser, f"{CONTROL}_apply", ControlChange.objects.get(state="proposed").pk, **answers))


def test_a_role_is_proposed_by_one_administrator_and_applied_by_another(maker: Client, checker: Client) -> None:
    carol = User.objects.create_user("carol@firm.example", WORD)
    risk = str(Group.objects.get(name=deeds.RISK).pk)
    for given in ({"is_staff": "on"}, {"is_staff": "on", "is_superuser": "on"}, {"groups": [risk]}):
        refused = edited(maker, page(USER, carol.pk), {"email": carol.email, "name": "", **given})
        assert TWO_PERSONS in shown(refused)
    assert propose(maker, carol, "is_staff", "role:Risk") == ["It is proposed; a second person applies it."]
    change = ControlChange.objects.get()
    assert offers(maker, CONTROL, change.pk) == {"refuse"}
    assert offers(browser_with(deeds.RISK), CONTROL, change.pk) == set()
    text = shown(checker.get(reverse(f"admin:{CONTROL}_apply", args=[change.pk])))
    assert "they enter the admin, the role Risk" in text
    assert said(act(maker, f"{CONTROL}_apply", change.pk)) == [
        "Whoever proposed to switch a control off can't apply it."
    ]
    assert applied(checker) == ["The control is switched off."]
    carol.refresh_from_db()
    assert (carol.is_staff, carol.groups.get().name) == (True, "Risk")

    edited(maker, page(USER, carol.pk), {"email": carol.email, "name": "", "is_staff": "on"})
    assert carol.groups.count() == 0


def test_risk_decides_on_controls_but_not_on_staff(maker: Client) -> None:
    """Guard: `must_be_administrator` in `apply`: Risk has the deed to decide on controls."""
    carol = User.objects.create_user("carol@firm.example", WORD)
    propose(maker, carol, "is_staff")
    url = reverse(f"admin:{CONTROL}_apply", args=[ControlChange.objects.get().pk])
    assert "alone" in said(browser_with(deeds.RISK).post(url, sent(), follow=True))[-1]
    carol.refresh_from_db()
    assert not carol.is_staff


def test_another_members_password_and_login_take_two(maker: Client, checker: Client) -> None:
    """Guard: `_by_two`. The word that is typed is in no journal; a customer's is one person's."""
    risk = staff("risk@firm.example", deeds.RISK)
    set_password = reverse("admin:auth_user_password_change", args=[risk.pk])
    words = {"password1": "quite another word", "password2": "quite another word"}
    assert said(maker.post(set_password, words, follow=True))[-1] == PROPOSED
    propose(maker, risk, "password")
    change = ControlChange.objects.get()
    assert checker.post(reverse(f"admin:{CONTROL}_apply", args=[change.pk]), sent()).status_code == 200
    risk.refresh_from_db()
    assert risk.check_password(WORD)
    applied(checker, password="quite another word")
    risk.refresh_from_db()
    assert risk.check_password("quite another word")
    assert "quite another" not in str(list(JournalEntry.objects.values()))

    act(maker, f"{USER}_disable_login", risk.pk, reason="left")
    assert "enable_login" not in offers(maker, USER, risk.pk)
    enables = reverse(f"admin:{USER}_enable_login", args=[risk.pk])
    assert said(maker.post(enables, sent(reason="back"), follow=True))[-1] == PROPOSED
    propose(maker, risk, "is_active")
    applied(checker)
    risk.refresh_from_db()
    assert risk.is_active

    alice = a_customer("alice").user
    own = reverse("admin:auth_user_password_change", args=[alice.pk])
    assert maker.post(own, words).status_code == 302
    alice.refresh_from_db()
    assert alice.check_password("quite another word")


def test_the_only_administrator_makes_the_second_one_alone_and_no_third(browser: Client) -> None:
    """Guard: `is_first_second` in the form; the journal has what became of the user."""
    ben, carol = (User.objects.create_user(f"{name}@firm.example", WORD) for name in ("ben", "carol"))
    alone = {"name": "", "is_staff": "on"}
    assert TWO_PERSONS in shown(edited(browser, page(USER, ben.pk), {"email": ben.email, **alone}))
    edited(browser, page(USER, ben.pk), {"email": ben.email, **alone, "is_superuser": "on"})
    ben.refresh_from_db()
    assert (ben.is_staff, ben.is_superuser) == (True, True)
    entry = JournalEntry.objects.filter(outcome="done").latest("at")
    assert entry.deed == f"{USER}_change"

    edited(browser, page(USER, ben.pk), {"email": ben.email, "name": ""})
    refused = edited(browser, page(USER, carol.pk), {"email": carol.email, **alone, "is_superuser": "on"})
    assert TWO_PERSONS in shown(refused)
    assert User.objects.filter(is_superuser=True).count() == 1


def test_who_was_staff_is_not_taken_over_by_taking_their_rights_away_first(maker: Client, checker: Client) -> None:
    """Guards: `was_ever_staff` in `_by_two`, `get_readonly_fields` and `switch_login`; and the dialog tells the second
    person that there is no second factor, and when the password was set."""
    risk = a_customer("risk").user
    User.objects.filter(pk=risk.pk).update(is_staff=True)
    User.objects.filter(pk=risk.pk).update(is_staff=False)
    before = User.objects.get(pk=risk.pk)
    words = {"password1": "quite another word", "password2": "quite another word"}

    assert (
        said(maker.post(reverse("admin:auth_user_password_change", args=[risk.pk]), words, follow=True))[-1] == PROPOSED
    )
    resets = reverse(f"admin:{USER}_reset_second_factor", args=[risk.pk])
    assert said(maker.post(resets, sent(reason="x"), follow=True))[-1] == PROPOSED
    edited(maker, page(USER, risk.pk), {"email": "mallory@firm.example", "name": ""})
    risk.refresh_from_db()
    assert (risk.email, risk.password) == (before.email, before.password)
    User.objects.filter(pk=risk.pk).update(is_active=False)
    for url in (
        reverse(f"admin:{USER}_enable_login", args=[risk.pk]),
        reverse("admin:accounts_customer_enable_login", args=[risk.customer.pk]),
    ):
        assert "two Administrators" in said(maker.post(url, sent(reason="x"), follow=True))[-1]
    assert not User.objects.get(pk=risk.pk).is_active

    propose(maker, risk, "is_active")
    text = shown(checker.get(reverse(f"admin:{CONTROL}_apply", args=[ControlChange.objects.get().pk])))
    assert "none: whoever has the password adds one" in text
    assert "Password set" in text
    applied(checker)
    assert User.objects.get(pk=risk.pk).is_active


def test_the_second_person_is_told_who_typed_the_password(maker: Client, checker: Client) -> None:
    """Of a login that was never one of staff one person types it, and it becomes staff by two."""
    carol = User.objects.create_user("carol@firm.example", WORD)
    words = {"password1": "quite another word", "password2": "quite another word"}
    maker.post(reverse("admin:auth_user_password_change", args=[carol.pk]), words)
    propose(maker, carol, "is_staff")
    text = shown(checker.get(reverse(f"admin:{CONTROL}_apply", args=[ControlChange.objects.get().pk])))
    assert "Typed by another maker@firm.example" in text


def test_only_an_administrator_refuses_what_is_proposed_for_staff(maker: Client, checker: Client) -> None:
    """Guard: `must_be_administrator` in `refuse`; the maker takes theirs back. Nobody else is told to decide on it."""
    carol, risk = User.objects.create_user("carol@firm.example", WORD), browser_with(deeds.RISK)
    propose(maker, carol, "is_staff")
    change = ControlChange.objects.get()
    url = reverse(f"admin:{CONTROL}_refuse", args=[change.pk])
    assert "alone" in said(risk.post(url, sent(), follow=True))[-1]
    assert ControlChange.objects.get().state == "proposed"
    about = page(CONTROL, change.pk)
    assert about in checker.get("/admin/").content.decode()
    assert about not in risk.get("/admin/").content.decode()
    maker.post(url, sent())
    assert ControlChange.objects.get().state == "refused"
    propose(maker, User.objects.get(email="checker@firm.example"), "role:Risk")
    about = page(CONTROL, ControlChange.objects.get(state="proposed").pk)
    assert about not in checker.get("/admin/").content.decode()
    assert about in logged_in("third@firm.example").get("/admin/").content.decode()


def test_two_tabs_that_make_the_second_administrator_are_told(browser: Client) -> None:
    """Guard: the constraint's name in `keeping_an_administrator`; the database, here by a trigger of the same name,
    refuses what the form let through."""
    carol = User.objects.create_user("carol@firm.example", WORD)
    with connection.cursor() as cursor:
        cursor.execute(REFUSES)
    form = {"email": carol.email, "name": "", "is_staff": "on", "is_superuser": "on"}
    answer = edited(browser, page(USER, carol.pk), form, follow=True)
    assert "two Administrators" in said(answer)[-1]
    carol.refresh_from_db()
    assert not carol.is_staff


def test_a_client_that_another_tab_switched_off_is_told(maker: Client) -> None:
    """Guard: `keeping_an_administrator` about the client's page, here with a trigger that refuses as client_on_by_two
    does."""
    client = services.create_api_client("partner", ["trades:read"], timezone.now())[0]
    with connection.cursor() as cursor:
        cursor.execute(
            REFUSES.replace("staff_by_two", "client_on_by_two").replace("accounts_user", "accounts_apiclient")
        )
    form = {"name": "another", "scopes": ["trades:read"], "is_active": "on"}
    answer = edited(maker, page("accounts_apiclient", client.pk), form, follow=True)
    assert "by two persons" in said(answer)[-1]
    client.refresh_from_db()
    assert client.name == "partner"


def test_a_password_that_looks_like_an_id_is_in_no_journal(maker: Client, checker: Client) -> None:
    """Guard: `_SECRET` of the journal."""
    risk = staff("risk@firm.example", deeds.RISK)
    propose(maker, risk, "password")
    applied(checker, password="d41d8cd98f00b204e9800998ecf8427e")
    risk.refresh_from_db()
    assert risk.check_password("d41d8cd98f00b204e9800998ecf8427e")
    assert "d41d8cd98f" not in str(list(JournalEntry.objects.values()))


@pytest.mark.parametrize("adds", [["is_active"], ["role:King"], ["\x00"], []])
def test_what_cant_be_given_changes_nothing(adds: list[str], maker: Client) -> None:
    carol = User.objects.create_user("carol@firm.example", WORD)
    url = reverse(f"admin:{USER}_propose_rights", args=[carol.pk])
    assert maker.post(url, sent(adds=adds, reason="x")).status_code == 200
    assert not ControlChange.objects.exists()


def test_a_client_that_does_something_is_switched_on_again_by_two(maker: Client, checker: Client) -> None:
    """Guard: `clean_is_active`. To switch it off is one person's."""
    client = services.create_api_client("partner", ["trades:execute"], timezone.now())[0]
    form = {"name": "partner", "scopes": ["trades:execute"]}
    edited(maker, page("accounts_apiclient", client.pk), form)
    client.refresh_from_db()
    assert not client.is_active
    refused = edited(maker, page("accounts_apiclient", client.pk), {**form, "is_active": "on"})
    assert "That takes two persons" in shown(refused)
    act(maker, "accounts_apiclient_propose_scopes", client.pk, adds=["is_active"], reason="they are back")
    assert "it works again" in shown(checker.get(page(CONTROL, ControlChange.objects.get().pk)))
    applied(checker)
    assert ApiClient.objects.get().is_active
