from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0004_house_guards"),
    ]

    operations = [
        migrations.CreateModel(
            name="SealBlock",
            fields=[
                (
                    "number",
                    models.BigIntegerField(
                        help_text="1 and up, without a gap, over all tables together.",
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("table_name", models.CharField(max_length=63)),
                (
                    "columns",
                    models.TextField(help_text="The columns that the digests cover, comma-separated, in this order."),
                ),
                ("after", models.UUIDField(help_text="Ids above this …")),
                ("through", models.UUIDField(help_text="… up to and with this one are sealed here.")),
                ("rows_count", models.IntegerField()),
                ("ids", models.BinaryField(help_text="16 bytes a row, ascending.")),
                ("digests", models.BinaryField(help_text="32 bytes a row, in the order of the ids.")),
                (
                    "sides",
                    models.BinaryField(help_text="Transfers only, 8 bytes a row: the ends of the two accounts' ids."),
                ),
                (
                    "previous_hash",
                    models.CharField(help_text="Of the block before; zeros for the first.", max_length=64),
                ),
                ("hash", models.CharField(max_length=64)),
                ("sealed_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("table_name", "after"), name="one_seal_block_per_range"),
                    models.UniqueConstraint(fields=("hash",), name="seal_block_hash_unique"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("number__gte", 1),
                            ("rows_count__gte", 1),
                            ("through__gt", models.F("after")),
                        ),
                        name="seal_block_holds_rows",
                    ),
                ],
            },
        ),
    ]
