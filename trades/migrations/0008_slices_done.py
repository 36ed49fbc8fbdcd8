"""Slices are done in any order: which ones stands on the batch, not how far a single settler came."""

import django.contrib.postgres.fields
from django.db import migrations, models

# A batch in the middle of a round: the slices up to where its one settler came.
UNDER_WAY = """
UPDATE trades_settlementbatch b
SET slices_done = coalesce((
    SELECT array_agg(place - 1 ORDER BY place) FROM unnest(b.slice_ends) WITH ORDINALITY AS s(last, place)
    WHERE s.last <= b.settled_through), '{}')
WHERE b.slice_ends <> '{}' AND b.settled_through IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0007_order_engine_guards")]

    operations = [
        migrations.AddField(
            model_name="settlementbatch",
            name="slices_done",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.PositiveIntegerField(),
                default=list,
                help_text="The places of those slices that are completed.",
                size=None,
            ),
        ),
        migrations.RunSQL(UNDER_WAY, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="settlementbatch", name="settled_through"),
        migrations.AddConstraint(
            model_name="settlementbatch",
            constraint=models.CheckConstraint(
                condition=models.Q(("slices_done__len__lte", models.F("slice_ends__len"))),
                name="batch_does_no_more_slices_than_it_has",
            ),
        ),
    ]
