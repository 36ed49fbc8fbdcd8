"""Who asked that a customer be of another client class, why, and who decided: two persons."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

import accounts.ids

FIXED = ("id", "customer_id", "was", "becomes", "reason", "once", "made_by_id", "made_at")
CLASSES = [("retail", "Retail"), ("professional", "Professional")]

GUARDS = """
CREATE FUNCTION propose_client_class() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'a client class begins as a proposal' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER proposed_first BEFORE INSERT ON trades_clientclasschange
    FOR EACH ROW EXECUTE FUNCTION propose_client_class();
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_clientclasschange FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_clientclasschange FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_clientclasschange
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_clientclasschange
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_clientclasschange', 'id', '', '');
"""

# Nobody gives a customer a class alone, through SQL either: an applied change does, and everybody begins as retail.
BY_TWO = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION carry_out_client_class() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE %1$I.accounts_customer SET client_class = NEW.becomes
    WHERE id = NEW.customer_id AND client_class = NEW.was;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the customer is not any more of the class that this change says'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER carried_out AFTER UPDATE OF state ON trades_clientclasschange FOR EACH ROW
    WHEN (OLD.state = 'proposed' AND NEW.state = 'applied') EXECUTE FUNCTION carry_out_client_class();
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF client_class ON accounts_customer FOR EACH ROW
    WHEN (NEW.client_class IS DISTINCT FROM OLD.client_class) EXECUTE FUNCTION refuse_all_but_owner();
CREATE TRIGGER begins_as_retail BEFORE INSERT ON accounts_customer FOR EACH ROW
    WHEN (NEW.client_class <> 'retail') EXECUTE FUNCTION refuse_all_but_owner();
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
    dependencies = [("trades", "0113_cancelled_by_the_spread"), ("accounts", "0087_client_classes")]

    operations = [
        migrations.CreateModel(
            name="ClientClassChange",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("applied", "Applied"), ("refused", "Refused")],
                        default="proposed",
                        max_length=8,
                    ),
                ),
                ("was", models.CharField(choices=CLASSES, max_length=12)),
                ("becomes", models.CharField(choices=CLASSES, max_length=12)),
                (
                    "reason",
                    models.CharField(
                        help_text="Why, such as what was seen of their experience and means.", max_length=500
                    ),
                ),
                (
                    "once",
                    models.UUIDField(
                        editable=False, help_text="The one-time key of the dialog that made it.", null=True, unique=True
                    ),
                ),
                ("made_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(help_text="When it was applied or refused.", null=True)),
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
                        condition=Q(("state__in", ["proposed", "applied", "refused"])),
                        name="client_class_change_state_known",
                    ),
                    models.CheckConstraint(
                        condition=Q(("was__in", ["retail", "professional"])), name="client_class_change_was_known"
                    ),
                    models.CheckConstraint(
                        condition=Q(("becomes__in", ["retail", "professional"])),
                        name="client_class_change_becomes_known",
                    ),
                    models.CheckConstraint(
                        condition=Q(("was", F("becomes")), _negated=True), name="client_class_change_changes"
                    ),
                    models.CheckConstraint(
                        condition=Q(("reason", ""), _negated=True), name="client_class_change_has_a_reason"
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            ("checked_by__isnull", True),
                            Q(("made_by", F("checked_by")), _negated=True),
                            _connector="OR",
                        ),
                        name="client_class_maker_is_not_checker",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("state", "applied"), _negated=True), ("checked_by__isnull", False), _connector="OR"
                        ),
                        name="client_class_applied_by_a_checker",
                    ),
                    models.CheckConstraint(
                        condition=Q(
                            Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                            Q(("decided_at__isnull", False), ("state__in", ["applied", "refused"])),
                            _connector="OR",
                        ),
                        name="client_class_change_decided_at_a_time",
                    ),
                    models.UniqueConstraint(
                        condition=Q(("state", "proposed")),
                        fields=("customer",),
                        name="one_open_class_change_per_customer",
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
