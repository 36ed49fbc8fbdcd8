"""Guards that hold against the application's own role (docs/decisions/0042).

Functions find what they name whatever the session's search_path or its temporary tables say; columns that never change
say so in a trigger of their own, which costs nothing where a statement doesn't name them, and from which grants are
derived (brokerage/grants.py).
"""

from django.db import migrations

# With pg_temp named last, no temporary table, type or operator stands in for one of PostgreSQL's own. A function whose
# body is SQL is bound to what it names when it is made, and can still be inlined.
FUNCTIONS = """
ALTER FUNCTION refuse_change() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION refuse_move() SET search_path = pg_catalog, pg_temp;
ALTER FUNCTION must_commit_by(timestamptz) SET search_path = pg_catalog, pg_temp;
DO $do$
BEGIN
    IF current_setting('server_version_num')::int >= 180000 THEN
        CREATE OR REPLACE FUNCTION new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            RETURN pg_catalog.uuidv7();
    ELSE
        CREATE OR REPLACE FUNCTION new_uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE
            RETURN encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
                PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
                FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid;
    END IF;
END $do$;

CREATE FUNCTION refuse_all_but_owner() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT pg_catalog.pg_has_role(
        current_user, (SELECT c.relowner FROM pg_catalog.pg_class c WHERE c.oid = TG_RELID), 'USAGE'
    ) THEN
        RAISE EXCEPTION '% of % is refused: only the owner of the table does that', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
"""

REPLACED = """
DROP TRIGGER owner_never_changes ON accounts_ledgeraccount;
DROP TRIGGER partition_never_changes ON accounts_customer;
DROP TRIGGER decimals_never_change ON accounts_asset;
"""

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON {table} FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""

# What the firm decides by itself about an asset decides about money: how much one person alone may adjust.
ASSETS = """
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF type, adjustment_limit ON accounts_asset FOR EACH ROW
    WHEN (NEW.type <> OLD.type OR NEW.adjustment_limit <> OLD.adjustment_limit)
    EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER made_by_owner BEFORE INSERT ON accounts_asset FOR EACH ROW
    EXECUTE FUNCTION refuse_all_but_owner();
"""

FIXED = {
    "accounts_customer": ("id", "user_id", "partition", "created_at"),
    "accounts_apiclient": ("id", "client_id", "secret_sha256", "created_at"),
    "accounts_asset": ("code", "decimals"),
    "accounts_ledgeraccount": ("id", "customer_id", "bucket", "asset_id", "type", "created_at"),
    "accounts_break": ("id", "kind", "asset_id", "amount", "subject", "opened_at"),
}


def never_changed(table: str, columns: tuple[str, ...]) -> migrations.RunSQL:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    sql = NEVER_CHANGED.format(table=table, columns=", ".join(columns), changed=changed)
    return migrations.RunSQL(sql, migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0012_words")]

    operations = [
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(REPLACED, migrations.RunSQL.noop),
        *(never_changed(table, columns) for table, columns in FIXED.items()),
        migrations.RunSQL(ASSETS, migrations.RunSQL.noop),
    ]
