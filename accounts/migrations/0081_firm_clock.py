"""The firm's time in a sandbox: how far it is ahead of PostgreSQL's clock, and functions that say so."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.ids
import accounts.request_id

FUNCTIONS = """
CREATE FUNCTION firm_ahead() RETURNS interval LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((SELECT ahead FROM public.accounts_clockmove ORDER BY number DESC LIMIT 1), interval '0')
$$;
CREATE FUNCTION firm_clock() RETURNS timestamptz LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT clock_timestamp() + public.firm_ahead()
$$;
CREATE FUNCTION refuse_back() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    last public.accounts_clockmove;
BEGIN
    SELECT * INTO last FROM public.accounts_clockmove ORDER BY number DESC LIMIT 1;
    IF NEW.number <> coalesce(last.number, 0) + 1 OR NEW.before <> coalesce(last.ahead, interval '0') THEN
        RAISE EXCEPTION 'the firm''s clock is moved from where it stands, and never back'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
REVOKE EXECUTE ON FUNCTION refuse_back() FROM PUBLIC;
"""

GUARDS = """
CREATE TRIGGER never_back BEFORE INSERT ON accounts_clockmove FOR EACH ROW EXECUTE FUNCTION refuse_back();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_clockmove
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_clockmove
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0080_external_bank_accounts")]

    operations = [
        migrations.CreateModel(
            name="ClockMove",
            fields=[
                (
                    "id",
                    models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.PositiveIntegerField(unique=True)),
                ("at", models.DateTimeField()),
                ("before", models.DurationField(help_text="How far ahead it was until then.")),
                ("ahead", models.DurationField()),
                (
                    "request_id",
                    models.CharField(
                        default=accounts.request_id.current,
                        editable=False,
                        help_text="The HTTP request that did it.",
                        max_length=128,
                        null=True,
                    ),
                ),
                (
                    "by_client",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.apiclient",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="clockmove",
            constraint=models.CheckConstraint(
                condition=models.Q(ahead__gt=models.F("before")), name="clock_moves_ahead"
            ),
        ),
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
