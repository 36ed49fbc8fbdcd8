"""What a dealer orders is a row, by two persons where it is much; and orders say that an operator ended them."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


FIXED = (
    *("id", "kind", "customer_id", "instrument_id", "order_code", "worth", "positions_count", "needs_checker"),
    *("reason", "once", "made_by_id", "made_at"),
)
GUARDS = """
CREATE FUNCTION propose_dealers_action() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state <> 'proposed' THEN
        RAISE EXCEPTION 'an action of a dealer begins as a proposal' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER proposed_first BEFORE INSERT ON trades_dealersaction
    FOR EACH ROW EXECUTE FUNCTION propose_dealers_action();
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_dealersaction FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_dealersaction FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_dealersaction FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_dealersaction
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_dealersaction', 'id', '', '');
"""


# The words are one value: PostgreSQL reads these CHECKs anew for each statement that closes something (migration 0070).
REASONS = """
ALTER TABLE trades_deal DROP CONSTRAINT deal_reason_known, ADD CONSTRAINT deal_reason_known CHECK (reason::text =
    ANY ('{"",manual,take_profit,stop_loss,trailing_stop,stop_out,close_all,operator}'::text[]));
ALTER TABLE trades_order DROP CONSTRAINT order_close_reason_known, ADD CONSTRAINT order_close_reason_known
    CHECK (close_reason::text = ANY ('{"",manual,take_profit,stop_loss,trailing_stop,stop_out,close_all,operator,no_margin,forbidden,gap,leverage,spread}'::text[]));
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0086_more_currencies"),
        ("quotes", "0054_ways_stay"),
        ("trades", "0117_controls_by_two"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DealersAction",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("close", "close a position"),
                            ("close_all", "close positions"),
                            ("cancel", "cancel an order"),
                        ],
                        max_length=9,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("ordered", "Ordered"), ("refused", "Refused")],
                        default="proposed",
                        max_length=8,
                    ),
                ),
                ("order_code", models.CharField(blank=True, max_length=20)),
                (
                    "worth",
                    models.DecimalField(
                        decimal_places=0,
                        help_text="Quantity times price of what it would close, as it was proposed: base units of the account currency. Empty where a price was missing.",
                        max_digits=38,
                        null=True,
                    ),
                ),
                (
                    "positions_count",
                    models.PositiveIntegerField(default=0, help_text="How many positions it was about then."),
                ),
                ("needs_checker", models.BooleanField(default=True)),
                ("reason", models.CharField(max_length=200)),
                (
                    "once",
                    models.UUIDField(
                        editable=False, help_text="The one-time key of the dialog that made it.", null=True, unique=True
                    ),
                ),
                ("made_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(help_text="When it was ordered or refused.", null=True)),
            ],
            options={
                "verbose_name": "dealer's action",
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(REASONS, migrations.RunSQL.noop)],
            state_operations=[
                migrations.RemoveConstraint(
                    model_name="deal",
                    name="deal_reason_known",
                ),
                migrations.RemoveConstraint(
                    model_name="order",
                    name="order_close_reason_known",
                ),
                migrations.AddConstraint(
                    model_name="deal",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            (
                                "reason__in",
                                [
                                    "",
                                    "manual",
                                    "take_profit",
                                    "stop_loss",
                                    "trailing_stop",
                                    "stop_out",
                                    "close_all",
                                    "operator",
                                ],
                            )
                        ),
                        name="deal_reason_known",
                    ),
                ),
                migrations.AddConstraint(
                    model_name="order",
                    constraint=models.CheckConstraint(
                        condition=models.Q(
                            (
                                "close_reason__in",
                                [
                                    "",
                                    "manual",
                                    "take_profit",
                                    "stop_loss",
                                    "trailing_stop",
                                    "stop_out",
                                    "close_all",
                                    "operator",
                                    "no_margin",
                                    "forbidden",
                                    "gap",
                                    "leverage",
                                    "spread",
                                ],
                            )
                        ),
                        name="order_close_reason_known",
                    ),
                ),
            ],
        ),
        migrations.AlterField(
            model_name="deal",
            name="reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("manual", "Manual"),
                    ("take_profit", "Take Profit"),
                    ("stop_loss", "Stop Loss"),
                    ("trailing_stop", "Trailing Stop"),
                    ("stop_out", "Stop Out"),
                    ("close_all", "Close All"),
                    ("operator", "Operator"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="order",
            name="close_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("manual", "Manual"),
                    ("take_profit", "Take Profit"),
                    ("stop_loss", "Stop Loss"),
                    ("trailing_stop", "Trailing Stop"),
                    ("stop_out", "Stop Out"),
                    ("close_all", "Close All"),
                    ("operator", "Operator"),
                    ("no_margin", "not enough free margin when its price came"),
                    ("forbidden", "the customer or the instrument was not open to new orders when its price came"),
                    ("gap", "a gap took its price beyond its own take profit"),
                    ("leverage", "more leverage than the customer was allowed by then"),
                    ("spread", "its stop loss or a stop-out would have closed it at once, by the spread alone"),
                ],
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="dealersaction",
            name="checked_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="dealersaction",
            name="customer",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.customer",
            ),
        ),
        migrations.AddField(
            model_name="dealersaction",
            name="instrument",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="quotes.instrument",
            ),
        ),
        migrations.AddField(
            model_name="dealersaction",
            name="made_by",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddIndex(
            model_name="dealersaction",
            index=models.Index(fields=["made_by", "decided_at"], name="dealers_actions_of_a_maker"),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("checked_by__isnull", True),
                    models.Q(("made_by", models.F("checked_by")), _negated=True),
                    _connector="OR",
                ),
                name="dealers_action_maker_is_not_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "ordered"), _negated=True),
                    ("needs_checker", False),
                    ("checked_by__isnull", False),
                    _connector="OR",
                ),
                name="dealers_action_ordered_by_a_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("needs_checker", True),
                    ("kind", "cancel"),
                    models.Q(("customer__isnull", False), ("worth__gte", 0), ("worth__isnull", False)),
                    _connector="OR",
                ),
                name="dealers_action_that_takes_two",
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("customer__isnull", False),
                        ("instrument__isnull", True),
                        ("kind__in", ["close", "cancel"]),
                        models.Q(("order_code", ""), _negated=True),
                    ),
                    models.Q(
                        ("kind", "close_all"),
                        ("order_code", ""),
                        models.Q(("customer__isnull", False), ("instrument__isnull", False), _connector="OR"),
                    ),
                    _connector="OR",
                ),
                name="dealers_action_says_what",
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                    models.Q(("decided_at__isnull", False), ("state__in", ["ordered", "refused"])),
                    _connector="OR",
                ),
                name="dealers_action_decided_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="dealers_action_has_a_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["close", "close_all", "cancel"])), name="dealers_action_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="dealersaction",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["proposed", "ordered", "refused"])), name="dealers_action_state_known"
            ),
        ),
        migrations.RunSQL(
            GUARDS.format(
                columns=", ".join(FIXED),
                changed=" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED),
            ),
            migrations.RunSQL.noop,
        ),
    ]
