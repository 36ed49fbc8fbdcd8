"""What the audit looks at: every check, every table that is sealed, every table whose rows have versions.

Settings name these three lists, so `accounts`, which reads them, imports no other app.
"""

from __future__ import annotations

from typing import Final

from accounts import audit as ledger
from accounts import versions
from accounts.audit import Check
from accounts.seals import Table
from accounts.versions import Versioned
from trades import audit as trades
from trades import order_audit as orders
from trades.recount import classes, events, legs, payments, spot, swaps, terms, times
from trades.recount import orders as margins
from trades.settlement import audit as settlement

# A transfer's row is sealed with the two accounts that it touches: an account whose balance is wrong is so by itself
# unless one of its transfers was tampered with. How far a night has come goes on changing; at which prices it began
# doesn't.
SEALED: Final = (
    Table("accounts_transfer", sides=("debit_account_id", "credit_account_id")),
    Table("accounts_ledgeraudit", about_others=False),
    Table("accounts_clockmove", about_others=False),
    Table("accounts_funding"),
    Table("accounts_journalentry", about_others=False),
    Table("accounts_rowversion", about_others=False),
    Table("quotes_backfill", about_others=False),
    Table("quotes_marketswitch", about_others=False),
    Table("quotes_pricehold", about_others=False),
    Table("quotes_quote"),
    Table("trades_batchevent"),
    Table("trades_deal"),
    Table("trades_legreport"),
    Table("trades_orderevent"),
    Table("trades_paymentevent"),
    Table("trades_paymentfile", about_others=False),
    Table("trades_statementfile", about_others=False),
    Table("trades_statementrelease", about_others=False),
    Table("trades_tradeevent"),
    Table(
        "trades_swaprun",
        columns=("id", "partition", "night", "cutoff", "prices", "rates", "started_at", "conversions"),
        about_others=False,
    ),
)

# Of a batch: it moves with every slice, and the recount compares it with the trades.
_PROGRESS: Final = (
    *("state", "first_trade_id", "last_trade_id", "trades_count", "customers_count", "members_sha256"),
    *("left_out_count", "completed_count", "symbols", "round", "round_symbols", "round_stops"),
    *("parts_seen", "done_symbols", "slice_ends"),
    *("slices_done", "updated_at"),
)

VERSIONED: Final = (
    Versioned("accounts_asset", "code"),
    Versioned("accounts_customer", "id", without=("updated_at",), salted=("name", "labels")),
    Versioned("accounts_user", "id", without=("last_login",), hashed=("password",), salted=("email", "name")),
    Versioned("accounts_apiclient", "id", hashed=("secret_sha256",)),
    Versioned("accounts_break", "id"),
    Versioned(
        "accounts_externalbankaccount",
        "id",
        without=("updated_at",),
        salted=("name", "holder", "routing_number", "account_number", "email_address", "address"),
    ),
    Versioned(
        "accounts_webhooksubscription",
        "id",
        without=("transaction", "number", "failures", "failing_since", "next_at", "updated_at"),
        hashed=("seed", "previous_seed"),
    ),
    Versioned("quotes_instrument", "symbol"),
    Versioned("quotes_instrumentchange", "id"),
    Versioned("quotes_termband", "term"),
    Versioned("quotes_tradinghours", "name"),
    Versioned("trades_controlchange", "id"),
    Versioned("trades_risklimit", "id"),
    Versioned("trades_settlementwindow", "id", without=("last_cut_at", "waits_since")),
    Versioned("trades_correction", "id"),
    Versioned("trades_dealersaction", "id"),
    Versioned("trades_counterparty", "id"),
    Versioned("trades_payment", "id", without=("updated_at",)),
    Versioned("trades_standinginstruction", "id"),
    Versioned("trades_settlementinstruction", "id", without=("updated_at",)),
    Versioned("trades_instructionleg", "id"),
    Versioned("trades_statemententry", "id"),
    Versioned("trades_clientclasschange", "id"),
    Versioned("trades_erasure", "id"),
    Versioned("trades_tradeflag", "id"),
    Versioned("trades_settlementleg", "id", without=("updated_at",)),
    Versioned("trades_settlementbatch", "id", without=_PROGRESS),
)

CHECKS: Final[tuple[Check, ...]] = (
    *ledger.CHECKS,
    *trades.CHECKS,
    *orders.CHECKS,
    *settlement.CHECKS,
    *events.CHECKS,
    *terms.CHECKS,
    *times.CHECKS,
    *margins.CHECKS,
    *swaps.CHECKS,
    *spot.CHECKS,
    *payments.CHECKS,
    *legs.CHECKS,
    *classes.CHECKS,
    *versions.checks(VERSIONED),
)
