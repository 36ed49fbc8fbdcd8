"""A second person stands behind what a statement brings in above the limit (docs/decisions/0078)."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What was imported before was booked by one person alone, rightly then: nobody's word says so, for the audit.
BEFORE = """
INSERT INTO trades_statementrelease (id, file_id, released_at)
SELECT new_uuid7(), f.id, clock_timestamp() FROM trades_statementfile f;
SET CONSTRAINTS ALL IMMEDIATE;
"""

GUARDS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION release_by_a_second_person() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_statementfile f WHERE f.id = NEW.file_id AND f.made_by_id <> NEW.released_by_id
    ) THEN
        RAISE EXCEPTION 'a statement is released by another person than the one who imported it'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER by_a_second_person BEFORE INSERT ON trades_statementrelease
    FOR EACH ROW EXECUTE FUNCTION release_by_a_second_person();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_statementrelease
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_statementrelease
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# Somebody stands behind every deposit by file: who imported the statement that names it, or who assigned the entry;
# above the limit nobody alone.
SOMEBODYS = """
DROP TRIGGER alone_within_limit ON trades_payment;
CREATE TRIGGER alone_within_limit BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NOT NEW.needs_checker AND (
        NEW.rail = 'manual' AND NEW.state = 'completed'
        OR NEW.rail = 'bank_file' AND NEW.side = 'withdrawal' AND NEW.state = 'settling'
        OR NEW.rail = 'bank_file' AND NEW.side = 'deposit' AND NEW.state = 'completed'))
    EXECUTE FUNCTION payment_within_limit();
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION payment_by_an_entry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_statemententry e JOIN %1$I.trades_statementfile f ON f.id = e.file_id
        WHERE e.payment_id = NEW.id AND e.state = 'matched' AND e.reason = '' AND e.asset_id = NEW.asset_id
          AND e.direction = CASE NEW.side WHEN 'deposit' THEN 'incoming' ELSE 'outgoing' END
          AND e.amount = CASE NEW.side WHEN 'deposit' THEN NEW.deliver_amount ELSE NEW.receive_amount END
          AND CASE
              WHEN NEW.side = 'withdrawal' THEN e.named = NEW.remittance_reference OR e.decided_by_id IS NOT NULL
              WHEN e.decided_by_id IS NOT NULL THEN e.decided_by_id = NEW.made_by_id
              ELSE e.named = NEW.remittance_reference AND NEW.made_by_id = coalesce(f.made_by_id, NEW.made_by_id)
          END
    ) THEN
        RAISE EXCEPTION 'a payment by file completes by an entry of a statement'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
"""


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("trades", "0100_agreed_unverified"),
    ]

    operations = [
        migrations.CreateModel(
            name="StatementRelease",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("released_at", models.DateTimeField()),
                (
                    "file",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="release",
                        to="trades.statementfile",
                    ),
                ),
                (
                    "released_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(SOMEBODYS, migrations.RunSQL.noop),
    ]
