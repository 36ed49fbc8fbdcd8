"""A house account for what the house advances on a customer's loss (docs/decisions/0033)."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0006_seal_guards"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="ledgeraccount",
            name="account_owner_fits_type",
        ),
        migrations.AlterField(
            model_name="ledgeraccount",
            name="type",
            field=models.CharField(
                choices=[
                    ("available", "Available"),
                    ("settling", "Settling"),
                    ("margin", "Margin"),
                    ("liquidity", "Liquidity"),
                    ("fees", "Fees"),
                    ("profit", "Profit"),
                    ("swap", "Swap"),
                    ("protection", "Protection"),
                    ("advances", "Advances"),
                    ("external", "External"),
                    ("differences", "Differences"),
                    ("adjustments", "Adjustments"),
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
                        ("type__in", ["available", "settling", "margin"]),
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
                                "differences",
                                "adjustments",
                            ],
                        ),
                    ),
                    _connector="OR",
                ),
                name="account_owner_fits_type",
            ),
        ),
    ]
