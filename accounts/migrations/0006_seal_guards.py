"""Sealed blocks are never changed or removed, and hold as many ids and digests as they say."""

from django.db import migrations

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_sealblock
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_sealblock
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
ALTER TABLE accounts_sealblock
    ADD CONSTRAINT seal_block_is_whole CHECK (
        octet_length(ids) = 16 * rows_count AND octet_length(digests) = 32 * rows_count
        AND octet_length(sides) IN (0, 8 * rows_count)
    ),
    -- Hashes don't compress: trying would only cost.
    ALTER COLUMN digests SET STORAGE EXTERNAL,
    ALTER COLUMN ids SET STORAGE EXTERNAL,
    ALTER COLUMN sides SET STORAGE EXTERNAL;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0005_seals")]

    operations = [migrations.RunSQL(GUARDS, migrations.RunSQL.noop)]
