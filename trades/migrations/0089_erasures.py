"""Who asked that a customer's personal data be erased, why, and who decided: two persons."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import accounts.ids

FIXED = ("id", "customer_id", "reason", "made_by_id", "made_at")
GUARDS = """
CREATE FUNCTION propose_erasure() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'an erasure begins as a proposal' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER proposed_first BEFORE INSERT ON trades_erasure FOR EACH ROW EXECUTE FUNCTION propose_erasure();
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_erasure FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_erasure FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_erasure FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_erasure FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_erasure', 'id', '', '');
"""

# Nobody erases alone, through SQL either: a customer is erased by a done erasure, and what is known of them goes then.
BY_TWO = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION erased_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM %1$I.trades_erasure e WHERE e.customer_id = NEW.id AND e.state = 'done') THEN
        RAISE EXCEPTION 'a customer is erased by two persons' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION details_erased_with_customer() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM %1$I.accounts_customer c WHERE c.id = OLD.customer_id AND c.erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'personal data goes when its customer is erased'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN OLD;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER erased_by_two BEFORE UPDATE OF erased_at ON accounts_customer FOR EACH ROW
    WHEN (OLD.erased_at IS NULL AND NEW.erased_at IS NOT NULL) EXECUTE FUNCTION erased_by_two();
CREATE TRIGGER erased_with_customer BEFORE DELETE ON accounts_customerdetails
    FOR EACH ROW EXECUTE FUNCTION details_erased_with_customer();
"""


def a_person(**options):
    return models.ForeignKey(
        settings.AUTH_USER_MODEL,
        db_index=False,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        **options,
    )


class Migration(migrations.Migration):
    dependencies = [("trades", "0076_batch_keys"), ("accounts", "0074_erased_customers")]

    operations = [
        migrations.CreateModel(
            name="Erasure",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("done", "Done"), ("refused", "Refused")],
                        default="proposed",
                        max_length=8,
                    ),
                ),
                ("reason", models.CharField(help_text="Why; it names nobody, for it stays.", max_length=500)),
                ("made_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(help_text="When it was done or refused.", null=True)),
                (
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.customer"
                    ),
                ),
                ("made_by", a_person()),
                ("checked_by", a_person(null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(("state__in", ["proposed", "done", "refused"])), name="erasure_state_known"
                    ),
                    models.CheckConstraint(condition=Q(("reason", ""), _negated=True), name="erasure_has_a_reason"),
                    models.CheckConstraint(
                        condition=Q(
                            ("checked_by__isnull", True),
                            Q(("made_by", F("checked_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="erasure_maker_is_not_checker",
                    ),
                    models.CheckConstraint(
                        condition=Q(("state", "done"), _negated=True) | Q(("checked_by__isnull", False)),
                        name="erasure_done_by_a_checker",
                    ),
                    models.CheckConstraint(
                        condition=Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed"))
                        | Q(("decided_at__isnull", False), ("state__in", ["done", "refused"])),
                        name="erasure_decided_at_a_time",
                    ),
                    models.UniqueConstraint(
                        condition=Q(("state__in", ["proposed", "done"])),
                        fields=("customer",),
                        name="one_erasure_per_customer",
                    ),
                ],
            },
        ),
        migrations.RunSQL(
            GUARDS.format(
                columns=", ".join(FIXED),
                changed=" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED),
            ),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(BY_TWO, migrations.RunSQL.noop),
    ]
