"""Movements from before get a row, too, so that their references can't be used again.

Of a reference that was used for several movements the first one has it.
"""

from django.db import migrations

KEPT = """
INSERT INTO accounts_funding (id, transfer_id, reference, reason, made_from, at)
SELECT new_uuid7(), id, reference, '', 'before it was noted', at
FROM (
    SELECT DISTINCT ON (split.reference) t.id, t.at, split.reference
    FROM accounts_transfer t, LATERAL (SELECT substring(t.key FROM length(t.kind) + 2) AS reference) split
    WHERE t.kind IN ('deposit', 'withdrawal') AND t.key LIKE t.kind || ':_%' AND length(split.reference) <= 128
    ORDER BY split.reference, t.id
) first
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0021_capital")]

    operations = [migrations.RunSQL(KEPT, migrations.RunSQL.noop)]
