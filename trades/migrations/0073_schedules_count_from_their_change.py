"""A window's schedule counts from when it was made, changed or switched on: saving it makes no past cut due.

The database alone says since when, whoever edits. What is fixed of a window has the trigger from which grants follow.
"""

from django.db import migrations, models
from django.db.models.functions import Now

# Windows that are there go on as they were: an upgrade loses no cut that is due.
AS_IT_WAS = "UPDATE trades_settlementwindow SET schedule_since = created_at"

SINCE = """
CREATE FUNCTION count_schedule_from_now() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'INSERT' OR ROW(NEW.cron, NEW.time_zone, NEW.calendar, NEW.is_active, NEW.is_automatic,
                               NEW.legs_are_automatic)
        IS DISTINCT FROM ROW(OLD.cron, OLD.time_zone, OLD.calendar, OLD.is_active, OLD.is_automatic,
                             OLD.legs_are_automatic) THEN
        NEW.schedule_since := clock_timestamp();
    ELSE
        NEW.schedule_since := OLD.schedule_since;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER schedule_counts_from_its_change BEFORE INSERT OR UPDATE ON trades_settlementwindow
    FOR EACH ROW EXECUTE FUNCTION count_schedule_from_now();
"""
NO_SINCE = """
DROP TRIGGER schedule_counts_from_its_change ON trades_settlementwindow;
DROP FUNCTION count_schedule_from_now();
"""

FIXED = """
DROP TRIGGER kind_never_changes ON trades_settlementwindow;
DROP FUNCTION refuse_kind();
CREATE TRIGGER never_changed AFTER UPDATE OF id, asset_kind, created_at ON trades_settlementwindow FOR EACH ROW
    WHEN (NEW.id IS DISTINCT FROM OLD.id OR NEW.asset_kind IS DISTINCT FROM OLD.asset_kind
          OR NEW.created_at IS DISTINCT FROM OLD.created_at)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0082_counterparties")]

    operations = [
        migrations.AddField(
            model_name="settlementwindow",
            name="schedule_since",
            field=models.DateTimeField(
                db_default=Now(),
                editable=False,
                help_text="When it was made, its schedule changed or it was switched on: cut times up to here aren't due.",
            ),
        ),
        migrations.RunSQL(AS_IT_WAS, migrations.RunSQL.noop),
        migrations.RunSQL(SINCE, NO_SINCE),
        migrations.RunSQL(FIXED, migrations.RunSQL.noop),
    ]
