"""The whole ledger as text, for bookkeeping programs that nobody here wrote (docs/decisions/0049)."""

from accounts.export.books import Price
from accounts.export.forms import FORMS
from accounts.export.lines import lines
from accounts.snapshot import in_one_snapshot

__all__ = ["FORMS", "Price", "in_one_snapshot", "lines"]
