"""What a margin account's cash is: its available and its reserved money together, less what it owes.

It is the `balance` of /account, and what equity and the margin level begin with. What of it can be spent is another
rule (trades/spendable.py). Base units of the account currency.
"""

from __future__ import annotations

from typing import Final

# By customer; who has no account of the currency is left out. `{whose}` is a condition on `l.customer_id`,
# `%(currency)s` a parameter.
CASH: Final = """
SELECT l.customer_id, sum(l.credits - l.debits) - coalesce(min(m.owed), 0) AS cash
FROM accounts_ledgeraccount l
LEFT JOIN trades_marginaccount m ON m.customer_id = l.customer_id
WHERE l.asset_id = %(currency)s AND l.type IN ('available', 'margin') AND {whose}
GROUP BY l.customer_id
"""
