"""Rows of CSV that a spreadsheet shows as they are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from accounts import json_codec

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet calculate a cell instead of showing it
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")  # what no workbook holds, and no spreadsheet shows


def without_controls(text: str) -> str:
    """A text without what isn't shown: what stands behind it may begin like a formula."""
    return _CONTROLS.sub("", text)


def cell(value: object) -> str:
    """A value as a spreadsheet may take it: a text that begins like a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return json_codec.timestamp(value)
    if isinstance(value, int):
        return str(value)
    text = without_controls(str(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def written(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()
