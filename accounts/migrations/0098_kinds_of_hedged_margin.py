"""A position against another reserves less, and more again once one of them has closed: two kinds of movements."""

from django.db import migrations, models

KINDS = [
    "order_margin",
    "order_margin_release",
    "order_profit",
    "order_loss",
    "trade_deliver",
    "trade_receive",
    "trade_fee",
    "trade_settled",
    "order_swap",
    "order_margin_drawn",
    "order_margin_restored",
    "order_margin_hedged",
    "order_margin_unhedged",
    "order_advance",
    "order_advance_repaid",
    "order_advance_waived",
    "order_protection",
    "deposit",
    "withdrawal",
    "capital_in",
    "profit_out",
    "fees_out",
    "payment_held",
    "payment_given_back",
    "payment_fee",
    "payment_sent",
    "payment_received",
    "payment_returned",
    "payment_return_borne",
    "leg_settled",
    "leg_difference",
    "leg_reopened",
    "adjustment",
    "reversal",
    "break_paid",
    "break_written_off",
]

# The words as one value, as in the schema.
CHECK = (
    "ALTER TABLE accounts_transfer DROP CONSTRAINT transfer_kind_known, ADD CONSTRAINT transfer_kind_known"
    f" CHECK (kind::text = ANY ('{{{','.join(KINDS)}}}'::text[]))"
)


class Migration(migrations.Migration):
    dependencies = [("accounts", "0097_customers_by_name")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CHECK, migrations.RunSQL.noop)],
            state_operations=[
                migrations.RemoveConstraint(model_name="transfer", name="transfer_kind_known"),
                migrations.AddConstraint(
                    model_name="transfer",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("kind__in", KINDS)), name="transfer_kind_known"
                    ),
                ),
            ],
        )
    ]
