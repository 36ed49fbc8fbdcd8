"""The sidebar, grouped by what people do. An entry is shown to whom may see its list."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.admin.base import reads

MenuItem = tuple[str, str, str]  # title, icon, app_model

PAGES: tuple[tuple[str, str, str, str, str], ...] = (  # of which group
    ("Trading", "Exposure", "donut_small", "admin:trades_position_exposure", "trades_position"),
    ("Ledger", "The firm's result", "query_stats", "admin:trades_position_result", "accounts_ledgeraccount"),
)
GROUPS: tuple[tuple[str, tuple[MenuItem, ...]], ...] = (
    (
        "Trading",
        (
            ("Open positions", "candlestick_chart", "trades_position"),
            ("Margin accounts", "speed", "trades_marginaccount"),
            ("Orders", "receipt_long", "trades_order"),
            ("Order events", "history", "trades_orderevent"),
            ("Dealers' actions", "gavel", "trades_dealersaction"),
            ("Risk limits", "speed", "trades_risklimit"),
            ("Quotes", "request_quote", "quotes_quote"),
            ("Trades", "swap_horiz", "trades_trade"),
            ("Payments", "payments", "trades_payment"),
        ),
    ),
    (
        "Settlement",
        (
            ("Batches", "inventory_2", "trades_settlementbatch"),
            ("Legs", "compare_arrows", "trades_settlementleg"),
            ("Left out", "person_off", "trades_leftout"),
            ("Held back", "flag", "trades_tradeflag"),
            ("Windows", "schedule", "trades_settlementwindow"),
            ("Instructions", "send_money", "trades_settlementinstruction"),
            ("Payment files", "description", "trades_paymentfile"),
            ("Statements", "upload_file", "trades_statementfile"),
            ("Statement entries", "playlist_add_check", "trades_statemententry"),
            ("Counterparties", "handshake", "trades_counterparty"),
            ("Standing instructions", "account_balance", "trades_standinginstruction"),
        ),
    ),
    (
        "Control",
        (
            ("Corrections", "undo", "trades_correction"),
            ("Controls", "toggle_on", "trades_controlchange"),
            ("Breaks", "report", "accounts_break"),
            ("Reconciliation", "rule", "accounts_reconciliationrun"),
            ("Journal", "menu_book", "accounts_journalentry"),
        ),
    ),
    (
        "Customers",
        (
            ("Customers", "groups", "accounts_customer"),
            ("Bank accounts", "account_balance", "accounts_externalbankaccount"),
            ("Client classes", "badge", "trades_clientclasschange"),
            ("Erasures", "person_remove", "trades_erasure"),
            ("API clients", "key", "accounts_apiclient"),
        ),
    ),
    (
        "Ledger",
        (
            ("Accounts", "account_balance_wallet", "accounts_ledgeraccount"),
            ("Transfers", "sync_alt", "accounts_transfer"),
            ("Audits", "fact_check", "accounts_ledgeraudit"),
            ("Sealed blocks", "link", "accounts_sealblock"),
            ("Row versions", "layers", "accounts_rowversion"),
            ("Assets", "paid", "accounts_asset"),
        ),
    ),
    (
        "Markets",
        (
            ("Instruments", "show_chart", "quotes_instrument"),
            ("Changes", "tune", "quotes_instrumentchange"),
            ("Candles", "bar_chart", "quotes_candle"),
            ("Held prices", "pan_tool", "quotes_pricehold"),
            ("Trading hours", "schedule", "quotes_tradinghours"),
            ("Halts", "front_hand", "quotes_marketswitch"),
        ),
    ),
    (
        "System",
        (
            ("Users", "person", "accounts_user"),
            ("Roles", "shield_person", "auth_group"),
            ("Engine leases", "memory", "trades_enginelease"),
            ("Feed lease", "podcasts", "quotes_feedlease"),
            ("Swap nights", "bedtime", "trades_swaprun"),
            ("Answers to orders", "replay", "trades_idempotentanswer"),
            ("Answers to requests", "replay", "accounts_answeredrequest"),
            ("Backups", "backup", "accounts_backup"),
            ("Webhook subscriptions", "webhook", "accounts_webhooksubscription"),
            ("Webhook deliveries", "outbox", "accounts_webhookdelivery"),
            ("Webhook attempts", "receipt", "accounts_webhookattempt"),
            ("Schedule", "event_repeat", "django_celery_beat_periodictask"),
            ("Intervals", "timer", "django_celery_beat_intervalschedule"),
            ("Cron lines", "calendar_clock", "django_celery_beat_crontabschedule"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> dict[str, Any]:
    """Unfold's SIDEBAR setting."""
    dashboard = {
        "title": "",
        "items": [{"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}],
    }
    groups: list[dict[str, Any]] = [
        {"title": title, "separator": True, "collapsible": False, "items": _allowed(request, title, entries)}
        for title, entries in GROUPS
    ]
    _mark(request, [item for group in groups for item in group["items"]])
    return {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": [dashboard, *(group for group in groups if group["items"])],
    }


def _mark(request: HttpRequest, items: list[dict[str, Any]]) -> None:
    """The one page that somebody is on: Exposure stands below the address of Open positions, and is none of them."""
    on = max((item["link"] for item in items if request.path.startswith(item["link"])), key=len, default="")
    for item in items:
        item["active"] = item["link"] == on


def environment(request: HttpRequest) -> list[str] | None:
    """Unfold's ENVIRONMENT setting: a sandbox is marked as one on every page."""
    return ["Sandbox", "warning"] if settings.SANDBOX else None


def _pages(request: HttpRequest, group: str) -> list[dict[str, Any]]:
    """Pages of a group that are no list, each for whom may look at the rows that it is made of."""
    seen = [one for one in PAGES if one[0] == group and may_see(request, one[4])]
    return [{"title": title, "icon": icon, "link": reverse(page)} for _, title, icon, page, _ in seen]


def _allowed(request: HttpRequest, group: str, entries: tuple[MenuItem, ...]) -> list[dict[str, Any]]:
    return _pages(request, group) + [
        {"title": title, "icon": icon, "link": reverse(f"admin:{model}_changelist")}
        for title, icon, model in entries
        if may_see(request, model)
    ]


def may_see(request: HttpRequest, model: str) -> bool:
    """Whether somebody may look at the rows of an app_model."""
    return reads(request, model)
