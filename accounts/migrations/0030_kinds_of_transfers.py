"""A transfer is of a kind that is known; accounts/kinds.py says which accounts go with each."""

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
    "order_advance",
    "order_advance_repaid",
    "order_advance_waived",
    "order_protection",
    "deposit",
    "withdrawal",
    "capital_in",
    "profit_out",
    "fees_out",
    "leg_settled",
    "leg_difference",
    "leg_reopened",
    "adjustment",
    "reversal",
    "break_paid",
    "break_written_off",
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0023_capital_is_a_word")]

    operations = [
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(condition=models.Q(("kind__in", KINDS)), name="transfer_kind_known"),
        ),
    ]
