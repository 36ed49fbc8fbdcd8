"""Ids that a bank is told, and that its statement tells back: of settlement instructions, payment files and payments.

SI (or PF), twelve random characters without the letters that look like digits, and a check character (ISO 7064 mod
37,36): 15 in all, of those that every bank's character set has. Random, so that nobody who knows one knows the next;
with a check, so that one with a wrong character is none; of two that are swapped it finds nearly every pair.

A payment's is a creditor reference (ISO 11649), since customers write it, and their banks' forms check that: RF, two
check digits and the same twelve characters, 16 in all.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from stdnum import iso11649
from stdnum.iso7064 import mod_37_36, mod_97_10

PREFIX: Final = "SI"
OF_PAYMENTS: Final = "RF"
_LETTERS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_INSTRUCTION: Final = re.compile(rf"{PREFIX}[{_LETTERS}]{{12}}[0-9A-Z]", re.ASCII)
_PAYMENT: Final = re.compile(rf"{OF_PAYMENTS}[0-9]{{2}}[{_LETTERS}]{{12}}", re.ASCII)


def new_reference(prefix: str = PREFIX) -> str:
    """A new one; the database refuses the same one twice."""
    body = prefix + _random()
    return body + str(mod_37_36.calc_check_digit(body))


def new_remittance_reference() -> str:
    """A new one of a payment; the database refuses the same one twice."""
    body = _random()
    return OF_PAYMENTS + str(mod_97_10.calc_check_digits(body + OF_PAYMENTS)) + body


def references_in(text: str) -> list[str]:
    """The ids of instructions and payments that stand somewhere in a text, whatever blanks are in it; each once."""
    packed = re.sub(r"\s+", "", text).upper()
    found = [(one.start(), one[0]) for one in _overlapping(_INSTRUCTION, packed) if mod_37_36.is_valid(one[0])]
    found += [(one.start(), one[0]) for one in _overlapping(_PAYMENT, packed) if iso11649.is_valid(one[0])]
    return list(dict.fromkeys(reference for _, reference in sorted(found)))


def is_of_a_payment(reference: str) -> bool:
    """Of what `references_in` has found."""
    return reference.startswith(OF_PAYMENTS)


def _overlapping(pattern: re.Pattern[str], text: str) -> list[re.Match[str]]:
    """Every match, also one that begins inside of another."""
    starts = (found.start() for found in re.finditer(pattern.pattern[:2], text))
    return [found for start in starts if (found := pattern.match(text, start))]


def _random() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(12))
