"""What a margin account's cash is: its available and its reserved money together, less what it owes.

It is the `balance` of /account, and what equity and the margin level begin with. What of it can be spent is another
rule (trades/spendable.py). Base units of the account currency.
"""

from __future__ import annotations

from typing import Final

SUM: Final = "coalesce(sum(l.credits - l.debits), 0) - coalesce(min(m.owed), 0)"
"""Over a customer's available and reserved account `l`, beside the row of notes `m`."""

# By customer, in the currency of their margin account; who has none is left out. `{whose}` is a condition on
# `r.customer_id`.
CASH: Final = f"""
SELECT l.customer_id, {SUM} AS cash
FROM accounts_ledgeraccount r
JOIN accounts_ledgeraccount l
    ON l.customer_id = r.customer_id AND l.asset_id = r.asset_id AND l.type IN ('available', 'margin')
LEFT JOIN trades_marginaccount m ON m.customer_id = r.customer_id
WHERE r.type = 'margin' AND {{whose}}
GROUP BY l.customer_id
"""  # noqa: S608 - our own text
