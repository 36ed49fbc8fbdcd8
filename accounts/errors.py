"""Every refusal of this app, one class each, and the kinds that say what a refusal is to a caller.

A refusal is named after its fact, has a stable `code`, and says a whole sentence. `brokerage/errors.py`
alone turns one into HTTP, by its kind. Other apps derive their own refusals from the kinds below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

ERROR_CODE = "Error-Code"  # the header that says a refusal's code, where its body has no place for it


class Refusal(Exception):
    """The request was understood and is declined; nothing was changed."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "unprocessable_entity"
    sentence: ClassVar[str] = "The request can't be carried out."
    twice: ClassVar[bool] = False  # a margin order's answer says the sentence once more, as `message`
    extra: Mapping[str, Any] = MappingProxyType({})  # further keys of the body
    challenge: ClassVar[str] = "Bearer"  # of a 401: how to say who one is
    wait: int | None = None  # seconds until it is worth trying again, where they are known

    def __init__(self, sentence: str = "") -> None:
        self.text = sentence or self.sentence
        super().__init__(self.text)

    def order_body(self) -> dict[str, Any]:
        """The body of the margin orders' dialect; their engine writes it, too."""
        said = {"error": self.text, "message": self.text} if self.twice else {"error": self.text}
        return said | dict(self.extra)


class Malformed(Refusal):
    """A value that no state of the system could make right."""

    status, code = 400, "invalid_parameter"
    sentence = "A parameter is invalid."


class Unauthorized(Refusal):
    status, code = 401, "unauthorized"
    sentence = "Unauthorized"


class Forbidden(Refusal):
    status, code = 403, "invalid_scope"
    sentence = "The token's scopes don't allow this."


class NotFound(Refusal):
    """Unknown, or somebody else's: the same bytes for both."""

    status, code = 404, "not_found"
    sentence = "Not found."


class Conflict(Refusal):
    status, code = 409, "data_exists"
    sentence = "It exists already."


class TooMany(Refusal):
    status, code = 429, "too_many_requests"
    sentence = "Too many requests; try again later."

    def __init__(self, sentence: str = "", wait: int | None = None) -> None:
        super().__init__(sentence)
        self.wait = wait


class Unavailable(Refusal):
    """A part of the system can't be reached; nothing was done, the same call may be made again."""

    status, code = 503, "unavailable"
    sentence = "The service is temporarily unavailable; try again."


# --- idempotency -----------------------------------------------------------------------------------


class KeyUsedForAnother(Refusal):
    status, code = 422, "idempotency_key_reused"
    sentence = "Idempotency-Key was used with another request"


class StillRunning(Conflict):
    code = "in_flight"
    wait = 1
    sentence = "A request with this Idempotency-Key is still running"


# --- ledger ----------------------------------------------------------------------------------------


class InsufficientFunds(Refusal):
    code = "non_sufficient_funds"
    sentence = "The account's balance does not cover this."


class KeyReused(Conflict):
    """A movement's key names a movement that said something else: a bug or a forgery, never a retry."""

    code = "key_reused"
    sentence = "This key names another movement."


class UnknownAsset(Malformed):
    code = "unknown_asset"
    sentence = "There is no such asset."


class WrongAccountType(Refusal):
    code = "account_type_mismatch"
    sentence = "This asset is not kept in an account of this type."


# --- bank accounts outside -------------------------------------------------------------------------


class BankAccountNotFound(NotFound):
    sentence = "There is no such external bank account."


class BankAccountExists(Conflict):
    sentence = "The customer has this bank account already."


class BankAccountNotOffered(Refusal):
    code = "external_bank_account_not_offered"
    sentence = "This kind of bank account isn't offered: raw_routing_details with ABA, BIC or CPA is."


# --- second persons -------------------------------------------------------------------------------


class ActorRequired(Refusal):
    """The system itself acts where a person or a program must be named."""

    code = "actor_required"
    sentence = "A person or a program must be named for this."


