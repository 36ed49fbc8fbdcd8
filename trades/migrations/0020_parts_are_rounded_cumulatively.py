"""What is carried below a base unit, so that parts of an order add up to it (docs/decisions/0040).

Orders that have ended were rounded part by part: theirs stays empty. What is live begins with what was booked.
"""

from decimal import Decimal

from django.db import migrations, models

REALIZED = {"max_digits": 80, "decimal_places": 36, "null": True}
SWAP_ACCRUED = {"max_digits": 110, "decimal_places": 60, "null": True}
REALIZED_HELP = "What the parts closed before this have brought: base units, exactly."
SWAP_ACCRUED_HELP = "What all nights have brought, its parts' included: base units, exactly."

BEGIN = """
UPDATE trades_order o SET realized = 0, swap_accrued = o.swap + coalesce(
    (SELECT sum(p.swap) FROM trades_order p WHERE p.parent_id = o.id AND p.customer_id = o.customer_id), 0)
WHERE o.status IN ('OPEN', 'PENDING')
"""

CANCEL_REASONS = [
    ("manual", "Manual"),
    ("take_profit", "Take Profit"),
    ("stop_loss", "Stop Loss"),
    ("trailing_stop", "Trailing Stop"),
    ("stop_out", "Stop Out"),
    ("close_all", "Close All"),
    ("no_margin", "not enough free margin when its price came"),
    ("forbidden", "the customer or the instrument was not open to new orders when its price came"),
    ("gap", "a gap took its price beyond its own take profit"),
]


class Migration(migrations.Migration):
    dependencies = [("trades", "0014_late_commits")]

    operations = [
        migrations.AddField("order", "realized", models.DecimalField(help_text=REALIZED_HELP, **REALIZED)),
        migrations.AddField("order", "swap_accrued", models.DecimalField(help_text=SWAP_ACCRUED_HELP, **SWAP_ACCRUED)),
        migrations.RunSQL(BEGIN, migrations.RunSQL.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),  # else ALTER finds pending triggers
        migrations.AlterField(
            "order", "realized", models.DecimalField(help_text=REALIZED_HELP, default=0, db_default=0, **REALIZED)
        ),
        migrations.AlterField(
            "order",
            "swap_accrued",
            models.DecimalField(help_text=SWAP_ACCRUED_HELP, default=0, db_default=0, **SWAP_ACCRUED),
        ),
        migrations.AlterField(
            "order", "close_reason", models.CharField(blank=True, choices=CANCEL_REASONS, max_length=16)
        ),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=models.Q(realized__isnull=False, swap_accrued__isnull=False)
                | models.Q(status__in=["CLOSED", "CANCELLED"], realized__isnull=True, swap_accrued__isnull=True),
                name="order_cumulates",
            ),
        ),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=models.Q(parent_id__isnull=True)
                | models.Q(swap_accrued__isnull=True)
                | models.Q(swap_accrued=0),
                name="order_nights_are_the_wholes",
            ),
        ),
        migrations.AddField(
            "marginaccount",
            "swap_carried",
            models.DecimalField(
                max_digits=61,
                decimal_places=60,
                default=0,
                db_default=0,
                help_text="What closed orders' swap has left below a base unit, exactly; their next cent comes out of it.",
            ),
        ),
        migrations.AddConstraint(
            "marginaccount",
            models.CheckConstraint(
                condition=models.Q(swap_carried__gte=Decimal("-0.5"), swap_carried__lte=Decimal("0.5")),
                name="swap_carried_below_a_unit",
            ),
        ),
    ]
