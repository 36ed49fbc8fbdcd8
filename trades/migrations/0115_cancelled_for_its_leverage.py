"""An order that waits is cancelled where it has more leverage than is allowed when its price comes."""

from django.db import migrations, models

REASONS = [
    ("manual", "Manual"),
    ("take_profit", "Take Profit"),
    ("stop_loss", "Stop Loss"),
    ("trailing_stop", "Trailing Stop"),
    ("stop_out", "Stop Out"),
    ("close_all", "Close All"),
    ("no_margin", "not enough free margin when its price came"),
    ("forbidden", "the customer or the instrument was not open to new orders when its price came"),
    ("gap", "a gap took its price beyond its own take profit"),
    ("leverage", "more leverage than the customer was allowed by then"),
    ("spread", "its stop loss or a stop-out would have closed it at once, by the spread alone"),
]


# The words as one value, as 0070 has them.
CHECK = (
    "ALTER TABLE trades_order DROP CONSTRAINT order_close_reason_known, ADD CONSTRAINT order_close_reason_known"
    f" CHECK (close_reason::text = ANY ('{{\"\",{','.join(reason for reason, _ in REASONS)}}}'::text[]))"
)


class Migration(migrations.Migration):
    dependencies = [("trades", "0114_client_class_changes"), ("quotes", "0056_leverage_by_class_and_exposure")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CHECK, migrations.RunSQL.noop)],
            state_operations=[
                migrations.RemoveConstraint(model_name="order", name="order_close_reason_known"),
                migrations.AlterField(
                    model_name="order",
                    name="close_reason",
                    field=models.CharField(blank=True, choices=REASONS, max_length=16),
                ),
                migrations.AddConstraint(
                    model_name="order",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("close_reason__in", ["", *(reason for reason, _ in REASONS)])),
                        name="order_close_reason_known",
                    ),
                ),
            ],
        )
    ]
