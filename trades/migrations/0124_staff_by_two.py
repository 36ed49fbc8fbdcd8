"""What a member of staff may do, and that a client with such scopes works again, is given by two persons."""

import django.contrib.postgres.fields
from django.db import migrations, models

CONTROLS = [
    ("window", "a settlement window"),
    ("client", "an API client"),
    ("limit", "a risk limit"),
    ("staff", "a member of staff"),
]

# The owner of the tables makes staff as it likes: whoever has its connection could take the trigger away. While there
# has only ever been one Administrator, that one makes the second alone; who does takes turns by the row that those who
# leave lock, too (accounts 0090).
STAFF = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION staff_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    who uuid;
    gained text[];
BEGIN
    IF pg_has_role(current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE') THEN
        RETURN NEW;
    END IF;
    IF TG_TABLE_NAME = 'accounts_user' THEN
        who := NEW.id;
        gained := array_remove(ARRAY[
            CASE WHEN NEW.is_staff AND NOT coalesce(OLD.is_staff, false) THEN 'is_staff' END,
            CASE WHEN NEW.is_superuser AND NOT coalesce(OLD.is_superuser, false) THEN 'is_superuser' END,
            CASE WHEN TG_OP = 'UPDATE' AND NEW.is_staff AND NEW.is_active AND NOT OLD.is_active THEN 'is_active' END
        ], NULL);
        IF cardinality(gained) > 0 AND NEW.is_staff AND NEW.is_superuser AND NOT 'is_active' = ANY (gained) THEN
            PERFORM FROM %1$I.auth_permission WHERE codename = 'manage_staff' FOR UPDATE;
            IF (SELECT count(DISTINCT v.row_key) FROM %1$I.accounts_rowversion v
                WHERE v.table_name = 'accounts_user'
                  AND v.said ->> 'is_staff' = 'true' AND v.said ->> 'is_superuser' = 'true') <= 1 THEN
                RETURN NEW;
            END IF;
        END IF;
    ELSE
        who := NEW.user_id;
        gained := ARRAY['role:' || (SELECT g.name FROM %1$I.auth_group g WHERE g.id = NEW.group_id)];
    END IF;
    IF cardinality(gained) > 0 AND NOT EXISTS (
        SELECT FROM %1$I.trades_controlchange c
        WHERE c.subject = who AND c.kind = 'staff' AND c.state = 'applied'
          AND c.applied_in = pg_current_xact_id()::text AND c.adds::text[] @> gained
    ) THEN
        RAISE EXCEPTION 'two Administrators give %% to a member of staff', gained
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'staff_by_two';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER staff_by_two BEFORE INSERT OR UPDATE OF is_staff, is_superuser, is_active ON accounts_user FOR EACH ROW
    WHEN (NEW.is_staff OR NEW.is_superuser) EXECUTE FUNCTION staff_by_two();
CREATE TRIGGER staff_by_two BEFORE INSERT OR UPDATE ON accounts_user_groups FOR EACH ROW
    EXECUTE FUNCTION staff_by_two();
CREATE TRIGGER staff_by_two BEFORE INSERT OR UPDATE ON accounts_user_user_permissions FOR EACH ROW
    EXECUTE FUNCTION refuse_all_but_owner();
"""

CLIENTS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION client_on_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM unnest(NEW.scopes) s(scope) WHERE s.scope ~ ':(execute|write)$') AND NOT EXISTS (
        SELECT FROM %1$I.trades_controlchange c
        WHERE c.subject = NEW.id AND c.kind = 'client' AND c.state = 'applied'
          AND c.applied_in = pg_current_xact_id()::text AND c.adds::text[] @> ARRAY['is_active']
    ) THEN
        RAISE EXCEPTION 'two persons switch a client that does something on again'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'client_on_by_two';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER client_on_by_two BEFORE UPDATE OF is_active ON accounts_apiclient FOR EACH ROW
    WHEN (NEW.is_active AND NOT OLD.is_active) EXECUTE FUNCTION client_on_by_two();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0123_risk_limits"), ("accounts", "0099_risk_limits")]

    operations = [
        migrations.RemoveConstraint(model_name="controlchange", name="control_kind_known"),
        migrations.AlterField(
            model_name="controlchange", name="kind", field=models.CharField(choices=CONTROLS, max_length=6)
        ),
        migrations.AlterField(
            model_name="controlchange",
            name="subject",
            field=models.UUIDField(help_text="The window, the client, the limit, or the user."),
        ),
        migrations.AlterField(
            model_name="controlchange",
            name="adds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=64),
                help_text="A window's or a user's columns that become true, a client's scopes, a user's roles, or a"
                " limit's amounts, as 1000 to 2000.",
                size=None,
            ),
        ),
        migrations.AddConstraint(
            model_name="controlchange",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", [kind for kind, _ in CONTROLS])), name="control_kind_known"
            ),
        ),
        migrations.RunSQL(STAFF, migrations.RunSQL.noop),
        migrations.RunSQL(CLIENTS, migrations.RunSQL.noop),
    ]
