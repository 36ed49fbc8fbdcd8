"""What must never be false of marks and windows, as triggers."""

from django.db import migrations

# Ids of slow transactions still appear in the last ten minutes. A mark that isn't raised may stand as it is: the
# database's own clock may have been set back under it, and whoever raises it next lowers it first.
MARK = """
CREATE FUNCTION refuse_mark() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the low-water mark of % would pass what is less than ten minutes old', NEW.kind
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER mark_made_ten_minutes_back BEFORE INSERT ON trades_lowwater FOR EACH ROW
    WHEN (NEW.mark > highest_low_water()) EXECUTE FUNCTION refuse_mark();
CREATE TRIGGER mark_stays_ten_minutes_back BEFORE UPDATE ON trades_lowwater FOR EACH ROW
    WHEN (NEW.mark > OLD.mark AND NEW.mark > highest_low_water()) EXECUTE FUNCTION refuse_mark();
"""

KIND = """
CREATE FUNCTION refuse_kind() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION 'the kind of asset of a settlement window is fixed once it is made: make another window'
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER kind_never_changes BEFORE UPDATE ON trades_settlementwindow FOR EACH ROW
    WHEN (NEW.asset_kind <> OLD.asset_kind) EXECUTE FUNCTION refuse_kind();
"""

DROP_MARK = """
DROP TRIGGER mark_made_ten_minutes_back ON trades_lowwater;
DROP TRIGGER mark_stays_ten_minutes_back ON trades_lowwater;
DROP FUNCTION refuse_mark();
"""
DROP_KIND = "DROP TRIGGER kind_never_changes ON trades_settlementwindow; DROP FUNCTION refuse_kind();"


class Migration(migrations.Migration):
    dependencies = [("trades", "0012_marks_by_kind")]

    operations = [migrations.RunSQL(MARK, DROP_MARK), migrations.RunSQL(KIND, DROP_KIND)]
