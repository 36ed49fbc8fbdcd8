"""What staff do in the back office, and which role does it.

A deed is one of Django's permissions, all of them on one content type (`accounts.deed`, which has no table). Migrations
write them and the roles' groups; `tests/accounts/test_deeds.py` compares. Whoever is a superuser is an Administrator
and does everything; a deed without a role is an Administrator's alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from accounts.models import User

SUPPORT: Final = "Support"
DEALER: Final = "Dealer"
MAKER: Final = "Settlement maker"
CHECKER: Final = "Settlement checker"
RISK: Final = "Risk"
AUDITOR: Final = "Auditor"
ROLES: Final = (SUPPORT, DEALER, MAKER, CHECKER, RISK, AUDITOR)
ADMINISTRATOR: Final = "Administrator"


class Deed(NamedTuple):
    """`name` is the permission's; `sentence` says what it lets somebody do; `roles` have it."""

    name: str
    sentence: str
    roles: tuple[str, ...] = ()


ALL: Final = (
    # customers
    Deed("edit_customer", "Change a customer's name, type and labels.", (SUPPORT,)),
    Deed("verify_customer", "Verify or reject a customer.", (SUPPORT,)),
    Deed("freeze_customer", "Freeze a customer, or let one trade again.", (SUPPORT, RISK)),
    Deed("propose_erasure", "Propose to erase a customer's personal data.", (SUPPORT,)),
    Deed("decide_erasure", "Erase the personal data that somebody else proposed to erase.", (RISK,)),
    Deed("disable_login", "Disable a customer's login, or enable it again.", (SUPPORT, RISK)),
    Deed("propose_client_class", "Propose that a customer is retail or professional.", (SUPPORT,)),
    Deed("decide_client_class", "Apply or refuse a client class that somebody else proposed.", (RISK,)),
    Deed("log_out", "Log a customer out everywhere.", (SUPPORT, RISK)),
    # settlement
    Deed("cut_batch", "Cut a batch.", (MAKER,)),
    Deed("confirm_batch", "Confirm a batch that somebody else cut.", (CHECKER,)),
    Deed("cancel_batch", "Cancel a batch that somebody else cut.", (CHECKER,)),
    Deed("settle_batch", "Settle a confirmed batch now.", (MAKER, CHECKER)),
    Deed("report_leg", "Report that a leg was settled, or failed.", (MAKER,)),
    Deed("flag_trade", "Hold a trade back from settlement, or let it settle.", (MAKER, RISK)),
    Deed("change_window", "Change when batches are cut, and how.", (MAKER,)),
    Deed(
        "decide_control", "Let a window go alone, an API client do more, or more be open, as another proposed.", (RISK,)
    ),
    Deed("handle_instruction", "Say that a settlement instruction was sent, failed or is cancelled.", (MAKER,)),
    Deed("make_payment_file", "Make a payment file, and fetch it.", (MAKER,)),
    Deed("add_counterparty", "Add a counterparty, and switch one off or on.", (MAKER,)),
    Deed("propose_standing_instruction", "Propose where a counterparty gets an asset.", (MAKER,)),
    Deed("decide_standing_instruction", "Approve or refuse where a counterparty gets an asset.", (CHECKER,)),
    Deed("import_statement", "Import a bank's statement.", (MAKER,)),
    Deed("release_statement", "Release a statement that somebody else imported.", (CHECKER,)),
    Deed("match_entry", "Say what an entry of a statement is.", (MAKER,)),
    # payments, corrections, books
    Deed("handle_payment", "Confirm, approve or refuse a payment.", (MAKER, CHECKER)),
    Deed("agree_to_payment", "Agree as the second person to a payment above the limit.", (CHECKER,)),
    Deed("book_funding", "Book a deposit or a withdrawal at the command line.", (MAKER,)),
    Deed("propose_correction", "Propose a correction.", (SUPPORT, DEALER, MAKER, RISK)),
    Deed("apply_correction", "Apply or reject a correction that somebody else proposed.", (CHECKER, RISK)),
    Deed("look_after_break", "Take a break, and explain it.", (MAKER, CHECKER, RISK)),
    Deed("reconcile", "Compare the books with a statement.", (MAKER, CHECKER)),
    Deed("recount_books", "Have all the books recounted.", (RISK, AUDITOR)),
    # markets and dealing
    Deed("deal", "Close customers' positions and cancel their orders; above a limit, propose it.", (DEALER,)),
    Deed("decide_deal", "Order or refuse what another dealer proposed.", (DEALER, RISK)),
    Deed("hold_price", "Hold a price, or accept one that was refused.", (DEALER, RISK)),
    Deed("halt_market", "Halt a market, let it close only, or resume it.", (DEALER, RISK)),
    Deed("change_instrument", "Add an instrument or trading hours, and propose a change.", (DEALER,)),
    Deed("apply_instrument_change", "Apply or refuse a change of an instrument that somebody else proposed.", (RISK,)),
    Deed("change_limit", "Set and lower a risk limit, and propose to raise it.", (RISK,)),
    Deed("backfill_candles", "Fill gaps of the candles from a source.", (DEALER,)),
    # taking out and reading
    Deed("export", "Take a list out as a file.", (DEALER, MAKER, CHECKER, RISK, AUDITOR)),
    Deed("read_journal", "Read who did what.", (RISK, AUDITOR)),
    # the system
    Deed("resend_webhooks", "Send failed webhooks again.", (SUPPORT,)),
    Deed("manage_webhooks", "Subscribe an API client to events, and end that."),
    Deed("manage_clients", "Make an API client, change its scopes, switch it off, and end its tokens."),
    Deed("change_schedule", "Change what the scheduler runs, and run it."),
    Deed("manage_staff", "Make and change staff, their roles and passwords."),
)
BY_NAME: Final[Mapping[str, Deed]] = {deed.name: deed for deed in ALL}

