"""Risk limits in the admin and at the command line: one person lowers, two raise, and what is nearly used up is red."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from accounts import deeds
from accounts.models import Customer, JournalEntry, User
from brokerage.observe import state
from tests.admin.actions import act, browser_with, offers, page, said, sent, shown, staff
from tests.given import a_customer, btc_at
from tests.trades.engine_steps import opens
from trades import risk_limits
from trades.models import ControlChange, RiskLimit

pytestmark = pytest.mark.django_db

LIMIT = "trades_risklimit"


@pytest.fixture
def alice() -> Customer:
    btc_at("40_000.00")
    return a_customer(with_usd="100_000.00")


def put(browser: Client, **wanted: object) -> list[str]:
    given = {"kind": "symbol", "of": "", "amount": "5000", "reason": "as agreed"} | wanted
    return said(act(browser, f"{LIMIT}_put_limit", **given))


def amount() -> int | None:
    return RiskLimit.objects.get().amount


def test_risk_lowers_a_limit_alone_and_raises_it_with_another() -> None:
    risk, other = browser_with(deeds.RISK), browser_with(deeds.RISK)
    assert put(risk, of="btc-usd") == ["The limit is set."]
    limit = RiskLimit.objects.get()
    assert put(risk, of="BTC-USD", amount="6000") == [risk_limits.LimitIsLower.sentence]
    assert said(act(risk, f"{LIMIT}_lower_limit", limit.pk, amount="4000", reason="less")) == ["The limit is lowered."]
    assert said(act(risk, f"{LIMIT}_lower_limit", limit.pk, amount="4001", reason="x")) == [
        risk_limits.LimitIsLower.sentence
    ]
    entry = JournalEntry.objects.filter(outcome="done").latest("at")
    assert (entry.reason, entry.deed) == ("less", "trades_risklimit_lower_limit")

    told = said(act(risk, f"{LIMIT}_propose_raise", limit.pk, amount="4000000", reason="hedged"))
    assert told == ["It is proposed; a second person applies it."]
    change = ControlChange.objects.get()
    assert offers(risk, "trades_controlchange", change.pk) == {"refuse"}
    assert "from 4,000 to 4,000,000" in shown(other.get(page("trades_controlchange", change.pk)))
    assert amount() == 4_000
    assert "of a symbol, long and short together, BTC-USD" in shown(
        other.get(reverse("admin:trades_controlchange_apply", args=[change.pk]))
    )
    assert said(act(other, "trades_controlchange_apply", change.pk)) == ["The control is switched off."]
    assert amount() == 4_000_000

    assert act(risk, f"{LIMIT}_propose_raise", limit.pk, amount="", reason="x").status_code == 200
    act(other, "trades_controlchange_apply", ControlChange.objects.get(state="proposed").pk)
    assert amount() is None
    assert "no limit any more" in shown(risk.get(reverse(f"admin:{LIMIT}_changelist")))
    act(risk, f"{LIMIT}_lower_limit", limit.pk, amount="7", reason="again")
    assert amount() == 7


def test_what_was_lowered_meanwhile_is_not_raised() -> None:
    risk, other = browser_with(deeds.RISK), browser_with(deeds.RISK)
    limit = risk_limits.put("firm", 4_000)
    act(risk, f"{LIMIT}_propose_raise", limit.pk, amount="5000", reason="hedged")
    risk_limits.lower(limit.pk, 100)

    assert said(act(other, "trades_controlchange_apply", ControlChange.objects.get().pk)) == [
        risk_limits.LimitMoved.sentence
    ]
    assert amount() == 100
    assert ControlChange.objects.get().state == "proposed"


@pytest.mark.parametrize(
    "odd",
    [
        {"kind": "nothing"},
        {"amount": "-1"},
        {"amount": "1.5"},
        {"amount": "1_0"},
        {"amount": "\uff11\uff10"},
        {"amount": "1000000000000001"},
        *({"amount": odd} for odd in ("10.000", "1_0", "１０", " 10", "+10", "1e1", "٣", "0" * 17)),
        {"of": "NO-SUCH"},
        {"of": "\x00"},
        {"kind": "customer", "of": "nobody@example.com"},
        {"kind": "firm", "of": "BTC-USD"},
        {"reason": ""},
    ],
)
def test_what_is_no_limit_changes_nothing(odd: dict[str, str]) -> None:
    given = {"kind": "symbol", "of": "", "amount": "5000", "reason": "as agreed"} | odd
    answer = browser_with(deeds.RISK).post(reverse(f"admin:{LIMIT}_put_limit"), sent(**given), follow=True)

    assert answer.status_code == 200
    assert not RiskLimit.objects.exists()


@pytest.mark.parametrize("odd", ["10.000", "1_0", "１０", "+10", " 10", "", "9" * 5_000])
def test_the_command_reads_an_amount_strictly(odd: str) -> None:
    """Guard: `risk_limits.whole`."""
    User.objects.create_superuser("op@firm.example", "a long enough word")
    with pytest.raises(CommandError):
        call_command("risk_limit", "set", "firm", odd, "--by", "op@firm.example")
    assert not RiskLimit.objects.exists()


def test_a_blank_takes_no_limit_away() -> None:
    """Guard: `strip=False`: only nothing at all is no limit any more."""
    limit = risk_limits.put("firm", 4_000)
    act(browser_with(deeds.RISK), f"{LIMIT}_propose_raise", limit.pk, amount=" ", reason="x")
    assert not ControlChange.objects.exists()


def test_what_is_nearly_used_up_is_red_on_the_exposure_page_and_the_dashboard(alice: Customer) -> None:
    """And the exporter tells the share. Who may not read limits sees none."""
    risk = browser_with(deeds.RISK)
    risk_limits.put("symbol", 5_000)
    risk_limits.put("firm", 5_001)
    risk_limits.put("customer", 20_000)
    risk_limits.put("order", 20_000)
    opens(alice, quantity="0.1", leverage=10)

    text = risk.get(reverse("admin:trades_position_exposure")).content.decode()
    assert 'admin-chip danger">80 %' in text
    assert 'admin-chip success">79 %' in text
    assert 'admin-chip success">20 %' in text
    assert "1 used to 80 % or more" in shown(risk.get("/admin/"))
    assert {kind: share for kind, _, share in state.limits()} == {"symbol": 0.8, "firm": 0.79}
    assert "Limits" not in shown(browser_with(deeds.SUPPORT).get(reverse("admin:trades_position_exposure")))


def told(*words: str) -> object:
    out = StringIO()
    call_command("risk_limit", *words, "--json", stdout=out)
    return json.loads(out.getvalue())


def test_by_command(alice: Customer) -> None:
    """Guard: `who.named` of "set": a dealer's roles don't let them."""
    risk, dealer = staff("risk@firm.example", deeds.RISK), staff("dealer@firm.example", deeds.DEALER)
    opens(alice, quantity="0.1", leverage=10)
    told("set", "customer", "10000", "--of", alice.user.email, "--by", risk.email)
    with pytest.raises(CommandError, match="roles"):
        told("set", "customer", "1", "--by", dealer.email)
    limit = RiskLimit.objects.get()
    listed = told("list")
    assert listed["limits"] == [
        {
            "guid": limit.pk.hex,
            "kind": "customer",
            "customer_guid": alice.pk.hex,
            "symbol": None,
            "amount": 10_000,
            "used_percent": 40,
        }
    ]
    with pytest.raises(CommandError, match="two persons"):
        told("set", "customer", "10001", "--of", alice.pk.hex, "--by", risk.email)
    proposed = told("propose", limit.pk.hex, "none", "--reason", "x", "--by", risk.email)
    assert proposed["change"] == "10000 to none"
    assert amount() == 10_000
