"""Payments: money in and out as clients ask for it, with an event row per step, guarded as trades are."""

from importlib import import_module

import accounts.ids
import accounts.request_id
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

tell = import_module("accounts.migrations.0075_events").tell
# accounts 0077 made the lists of words anew; they stay one value each, as 0070 says why.
WORDS_AS_ONE_VALUE = import_module("trades.migrations.0070_words_as_one_value").REWRITE

# Written out, as in 0002; `tests/trades/test_states.py` holds them equal to `trades/states.py`.
PAYMENT = (
    "OLD.state = 'storing' AND NEW.state IN ('pending', 'failed')"
    " OR OLD.state = 'pending' AND NEW.state IN ('settling', 'failed')"
    " OR OLD.state = 'settling' AND NEW.state IN ('completed', 'failed')"
)
FIXED = (
    *("id", "customer_id", "quote_id", "type", "side", "asset_id", "deliver_amount", "receive_amount", "fee", "rail"),
    *("labels", "external_id", "expected_error", "created_at"),
)
GUARDS = """
CREATE TRIGGER legal_moves BEFORE UPDATE ON trades_payment FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NOT ({moves})) EXECUTE FUNCTION refuse_move('state');
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_payment FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ended_for_good BEFORE UPDATE ON trades_payment FOR EACH ROW
    WHEN (OLD.state IN ('completed', 'failed')) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_payment FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_payment FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_paymentevent FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_paymentevent
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE CONSTRAINT TRIGGER late_commit AFTER INSERT ON trades_paymentevent DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_late_commit();
SELECT keep_versions('trades_payment', 'id', 'updated_at', '');
"""

# So no quote that a trade may use is used by a payment, and no payment says other amounts than its quote.
OF_ITS_QUOTE = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION payment_of_its_quote() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'storing' OR NOT EXISTS (
        SELECT FROM %1$I.quotes_quote q
        WHERE q.id = NEW.quote_id AND q.product_type = NEW.type AND q.customer_id = NEW.customer_id
          AND q.side = NEW.side AND q.asset_id = NEW.asset_id AND q.deliver_amount = NEW.deliver_amount
          AND q.receive_amount = NEW.receive_amount AND q.fee = NEW.fee
    ) THEN
        RAISE EXCEPTION 'a payment begins as what its quote says' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER of_its_quote BEFORE INSERT ON trades_payment FOR EACH ROW EXECUTE FUNCTION payment_of_its_quote();
