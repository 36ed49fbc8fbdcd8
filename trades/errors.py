"""Refusals of trades and settlement, one class each. Those of margin orders stand in orders/errors.py."""

from __future__ import annotations

from accounts.errors import Conflict, NotFound, Refusal, SecondPersonNeeded

# --- trades ----------------------------------------------------------------------------------------


class TradeNotFound(NotFound):
    sentence = "There is no such trade."


class QuoteUsed(Conflict):
    sentence = "This quote has been used already."


class TradeTypeDoesNotFit(Refusal):
    """A platform trade needs a trading quote, an exit trade a trading_exit quote."""

    code = "trade_type_mismatch"
    sentence = "The trade_type does not fit the quote's product_type."


class PaymentNotFound(NotFound):
    sentence = "There is no such transfer."


class PaymentStateForbids(Refusal):
    """What has ended can't be completed or refused; what a second person must see can't be skipped."""

    code = "payment_state"
    sentence = "The payment is past that step, or not yet there."


class TransferTypeDoesNotFit(Refusal):
    """A funding transfer needs a funding quote, a book transfer a book_transfer quote."""

    code = "transfer_type_mismatch"
    sentence = "The transfer_type does not fit the quote's product_type."


class TransferNotOffered(Refusal):
    code = "transfer_not_offered"
    sentence = "This transfer_type is not offered; funding and book are."


class AccountNotFound(NotFound):
    sentence = "There is no such account."


class AccountsDoNotFit(Refusal):
    """A book transfer moves money from the account of its quote's customer to another customer's, in one asset."""

    code = "account_mismatch"
    sentence = (
        "source_account_guid must be the account of the quote's customer in the quote's asset, destination_account_guid"
        " another customer's in the same asset."
    )


class ReferenceNotExitable(Refusal):
    """Unknown, another customer's, itself an exit, or no longer settling: the same bytes for all."""

    code = "invalid_reference_trade"
    sentence = "The reference trade is not a settling trade of this customer that can be exited."


class BankAccountRequired(Refusal):
    """On this rail a bank is told where to pay."""

    code = "external_bank_account_required"
    sentence = "external_bank_account_guid is required: the customer's bank account that this is paid to."


class BankAccountDoesNotFit(Refusal):
    """Another asset's, or deleted."""

    code = "external_bank_account_mismatch"
    sentence = "This external bank account isn't in the quote's asset, or was deleted."


class CustomerIsFrozen(Refusal):
    code = "customer_frozen"
    sentence = "The customer is frozen: nothing is paid out, except by a correction of two persons."


# --- settlement ------------------------------------------------------------------------------------


class WindowNotFound(NotFound):
    sentence = "There is no such settlement window."


class BatchNotFound(NotFound):
    sentence = "There is no such settlement batch."


class NothingToCut(Refusal):
    code = "nothing_to_cut"
    sentence = "No trade is waiting for a settlement batch."


class BatchStateForbids(Refusal):
    """A confirmed batch can't be confirmed again; one whose money moved can't be cancelled."""

    code = "batch_state"
    sentence = "The batch is past that step."


class MakerIsChecker(SecondPersonNeeded):
    code = "maker_is_checker"
    sentence = "Whoever cut a batch can't decide on it: a second person confirms or cancels it."


class LegNotFound(NotFound):
    sentence = "There is no such settlement leg."


class LegStateForbids(Refusal):
    """A settled leg can't be settled otherwise; no leg is reported before its batch has begun to settle."""

    code = "leg_state"
    sentence = "The leg is past that step, or not yet there."


class ReferenceUsed(Refusal):
    """An outside reference names one movement of one leg, for ever: one payment never counts for two legs."""

    code = "reference_used"
    sentence = "The reference has settled another leg."


class FlagNotFound(NotFound):
    sentence = "This trade carries no flag."


class TradeFlagged(Conflict):
    sentence = "This trade carries a flag already."


class TradeNotHoldable(Refusal):
    """Only what still waits for settlement can be held back from it."""

    code = "trade_state"
    sentence = "Only a trade that is storing or settling can be held back."


class BadSchedule(Refusal):
    """A window whose cron, time zone or calendar can't be read."""

    code = "bad_schedule"
    sentence = "The settlement window's schedule can't be read."
