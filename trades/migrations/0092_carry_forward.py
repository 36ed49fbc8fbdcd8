"""What is still missing of a leg is carried forward to a later batch's leg, by its instruction (docs/decisions/0069)."""

import django.db.models.deletion
from django.db import migrations, models

FIXED = """
DROP TRIGGER never_changed ON trades_instructionleg;
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_instructionleg FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""
COLUMNS = ("id", "instruction_id", "leg_id", "direction", "amount", "carried_to_id")

# Forward in time, within a window and an asset, to a leg that the same instruction settles as its own. One live
# instruction per leg, by constraint: so no amount is carried twice.
CARRIED = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION carried_forward() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_settlementleg f JOIN %1$I.trades_settlementbatch fb ON fb.id = f.batch_id
        JOIN %1$I.trades_settlementleg t ON t.id = NEW.carried_to_id AND t.asset_id = f.asset_id
        JOIN %1$I.trades_settlementbatch tb ON tb.id = t.batch_id
            AND tb.window_id = fb.window_id AND tb.cut_at > fb.cut_at
        JOIN %1$I.trades_instructionleg line ON line.leg_id = t.id AND line.instruction_id = NEW.instruction_id
            AND line.carried_to_id IS NULL
        WHERE f.id = NEW.leg_id
    ) THEN
        RAISE EXCEPTION 'a rest is carried forward to a later leg of its window, in the same instruction'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER carried_forward AFTER INSERT ON trades_instructionleg FOR EACH ROW
    WHEN (NEW.carried_to_id IS NOT NULL) EXECUTE FUNCTION carried_forward();
"""

NOT_CARRIED = "DROP TRIGGER carried_forward ON trades_instructionleg; DROP FUNCTION carried_forward();"


def never_changed(columns):
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    return FIXED.format(columns=", ".join(columns), changed=changed)


class Migration(migrations.Migration):
    dependencies = [
        ("trades", "0091_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="instructionleg",
            name="carried_to",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="carried",
                to="trades.settlementleg",
            ),
        ),
        migrations.AddField(
            model_name="settlementwindow",
            name="carries_forward",
            field=models.BooleanField(
                default=False,
                help_text="What is still missing of a leg goes into the next batch's instruction, once its own one has"
                " ended. Off: it waits until another one is made for it.",
            ),
        ),
        migrations.AddIndex(
            model_name="instructionleg",
            index=models.Index(fields=["leg", "id"], name="instruction_leg_by_leg"),
        ),
        migrations.RunSQL(never_changed(COLUMNS), never_changed(COLUMNS[:-1])),
        migrations.RunSQL(CARRIED, NOT_CARRIED),
    ]
