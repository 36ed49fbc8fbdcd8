"""The outbox: an event for every change that a client may see, written by the table that changed."""

import django.db.models.deletion
from django.db import migrations, models

# Whoever has read all events below the oldest transaction that still runs misses none: what commits later has a higher
# number. The shift keeps that true where a restored database counts its transactions anew.
PLACES = """
ALTER TABLE accounts_event ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY;
ALTER TABLE accounts_event ALTER COLUMN detail SET DEFAULT '';
INSERT INTO accounts_eventshift (id, shift) VALUES (1, 0);

DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION event_transaction() RETURNS bigint LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN pg_catalog.pg_current_xact_id()::text::bigint + (SELECT shift FROM %1$I.accounts_eventshift);
CREATE FUNCTION event_horizon() RETURNS bigint LANGUAGE sql STABLE
    RETURN pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint
         + (SELECT shift FROM %1$I.accounts_eventshift);
CREATE FUNCTION note_event_horizon() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
    DELETE FROM %1$I.accounts_eventhorizon WHERE at < pg_catalog.statement_timestamp() - interval '40 days';
    INSERT INTO %1$I.accounts_eventhorizon (at, transaction)
    SELECT pg_catalog.clock_timestamp(), %1$I.event_horizon();
END;
CREATE FUNCTION transactions_since(moment timestamptz) RETURNS integer LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
    RETURN (
        SELECT pg_catalog.age((greatest(h.transaction - s.shift, 3))::text::xid8::xid)
        FROM %1$I.accounts_eventhorizon h, %1$I.accounts_eventshift s
        WHERE h.at <= moment ORDER BY h.at DESC LIMIT 1
    );
    $create$, pg_catalog.current_schema());
END $do$;

SELECT note_event_horizon();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_event
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER made_by_owner BEFORE INSERT ON accounts_event
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF id, shift ON accounts_eventshift
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER made_by_owner BEFORE INSERT ON accounts_eventshift
    FOR EACH ROW EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER never_deleted BEFORE DELETE ON accounts_eventshift
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER made_by_owner BEFORE INSERT ON accounts_eventhorizon
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF at, transaction ON accounts_eventhorizon
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER removed_by_owner BEFORE DELETE OR TRUNCATE ON accounts_eventhorizon
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_eventshift
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# A trigger's function works as its owner, so the application's role needs no right to write events, and has none.
TELL = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    here CONSTANT bigint := %1$I.event_transaction();
BEGIN
    INSERT INTO %1$I.accounts_event (transaction, kind, object_id, customer_id, detail, at)
    {select};
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION {name}() FROM PUBLIC;
    $create$, pg_catalog.current_schema());
END $do$;
"""

CUSTOMERS = """
CREATE TRIGGER tells_made AFTER INSERT ON accounts_customer FOR EACH ROW EXECUTE FUNCTION tell_customer();
CREATE TRIGGER tells_moved AFTER UPDATE OF state ON accounts_customer FOR EACH ROW
    WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION tell_customer();
CREATE TRIGGER tells_changed AFTER UPDATE ON accounts_customer FOR EACH ROW
    WHEN (NEW.state = OLD.state AND (NEW.name, NEW.labels, NEW.updated_at)
        IS DISTINCT FROM (OLD.name, OLD.labels, OLD.updated_at)) EXECUTE FUNCTION tell_customer_changed();
"""

ACCOUNTS = """
CREATE TRIGGER tells_made AFTER INSERT ON accounts_ledgeraccount FOR EACH ROW
    WHEN (NEW.type = 'available' AND NEW.customer_id IS NOT NULL) EXECUTE FUNCTION tell_account();
CREATE TRIGGER tells_changed AFTER UPDATE OF name, labels ON accounts_ledgeraccount FOR EACH ROW
    WHEN (NEW.type = 'available' AND (NEW.name, NEW.labels) IS DISTINCT FROM (OLD.name, OLD.labels))
    EXECUTE FUNCTION tell_account();
"""


def tell(name: str, select: str) -> migrations.RunSQL:
    """A trigger function that writes what a SELECT gives: place, kind, object, customer, detail, time."""
    return migrations.RunSQL(TELL.format(name=name, select=select), f"DROP FUNCTION {name}()")


class Migration(migrations.Migration):
    dependencies = [("accounts", "0074_erased_customers")]

    operations = [
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "transaction",
                    models.BigIntegerField(help_text="PostgreSQL's number of the transaction, plus the shift."),
                ),
                ("number", models.BigIntegerField(help_text="Counts up within a transaction.")),
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "transaction", "number", blank=True, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("object_id", models.UUIDField()),
                ("detail", models.CharField(blank=True, max_length=64)),
                ("at", models.DateTimeField(help_text="The change's own time.")),
                (
                    "customer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: the firm's.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.customer",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["customer", "transaction", "number"], name="event_by_customer")],
            },
        ),
        migrations.CreateModel(
            name="EventShift",
            fields=[
                ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("shift", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("id", 1)), name="one_event_shift"),
                    models.CheckConstraint(condition=models.Q(("shift__gte", 0)), name="event_shift_not_negative"),
                ],
            },
        ),
        migrations.CreateModel(
            name="EventHorizon",
            fields=[
                ("at", models.DateTimeField(primary_key=True, serialize=False)),
                ("transaction", models.BigIntegerField(help_text="Its number, plus the shift.")),
            ],
        ),
        migrations.RunSQL(
            PLACES,
            "DROP FUNCTION transactions_since(timestamptz); DROP FUNCTION note_event_horizon();"
            " DROP FUNCTION event_transaction(); DROP FUNCTION event_horizon()",
        ),
        tell(
            "tell_customer",
            "SELECT here, 'customer.' || NEW.state, NEW.id, NEW.id, '', NEW.updated_at",
        ),
        tell("tell_customer_changed", "SELECT here, 'customer.updated', NEW.id, NEW.id, '', NEW.updated_at"),
        tell(
            "tell_account",
            "SELECT here, CASE TG_OP WHEN 'INSERT' THEN 'account.created' ELSE 'account.updated' END, NEW.id,"
            " NEW.customer_id, NEW.asset_id, NEW.updated_at",
        ),
        migrations.RunSQL(CUSTOMERS, migrations.RunSQL.noop),
        migrations.RunSQL(ACCOUNTS, migrations.RunSQL.noop),
    ]
