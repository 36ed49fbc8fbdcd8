"""An entry of a bank's statement as it was read, whatever file it stood in, and what is wrong with it by itself."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Final

MOST_BYTES: Final = 10 * 1024 * 1024
MOST_ENTRIES: Final = 10_000
A_REVERSAL: Final = "a_reversal"  # the problem of what takes something back


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement on an account of the firm's. `amount` is as the bank wrote it, `problem` why it can't be matched.

    `names`: where an instruction's id may stand, the bank's own fields for it first.
    """

    account: str
    currency: str
    amount: str
    direction: str
    bank_reference: str
    names: tuple[str, ...] = ()
    other_account: str = ""
    booked_on: date | None = None
    problem: str = ""
    is_booked: bool = True

    @property
    def facts(self) -> str:
        """A digest of what it says: the same entry read again has the same. What takes something back says another."""
        said = (self.account, self.currency, self.amount, self.direction, self.bank_reference, *self.names)
        facts = hashlib.sha256("\x1f".join((*said, self.other_account, str(self.booked_on))).encode()).hexdigest()
        is_reversal = self.problem == A_REVERSAL
        return hashlib.sha256(f"{facts}{A_REVERSAL}".encode()).hexdigest() if is_reversal else facts

    @property
    def key(self) -> str:
        """What makes it the same entry in every file: the bank's own reference, or where it gave none, all it says.

        One that isn't booked yet is another one: once it is, the bank tells it by the same reference.
        """
        booked = hashlib.sha256("\x1f".join((self.account, self.bank_reference or self.facts)).encode()).hexdigest()
        return booked if self.is_booked else hashlib.sha256(f"{booked}not booked".encode()).hexdigest()
