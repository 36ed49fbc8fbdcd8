"""What a bank hasn't booked yet is another entry than what it books: rows of before get such a key, too."""

from django.db import migrations

# As `Entry.key` of trades/bank/entries.py has it. Nobody else changes a key: the guards stand aside for this one.
OTHER_KEYS = """
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE trades_statemententry DISABLE TRIGGER never_changed;
ALTER TABLE trades_statemententry DISABLE TRIGGER decided_for_good;
UPDATE trades_statemententry SET key = encode(sha256(convert_to(key || 'not booked', 'UTF8')), 'hex')
WHERE reason = 'not_booked';
ALTER TABLE trades_statemententry ENABLE TRIGGER never_changed;
ALTER TABLE trades_statemententry ENABLE TRIGGER decided_for_good;
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0101_statement_releases")]

    operations = [migrations.RunSQL(OTHER_KEYS, migrations.RunSQL.noop)]
