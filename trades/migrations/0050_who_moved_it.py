"""Deposits, withdrawals and the firm's own money as corrections; one-time keys of the dialogs that make them."""

from django.db import migrations, models

FUNDING = ["deposit", "withdrawal", "capital_in", "profit_out", "fees_out"]

# Until now only an adjustment could go without a checker.
LIMITS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION propose_correction() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' OR NEW.checked_by_id IS NOT NULL OR NEW.checked_by_client_id IS NOT NULL THEN
        RAISE EXCEPTION 'a correction begins as a proposal that nobody has checked'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND (NEW.kind NOT IN ('adjustment', 'deposit', 'withdrawal')
            OR NOT coalesce(NEW.amount <= (
                SELECT a.adjustment_limit FROM %I.accounts_asset a WHERE a.code = NEW.asset_id), false)) THEN
        RAISE EXCEPTION 'this correction needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
"""

ONCE = """
CREATE TRIGGER once_never_changes BEFORE UPDATE ON trades_correction FOR EACH ROW
    WHEN (NEW.once IS DISTINCT FROM OLD.once) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0022_references_from_before"), ("trades", "0031_role_guards")]

    operations = [
        migrations.RemoveConstraint(model_name="correction", name="correction_names_its_subject"),
        migrations.AddField(
            model_name="correction",
            name="once",
            field=models.UUIDField(
                blank=True,
                editable=False,
                help_text="The one-time key of the dialog that made it.",
                null=True,
                unique=True,
            ),
        ),
        migrations.AlterField(
            model_name="correction",
            name="kind",
            field=models.CharField(
                choices=[
                    ("reverse_trade", "Reverse Trade"),
                    ("reverse_batch", "Reverse Batch"),
                    ("reverse_leg", "Reverse Leg"),
                    ("adjustment", "Adjustment"),
                    ("break_paid", "Break Paid"),
                    ("break_written_off", "Break Written Off"),
                    ("deposit", "Deposit"),
                    ("withdrawal", "Withdrawal"),
                    ("capital_in", "capital that came in"),
                    ("profit_out", "profit paid out"),
                    ("fees_out", "fees paid out"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["adjustment", *FUNDING]), ("subject__isnull", False), _connector="OR"),
                name="correction_names_its_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ["deposit", "withdrawal"]), _negated=True),
                    models.Q(
                        ("amount__gt", 0),
                        ("asset__isnull", False),
                        ("customer__isnull", False),
                        models.Q(("reference", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="funding_says_whose_and_by_which_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind__in", ["capital_in", "profit_out", "fees_out"]), _negated=True),
                    models.Q(
                        ("amount__gt", 0),
                        ("asset__isnull", False),
                        ("customer__isnull", True),
                        ("needs_checker", True),
                        models.Q(("reference", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="the_firms_own_money_takes_two_persons",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind__in", FUNDING), ("state__in", ["proposed", "applied"])),
                fields=("reference",),
                name="one_funding_per_reference",
            ),
        ),
        migrations.RunSQL(LIMITS, migrations.RunSQL.noop),
        migrations.RunSQL(ONCE, migrations.RunSQL.noop),
    ]
