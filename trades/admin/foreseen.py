"""What a checker reads before they decide: who proposed it and why, and what it would move."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import clock
from accounts.admin import shown
from accounts.admin.dialogs import actor
from accounts.models import LedgerAccount
from trades.foreseen import foresee


def proposal_shown(proposal: Any, *about: tuple[str, Any]) -> SafeString:
    """Who proposed it, when and why, and what it is about."""
    maker = shown.who(proposal.made_by, getattr(proposal, "made_by_client", None))
    rows = [("Proposed by", maker), ("At", shown.timestamp(proposal.made_at)), ("Why", shown.long(proposal.reason))]
    return format_html("{}", shown.table(("", ""), [*rows, *about], shown.NOTHING))


def would_move(request: HttpRequest, subject: Any, decide: Callable[..., Any]) -> SafeString:
    """What a decision would move, if the one who is logged in made it now; or why it would be refused."""
    at = clock.firm_now()
    found = foresee(lambda: decide(subject.pk, by=actor(request), at=at), subject=subject.pk, at=at)
    if found.refusal:
        return format_html('<p class="admin-note">It would be refused: {}</p>', found.refusal)
    movements = [
        (one.kind, one.debit_account.type, one.credit_account.type, shown.amount(one.amount, one.asset))
        for one in found.movements
    ]
    balances = [
        (_named(one.account), shown.amount(one.before, one.account.asset), shown.amount(one.after, one.account.asset))
        for one in found.balances
    ]
    return format_html(
        "{}{}",
        shown.table(("Would move", "Debited", "Credited", "Amount"), movements, "No money would move."),
        shown.table(("Balance of", "Now", "Then"), balances, "") if balances else "",
    )


def dialog_shown(parts: Iterable[SafeString]) -> SafeString:
    return format_html('<div class="admin-foreseen">{}</div>', SafeString("".join(parts)))  # each is escaped


def _named(account: LedgerAccount) -> str:
    return f"{account.customer or f'house {account.bucket}'}, {account.type}"
