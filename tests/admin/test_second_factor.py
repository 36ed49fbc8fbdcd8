"""The second factor of staff: demanded on every page, added once, asked for afresh where money or control goes."""

from __future__ import annotations

import re
import time
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.models import JournalEntry, User
from accounts.services import journal, second_factor
from tests.admin.actions import act, said, sent, shown
from tests.given import a_customer, balance, usd
from tests.trades.corrections.staff import why
from trades.admin.staff import PROPOSED
from trades.corrections.propose import propose_adjustment
from trades.models import ControlChange, Correction

pytestmark = pytest.mark.django_db

WORD = "a long enough word"
SHOW, ENROL = "/admin/second_factor/", "/admin/second_factor/enrol/"


@pytest.fixture(autouse=True)
def _demanded(settings: Any) -> None:
    settings.SECOND_FACTOR = True
    settings.OTP_TOTP_THROTTLE_FACTOR = settings.OTP_STATIC_THROTTLE_FACTOR = 0  # nobody waits after a wrong one


def code_of(user: User) -> str:
    return code_by(TOTPDevice.objects.get(user=user))


def code_by(device: Any) -> str:
    now = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    now.time = time.time()
    return f"{now.token():06}"


def logged_in(email: str) -> Client:
    """By the password alone."""
    client = Client()
    assert client.login(email=email, password=WORD)
    return client


def enrolled(email: str) -> tuple[User, Client, list[str]]:
    """A new Administrator with a second factor, the browser in which they added it, and the recovery codes."""
    user = User.objects.create_superuser(email, WORD)
    client = logged_in(email)
    client.get(ENROL)
    answer = client.post(ENROL, {"code": code_of(user)})
    return user, client, re.findall(r"<code[^>]*>(\w+)</code>", answer.content.decode())


def test_a_password_alone_opens_no_page_of_the_admin(operator):
    """Guard: `SecondFactorMiddleware`."""
    browser = logged_in(operator.email)
    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]

    for url in ("/admin/", "/admin/password_change/", "/admin/nonsense/", "/admin/autocomplete/", *lists):
        for asked in (browser.get(url), browser.post(url)):
            assert (asked.status_code, asked.headers.get("Location")) == (302, SHOW), url
    refused = browser.get("/admin/", headers={"HX-Request": "true"})
    assert (refused.status_code, refused["HX-Redirect"]) == (403, SHOW)
    assert Client().get(SHOW).status_code == Client().get(ENROL).status_code == 302
    assert browser.get(SHOW)["Location"] == ENROL


def test_an_authenticator_is_added_by_its_code_and_the_recovery_codes_are_shown_once(operator):
    browser = logged_in(operator.email)
    page = browser.get(ENROL).content.decode()
    assert "<svg" in page
    assert TOTPDevice.objects.get().config_url.partition("secret=")[2].partition("&")[0] in page

    assert "That code is wrong" in shown(browser.post(ENROL, {"code": "123"}))
    assert browser.get("/admin/").status_code == 302
    shown_once = browser.post(ENROL, {"code": code_of(operator)}).content.decode()

    assert len(set(re.findall(r"<code[^>]*>(\w+)</code>", shown_once))) == 10
    assert browser.get("/admin/").status_code == 200
    assert browser.get(ENROL)["Location"] == SHOW


def test_each_code_opens_one_session_and_a_recovery_code_too():
    user, _, codes = enrolled("ann@firm.example")
    used = code_of(user)
    TOTPDevice.objects.update(last_t=10**9)  # as if it had been used just now

    assert "That code is wrong" in shown(logged_in(user.email).post(SHOW, {"code": used}))
    assert logged_in(user.email).post(SHOW, {"code": f" {codes[0].upper()} "})["Location"] == "/admin/"
    assert "That code is wrong" in shown(logged_in(user.email).post(SHOW, {"code": codes[0]}))
    TOTPDevice.objects.update(last_t=-1)
    browser = logged_in(user.email)
    assert browser.post(SHOW, {"code": code_of(user)})["Location"] == "/admin/"
    assert browser.get("/admin/").status_code == 200


def test_who_has_only_the_password_adds_no_authenticator_beside_the_owners():
    """Guard: `is_enrolled` in `finish`, and in the page: one that was begun before is never confirmed."""
    user, *_ = enrolled("ann@firm.example")
    thiefs = TOTPDevice.objects.create(user=user, confirmed=False)
    now = TOTP(thiefs.bin_key)
    now.time = time.time()

    assert logged_in(user.email).post(ENROL, {"code": f"{now.token():06}"})["Location"] == SHOW
    assert second_factor.finish(user, thiefs.pk, f"{now.token():06}") is None
    assert TOTPDevice.objects.filter(confirmed=True).count() == 1


def test_a_key_that_one_session_read_is_never_confirmed_by_another():
    """Guard: the device's id in the session: who has only the password reads a key, and the owner confirms another."""
    user = User.objects.create_superuser("ann@firm.example", WORD)
    thief, owner = logged_in(user.email), logged_in(user.email)
    read = [browser.get(ENROL).context["key"] for browser in (thief, owner, thief, owner)]
    assert read[:2] == read[2:]
    assert read[0] != read[1]
    of_thief, of_owner = (next(one for one in TOTPDevice.objects.all() if key in one.config_url) for key in read[:2])

    assert "That code is wrong" in shown(owner.post(ENROL, {"code": code_by(of_thief)}))
    assert b"<code" in owner.post(ENROL, {"code": code_by(of_owner)}).content

    assert TOTPDevice.objects.get() == of_owner
    assert thief.post(ENROL, {"code": code_by(of_thief)})["Location"] == SHOW


