"""Candles that came by a file name it: who brought it, when, and what it changed."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON quotes_backfill FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_backfill FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
NO_GUARDS = """
DROP TRIGGER append_only ON quotes_backfill;
DROP TRIGGER never_emptied ON quotes_backfill;
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0051_candles_by_month"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]

    operations = [
        migrations.CreateModel(
            name="Backfill",
            fields=[
                (
                    "id",
                    models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("name", models.CharField(max_length=200)),
                ("sha256", models.CharField(max_length=64)),
                ("rows_count", models.PositiveBigIntegerField()),
                ("added_count", models.PositiveBigIntegerField(help_text="Minutes that had no candle.")),
                ("replaced_count", models.PositiveBigIntegerField(help_text="Candles that were another.")),
                ("kept_count", models.PositiveBigIntegerField(help_text="Candles that are another, and stay.")),
                ("made_at", models.DateTimeField()),
                (
                    "made_by",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: a sandbox's command line.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="candle",
            name="backfill_id",
            field=models.UUIDField(null=True, editable=False, help_text="The file that it came by."),
        ),
        migrations.RunSQL(GUARDS, NO_GUARDS),
    ]
