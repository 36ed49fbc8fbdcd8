"""Who says that a payment's money moved, and the second person who agrees."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Said once, by two different persons above the asset's limit, through SQL either.
GUARDS = """
CREATE TRIGGER said_once BEFORE UPDATE OF reference, made_by_id, checked_by_id, needs_checker ON trades_payment
    FOR EACH ROW WHEN (OLD.reference <> '' AND NEW.reference <> OLD.reference
        OR OLD.made_by_id IS NOT NULL AND NEW.made_by_id IS DISTINCT FROM OLD.made_by_id
        OR OLD.checked_by_id IS NOT NULL AND NEW.checked_by_id IS DISTINCT FROM OLD.checked_by_id
        OR OLD.needs_checker AND NOT NEW.needs_checker)
    EXECUTE FUNCTION refuse_change();
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION payment_within_limit() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.deliver_amount > (SELECT a.adjustment_limit FROM %1$I.accounts_asset a WHERE a.code = NEW.asset_id) THEN
        RAISE EXCEPTION 'this payment needs a second person' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER alone_within_limit BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NEW.rail = 'manual' AND NEW.state = 'completed' AND NOT NEW.needs_checker)
    EXECUTE FUNCTION payment_within_limit();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0077_payments"),
        ("quotes", "0042_payments"),
        ("trades", "0094_payments"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="checked_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="made_by",
            field=models.ForeignKey(
                blank=True,
                help_text="Who says that the money moved outside.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="needs_checker",
            field=models.BooleanField(default=False, help_text="A second person must agree that it moved."),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("made_by__isnull", True),
                    ("checked_by__isnull", True),
                    models.Q(("made_by", models.F("checked_by")), _negated=True),
                    _connector="OR",
                ),
                name="payment_maker_is_not_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("rail", "manual"), ("state", "completed"), _negated=True),
                    models.Q(
                        ("made_by__isnull", False),
                        models.Q(("needs_checker", False), ("checked_by__isnull", False), _connector="OR"),
                    ),
                    _connector="OR",
                ),
                name="payment_by_hand_is_completed_by_persons",
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
