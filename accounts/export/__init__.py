"""The whole ledger as text, for bookkeeping programs that nobody here wrote (docs/decisions/0049)."""

from accounts.export.books import ExportedPrice
from accounts.export.forms import FORMS
from accounts.export.lines import lines
from accounts.snapshot import in_one_snapshot

__all__ = ["FORMS", "ExportedPrice", "in_one_snapshot", "lines"]
