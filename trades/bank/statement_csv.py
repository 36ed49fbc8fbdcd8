"""A statement as CSV, for banks and wallets without camt.053: a line an entry, columns by their names."""

from __future__ import annotations

import csv
from datetime import date
from io import StringIO
from typing import Final

from accounts.errors import Malformed
from trades.bank.entries import MOST_BYTES, MOST_ENTRIES, Entry

NEEDED: Final = ("account", "asset", "amount", "direction", "bank_reference", "reference")
OPTIONAL: Final = ("other_account", "booked_on", "is_return")


def read(content: bytes) -> list[Entry]:
    """The entries, in the file's order; UTF-8, first line the columns' names. Raises Malformed."""
    if len(content) > MOST_BYTES:
        raise Malformed(f"A statement has at most {MOST_BYTES:,} bytes.")
    try:
        text = content.decode("utf-8-sig")
        rows = csv.DictReader(StringIO(text, newline=""), strict=True)
        names = tuple(rows.fieldnames or ())
        if "\0" in text or len(set(names)) != len(names) or not set(NEEDED) <= set(names) <= {*NEEDED, *OPTIONAL}:
            raise Malformed(f"A CSV statement has the columns {', '.join(NEEDED)}, and may have {', '.join(OPTIONAL)}.")
        return _entries(rows)
    except (UnicodeDecodeError, csv.Error) as failure:
        raise Malformed(f"This is no CSV in UTF-8: {str(failure)[:200]}") from None


def _entries(rows: csv.DictReader[str]) -> list[Entry]:
    found: list[Entry] = []
    for row in rows:
        if None in row or None in row.values():
            raise Malformed(f"Line {rows.line_num} has another number of cells than the first line.")
        if len(found) == MOST_ENTRIES:
            raise Malformed(f"A statement has at most {MOST_ENTRIES:,} entries.")
        found.append(_entry({name: (text or "").strip() for name, text in row.items()}, rows.line_num))
    return found


def _entry(row: dict[str, str], line: int) -> Entry:
    day = row.get("booked_on", "")
    try:
        booked_on = date.fromisoformat(day) if day else None
    except ValueError:
        raise Malformed(f"Line {line}: booked_on is a day, YYYY-MM-DD.") from None
    is_return = row.get("is_return", "")
    if is_return not in ("", "yes", "no"):
        raise Malformed(f"Line {line}: is_return is yes or no.")
    problem = "a_reversal" if is_return == "yes" else "" if row["bank_reference"] else "no_bank_reference"
    return Entry(
        account=row["account"],
        currency=row["asset"],
        amount=row["amount"],
        direction=row["direction"] if row["direction"] in ("incoming", "outgoing") else "",
        bank_reference=row["bank_reference"],
        names=(row["reference"][:500],) if row["reference"] else (),
        other_account=row.get("other_account", ""),
        booked_on=booked_on,
        problem=problem if row["direction"] in ("incoming", "outgoing") else "no_direction",
    )
