"""A statement that wrote another number of rows than it must fails by itself, so that COMMIT may be sent with it."""

from django.db import migrations

# Called where a count is not as expected, and only there.
CREATE = """
CREATE FUNCTION refuse_changed_rows() RETURNS void LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'a row that was locked, or was ours alone, had been changed by somebody else'
        USING ERRCODE = 'BR001';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0032_row_versions")]
    operations = [migrations.RunSQL(CREATE, "DROP FUNCTION refuse_changed_rows()")]
