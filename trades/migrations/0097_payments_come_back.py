"""A payment that comes back: a correction about it, once, and no more than it had moved; with an event of its own."""

from django.conf import settings
from django.db import migrations, models

# As in 0050, with returned payments.
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
    IF NOT NEW.needs_checker AND (NEW.kind NOT IN ('adjustment', 'deposit', 'withdrawal', 'payment_returned')
            OR NOT coalesce(NEW.amount <= (
                SELECT a.adjustment_limit FROM %I.accounts_asset a WHERE a.code = NEW.asset_id), false)) THEN
        RAISE EXCEPTION 'this correction needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
    $create$, pg_catalog.current_schema());
END $do$;
"""

# What a completed payment says never changes, so it is enough to look once.
OF_ITS_PAYMENT = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION return_of_its_payment() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_payment p
        WHERE p.id = NEW.subject AND p.state = 'completed' AND p.type = 'funding'
          AND p.customer_id = NEW.customer_id AND p.asset_id = NEW.asset_id
          AND NEW.direction = CASE p.side WHEN 'deposit' THEN 'debit' ELSE 'credit' END
          AND NEW.amount <= CASE p.side WHEN 'deposit' THEN p.deliver_amount ELSE p.receive_amount END
    ) THEN
        RAISE EXCEPTION 'what comes back is a completed payment, and no more than it had moved'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER of_its_payment BEFORE INSERT ON trades_correction FOR EACH ROW
    WHEN (NEW.kind = 'payment_returned') EXECUTE FUNCTION return_of_its_payment();
"""

# Of what has completed only the time of its latest step goes on, when it comes back.
ENDED = """
DROP TRIGGER ended_for_good ON trades_payment;
CREATE TRIGGER ended_for_good BEFORE UPDATE ON trades_payment FOR EACH ROW
    WHEN (OLD.state = 'failed' OR OLD.state = 'completed' AND (
        NEW.state, NEW.failure_code, NEW.reference, NEW.needs_checker, NEW.made_by_id, NEW.checked_by_id
    ) IS DISTINCT FROM (
        OLD.state, OLD.failure_code, OLD.reference, OLD.needs_checker, OLD.made_by_id, OLD.checked_by_id
    ))
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0079_book_transfers"),
        ("trades", "0096_book_transfers"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="correction",
            name="one_funding_per_reference",
        ),
        migrations.RemoveConstraint(
            model_name="correction",
            name="correction_kind_known",
        ),
        migrations.RemoveConstraint(
            model_name="paymentevent",
            name="payment_event_became_known",
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
                    ("payment_returned", "payment that came back"),
                    ("capital_in", "capital that came in"),
                    ("profit_out", "profit paid out"),
                    ("fees_out", "fees paid out"),
                ],
                max_length=20,
            ),
        ),
        migrations.AlterField(
            model_name="correction",
            name="subject",
            field=models.UUIDField(
                blank=True, help_text="The trade, batch, leg, break or payment that it corrects.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="paymentevent",
            name="became",
            field=models.CharField(
                choices=[
                    ("storing", "Storing"),
                    ("pending", "Pending"),
                    ("settling", "Settling"),
                    ("completed", "Completed"),
                    ("failed", "Failed"),
                    ("returned", "Returned"),
                ],
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="paymentevent",
            name="detail",
            field=models.CharField(
                blank=True,
                help_text="The failure code, the outside's reference, or the correction's guid.",
                max_length=128,
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.UniqueConstraint(
                condition=models.Q(
                    ("kind__in", ["deposit", "withdrawal", "capital_in", "profit_out", "fees_out", "payment_returned"]),
                    ("state__in", ["proposed", "applied"]),
                ),
                fields=("reference",),
                name="one_funding_per_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "payment_returned"), _negated=True),
                    models.Q(
                        ("amount__gt", 0),
                        ("asset__isnull", False),
                        ("customer__isnull", False),
                        ("direction__in", ["credit", "debit"]),
                        models.Q(("reference", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="return_says_whose_and_by_which_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "payment_returned"), ("state__in", ["proposed", "applied"])),
                fields=("subject",),
                name="a_payment_comes_back_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
                            "reverse_trade",
                            "reverse_batch",
                            "reverse_leg",
                            "adjustment",
                            "break_paid",
                            "break_written_off",
                            "deposit",
                            "withdrawal",
                            "capital_in",
                            "profit_out",
                            "fees_out",
                            "payment_returned",
                        ],
                    )
                ),
                name="correction_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentevent",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("became__in", ["storing", "pending", "settling", "completed", "failed", "returned"])
                ),
                name="payment_event_became_known",
            ),
        ),
        migrations.RunSQL(LIMITS, migrations.RunSQL.noop),
        migrations.RunSQL(OF_ITS_PAYMENT, migrations.RunSQL.noop),
        migrations.RunSQL(ENDED, migrations.RunSQL.noop),
    ]
