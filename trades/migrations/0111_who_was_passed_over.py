"""Who was left by a release waits for somebody; a sent payout is stopped by two; a reversal is another entry."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.models import F, Q

GUARDS = """
CREATE TRIGGER left_for_good BEFORE UPDATE OF is_left_by_release ON trades_payment FOR EACH ROW
    WHEN (OLD.is_left_by_release AND NOT NEW.is_left_by_release) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stopped_once BEFORE UPDATE OF stopped_by_id, stopped_at, stop_checked_by_id ON trades_payment
    FOR EACH ROW WHEN ((OLD.stopped_by_id IS NOT NULL OR OLD.state = 'completed')
        AND (NEW.stopped_by_id, NEW.stopped_at) IS DISTINCT FROM (OLD.stopped_by_id, OLD.stopped_at)
        OR OLD.state = 'completed' AND NEW.stop_checked_by_id IS DISTINCT FROM OLD.stop_checked_by_id)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stopped_by_somebody BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NEW.state = 'failed' AND NEW.payment_file_id IS NOT NULL AND NEW.stopped_by_id IS NULL)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER stopped_within_limit BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NEW.state = 'failed' AND NEW.payment_file_id IS NOT NULL AND NEW.stop_checked_by_id IS NULL)
    EXECUTE FUNCTION payment_within_limit();
"""

# As `Entry.facts` and `Entry.key` of trades/bank/entries.py have them. Nobody else changes a digest: the guards stand
# aside for this one. Of what has another entry's reference nobody knows any more whether it was a reversal: no hand.
DIGESTS = """
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE trades_statemententry DISABLE TRIGGER never_changed;
ALTER TABLE trades_statemententry DISABLE TRIGGER decided_for_good;
UPDATE trades_statemententry SET facts = encode(sha256(convert_to(facts || 'a_reversal', 'UTF8')), 'hex')
WHERE reason = 'a_reversal' OR reason LIKE 'return\\_%';
UPDATE trades_statemententry
SET key = encode(sha256(convert_to(account || chr(31) || facts, 'UTF8')), 'hex')
WHERE bank_reference = '' AND length(account) < 100 AND (reason = 'a_reversal' OR reason LIKE 'return\\_%');
UPDATE trades_statemententry SET reason = 'same_reference_unclear' WHERE reason = 'same_reference' AND state = 'listed';
ALTER TABLE trades_statemententry ENABLE TRIGGER never_changed;
ALTER TABLE trades_statemententry ENABLE TRIGGER decided_for_good;
"""


def by_whom(help_text: str) -> models.ForeignKey:
    return models.ForeignKey(
        blank=True,
        db_index=False,
        help_text=help_text,
        null=True,
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to=settings.AUTH_USER_MODEL,
    )


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("trades", "0110_exits_by_time"),
    ]

    operations = [
        migrations.AddField(
            model_name="payment",
            name="is_left_by_release",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Of a deposit by file: its statement was released when its customer was frozen, or not"
                " verified.",
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="stopped_by",
            field=by_whom("Of a payout that was sent: who says that the bank has refused or stopped it."),
        ),
        migrations.AddField(
            model_name="payment",
            name="stopped_at",
            field=models.DateTimeField(blank=True, help_text="When they said so.", null=True),
        ),
        migrations.AddField(
            model_name="payment", name="stop_checked_by", field=by_whom("The second person who says so.")
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(stop_checked_by__isnull=True)
                | Q(stopped_by__isnull=False) & ~Q(stopped_by=F("stop_checked_by")),
                name="payment_is_stopped_by_two_persons",
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(DIGESTS, migrations.RunSQL.noop),
    ]
