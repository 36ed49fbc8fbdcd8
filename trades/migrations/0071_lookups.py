"""Trades are found by label, by what the partner calls them, by the trade that they counter, and by why they failed.

Indexes of the few that have such a thing. None covers a column that changes while a trade settles (docs/decisions/0005).
"""

import django.contrib.postgres.indexes
from django.db import migrations, models

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_trade FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""
WAS_FIXED = (
    *("id", "customer_id", "quote_id", "trade_type", "instrument_id", "side", "receive_asset_id", "deliver_asset_id"),
    *("receive_amount", "deliver_amount", "fee", "expected_error", "reference_trade_id", "created_at"),
)


def never_changed(columns: tuple[str, ...]) -> str:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    return NEVER_CHANGED.format(columns=", ".join(columns), changed=changed)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0040_customer_states"),
        ("quotes", "0030_external_id"),
        ("trades", "0070_words_as_one_value"),
    ]

    operations = [
        migrations.AddField(
            model_name="trade",
            name="external_id",
            field=models.CharField(
                blank=True, help_text="What the partner calls this trade.", max_length=64, null=True
            ),
        ),
        migrations.AddIndex(
            model_name="trade",
            index=models.Index(
                condition=models.Q(("reference_trade__isnull", False)),
                fields=["reference_trade", "id"],
                name="trade_by_reference",
            ),
        ),
        migrations.AddIndex(
            model_name="trade",
            index=models.Index(
                condition=models.Q(("external_id__isnull", False)),
                fields=["external_id", "id"],
                name="trade_by_external_id",
            ),
        ),
        migrations.AddIndex(
            model_name="trade",
            index=models.Index(
                condition=models.Q(("failure_code__isnull", False)),
                fields=["failure_code", "id"],
                name="trade_by_failure",
            ),
        ),
        migrations.AddIndex(
            model_name="trade",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("labels__isnull", False)), fields=["labels"], name="trade_by_label"
            ),
        ),
        migrations.RunSQL("DROP TRIGGER never_changed ON trades_trade", never_changed(WAS_FIXED)),
        migrations.RunSQL(never_changed((*WAS_FIXED, "external_id")), "DROP TRIGGER never_changed ON trades_trade"),
    ]
