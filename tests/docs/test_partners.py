"""What `docs/partners.md` says of codes, states, filters and scopes is what the code has, all of it and no more."""

from __future__ import annotations

import json
import re

import pytest

import accounts.errors
import quotes.errors
import trades.errors
from accounts.api.accounts import AccountFilters, AssetFilters
from accounts.api.customers import CustomerFilters
from accounts.api.external_bank_accounts import BankAccountFilters
from accounts.errors import Refusal
from accounts.identity import FIRM_SCOPES
from accounts.models import Customer
from brokerage import errors
from brokerage.sandbox import errors as of_the_sandbox
from brokerage.stack import haproxy
from tests.docs.test_pages import CHECKOUT
from trades.api.corrections import CorrectionFilters
from trades.api.quotes import QuoteFilters
from trades.api.trades import TradeFilters
from trades.api.transfers import TransferFilters
from trades.api.windows import WindowFilters
from trades.states import FailureCode, PaymentFailure, PaymentState, TradeState

PAGE = (CHECKOUT / "docs" / "partners.md").read_text()
FILTERS = {
    "customers": CustomerFilters,
    "accounts": AccountFilters,
    "assets": AssetFilters,
    "quotes": QuoteFilters,
    "trades": TradeFilters,
    "transfers": TransferFilters,
    "external_bank_accounts": BankAccountFilters,
    "settlement_windows": WindowFilters,
    "corrections": CorrectionFilters,
}
# Of commands, the admin and the ledger, which no call under /api/ reaches but a sandbox's (docs/sandbox.md).
NEVER_UNDER_API = {
    "accepted_too_late",
    "bad_schedule",
    "break_needs_explanation",
    "break_needs_money",
    "break_resolved",
    "hold_too_wide",
    "key_reused",
    "last_administrator",
    "no_login",
    "no_such_right",
    "not_ones_own",
    "wrong_code",
    "no_refused_price",
    "non_sufficient_funds",
    "payment_state",
    "refused_price_moved",
    "refused_price_too_wide",
    "trade_state",
}


def rows(heading: str, column: int) -> list[str]:
    """The words in backquotes that stand in a column of the tables below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    cells = [line.split("|")[column] for line in section.splitlines() if line.startswith("|")]
    return re.findall(r"`([a-z_:]+)`", " ".join(cells))


def refusals(kind: type[Refusal]) -> set[type[Refusal]]:
    return {kind}.union(*(refusals(one) for one in kind.__subclasses__()))


def test_every_message_code_is_on_the_page_and_no_other() -> None:
    modules = (accounts.errors, quotes.errors, trades.errors)
    named = {
        one.code
        for one in refusals(Refusal)
        if one.status in (409, 422) and one.__module__ in {m.__name__ for m in modules}
    }

    answers = (path.read_bytes().partition(b"\r\n\r\n")[2] for path in haproxy.ERRORS.iterdir())
    of_the_proxy = {body["message_code"] for body in map(json.loads, answers) if "message_code" in body}

    told = (named - NEVER_UNDER_API) | set(errors._CODES.values()) | of_the_proxy
    assert set(rows("Errors", 2)) - {"message_code"} == told


def test_every_failure_code_and_state_of_a_trade_is_on_the_page() -> None:
    told = rows("Trades", 1)

    assert [word for word in told if word in FailureCode.values] == FailureCode.values
    assert sorted(word for word in told if word in TradeState.values) == sorted(TradeState.values)


def test_every_failure_code_and_state_of_a_transfer_is_on_its_page() -> None:
    page = (CHECKOUT / "docs" / "transfers.md").read_text()
    section = page.partition("\n## States\n")[2].partition("\n## ")[0]
    told = re.findall(r"`(\w+)`", " ".join(line.split("|")[1] for line in section.splitlines() if line.startswith("|")))

    assert told == [*PaymentState.values, "failure_code", *PaymentFailure.values]


def test_every_state_of_a_customer_is_on_the_page() -> None:
    assert sorted(rows("Customers", 1)) == sorted(Customer.State.values)


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_of_a_list_is_on_the_page_and_no_other(name: str) -> None:
    (line,) = re.findall(rf"^\| `{name}` \| (.+) \|$", PAGE, re.MULTILINE)

    assert re.findall(r"`(\w+)`", line) == list(FILTERS[name].base_filters)


def test_every_scope_is_on_the_page() -> None:
    told = set(re.findall(r"\| `([a-z_]+(?::[a-z]+)+)` \|", PAGE))

    assert told == FIRM_SCOPES


def test_every_code_of_the_sandbox_is_on_its_page() -> None:
    page = (CHECKOUT / "docs" / "sandbox.md").read_text()
    module = of_the_sandbox.__name__
    own = {one.code for one in refusals(Refusal) if one.__module__ == module and one.status == 422}

    assert len(own) >= 3
    assert [code for code in own if f"`{code}`" not in page] == []