class SecondPersonNeeded(Refusal):
    """Whoever made it can't decide on it: it waits for another person."""


# --- breaks and reconciliation ---------------------------------------------------------------------


class BreakNotFound(NotFound):
    sentence = "There is no such break."


class BreakResolved(Refusal):
    code = "break_resolved"
    sentence = "This break has been resolved already."


class BreakNeedsMoney(Refusal):
    """A leg's difference stands in the books: it is paid or written off by a correction, not explained away."""

    code = "break_needs_money"
    sentence = "A leg's difference is resolved by a correction: it was paid, or it is written off."


class BreakNeedsExplanation(Refusal):
    """A drift is no movement that the books know of: what it was is told, then booked as what it is."""

    code = "break_needs_explanation"
    sentence = "A reconciliation's break has nothing booked that could move: it is explained."


class BadStatement(Malformed):
    """A statement that can't be read; the sentence names the line."""

    code = "bad_statement"
    sentence = "The statement can't be read."


# --- identity --------------------------------------------------------------------------------------


class SignupRefused(Malformed):
    """Somebody has an account with this address; whoever asks need not hear that."""

    code = "signup_refused"
    sentence = "An account can't be opened with this email and password"


class WrongPassword(Malformed):
    code = "wrong_password"
    sentence = "The old password is wrong"


class InvalidCredentials(Unauthorized):
    code = "invalid_credentials"
    sentence = "Invalid email or password"


class InvalidToken(Unauthorized):
    code = "invalid_token"
    sentence = "Token expired or invalid"


class LastAdministrator(Refusal):
    code = "last_administrator"
    sentence = "This is the last Administrator who can log in: make another one first."


class NotOnesOwn(Refusal):
    code = "not_ones_own"
    sentence = "Nobody changes what they themselves may do: another Administrator does."


class WrongCode(Refusal):
    code = "wrong_code"
    sentence = "That code is wrong, or was used. Wait for the authenticator's next one."


class NoSuchRight(Refusal):
    code = "no_such_right"
    sentence = "The roles of this member of staff don't include that."


class UserNotFound(NotFound):
    sentence = "There is no such user."


class CustomerNotFound(NotFound):
    sentence = "There is no such customer."


class NoLogin(Refusal):
    """A customer for whom nobody logs in, or one of the staff: that one's login is an administrator's to switch."""

    code = "no_login"
    sentence = "Nobody logs in for this customer, or one of the staff does."


class CustomerNotVerified(Refusal):
    """Only a verified customer is quoted, trades, and has money moved in and out. The sentence says the state."""

    code = "customer_not_verified"
    sentence = "The customer is not verified."

    def __init__(self, state: str) -> None:
        super().__init__(f"The customer is {state}, not verified.")


class CustomerStateForbids(Refusal):
    """A move that the table of legal moves doesn't have, or that isn't this caller's to make."""

    code = "customer_state"
    sentence = "The customer's state doesn't allow this."


class SandboxOnly(Refusal):
    code = "sandbox_only"
    sentence = "expected_error and expected_behaviours work in the sandbox only."


class SubscriptionNotFound(NotFound):
    sentence = "There is no such subscription."


class SubscriptionEnds(Refusal):
    code = "subscription_ends"
    sentence = "The subscription is deleted, or will be; it can't be changed any more."


class SubscriptionGone(Refusal):
    code = "subscription_failed"
    sentence = "The endpoint answered 410, so it is told nothing any more: make another subscription."


class TooManySubscriptions(Refusal):
    code = "too_many_subscriptions"
    sentence = "An API client has at most 50 subscriptions; delete one."


class TooManyToReplay(Refusal):
    code = "too_many_to_replay"
    sentence = "More than 10000 deliveries are of that time; ask for less of it at once."


class BadEndpoint(Malformed):
    """A URL that no webhook is ever sent to."""

    code = "bad_endpoint"
