"""Quotes to move money: of an asset, without an instrument and a price."""

import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0077_payments"),
        ("quotes", "0041_events"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="quote",
            name="quote_reference_fits_product",
        ),
        migrations.RemoveConstraint(
            model_name="quote",
            name="quote_side_known",
        ),
        migrations.RemoveConstraint(
            model_name="quote",
            name="quote_product_type_known",
        ),
        migrations.AddField(
            model_name="quote",
            name="asset",
            field=models.ForeignKey(
                db_index=False,
                help_text="What is moved; empty where something is traded.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.asset",
            ),
        ),
        migrations.AlterField(
            model_name="quote",
            name="fee_fixed",
            field=models.DecimalField(
                decimal_places=0, help_text="The fee's fixed part, in base units of the fee.", max_digits=38, null=True
            ),
        ),
        migrations.AlterField(
            model_name="quote",
            name="instrument",
            field=models.ForeignKey(
                db_index=False,
                help_text="What is traded.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                to="quotes.instrument",
            ),
        ),
        migrations.AlterField(
            model_name="quote",
            name="price",
            field=models.DecimalField(
                decimal_places=18, help_text="Ask for a buy, bid for a sell; empty for money.", max_digits=38, null=True
            ),
        ),
        migrations.AlterField(
            model_name="quote",
            name="product_type",
            field=models.CharField(
                choices=[("trading", "Trading"), ("trading_exit", "Trading Exit"), ("funding", "Funding")],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="quote",
            name="side",
            field=models.CharField(
                choices=[("buy", "Buy"), ("sell", "Sell"), ("deposit", "Deposit"), ("withdrawal", "Withdrawal")],
                max_length=10,
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("product_type__in", ["trading", "funding"]), ("reference_trade_id__isnull", True)),
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
                    _connector="OR",
                ),
                name="quote_says_what_its_product_needs",
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["buy", "sell", "deposit", "withdrawal"])), name="quote_side_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="quote",
            constraint=models.CheckConstraint(
                condition=models.Q(("product_type__in", ["trading", "trading_exit", "funding"])),
                name="quote_product_type_known",
            ),
        ),
    ]
