"""Why a leg failed: the codes of ISO 20022 that fit what moves between a firm and its providers.

Those of payments are of the external code set ExternalStatusReason1Code, as banks send them in pain.002 and camt.054;
those of securities are of FailingReason and PendingReason, as depositories send them in sese.024.
"""

from __future__ import annotations

from django.db.models import TextChoices


class FailReason(TextChoices):
    """A code and what it means. NARR says that the text beside it tells."""

    # Of payments.
    INCORRECT_ACCOUNT = "AC01", "the account number is wrong or missing"
    CLOSED_ACCOUNT = "AC04", "the account is closed"
    BLOCKED_ACCOUNT = "AC06", "the account is blocked"
    FORBIDDEN = "AG01", "transactions of this kind are forbidden on the account"
    AMOUNT_NOT_ALLOWED = "AM02", "the amount is above what is allowed"
    INSUFFICIENT_FUNDS = "AM04", "the funds don't suffice"
    DUPLICATION = "AM05", "it was sent before"
    WRONG_CURRENCY = "CURR", "the currency is wrong"
    REQUESTED_BY_CUSTOMER = "CUST", "whoever ordered it took it back"
    INVALID_DATE = "DT01", "the date is invalid"
    SETTLEMENT_FAILED = "ED05", "the settlement failed"
    FRAUD = "FR01", "returned as fraud"
    NOT_SPECIFIED = "MS03", "the agent doesn't say why"
    INCORRECT_BANK = "RC01", "the bank's identifier is wrong"
    REGULATORY = "RR04", "a regulation forbids it"
    TECHNICAL = "TECH", "a technical problem"
    CUT_OFF = "TM01", "it came after the cut-off time"
    # Of securities, and of whatever is delivered like them.
    AWAITING_MONEY = "AWMO", "money from the counterparty is awaited"
    AWAITING_ASSET = "AWSH", "the asset is awaited from the counterparty"
    ACCOUNT_BLOCKED = "BLOC", "the account is blocked at the depository"
    COUNTERPARTY_LACKS_ASSET = "CLAC", "the counterparty hasn't enough of the asset"
    COUNTERPARTY_TOO_LATE = "CLAT", "the counterparty's instruction came too late"
    COUNTERPARTY_LACKS_MONEY = "CMON", "the counterparty hasn't enough money"
    COUNTERPARTY_DOES_NOT_KNOW = "DKNY", "the counterparty doesn't know of it"
    LACKS_ASSET = "LACK", "there isn't enough of the asset to deliver"
    DEADLINE_MISSED = "LATE", "the market's deadline was missed"
    LACKS_MONEY = "MONY", "there isn't enough money to pay"
    OTHER = "OTHR", "another reason"
    NARRATIVE = "NARR", "the text says why"