"""

# What becomes of payments is an event, and so is that a quote was used.
STEPS = """
CREATE TRIGGER tells_used AFTER INSERT ON trades_payment REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION tell_quotes();
CREATE TRIGGER tells_made AFTER INSERT ON trades_paymentevent REFERENCING NEW TABLE AS made
    FOR EACH STATEMENT EXECUTE FUNCTION tell_payments();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0077_payments"),
        ("quotes", "0042_payments"),
        ("trades", "0093_may_still_be_paid"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Payment",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("type", models.CharField(choices=[("funding", "Funding")], max_length=16)),
                (
                    "side",
                    models.CharField(choices=[("deposit", "Deposit"), ("withdrawal", "Withdrawal")], max_length=10),
                ),
                (
                    "deliver_amount",
                    models.DecimalField(decimal_places=0, help_text="What leaves where it was.", max_digits=38),
                ),
                (
                    "receive_amount",
                    models.DecimalField(decimal_places=0, help_text="What arrives: less by the fee.", max_digits=38),
                ),
                ("fee", models.DecimalField(decimal_places=0, max_digits=38)),
                (
                    "rail",
                    models.CharField(
                        choices=[("sandbox", "Sandbox"), ("manual", "Manual")],
                        help_text="By which way the money moves outside.",
                        max_length=10,
                    ),
                ),
                (
                    "labels",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=64), blank=True, null=True, size=None
                    ),
                ),
                (
                    "external_id",
                    models.CharField(
                        blank=True, help_text="What the partner calls this payment.", max_length=64, null=True
                    ),
                ),
                (
                    "expected_error",
                    models.CharField(blank=True, help_text="Sandbox only: fail with this code.", max_length=32),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("storing", "Storing"),
                            ("pending", "Pending"),
                            ("settling", "Settling"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        default="storing",
                        max_length=10,
                    ),
                ),
                (
                    "failure_code",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("non_sufficient_funds", "Non Sufficient Funds"),
                            ("limit_exceeded", "Limit Exceeded"),
                            ("expired", "Expired"),
                            ("refused", "Refused"),
                            ("reversed", "Reversed"),
                        ],
                        max_length=32,
                        null=True,
                    ),
                ),
                (
                    "reference",
                    models.CharField(
                        blank=True,
                        help_text="The bank's or the provider's own name of what moved outside.",
                        max_length=128,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "asset",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.asset",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="payments",
                        to="accounts.customer",
                    ),
                ),
                (
                    "quote",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="payment", to="quotes.quote"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PaymentEvent",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "became",
                    models.CharField(
                        choices=[
                            ("storing", "Storing"),
                            ("pending", "Pending"),
                            ("settling", "Settling"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        max_length=10,
                    ),
                ),
                (
                    "detail",
                    models.CharField(
                        blank=True, help_text="The failure code, or the outside's reference.", max_length=128
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "request_id",
                    models.CharField(
                        default=accounts.request_id.current,
                        editable=False,
                        help_text="The HTTP request that did it.",
                        max_length=128,
                        null=True,
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        help_text="Empty: a program, or the system itself.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "by_client",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.apiclient",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.customer",
                    ),
                ),
                (
                    "payment",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="trades.payment",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(fields=["customer", "id"], name="payment_by_customer"),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("state__in", ["storing", "pending", "settling"])),
                fields=["id"],
                name="payment_under_way",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=models.Q(("external_id__isnull", False)),
                fields=["external_id", "id"],
                name="payment_by_external_id",
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("labels__isnull", False)), fields=["labels"], name="payment_by_label"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "deliver_amount",
                        django.db.models.expressions.CombinedExpression(
                            models.F("receive_amount"), "+", models.F("fee")
                        ),
                    ),
                    ("fee__gte", 0),
                    ("receive_amount__gt", 0),
                ),
                name="payment_amounts_add_up",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("failure_code__isnull", True), ("state__in", ["storing", "pending", "settling", "completed"])
                    ),
                    models.Q(("failure_code__isnull", False), ("state", "failed")),
                    _connector="OR",
                ),
                name="payment_failed_with_a_code",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "completed"), _negated=True),
                    models.Q(("reference", ""), _negated=True),
                    _connector="OR",
                ),
                name="payment_completed_by_a_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=models.Q(("reference", ""), _negated=True),
                fields=("reference",),
                name="one_payment_per_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(condition=models.Q(("type__in", ["funding"])), name="payment_type_known"),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("side__in", ["deposit", "withdrawal"])), name="payment_side_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("rail__in", ["sandbox", "manual"])), name="payment_rail_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["storing", "pending", "settling", "completed", "failed"])),
                name="payment_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("failure_code__in", ["non_sufficient_funds", "limit_exceeded", "expired", "refused", "reversed"])
                ),
                name="payment_failure_code_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentevent",
            constraint=models.UniqueConstraint(fields=("payment", "became"), name="one_event_per_step_of_a_payment"),
        ),
        migrations.AddConstraint(
            model_name="paymentevent",
            constraint=models.CheckConstraint(
                condition=models.Q(("became__in", ["storing", "pending", "settling", "completed", "failed"])),
                name="payment_event_became_known",
            ),
        ),
        migrations.RunSQL(
            GUARDS.format(
                moves=PAYMENT,
                columns=", ".join(FIXED),
                changed=" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED),
            ),
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(OF_ITS_QUOTE, migrations.RunSQL.noop),
        tell(
            "tell_payments",
            "SELECT here, 'transfer.' || became, payment_id, customer_id, left(detail, 64), at FROM made",
        ),
        migrations.RunSQL(STEPS, migrations.RunSQL.noop),
        migrations.RunSQL(WORDS_AS_ONE_VALUE, migrations.RunSQL.noop),
    ]
