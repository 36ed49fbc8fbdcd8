"""What the tables refuse by themselves, whoever asks: rewriting history, deleting whom it names."""

from django.db import migrations

FUNCTIONS = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: its rows are never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION refuse_move() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a row of % may not move from % to %', TG_TABLE_NAME,
        to_jsonb(OLD) ->> TG_ARGV[0], to_jsonb(NEW) ->> TG_ARGV[0]
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

-- A time-ordered UUID made by the server; PostgreSQL 18 has its own, older ones get the same layout.
DO $do$
BEGIN
    IF current_setting('server_version_num')::int >= 180000 THEN
        CREATE FUNCTION new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS 'SELECT uuidv7()';
    ELSE
        CREATE FUNCTION new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $body$
            SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
        $body$;
    END IF;
END $do$;
"""

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

NEVER_DELETED = """
CREATE TRIGGER never_deleted BEFORE DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

OWNER_NEVER_CHANGES = """
CREATE TRIGGER owner_never_changes BEFORE UPDATE ON accounts_ledgeraccount FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.customer_id IS DISTINCT FROM OLD.customer_id
          OR NEW.bucket IS DISTINCT FROM OLD.bucket OR NEW.asset_id <> OLD.asset_id OR NEW.type <> OLD.type)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER partition_never_changes BEFORE UPDATE ON accounts_customer FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.partition <> OLD.partition)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decimals_never_change BEFORE UPDATE ON accounts_asset FOR EACH ROW
    WHEN (NEW.code <> OLD.code OR NEW.decimals <> OLD.decimals)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_tables")]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        *(
            migrations.RunSQL(APPEND_ONLY.format(table=table), migrations.RunSQL.noop)
            for table in ("accounts_transfer", "accounts_ledgeraudit")
        ),
        *(
            migrations.RunSQL(NEVER_DELETED.format(table=table), migrations.RunSQL.noop)
            for table in ("accounts_customer", "accounts_asset", "accounts_ledgeraccount")
        ),
        migrations.RunSQL(OWNER_NEVER_CHANGES, migrations.RunSQL.noop),
        # Balances are rewritten all day: room on each page lets PostgreSQL update them in place (HOT).
        migrations.RunSQL("ALTER TABLE accounts_ledgeraccount SET (fillfactor = 60)", migrations.RunSQL.noop),
    ]
