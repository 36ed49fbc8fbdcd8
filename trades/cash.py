"""What a margin account's cash is: its available and its reserved money together, less what it owes.

It is the `balance` of /account, and what equity and the margin level begin with. What of it can be spent is another
rule (trades/spendable.py). Base units of the account currency.
"""

from __future__ import annotations

from typing import Final

SUM: Final = "coalesce(sum(l.credits - l.debits), 0) - coalesce(min(m.owed), 0)"
"""Over a customer's available and reserved account `l`, beside the row of notes `m`."""

# By customer; who has no account of the currency is left out. `{whose}` is a condition on `l.customer_id`, `{currency}`
# a parameter's place.
CASH: Final = f"""
SELECT l.customer_id, {SUM} AS cash
FROM accounts_ledgeraccount l
LEFT JOIN trades_marginaccount m ON m.customer_id = l.customer_id
WHERE l.asset_id = {{currency}} AND l.type IN ('available', 'margin') AND {{whose}}
GROUP BY l.customer_id
"""  # noqa: S608 - our own text
