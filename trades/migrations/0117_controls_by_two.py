"""A window goes without a person, and an API client does more, only as two persons said."""

import accounts.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

FIXED = ("id", "kind", "subject", "adds", "reason", "made_by_id", "made_at", "once")
OWN = """
CREATE FUNCTION propose_control() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'a change of a control begins as a proposal' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    NEW.applied_in := NULL;
    RETURN NEW;
END $$;
CREATE FUNCTION stamp_control() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.applied_in := CASE WHEN NEW.state = 'applied' THEN pg_current_xact_id()::text END;
    RETURN NEW;
END $$;
CREATE TRIGGER proposed_first BEFORE INSERT ON trades_controlchange FOR EACH ROW EXECUTE FUNCTION propose_control();
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_controlchange FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_controlchange FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stamped BEFORE UPDATE ON trades_controlchange FOR EACH ROW EXECUTE FUNCTION stamp_control();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_controlchange FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_controlchange FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_controlchange', 'id', '', '');
"""

# What is loosened is what is true now and wasn't, and the scopes that let a program do something and are new.
BY_TWO = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION loosened_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    loosened text[];
BEGIN
    IF TG_TABLE_NAME = 'trades_settlementwindow' THEN
        loosened := ARRAY(
            SELECT n.key FROM jsonb_each(to_jsonb(NEW)) n
            WHERE n.key IN ('is_automatic', 'legs_are_automatic')
              AND n.value = 'true' AND to_jsonb(OLD) -> n.key = 'false');
    ELSE
        loosened := ARRAY(
            SELECT s.scope FROM unnest(NEW.scopes) s(scope)
            WHERE s.scope ~ ':(execute|write)$' AND NOT s.scope = ANY (OLD.scopes));
    END IF;
    IF cardinality(loosened) > 0 AND NOT EXISTS (
        SELECT FROM %1$I.trades_controlchange c
        WHERE c.subject = NEW.id AND c.state = 'applied' AND c.applied_in = pg_current_xact_id()::text
          AND c.adds::text[] @> loosened
    ) THEN
        RAISE EXCEPTION 'two persons switch a control off: %%', loosened
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'loosened_by_two';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER loosened_by_two BEFORE UPDATE OF is_automatic, legs_are_automatic ON trades_settlementwindow FOR EACH ROW
    WHEN (NEW.is_automatic AND NOT OLD.is_automatic OR NEW.legs_are_automatic AND NOT OLD.legs_are_automatic)
    EXECUTE FUNCTION loosened_by_two();
CREATE TRIGGER loosened_by_two BEFORE UPDATE OF scopes ON accounts_apiclient FOR EACH ROW
    WHEN (NEW.scopes IS DISTINCT FROM OLD.scopes) EXECUTE FUNCTION loosened_by_two();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("trades", "0115_cancelled_for_its_leverage"),
        ("accounts", "0090_last_administrator"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="ControlChange",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("window", "a settlement window"), ("client", "an API client")], max_length=6
                    ),
                ),
                ("subject", models.UUIDField(help_text="The window, or the client.")),
                (
                    "adds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64),
                        help_text="A window's columns that become true, or a client's scopes.",
                        size=None,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("applied", "Applied"), ("refused", "Refused")],
                        default="proposed",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField()),
                (
                    "once",
                    models.UUIDField(
                        editable=False, help_text="The one-time key of the dialog.", null=True, unique=True
                    ),
                ),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "applied_in",
                    models.CharField(
                        editable=False,
                        help_text="The transaction in which it was applied, by the database.",
                        max_length=20,
                        null=True,
                    ),
                ),
                (
                    "checked_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["window", "client"])), name="control_kind_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["proposed", "applied", "refused"])),
                        name="control_state_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("reason", ""), _negated=True), models.Q(("adds", []), _negated=True)
                        ),
                        name="control_says_what_and_why",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("checked_by__isnull", True),
                            models.Q(("made_by", models.F("checked_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="control_maker_is_not_checker",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "applied"), _negated=True),
                            ("checked_by__isnull", False),
                            _connector="OR",
                        ),
                        name="control_applied_by_a_checker",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                            models.Q(("decided_at__isnull", False), ("state__in", ["applied", "refused"])),
                            _connector="OR",
                        ),
                        name="control_decided_at_a_time",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("state", "proposed")),
                        fields=("subject",),
                        name="one_control_change_at_a_time",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            OWN.format(
                columns=", ".join(FIXED),
                changed=" OR ".join(f"NEW.{one} IS DISTINCT FROM OLD.{one}" for one in FIXED),
            ),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(BY_TWO, migrations.RunSQL.noop),
    ]
