"""Low-water marks belong to a kind of asset, not to a window, and one more to the sweep of `storing`.

Each kind begins with the lowest of its windows' marks; at zero, which only costs one longer look, where a window has
none or one that lies in the future. The sweep begins at zero too: its mark lived in Redis, which a restored database
knows nothing of.
"""

import accounts.clock
from django.db import migrations, models
from django.db.models.functions import Now

# The smallest UUIDv7 of ten minutes ago.
FLOOR = """
CREATE FUNCTION highest_low_water() RETURNS uuid LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp() - interval '10 minutes') * 1000)::bigint), 12, '0')
            || '70008000000000000000')::uuid
$$;
"""

KEPT = """
INSERT INTO trades_lowwater (kind, mark)
SELECT asset_kind, min(low_water::text)::uuid FROM trades_settlementwindow
GROUP BY asset_kind HAVING bool_and(low_water IS NOT NULL AND low_water <= highest_low_water())
"""

BACK = """
UPDATE trades_settlementwindow w SET low_water = m.mark FROM trades_lowwater m WHERE m.kind = w.asset_kind
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0011_ids_by_the_shared_clock")]

    operations = [
        migrations.CreateModel(
            name="LowWater",
            fields=[
                ("kind", models.CharField(max_length=10, primary_key=True, serialize=False)),
                ("mark", models.UUIDField()),
                ("raised_at", models.DateTimeField(db_default=Now())),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["storing", "crypto", "fiat", "metal"])),
                        name="low_water_kind_known",
                    )
                ],
            },
        ),
        migrations.RunSQL(FLOOR, "DROP FUNCTION highest_low_water()"),
        migrations.RunSQL(KEPT, BACK),
        migrations.RemoveField(model_name="settlementwindow", name="low_water"),
        migrations.AlterField(
            model_name="settlementwindow",
            name="asset_kind",
            field=models.CharField(
                help_text="Trades whose base asset is of this kind: crypto, fiat or metal. It stays as it was made.",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="settlementwindow",
            name="created_at",
            field=models.DateTimeField(default=accounts.clock.about_now, editable=False),
        ),
    ]
