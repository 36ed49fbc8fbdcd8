"""Markets have hours, and an operator's switch above them (docs/decisions/0079)."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import accounts.ids
import accounts.request_id

# The hours that an installation begins with. Gold rests for an hour a day; both reopen on Sunday evening in New York.
HOURS = """
INSERT INTO quotes_tradinghours (name, time_zone, sessions, calendar, closed_days, pre_open_minutes) VALUES
    ('always', 'UTC', 'always', '', '', 0),
    ('fx', 'America/New_York', 'mon-fri 17:00-17:00', '', '12-25, 01-01', 5),
    ('metals', 'America/New_York', 'mon-fri 18:00-17:00', 'IFEU', '', 5);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("quotes", "0046_composite_prices"),
        ("accounts", "0082_real_of"),  # hours go by the firm's time
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TradingHours",
            fields=[
                ("name", models.CharField(max_length=40, primary_key=True, serialize=False)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                (
                    "sessions",
                    models.CharField(
                        default="always",
                        help_text="By trading day, such as: mon-fri 17:00-17:00; sat 10:00-12:00. A session that ends no later than it begins has begun on the day before. Or: always.",
                        max_length=300,
                    ),
                ),
                (
                    "calendar",
                    models.CharField(
                        blank=True,
                        help_text="Whose holidays are no trading days: a code such as NYSE or IFEU.",
                        max_length=20,
                    ),
                ),
                (
                    "closed_days",
                    models.CharField(
                        blank=True,
                        help_text="More days without trading, such as: 12-25, 01-01, 2026-12-24.",
                        max_length=600,
                    ),
                ),
                (
                    "pre_open_minutes",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="So long before an opening prices are told and pending orders taken."
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "trading hours",
                "ordering": ("name",),
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("name__regex", "^[a-z][a-z0-9-]*$")),
                        name="trading_hours_are_named_in_small_letters",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("pre_open_minutes__lte", 1440)), name="trading_hours_pre_open_is_short"
                    ),
                ],
            },
        ),
        migrations.RunSQL(HOURS, migrations.RunSQL.noop),
        migrations.AddField(
            model_name="instrument",
            name="trading_hours",
            field=models.ForeignKey(
                db_default="always",
                default="always",
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="quotes.tradinghours",
            ),
        ),
        migrations.CreateModel(
            name="MarketSwitch",
            fields=[
                (
                    "id",
                    models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.BigIntegerField()),
                (
                    "switch",
                    models.CharField(
                        choices=[("none", "none"), ("close_only", "close_only"), ("halted", "halted")], max_length=10
                    ),
                ),
                ("reason", models.CharField(max_length=200)),
                ("at", models.DateTimeField()),
                (
                    "request_id",
                    models.CharField(
                        default=accounts.request_id.current,
                        editable=False,
                        help_text="The HTTP request that did it.",
                        max_length=128,
                        null=True,
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: the command line without a name.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "instrument",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="quotes.instrument",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "market switches",
                "constraints": [
                    models.UniqueConstraint(fields=("instrument", "number"), name="one_switch_per_number"),
                    models.CheckConstraint(condition=models.Q(("number__gt", 0)), name="switch_number_positive"),
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="switch_has_a_reason"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("switch__in", ["none", "close_only", "halted"])),
                        name="market_switch_switch_known",
                    ),
                ],
            },
        ),
    ]
