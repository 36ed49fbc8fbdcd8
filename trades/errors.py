"""Refusals of trades and settlement, one class each. Those of margin orders stand in orders/errors.py."""

from __future__ import annotations

from accounts.errors import Conflict, NotFound, Refusal

# --- trades ----------------------------------------------------------------------------------------


class TradeNotFound(NotFound):
    sentence = "There is no such trade."


class QuoteUsed(Conflict):
    sentence = "This quote has been used already."


class TradeTypeDoesNotFit(Refusal):
    """A platform trade needs a trading quote, an exit trade a trading_exit quote."""

    code = "trade_type_mismatch"
    sentence = "The trade_type does not fit the quote's product_type."


class ReferenceNotExitable(Refusal):
    """Unknown, another customer's, itself an exit, or no longer settling: the same bytes for all."""

    code = "invalid_reference_trade"
    sentence = "The reference trade is not a settling trade of this customer that can be exited."


class SandboxOnly(Refusal):
    code = "sandbox_only"
    sentence = "expected_error works in the sandbox only."


class CustomerIsFrozen(Refusal):
    code = "customer_frozen"
    sentence = "The customer is frozen: nothing is paid out, except by a correction of two persons."


# --- settlement ------------------------------------------------------------------------------------


class BatchNotFound(NotFound):
    sentence = "There is no such settlement batch."


class NothingToCut(Refusal):
    code = "nothing_to_cut"
    sentence = "No trade is waiting for a settlement batch."


class BatchStateForbids(Refusal):
    """A confirmed batch can't be confirmed again; one whose money moved can't be cancelled."""

    code = "batch_state"
    sentence = "The batch is past that step."


class MakerIsChecker(Refusal):
    code = "maker_is_checker"
    sentence = "Whoever cut a batch can't decide on it: a second person confirms or cancels it."


class LegNotFound(NotFound):
    sentence = "There is no such settlement leg."


class LegStateForbids(Refusal):
    """A settled leg can't be settled otherwise; no leg is reported before its batch has begun to settle."""

    code = "leg_state"
    sentence = "The leg is past that step, or not yet there."


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
