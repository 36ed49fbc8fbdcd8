"""What rows that may change have said: a table of versions, written by triggers alone (docs/decisions/0048)."""

import accounts.ids
from django.db import migrations, models

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_rowversion
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_rowversion
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER made_by_owner BEFORE INSERT ON accounts_rowversion
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_owner();
"""

# The application may not insert versions: the trigger writes them with its owner's rights. Moments in JSON are told in the
# session's time zone, so it has one of its own. Whoever changes a row holds its lock: versions of a row take turns.
FUNCTIONS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION note_row_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
    before jsonb;
    after jsonb;
    name text;
    rowkey text;
    whole jsonb := CASE WHEN TG_OP = 'DELETE' THEN NULL ELSE to_jsonb(NEW) END;
    gone jsonb := CASE WHEN TG_OP = 'INSERT' THEN NULL ELSE to_jsonb(OLD) END;
BEGIN
    after := whole - string_to_array(TG_ARGV[1], ',');
    before := gone - string_to_array(TG_ARGV[1], ',');
    IF before = after THEN
        RETURN NULL;
    END IF;
    IF after IS NOT NULL THEN
        FOREACH name IN ARRAY string_to_array(TG_ARGV[2], ',') LOOP
            after := after || jsonb_build_object(name, encode(sha256(convert_to(whole ->> name, 'UTF8')), 'hex'));
        END LOOP;
    END IF;
    rowkey := coalesce(whole, gone) ->> TG_ARGV[0];
    INSERT INTO %1$I.accounts_rowversion (id, table_name, row_key, number, said, by_role, at)
    SELECT %1$I.new_uuid7(), TG_TABLE_NAME, rowkey, coalesce(max(v.number), 0) + 1, after, session_user,
           clock_timestamp()
    FROM %1$I.accounts_rowversion v WHERE v.table_name = TG_TABLE_NAME AND v.row_key = rowkey;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION keep_versions(of_table text, key text, without text, hashed text) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET TimeZone = 'UTC' AS $$
DECLARE
    digests text := '';
    name text;
BEGIN
    FOREACH name IN ARRAY string_to_array(hashed, ',') LOOP
        digests := digests
            || format(' || jsonb_build_object(%%L::text, encode(sha256(convert_to(r.%%I, ''UTF8'')), ''hex''))', name, name);
    END LOOP;
    EXECUTE format('INSERT INTO %1$I.accounts_rowversion (id, table_name, row_key, number, said, by_role, at)'
        ' SELECT %1$I.new_uuid7(), %%1$L, r.%%2$I::text, 1, (to_jsonb(r) - %%3$L::text[])%%4$s, session_user,'
        ' clock_timestamp() FROM %1$I.%%1$I r ORDER BY r.%%2$I',
        of_table, key, string_to_array(without, ','), digests);
    EXECUTE format('CREATE TRIGGER versioned AFTER INSERT OR UPDATE OR DELETE ON %1$I.%%1$I FOR EACH ROW'
        ' EXECUTE FUNCTION %1$I.note_row_version(%%2$L, %%3$L, %%4$L)', of_table, key, without, hashed);
END $$
    $create$, pg_catalog.current_schema());
END $do$;
REVOKE EXECUTE ON FUNCTION note_row_version(), keep_versions(text, text, text, text) FROM PUBLIC;
"""

KEPT = """
SELECT keep_versions('accounts_asset', 'code', '', '');
SELECT keep_versions('accounts_customer', 'id', 'updated_at', '');
SELECT keep_versions('accounts_user', 'id', 'last_login', 'password');
SELECT keep_versions('accounts_apiclient', 'id', '', 'secret_sha256');
SELECT keep_versions('accounts_break', 'id', '', '');
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0031_every_funding_has_a_row")]

    operations = [
        migrations.CreateModel(
            name="RowVersion",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("table_name", models.CharField(max_length=63)),
                ("row_key", models.CharField(max_length=64)),
                ("number", models.IntegerField(help_text="1 and up, without a gap, for each row.")),
                ("said", models.JSONField(help_text="By column; empty: the row was removed.", null=True)),
                ("by_role", models.CharField(help_text="The database's role that did it.", max_length=63)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("table_name", "row_key", "number"), name="one_version_per_number"),
                    models.CheckConstraint(condition=models.Q(("number__gte", 1)), name="version_number_positive"),
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(KEPT, migrations.RunSQL.noop),
    ]
