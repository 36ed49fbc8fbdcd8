"""Money between two customers, an account that it passes through; and payments that come back: kinds of movements."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0078_webhooks"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="ledgeraccount",
            name="account_owner_fits_type",
        ),
        migrations.RemoveConstraint(
            model_name="ledgeraccount",
            name="account_type_known",
        ),
        migrations.RemoveConstraint(
            model_name="transfer",
            name="transfer_kind_known",
        ),
        migrations.AlterField(
            model_name="ledgeraccount",
            name="type",
            field=models.CharField(
                choices=[
                    ("available", "Available"),
                    ("settling", "Settling"),
                    ("margin", "Margin"),
                    ("leaving", "Leaving"),
                    ("liquidity", "Liquidity"),
                    ("fees", "Fees"),
                    ("profit", "Profit"),
                    ("swap", "Swap"),
                    ("protection", "Protection"),
                    ("advances", "Advances"),
                    ("external", "External"),
                    ("between", "Between"),
                    ("differences", "Differences"),
                    ("adjustments", "Adjustments"),
                    ("capital", "Capital"),
                ],
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("bucket__isnull", True),
                        ("customer__isnull", False),
                        ("type__in", ["available", "settling", "margin", "leaving"]),
                    ),
                    models.Q(
                        ("bucket__isnull", False),
                        ("customer__isnull", True),
                        (
                            "type__in",
                            [
                                "liquidity",
                                "fees",
                                "profit",
                                "swap",
                                "protection",
                                "advances",
                                "external",
                                "between",
                                "differences",
                                "adjustments",
                                "capital",
                            ],
                        ),
                    ),
                    _connector="OR",
                ),
                name="account_owner_fits_type",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "type__in",
                        [
                            "available",
                            "settling",
                            "margin",
                            "leaving",
                            "liquidity",
                            "fees",
                            "profit",
                            "swap",
                            "protection",
                            "advances",
                            "external",
                            "between",
                            "differences",
                            "adjustments",
                            "capital",
                        ],
                    )
                ),
                name="account_type_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="transfer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kind__in",
                        [
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
                        ],
                    )
                ),
                name="transfer_kind_known",
            ),
        ),
    ]
