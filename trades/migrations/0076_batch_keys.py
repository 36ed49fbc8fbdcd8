"""A batch may have a key: whoever cuts with the same one again gets the batch that it made."""

from django.db import migrations, models

FIXED = """
DROP TRIGGER never_changed ON trades_settlementbatch;
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_settlementbatch FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""
BEFORE = (
    *("id", "window_id", "asset_kinds", "cut_at", "has_cut_off", "legs_are_automatic", "completes_in_order"),
    *("made_by_id", "made_by_client_id", "created_at"),
)


def never_changed(columns: tuple[str, ...]) -> str:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    return FIXED.format(columns=", ".join(columns), changed=changed)


class Migration(migrations.Migration):
    dependencies = [("trades", "0078_parts_of_legs")]

    operations = [
        migrations.AddField(
            model_name="settlementbatch",
            name="key",
            field=models.CharField(
                blank=True,
                editable=False,
                help_text="Whoever cuts with this key again gets this batch.",
                max_length=128,
                null=True,
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementbatch",
            constraint=models.UniqueConstraint(fields=("key",), name="one_batch_per_key"),
        ),
        migrations.RunSQL(never_changed((*BEFORE, "key")), never_changed(BEFORE)),
    ]
