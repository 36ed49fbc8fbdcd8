"""Personal data can be erased, and history holds none of it in clear.

Versions of customers and logins say of names, addresses and labels a digest with the row's own salt. It is as good for
seeing that a row was changed around its versions; once the salt is gone, it says nothing of anybody. `migrate` writes a
version of each row in these words (accounts/versions.py). What versions of before say stays as it was sealed.
"""

import uuid

import django.contrib.postgres.functions
from django.db import migrations, models

# As in 0032, with a fourth list: the columns of which a salted digest is kept, under another name.
FUNCTION = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION note_row_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
        IF TG_NARGS > 3 THEN
            FOREACH name IN ARRAY string_to_array(TG_ARGV[3], ',') LOOP
                after := (after - name) || jsonb_build_object(name || '_sha256',
                    encode(sha256(convert_to((whole ->> 'salt') || coalesce(whole ->> name, ''), 'UTF8')), 'hex'));
            END LOOP;
            after := after - 'salt';
        END IF;
    END IF;
    rowkey := coalesce(whole, gone) ->> TG_ARGV[0];
    INSERT INTO %1$I.accounts_rowversion (id, table_name, row_key, number, said, by_role, at)
    SELECT %1$I.new_uuid7(), TG_TABLE_NAME, rowkey, coalesce(max(v.number), 0) + 1, after, session_user,
           clock_timestamp()
    FROM %1$I.accounts_rowversion v WHERE v.table_name = TG_TABLE_NAME AND v.row_key = rowkey;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
"""

SALTED = {
    "accounts_customer": ("updated_at", "", "name,labels"),
    "accounts_user": ("last_login", "password", "email,name"),
}
TRIGGER = """
DROP TRIGGER versioned ON {table};
CREATE TRIGGER versioned AFTER INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW
    EXECUTE FUNCTION note_row_version('id', '{without}', '{hashed}', '{salted}');
"""


def a_salt():
    return models.UUIDField(
        db_default=django.contrib.postgres.functions.RandomUUID(),
        default=uuid.uuid4,
        editable=False,
        help_text="Of the digests in its versions; replaced when its personal data is erased.",
    )


class Migration(migrations.Migration):
    dependencies = [("accounts", "0073_request_ids_of_accounts_and_funding")]

    operations = [
        migrations.AddField(model_name="customer", name="salt", field=a_salt()),
        migrations.AddField(model_name="user", name="salt", field=a_salt()),
        migrations.AddField(
            model_name="customer",
            name="erased_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="When the personal data was erased.", null=True
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("erased_at__isnull", True))
                | models.Q(("labels__isnull", True), ("name", ""), ("state", "rejected")),
                name="customer_erased_for_good",
            ),
        ),
        migrations.RunSQL(FUNCTION, migrations.RunSQL.noop),
        *(
            migrations.RunSQL(
                TRIGGER.format(table=table, without=without, hashed=hashed, salted=salted), migrations.RunSQL.noop
            )
            for table, (without, hashed, salted) in SALTED.items()
        ),
        migrations.RunSQL(
            "CREATE TRIGGER erased_for_good BEFORE UPDATE OF erased_at ON accounts_customer FOR EACH ROW"
            " WHEN (OLD.erased_at IS NOT NULL AND NEW.erased_at IS DISTINCT FROM OLD.erased_at)"
            " EXECUTE FUNCTION refuse_change()",
            "DROP TRIGGER erased_for_good ON accounts_customer",
        ),
    ]
