"""A house account for what the firm's owners put in."""

from django.db import migrations, models

HOUSE = [
    "liquidity",
    "fees",
    "profit",
    "swap",
    "protection",
    "advances",
    "external",
    "differences",
    "adjustments",
    "capital",
]


class Migration(migrations.Migration):
    dependencies = [("accounts", "0020_funding")]

    operations = [
        migrations.RemoveConstraint(model_name="ledgeraccount", name="account_owner_fits_type"),
        migrations.AlterField(
            model_name="ledgeraccount",
            name="type",
            field=models.CharField(
                choices=[(name, name.capitalize()) for name in ["available", "settling", "margin", *HOUSE]],
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
                    models.Q(("bucket__isnull", False), ("customer__isnull", True), ("type__in", HOUSE)),
                    _connector="OR",
                ),
                name="account_owner_fits_type",
            ),
        ),
    ]