_TRADING = (
    *("trades_position", "trades_marginaccount", "trades_order", "trades_orderevent", "trades_dealersaction"),
    *("quotes_quote", "trades_trade", "trades_payment"),
)
_SETTLEMENT = (
    *("trades_settlementbatch", "trades_settlementleg", "trades_leftout", "trades_tradeflag"),
    *("trades_settlementwindow", "trades_settlementinstruction", "trades_paymentfile", "trades_statementfile"),
    *("trades_statemententry", "trades_counterparty", "trades_standinginstruction"),
)
_CONTROL = ("trades_correction", "trades_controlchange", "accounts_break", "accounts_reconciliationrun")
_CUSTOMERS = ("accounts_customer", "accounts_externalbankaccount", "trades_erasure", "trades_clientclasschange")
_LEDGER = (
    *("accounts_ledgeraccount", "accounts_transfer", "accounts_ledgeraudit"),
    *("accounts_sealblock", "accounts_rowversion", "accounts_asset"),
)
_MARKETS = (
    *("quotes_instrument", "quotes_instrumentchange", "quotes_candle"),
    *("quotes_pricehold", "quotes_tradinghours", "quotes_marketswitch", "trades_risklimit"),
)
_WEBHOOKS = ("accounts_webhooksubscription", "accounts_webhookdelivery", "accounts_webhookattempt")
_SYSTEM = (
    *("trades_enginelease", "quotes_feedlease", "trades_swaprun"),
    *("trades_idempotentanswer", "accounts_answeredrequest", "accounts_backup"),
    *("django_celery_beat_periodictask", "django_celery_beat_intervalschedule", "django_celery_beat_crontabschedule"),
)
_LOGINS = ("accounts_user",)
_JOURNAL = ("accounts_journalentry",)
_ACCESS = ("auth_group", "accounts_apiclient")

# Whose rows each role may read, as app_model.
READS: Final[Mapping[str, tuple[str, ...]]] = {
    SUPPORT: (*_TRADING, *_CONTROL, *_CUSTOMERS, *_WEBHOOKS, *_LOGINS),
    DEALER: (*_TRADING, *_CONTROL, *_MARKETS, "accounts_customer"),
    MAKER: (*_TRADING, *_SETTLEMENT, *_CONTROL, *_CUSTOMERS, *_LEDGER),
    CHECKER: (*_TRADING, *_SETTLEMENT, *_CONTROL, *_CUSTOMERS, *_LEDGER),
    RISK: (*_TRADING, *_SETTLEMENT, *_CONTROL, *_CUSTOMERS, *_LEDGER, *_MARKETS, *_SYSTEM, *_LOGINS, *_JOURNAL),
    AUDITOR: (
        *(*_TRADING, *_SETTLEMENT, *_CONTROL, *_CUSTOMERS, *_LEDGER),
        *(*_MARKETS, *_WEBHOOKS, *_SYSTEM, *_LOGINS, *_ACCESS, *_JOURNAL),
    ),
}


def permission(deed: str) -> str:
    """A deed as Django's permission. Raises KeyError for one that isn't listed."""
    return f"accounts.{BY_NAME[deed].name}"


def reading(model: str) -> str:
    """Django's permission to read the rows of an app_model."""
    return "{}.view_{}".format(*model.rsplit("_", 1))


def does(user: User | AnonymousUser, deed: str) -> bool:
    """Whether somebody has a deed by their roles, or as an Administrator."""
    return user.is_staff and user.has_perm(permission(deed))


def readers(model: str) -> list[str]:
    """Which roles may read an app_model."""
    return [role for role in ROLES if model in READS[role]]


def missing(*names: str) -> str:
    """What the page says to somebody who has none of these deeds."""
    wanted = [BY_NAME[name] for name in names]
    roles = [role for role in ROLES if any(role in deed.roles for deed in wanted)]
    sentences = " ".join(deed.sentence for deed in wanted)
    return f"It takes a role that may: {sentences} {_who(roles)}"


def missing_reading(model: str) -> str:
    """What the page says to somebody who may not read an app_model."""
    return f"Your roles don't let you read this. {_who(readers(model))}"


def _who(roles: list[str]) -> str:
    names = [*roles, ADMINISTRATOR]
    last = f"{', '.join(names[:-1])} and {names[-1]}" if roles else f"{ADMINISTRATOR} alone"
    return f"Who has it: {last}."
