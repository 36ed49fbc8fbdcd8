"""What is checked of a bank account before anybody is paid there: its number, its bank's, and texts for files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from stdnum import bic, iban
from stdnum.exceptions import ValidationError
from stdnum.us import rtn

from accounts.errors import Malformed

LONGEST_NAME: Final = 70
_OTHERWISE: Final = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l", "Ł": "L", "&": "+"})
_NOT_OF_THE_SET: Final = re.compile(r"[^A-Za-z0-9/\-?:().,'+ ]")
_A_CANADIAN_BANK: Final = re.compile(r"0[0-9]{8}", re.ASCII)
_A_NUMBER: Final = re.compile(r"[0-9]{4,17}", re.ASCII)


def checked_iban(text: str) -> str:
    """An IBAN as its country writes it, checked by ISO 7064 mod 97-10. Raises Malformed."""
    try:
        return str(iban.validate(text)) if text.isascii() else _not_an_iban(text)
    except ValidationError:
        return _not_an_iban(text)


def checked_bic(text: str) -> str:
    """A BIC of 8 or 11 characters (ISO 9362). It has no check digit. Raises Malformed."""
    try:
        if text.isascii():
            return str(bic.validate(text))
    except ValidationError:
        pass
    raise Malformed(f"{text[:40]!r} is not a BIC.")


def checked_aba(text: str) -> str:
    """A routing number of a bank in the United States: nine digits, the last a check digit. Raises Malformed."""
    if text.isascii() and text.isdigit() and rtn.is_valid(text):
        return text
    raise Malformed(f"{text[:40]!r} is not an ABA routing number: nine digits, the last of them a check digit.")


def checked_cpa(text: str) -> str:
    """A Canadian bank's routing number: 0, three digits of the institution, five of the transit, and no check digit.

    Raises Malformed.
    """
    if _A_CANADIAN_BANK.fullmatch(text):
        return text
    raise Malformed(f"{text[:40]!r} is not a CPA routing number: a 0, and eight digits of institution and transit.")


def checked_account_number(text: str) -> str:
    """An account's number where it is no IBAN: 4 to 17 digits. It has no check digit. Raises Malformed."""
    if _A_NUMBER.fullmatch(text):
        return text
    raise Malformed(f"{text[:40]!r} is not an account number: 4 to 17 digits.")


def printable(text: str, name: str, most: int) -> str:
    """A text of one line that no spreadsheet takes for a formula: it goes into files. Raises Malformed."""
    if not 0 < len(text) <= most or not text.isprintable():
        raise Malformed(f"{name} has 1 to {most} characters on one line.")
    if text[0] in "=+-@":
        raise Malformed(f"{name} doesn't begin with {text[0]}, as a formula in a spreadsheet does.")
    return text


def checked_holder(text: str) -> str:
    """Whose account it is: `checked_name`. Raises Malformed."""
    return checked_name(text, "A holder")


def checked_name(text: str, name: str) -> str:
    """What a bank's file names, as `printable`, with a letter or digit that every bank takes. Raises Malformed."""
    if not any(letter.isalnum() for letter in plain(printable(text, name, LONGEST_NAME), LONGEST_NAME)):
        raise Malformed(f"{name} has a Latin letter or a digit: a bank's file takes no others.")
    return text


def plain(text: str, most: int) -> str:
    """A text in the characters that every bank takes, cut to its longest."""
    nearest = unicodedata.normalize("NFKD", text.translate(_OTHERWISE))
    kept = "".join(letter for letter in nearest if not unicodedata.combining(letter))
    return _NOT_OF_THE_SET.sub(".", kept)[:most].strip()


def _not_an_iban(text: str) -> str:
    raise Malformed(f"{text[:40]!r} is not an IBAN: its length or its check digits don't fit.")


CHECKS: Final[Mapping[str, tuple[Callable[[str], str], Callable[[str], str]]]] = MappingProxyType(
    {
        "ABA": (checked_aba, checked_account_number),
        "BIC": (checked_bic, checked_iban),
        "CPA": (checked_cpa, checked_account_number),
    }
)
"""By what kind of number names the bank: how that is checked, and the account's own."""