def test_applying_takes_a_fresh_code(alice_is_owed):
    """Guard: `FreshCodeForm._post_clean`."""
    _, browser, codes = enrolled("ann@firm.example")
    url = reverse("admin:trades_correction_apply", args=[alice_is_owed.pk])
    opened = browser.get(url)
    assert 'name="code"' in opened.content.decode()

    browser.post(url, sent())
    assert "That code is wrong" in shown(browser.post(url, sent(code="000000")))
    assert Correction.objects.get().state == "proposed"

    assert said(browser.post(url, sent(code=codes[1]), follow=True)) == ["Applied: 1 movements."]
    assert "That code is wrong" in shown(browser.post(url, sent(code=codes[1])))


def test_no_code_is_in_the_journal_and_a_wrong_one_is_refused_there(alice_is_owed):
    """Guard: "code" in `_NOT_FILLED_IN`: a code that the clock still takes would stand in the journal in clear."""
    user, browser, codes = enrolled("ann@firm.example")
    url = reverse("admin:trades_correction_apply", args=[alice_is_owed.pk])
    other = logged_in(user.email)
    other.post(SHOW, {"code": "000001"})
    other.post(SHOW, {"code": codes[0]})
    browser.post(url, sent(code="000002"))
    browser.post(url, sent(code=codes[1]))

    found = [(one.deed, one.outcome) for one in journal.entries().order_by("pk")]
    assert found == [
        ("second_factor_enrol", "done"),
        ("second_factor", "refused"),
        ("second_factor", "done"),
        ("trades_correction_apply", "refused"),
        ("trades_correction_apply", "done"),
    ]
    assert {name for asked in JournalEntry.objects.values_list("asked", flat=True) for name in asked} == set()


@pytest.mark.parametrize(
    "action",
    [
        *(
            "accounts_customer_propose_adjustment",
            "accounts_customer_close_positions",
            "accounts_customer_enable_login",
        ),
        *("accounts_user_enable_login", "accounts_user_reset_second_factor"),
        *("trades_order_close_position", "trades_order_cancel_order", "trades_payment_came_back"),
        *("trades_correction_propose_adjustment", "trades_dealersaction_close_symbol"),
    ],
)
def test_what_moves_money_at_once_or_lets_somebody_in_takes_a_fresh_code(action):
    """Guard: `FreshCodeForm` among each form's bases."""
    _, browser, _ = enrolled("ann@firm.example")
    is_lists = action in ("trades_correction_propose_adjustment", "trades_dealersaction_close_symbol")
    url = reverse(f"admin:{action}", args=[] if is_lists else [a_customer("alice").pk])

    assert 'name="code"' in browser.get(url).content.decode()


def test_a_code_is_not_used_up_by_a_dialog_in_which_something_else_is_wrong():
    """Guard: `_post_clean`: the code is looked at after each form's own `clean`."""
    _, browser, codes = enrolled("ann@firm.example")
    url = reverse("admin:accounts_customer_propose_adjustment", args=[a_customer("alice").pk])
    given = {"direction": "credit", "asset": "USD", "reason": "goodwill", "reference": "", "code": codes[0]}

    browser.post(url, sent(**given, once=uuid4(), amount="1.001"))
    assert not Correction.objects.exists()
    browser.post(url, sent(**given, once=uuid4(), amount="1.00"))
    assert Correction.objects.exists()


@pytest.fixture
def alice_is_owed() -> Correction:
    alice = a_customer("alice")
    return propose_adjustment(alice.pk, "USD", usd("5_000.00"), "credit", **why())


def test_two_administrators_reset_it_for_somebody_else_and_their_sessions_end():
    """Guards: `_by_two` of the users' page, and the fresh code of *Apply*."""
    ann, browser, codes = enrolled("ann@firm.example")
    ben, bens, _ = enrolled("ben@firm.example")
    _, other, others = enrolled("carol@firm.example")
    why_ = "lost their telephone"

    own = browser.post(
        reverse("admin:accounts_user_reset_second_factor", args=[ann.pk]), sent(reason=why_, code=codes[0]), follow=True
    )
    assert said(own)[-1].startswith("Nobody changes what they themselves may do")
    assert TOTPDevice.objects.filter(user=ann).exists()
    url = reverse("admin:accounts_user_reset_second_factor", args=[ben.pk])
    assert said(browser.post(url, sent(reason=why_, code=codes[1]), follow=True))[-1] == PROPOSED
    act(browser, "accounts_user_propose_rights", ben.pk, adds=["factor"], reason=why_)
    applies = reverse("admin:trades_controlchange_apply", args=[ControlChange.objects.get().pk])
    other.post(applies, sent())
    assert TOTPDevice.objects.filter(user=ben).exists()
    other.post(applies, sent(code=others[0]))

    assert not TOTPDevice.objects.filter(user=ben).exists()
    assert bens.get("/admin/")["Location"].startswith("/admin/login/")
    assert logged_in(ben.email).get(SHOW)["Location"] == ENROL


def test_a_sandbox_asks_for_no_code(settings, operator):
    settings.SECOND_FACTOR = False
    browser = logged_in(operator.email)

    assert browser.get("/admin/").status_code == 200
    assert balance(a_customer("alice")) == 0
