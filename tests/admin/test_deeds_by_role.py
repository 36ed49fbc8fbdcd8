"""Who may do what in the admin: each role tries each deed's address by a forged POST, and opens each list."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts import deeds
from accounts.models import User
from tests.admin.actions import act, browser_with, edited, offers, page, said, sent, shown, staff
from tests.given import a_customer

pytestmark = pytest.mark.django_db

NOTHING = "0" * 32
SCRIPT = {"HX-Request": "true"}
# Every address by which something is done, and the deed that it takes. `*` ends what is asked of a row's page.
DEEDS = {
    "accounts_ledgeraudit_recount": "recount_books",
    "accounts_reconciliationrun_reconcile_statement": "reconcile",
    "accounts_reconciliationrun_add": "reconcile",
    "accounts_apiclient_add": "manage_clients",
    "accounts_apiclient_change*": "manage_clients",
    "accounts_webhooksubscription_add": "manage_webhooks",
    "accounts_user_add": "manage_staff",
    "accounts_user_change*": "manage_staff",
    "accounts_user_disable_login*": "disable_login",
    "accounts_user_enable_login*": "disable_login",
    "accounts_user_log_out_everywhere*": "log_out",
    "accounts_user_let_in*": "manage_staff",
    "accounts_user_reset_second_factor*": "manage_staff",
    "accounts_user_propose_rights*": "manage_staff",
    "accounts_customer_propose_adjustment*": "propose_correction",
    "accounts_customer_propose_erasure*": "propose_erasure",
    "accounts_customer_propose_class*": "propose_client_class",
    "trades_clientclasschange_apply*": "decide_client_class",
    "trades_clientclasschange_refuse*": "decide_client_class",
    "accounts_customer_freeze*": "freeze_customer",
    "accounts_customer_thaw*": "freeze_customer",
    "accounts_customer_disable_login*": "disable_login",
    "accounts_customer_enable_login*": "disable_login",
    "accounts_customer_log_out*": "log_out",
    "accounts_customer_close_positions*": "deal",
    "trades_marginaccount_close_positions*": "deal",
    "trades_order_close_position*": "deal",
    "trades_order_cancel_order*": "deal",
    "trades_position_close_position*": "deal",
    "trades_position_cancel_order*": "deal",
    "trades_dealersaction_close_symbol": "deal",
    "trades_dealersaction_send_again*": "deal",
    "trades_dealersaction_order*": "decide_deal",
    "trades_dealersaction_refuse*": "decide_deal",
    "quotes_instrument_add": "change_instrument",
    "quotes_instrument_change*": "change_instrument",
    "quotes_instrument_accept_refused*": "hold_price",
    "quotes_instrument_switch*": "halt_market",
    "quotes_tradinghours_add": "change_instrument",
    "quotes_instrumentchange_propose": "change_instrument",
    "quotes_instrumentchange_apply*": "apply_instrument_change",
    "quotes_instrumentchange_refuse*": "apply_instrument_change",
    "trades_correction_propose_adjustment": "propose_correction",
    "trades_correction_apply*": "apply_correction",
    "trades_correction_reject*": "apply_correction",
    "accounts_apiclient_propose_scopes*": "manage_clients",
    "trades_settlementwindow_propose_automatic*": "change_window",
    "trades_risklimit_put_limit": "change_limit",
    "trades_risklimit_lower_limit*": "change_limit",
    "trades_risklimit_propose_raise*": "change_limit",
    "trades_controlchange_apply*": "decide_control",
    "trades_controlchange_refuse*": "decide_control",
    "trades_erasure_carry_out*": "decide_erasure",
    "trades_erasure_refuse*": "decide_erasure",
    "accounts_break_take*": "look_after_break",
    "accounts_break_explain*": "look_after_break",
    "accounts_break_propose_paid*": "propose_correction",
    "accounts_break_propose_written_off*": "propose_correction",
    "trades_settlementbatch_cut_everything": "cut_batch",
    "trades_settlementbatch_confirm_batch*": "confirm_batch",
    "trades_settlementbatch_cancel_batch*": "cancel_batch",
    "trades_settlementbatch_settle_batch*": "settle_batch",
    "trades_settlementbatch_report_legs*": "report_leg",
    "trades_settlementbatch_propose_reversal*": "propose_correction",
    "trades_settlementleg_report_settled*": "report_leg",
    "trades_settlementleg_report_failed*": "report_leg",
    "trades_settlementleg_propose_reversal*": "propose_correction",
    "trades_settlementwindow_add": "change_window",
    "trades_settlementwindow_change*": "change_window",
    "trades_trade_flag*": "flag_trade",
    "trades_trade_clear_flag*": "flag_trade",
    "trades_trade_propose_reversal*": "propose_correction",
    "trades_counterparty_add_one": "add_counterparty",
    "trades_counterparty_switch_off*": "add_counterparty",
    "trades_counterparty_switch_on*": "add_counterparty",
    "trades_standinginstruction_propose": "propose_standing_instruction",
    "trades_standinginstruction_approve*": "decide_standing_instruction",
    "trades_standinginstruction_refuse*": "decide_standing_instruction",
    "trades_settlementinstruction_make_file": "make_payment_file",
    "trades_settlementinstruction_send*": "handle_instruction",
    "trades_settlementinstruction_fail*": "handle_instruction",
    "trades_settlementinstruction_cancel*": "handle_instruction",
    "trades_paymentfile_download*": "make_payment_file",
    "trades_statementfile_upload": "import_statement",
    "trades_statementfile_release*": "release_statement",
    "trades_statemententry_match*": "match_entry",
    "trades_statemententry_send_back*": "match_entry",
    "trades_statemententry_explain*": "match_entry",
    "trades_payment_confirm*": "handle_payment",
    "trades_payment_approve*": "handle_payment",
    "trades_payment_refuse*": "handle_payment",
    "trades_payment_agree*": "agree_to_payment",
    "trades_payment_came_back*": "handle_payment",
    "trades_payment_make_file": "make_payment_file",
    **{
        f"django_celery_beat_{model}_add": "change_schedule"
        for model in ("periodictask", "intervalschedule", "crontabschedule")
    },
}
# What only reads, and so is anybody's who may read the list.
READING = {
    "trades_order_best_execution",
    "trades_position_exposure",
    "trades_position_result",
    "accounts_customer_statement*",
    "trades_settlementbatch_preview_cut",
    "trades_settlementbatch_settlement_of_a_day",
    "trades_settlementwindow_preview_cut*",
}


def address(name: str) -> str:
    return reverse(f"admin:{name.rstrip('*')}", args=[NOTHING] if name.endswith("*") else [])


def actions_there_are() -> set[str]:
    """Every action of every page, as DEEDS names them."""
    found = set()
    for model, page_ in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        found |= {f"{name}_{one}" for one in page_.actions_list}
        offered = [each for one in page_.actions_detail for each in (one["items"] if isinstance(one, dict) else [one])]
        found |= {f"{name}_{one}*" for one in offered}
        assert not [*page_.actions_row, *page_.actions_submit_line]
    return found


def test_every_action_is_in_the_table():
    assert actions_there_are() <= DEEDS.keys() | READING


@pytest.mark.parametrize("role", deeds.ROLES)
def test_a_role_does_its_deeds_and_no_others_and_reads_its_lists_and_no_others(role):
    """Guard: `does` and `reads` of accounts/admin/base.py. The answer to a script is short, and quick to make."""
    browser = browser_with(role)
    for name, deed in DEEDS.items():
        if role in deeds.BY_NAME[deed].roles:
            assert browser.get(address(name)).status_code in {200, 302, 404}, name
        else:
            assert browser.post(address(name), sent(reason="forged"), headers=SCRIPT).status_code == 403, name
    sidebar = browser.get("/admin/").content.decode()
    for model in admin.site._registry:
        name = f"{model._meta.app_label}_{model._meta.model_name}"
        url = reverse(f"admin:{name}_changelist")
        assert (f'href="{url}"' in sidebar) == (name in deeds.READS[role]), name
        if name not in deeds.READS[role]:
            assert browser.get(url, headers=SCRIPT).status_code == 403, name


def test_an_administrator_does_all_of_them(browser):
    for name in ("trades_settlementbatch_cut_everything", "accounts_apiclient_add", "accounts_user_add"):
        assert browser.get(address(name)).status_code == 200, name


def test_a_refusal_names_the_roles_that_have_the_deed():
    browser = browser_with(deeds.SUPPORT)

    refused = browser.get(address("trades_settlementbatch_cut_everything"))

    assert refused.status_code == 403
    assert "Cut a batch. Who has it: Settlement maker and Administrator." in shown(refused)
    assert "Your roles: Support." in shown(refused)
    assert "Users" in shown(refused)
    assert "Batches" not in shown(refused)  # the sidebar is this person's


def test_a_script_that_is_refused_a_dialog_is_sent_to_a_page():
    browser = browser_with(deeds.SUPPORT)

    refused = browser.get(address("trades_settlementbatch_cut_everything"), headers=SCRIPT)

    assert (refused.status_code, refused["HX-Redirect"]) == (403, "/admin/")
    assert "Who has it: Settlement maker" in shown(browser.get("/admin/"))


def test_bulk_actions_ask_for_the_deed_too():
    """Guard: `permissions` of the actions. A viewer of the schedule could run any task."""
    browser = browser_with(deeds.AUDITOR)
    for model, action in (
        ("django_celery_beat_periodictask", "run_tasks"),
        ("accounts_apiclient", "end_tokens"),
        ("accounts_webhooksubscription", "end_now"),
    ):
        listed = browser.get(reverse(f"admin:{model}_changelist"))
        assert action not in listed.content.decode(), model


# --- customers: one form, three deeds -----------------------------------------------------------------


def changed(browser: Client, customer, **given: str):
    before = {"name": customer.name, "type": customer.type, "state": customer.state, "labels": ""}
    edited(browser, page("accounts_customer", customer.pk), {**before, **given})
    customer.refresh_from_db()
    return customer.name, customer.state


def test_risk_freezes_a_customer_and_changes_nothing_else_of_them():
    alice = a_customer("alice")

    assert changed(browser_with(deeds.RISK), alice, name="Mallory", state="frozen") == (alice.name, "frozen")
    assert alice.name != "Mallory"
    assert changed(browser_with(deeds.AUDITOR), alice, state="verified")[1] == "frozen"


# --- users: not root ----------------------------------------------------------------------------------


def test_support_neither_becomes_an_administrator_nor_sets_a_password_nor_gives_a_role(operator):
    support = staff("support@firm.example", deeds.SUPPORT)
    browser = Client()
    browser.force_login(support)
    forged = {"email": "x@firm.example", "is_superuser": "on", "is_staff": "on", "groups": ["1"]}

    for user in (support, operator, a_customer("alice").user):
        assert browser.post(page("accounts_user", user.pk), forged).status_code == 403
        passwords = {"password1": "another long word", "password2": "another long word"}
        set_password = browser.post(reverse("admin:auth_user_password_change", args=[user.pk]), passwords)
        assert set_password.status_code in {302, 403}
        user.refresh_from_db()
        assert user.check_password("a long enough word") or user.email.startswith("alice")
    assert (
        browser.post(
            reverse("admin:accounts_user_disable_login", args=[operator.pk]), sent(reason="forged")
        ).status_code
        == 403
    )
    operator.refresh_from_db()
    assert operator.is_active


def test_an_administrator_gives_roles_but_not_themselves(operator, browser):
    other = User.objects.create_superuser("other@firm.example", "a long enough word")
    support = staff("support@firm.example", deeds.SUPPORT)
    mine = {"email": operator.email, "name": "Op", "groups": [str(support.groups.get().pk)]}

    edited(browser, page("accounts_user", operator.pk), mine)
    operator.refresh_from_db()
    assert (operator.name, operator.is_superuser, operator.is_staff, operator.groups.count()) == ("Op", True, True, 0)

    edited(browser, page("accounts_user", other.pk), {"email": other.email, "name": "", "is_staff": "on"})
    other.refresh_from_db()
    assert (other.is_superuser, other.is_staff) == (False, True)
    own = browser.post(reverse("admin:auth_user_password_change", args=[operator.pk]), {"password1": "x"}, follow=True)
    assert said(own)[-1:] == ["Your own password is changed here, where the present one is asked for."]


def test_disabling_a_login_takes_a_reason_and_ends_its_sessions(operator):
    alice = a_customer("alice").user
    browser = browser_with(deeds.SUPPORT)
    assert "disable_login" in offers(browser, "accounts_user", alice.pk)
    assert offers(browser, "accounts_user", operator.pk) == set()

    browser.post(reverse("admin:accounts_user_disable_login", args=[alice.pk]), sent(reason=""))
    alice.refresh_from_db()
    assert alice.is_active

    told = said(act(browser, "accounts_user_disable_login", alice.pk, reason="lost their telephone"))
    alice.refresh_from_db()
    assert (told, alice.is_active) == (["The login is disabled: every session of it has ended."], False)
    act(browser, "accounts_user_enable_login", alice.pk, reason="found it")
    alice.refresh_from_db()
    assert alice.is_active
