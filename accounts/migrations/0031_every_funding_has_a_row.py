"""What was moved in or out before it was noted who did it has a row as well, whatever its key.

Migration 0022 gave one to the first movement of each reference. The others, and those without a reference of that form,
get one with the transfer's own id behind, so that from here on a movement without its row is named by the recount.
"""

from django.db import migrations

KEPT = """
INSERT INTO accounts_funding (id, transfer_id, reference, reason, made_from, at)
SELECT new_uuid7(), t.id, left(t.key, 90) || '/' || replace(t.id::text, '-', ''), '', 'before it was noted', t.at
FROM accounts_transfer t
WHERE t.kind IN ('deposit', 'withdrawal', 'capital_in', 'profit_out', 'fees_out')
  AND NOT EXISTS (SELECT FROM accounts_funding f WHERE f.transfer_id = t.id)
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0030_kinds_of_transfers")]

    operations = [migrations.RunSQL(KEPT, migrations.RunSQL.noop)]
