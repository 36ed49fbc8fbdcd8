"""Quotes to move money to another customer."""

import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0079_book_transfers"),
        ("quotes", "0042_payments"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="quote",
            name="quote_reference_fits_product",
        ),
        migrations.RemoveConstraint(
            model_name="quote",
            name="quote_says_what_its_product_needs",
        ),
        migrations.RemoveConstraint(
            model_name="quote",
            name="quote_product_type_known",
        ),
        migrations.AlterField(
            model_name="quote",
            name="product_type",
            field=models.CharField(
                choices=[
                    ("trading", "Trading"),
                    ("trading_exit", "Trading Exit"),
                    ("funding", "Funding"),
                    ("book_transfer", "Book Transfer"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("product_type__in", ["trading", "funding", "book_transfer"]),
                        ("reference_trade_id__isnull", True),
                    ),
                    models.Q(("product_type", "trading_exit"), ("reference_trade_id__isnull", False)),
                    _connector="OR",
                ),
                name="quote_reference_fits_product",
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("asset__isnull", True),
                        ("instrument__isnull", False),
                        ("price__isnull", False),
                        ("product_type__in", ["trading", "trading_exit"]),
                        ("side__in", ["buy", "sell"]),
                    ),
                    models.Q(
                        ("asset__isnull", False),
                        (
                            "deliver_amount",
                            django.db.models.expressions.CombinedExpression(
                                models.F("receive_amount"), "+", models.F("fee")
                            ),
                        ),
                        ("instrument__isnull", True),
                        ("price__isnull", True),
                        ("product_type", "funding"),
                        ("side__in", ["deposit", "withdrawal"]),
                    ),
                    models.Q(
                        ("asset__isnull", False),
                        (
                            "deliver_amount",
                            django.db.models.expressions.CombinedExpression(
                                models.F("receive_amount"), "+", models.F("fee")
                            ),
                        ),
                        ("instrument__isnull", True),
                        ("price__isnull", True),
                        ("product_type", "book_transfer"),
                        ("side", "deposit"),
                    ),
                    _connector="OR",
                ),
                name="quote_says_what_its_product_needs",
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(("product_type__in", ["trading", "trading_exit", "funding", "book_transfer"])),
                name="quote_product_type_known",
            ),
        ),
    ]
