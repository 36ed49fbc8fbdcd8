"""Reversals and corrections as others see them: when each of their steps was, and indexes to find them by.

What was reversed before this version is dated now, so whoever polls by `updated_at` learns of it.
"""

from django.db import migrations, models
from django.db.models.functions import Now

# A batch's or a correction's row that changes is later than it was, whoever changes it and whatever they say: several
# settlers read the clock in one order and commit in another, and who polls must see the second of them, too.
DATED = """
CREATE FUNCTION date_step() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.updated_at := greatest(clock_timestamp(), OLD.updated_at + interval '1 millisecond');
    RETURN NEW;
END $$;
CREATE TRIGGER dated BEFORE UPDATE ON trades_settlementbatch FOR EACH ROW
    WHEN (NEW.updated_at <= OLD.updated_at AND NEW.* IS DISTINCT FROM OLD.*) EXECUTE FUNCTION date_step();
CREATE TRIGGER dated BEFORE UPDATE ON trades_correction FOR EACH ROW
    WHEN (NEW.updated_at <= OLD.updated_at AND NEW.* IS DISTINCT FROM OLD.*) EXECUTE FUNCTION date_step();
"""

# The guard that refuses any change of what was decided stands aside for a moment.
SINCE = """
ALTER TABLE trades_correction DISABLE TRIGGER terms_never_change;
UPDATE trades_correction SET updated_at = coalesce(decided_at, made_at);
ALTER TABLE trades_correction ENABLE TRIGGER terms_never_change;
UPDATE trades_trade t SET updated_at = clock_timestamp()
FROM trades_tradeevent e WHERE e.became = 'reversed' AND t.id = e.trade_id;
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0073_schedules_count_from_their_change")]

    operations = [
        migrations.AddIndex(
            model_name="tradeevent",
            index=models.Index(
                condition=models.Q(("became", "reversed")), fields=["detail", "trade"], name="trade_events_of_reversal"
            ),
        ),
        migrations.AddField(
            model_name="correction",
            name="updated_at",
            field=models.DateTimeField(db_default=Now(), editable=False, help_text="Its latest step."),
        ),
        migrations.RunSQL(SINCE, migrations.RunSQL.noop),
        migrations.RunSQL(DATED, migrations.RunSQL.noop),
    ]
