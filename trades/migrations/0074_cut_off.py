"""A batch holds what was accepted before its cut time; what could not be taken in time is told, with why."""

from django.db import migrations, models

# Which cut waits, and since when, decides nothing that an auditor would ask for; it changes with every such cut.
VERSIONED = """
DROP TRIGGER versioned ON trades_settlementwindow;
CREATE TRIGGER versioned AFTER INSERT OR UPDATE OR DELETE ON trades_settlementwindow FOR EACH ROW
    EXECUTE FUNCTION note_row_version('id', 'last_cut_at,waits_since', '');
"""

FIXED = """
DROP TRIGGER never_changed ON trades_settlementbatch;
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_settlementbatch FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""
COLUMNS = (
    *("id", "window_id", "asset_kinds", "cut_at", "has_cut_off", "legs_are_automatic", "made_by_id"),
    *("made_by_client_id", "created_at"),
)


def never_changed(columns: tuple[str, ...]) -> str:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    return FIXED.format(columns=", ".join(columns), changed=changed)


def reasons(*known: str) -> models.CheckConstraint:
    return models.CheckConstraint(condition=models.Q(("reason__in", list(known))), name="left_out_reason_known")


class Migration(migrations.Migration):
    dependencies = [("trades", "0087_batches_are_reversed_in_slices")]

    operations = [
        # Batches that are there were cut without; the next ones are cut with it.
        migrations.AddField(
            model_name="settlementbatch",
            name="has_cut_off",
            field=models.BooleanField(
                db_default=False,
                editable=False,
                help_text="Off: cut before there was a cut-off; members may be younger.",
            ),
        ),
        migrations.AlterField(
            model_name="settlementbatch",
            name="has_cut_off",
            field=models.BooleanField(
                db_default=True,
                editable=False,
                help_text="Off: cut before there was a cut-off; members may be younger.",
            ),
        ),
        migrations.RunSQL(
            never_changed(COLUMNS), never_changed(tuple(name for name in COLUMNS if name != "has_cut_off"))
        ),
        migrations.AlterField(
            model_name="settlementbatch",
            name="cut_at",
            field=models.DateTimeField(help_text="Members were accepted before."),
        ),
        migrations.AddField(
            model_name="settlementwindow",
            name="waits_since",
            field=models.DateTimeField(
                editable=False, help_text="When a cut that was due began to wait for trades in storing.", null=True
            ),
        ),
        migrations.RunSQL(VERSIONED, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="leftout", name="left_out_reason_known"),
        migrations.AlterField(
            model_name="leftout",
            name="reason",
            field=models.CharField(
                choices=[
                    ("customer_frozen", "Customer Frozen"),
                    ("trade_flagged", "Trade Flagged"),
                    ("exited_later", "exited after the cut time"),
                    ("still_storing", "still storing, or its exit is"),
                ],
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            model_name="leftout",
            constraint=reasons("customer_frozen", "trade_flagged", "exited_later", "still_storing"),
        ),
    ]
