"""Money between two customers: a payment that is completed, or failed, in the transaction that makes it."""

from importlib import import_module

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

payments = import_module("trades.migrations.0094_payments")
TELL = import_module("accounts.migrations.0075_events").TELL
# accounts 0079 made the lists of words anew; they stay one value each, as 0070 says why.
WORDS_AS_ONE_VALUE = import_module("trades.migrations.0070_words_as_one_value").REWRITE

# Written out, as in 0002; `tests/trades/test_states.py` holds it equal to `trades/states.py`.
BOOK = "OLD.state = 'storing' AND NEW.state IN ('completed', 'failed')"
FIXED = (*payments.FIXED, "destination_id")
GUARDS = """
DROP TRIGGER legal_moves ON trades_payment;
CREATE TRIGGER legal_moves BEFORE UPDATE ON trades_payment FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NOT CASE OLD.type WHEN 'book' THEN {book} ELSE {moves} END)
    EXECUTE FUNCTION refuse_move('state');
DROP TRIGGER never_changed ON trades_payment;
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_payment FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""
OF_ITS_QUOTE = (
    payments.OF_ITS_QUOTE.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    .replace(
        "q.product_type = NEW.type", "q.product_type = CASE NEW.type WHEN 'book' THEN 'book_transfer' ELSE NEW.type END"
    )
    .partition("CREATE TRIGGER")[0]
)

# Both customers are told what has moved. That it failed is the sender's to know.
TOLD = TELL.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").format(
    name="tell_payments",
    select="""SELECT here, 'transfer.' || became, payment_id, customer_id, left(detail, 64), at FROM made
    UNION ALL
    SELECT here, 'transfer.' || m.became, m.payment_id, p.destination_id, left(m.detail, 64), m.at
    FROM made m JOIN %1$I.trades_payment p ON p.id = m.payment_id
    WHERE p.destination_id IS NOT NULL AND m.became = 'completed'""",
)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0079_book_transfers"),
        ("quotes", "0043_book_transfers"),
        ("trades", "0095_payments_by_hand"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="payment",
            name="payment_completed_by_a_reference",
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="payment_type_known",
        ),
        migrations.RemoveConstraint(
            model_name="payment",
            name="payment_rail_known",
        ),
        migrations.AddField(
            model_name="payment",
            name="destination",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="To whom a book transfer moves it; empty where it comes from outside, or goes there.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.customer",
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="rail",
            field=models.CharField(
                choices=[("sandbox", "Sandbox"), ("manual", "Manual"), ("book", "Book")],
                help_text="By which way the money moves outside.",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="type",
            field=models.CharField(choices=[("funding", "Funding"), ("book", "Book")], max_length=16),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("destination__isnull", False)),
                fields=["destination", "id"],
                name="payment_by_destination",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "completed"), _negated=True),
                    ("type", "book"),
                    models.Q(("reference", ""), _negated=True),
                    _connector="OR",
                ),
                name="payment_completed_by_a_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("destination__isnull", True), ("rail__in", ["sandbox", "manual"]), ("type", "funding")),
                    models.Q(
                        ("destination__isnull", False),
                        ("rail", "book"),
                        ("reference", ""),
                        ("side", "deposit"),
                        ("type", "book"),
                        models.Q(("destination", models.F("customer")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="payment_between_customers_says_to_whom",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("type__in", ["funding", "book"])), name="payment_type_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("rail__in", ["sandbox", "manual", "book"])), name="payment_rail_known"
            ),
        ),
        migrations.RunSQL(
            GUARDS.format(
                moves=payments.PAYMENT,
                book=BOOK,
                columns=", ".join(FIXED),
                changed=" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED),
            ),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(OF_ITS_QUOTE, migrations.RunSQL.noop),
        migrations.RunSQL(TOLD, migrations.RunSQL.noop),
        migrations.RunSQL(WORDS_AS_ONE_VALUE, migrations.RunSQL.noop),
    ]
