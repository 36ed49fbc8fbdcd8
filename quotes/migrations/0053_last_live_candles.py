"""The feed's own last candle is found among many that a file brought, and not everybody may make months."""

from django.db import migrations

# The application's role is granted it after each migrate, by brokerage/grants.py. A new month copies the index.
INDEX_AND_RIGHTS = """
CREATE INDEX quotes_candle_live ON quotes_candle (instrument_id, minute) WHERE backfill_id IS NULL;
REVOKE EXECUTE ON FUNCTION make_candle_month(timestamptz) FROM PUBLIC;
"""
BACK = """
DROP INDEX quotes_candle_live;
GRANT EXECUTE ON FUNCTION make_candle_month(timestamptz) TO PUBLIC;
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0052_backfills")]

    operations = [migrations.RunSQL(INDEX_AND_RIGHTS, BACK)]
