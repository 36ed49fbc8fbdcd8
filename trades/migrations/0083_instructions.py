"""Settlement instructions, what they net, and payment files, with what the tables refuse (docs/decisions/0063)."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


NEVER_DELETED = """
CREATE TRIGGER never_deleted BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON {table} FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""

FILES = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_paymentfile
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_paymentfile
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

MOVES = (
    "OLD.state = 'made' AND NEW.state IN ('sent', 'confirmed', 'failed', 'cancelled')"
    " OR OLD.state = 'sent' AND NEW.state IN ('confirmed', 'failed')"
)

# What goes out is confirmed only once it was sent; what was confirmed isn't taken back; an instruction is in one file.
INSTRUCTIONS = """
CREATE TRIGGER legal_moves BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NOT ({moves})) EXECUTE FUNCTION refuse_move('state');
CREATE TRIGGER ended_for_good BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (OLD.state IN ('confirmed', 'failed', 'cancelled')) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER filed_once BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (OLD.payment_file_id IS NOT NULL AND NEW.payment_file_id IS DISTINCT FROM OLD.payment_file_id)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER confirmed_once_sent BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (NEW.confirmed_amount < OLD.confirmed_amount
          OR NEW.confirmed_amount > OLD.confirmed_amount AND OLD.state <> 'sent'
             AND (OLD.state <> 'made' OR OLD.direction = 'outgoing'))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER released_for_good BEFORE UPDATE ON trades_instructionleg FOR EACH ROW
    WHEN (NOT OLD.is_live OR NEW.reported < OLD.reported) EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_settlementinstruction', 'id', 'updated_at', '');
SELECT keep_versions('trades_instructionleg', 'id', '', '');
"""

# Money goes where two persons agreed that this counterparty gets this asset, and nowhere else.
AGREED = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION goes_where_agreed() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_standinginstruction s WHERE s.id = NEW.standing_id AND s.state = 'approved'
        AND s.counterparty_id = NEW.counterparty_id AND s.asset_id = NEW.asset_id AND s.in_force_from <= NEW.made_at
    ) THEN
        RAISE EXCEPTION 'an instruction goes where two persons agreed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER goes_where_agreed BEFORE INSERT ON trades_settlementinstruction
    FOR EACH ROW EXECUTE FUNCTION goes_where_agreed();
"""

FIXED = {
    "trades_settlementinstruction": (
        "id",
        "reference",
        "counterparty_id",
        "standing_id",
        "asset_id",
        "batch_id",
        "direction",
        "amount",
        "value_date",
        "made_by_id",
        "made_by_client_id",
        "made_at",
    ),
    "trades_instructionleg": ("id", "instruction_id", "leg_id", "direction", "amount"),
}


def never_changed(table, columns):
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    sql = NEVER_CHANGED.format(table=table, columns=", ".join(columns), changed=changed)
    return migrations.RunSQL(sql, migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0072_sessions"),
        ("trades", "0086_steps_that_others_see"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="InstructionLeg",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "direction",
                    models.CharField(
                        choices=[("incoming", "Incoming"), ("outgoing", "Outgoing")],
                        help_text="The leg's.",
                        max_length=8,
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=0, help_text="What was open of the leg.", max_digits=38)),
                (
                    "reported",
                    models.DecimalField(
                        decimal_places=0, default=0, help_text="What the leg was told of it.", max_digits=38
                    ),
                ),
                ("is_live", models.BooleanField(default=True)),
            ],
        ),
        migrations.CreateModel(
            name="PaymentFile",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("format", models.CharField(choices=[("pain001", "pain.001.001.09"), ("csv", "CSV")], max_length=7)),
                ("message_id", models.CharField(max_length=35)),
                ("instructions_count", models.PositiveIntegerField()),
                ("control_sums", models.JSONField(help_text="By asset, in base units, as texts.")),
                ("content", models.BinaryField()),
                ("sha256", models.CharField(max_length=64)),
                ("made_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="SettlementInstruction",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "reference",
                    models.CharField(
                        help_text="What the bank is told; its last is a check.", max_length=35, unique=True
                    ),
                ),
                (
                    "direction",
                    models.CharField(choices=[("incoming", "Incoming"), ("outgoing", "Outgoing")], max_length=8),
                ),
                ("amount", models.DecimalField(decimal_places=0, max_digits=38)),
                ("confirmed_amount", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
                ("value_date", models.DateField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("made", "Made"),
                            ("sent", "Sent"),
                            ("confirmed", "Confirmed"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="made",
                        max_length=9,
                    ),
                ),
                ("note", models.CharField(blank=True, help_text="Why it failed or was cancelled.", max_length=200)),
                ("made_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="settlementwindow",
            name="netting",
            field=models.CharField(
                choices=[("batch", "each batch by itself"), ("day", "across the batches of a day")],
                default="batch",
                help_text="What an instruction to a counterparty nets: a batch's legs, or those of a day's batches, when told.",
                max_length=5,
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementwindow",
            constraint=models.CheckConstraint(
                condition=models.Q(("netting__in", ["batch", "day"])), name="window_netting_known"
            ),
        ),
        migrations.AddField(
            model_name="instructionleg",
            name="leg",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="instruction_legs",
                to="trades.settlementleg",
            ),
        ),
        migrations.AddField(
            model_name="paymentfile",
            name="made_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="paymentfile",
            name="repeat_of",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="repeats",
                to="trades.paymentfile",
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="asset",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="batch",
            field=models.ForeignKey(
                help_text="Empty: it nets the batches of a day.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="instructions",
                to="trades.settlementbatch",
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="counterparty",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="trades.counterparty"
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="made_by",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="made_by_client",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.apiclient",
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="payment_file",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="instructions",
                to="trades.paymentfile",
            ),
        ),
        migrations.AddField(
            model_name="settlementinstruction",
            name="standing",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="trades.standinginstruction",
            ),
        ),
        migrations.AddField(
            model_name="instructionleg",
            name="instruction",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="legs", to="trades.settlementinstruction"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentfile",
            constraint=models.UniqueConstraint(
                condition=models.Q(("repeat_of__isnull", True)),
                fields=("message_id",),
                name="one_payment_file_per_message_id",
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentfile",
            constraint=models.CheckConstraint(
                condition=models.Q(("instructions_count__gt", 0)), name="payment_file_has_instructions"
            ),
        ),
        migrations.AddConstraint(
            model_name="paymentfile",
            constraint=models.CheckConstraint(
                condition=models.Q(("format__in", ["pain001", "csv"])), name="payment_file_format_known"
            ),
        ),
        migrations.AddIndex(
            model_name="settlementinstruction",
            index=models.Index(fields=["value_date", "id"], name="instruction_by_value_date"),
        ),
        migrations.AddIndex(
            model_name="settlementinstruction",
            index=models.Index(
                condition=models.Q(("state__in", ["made", "sent"])), fields=["id"], name="instruction_open"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gte", 0)), name="instruction_amount_not_negative"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("confirmed_amount__gte", 0), ("confirmed_amount__lte", models.F("amount"))),
                name="instruction_confirmed_up_to_its_amount",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("confirmed_amount", models.F("amount")), ("state", "confirmed")),
                    models.Q(
                        models.Q(("state", "confirmed"), _negated=True),
                        models.Q(("confirmed_amount", models.F("amount")), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="instruction_confirmed_when_all_has_moved",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("payment_file__isnull", True),
                    models.Q(("direction", "outgoing"), models.Q(("state__in", ["made", "cancelled"]), _negated=True)),
                    _connector="OR",
                ),
                name="instruction_in_a_file_is_outgoing_and_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["failed", "cancelled"]), _negated=True),
                    models.Q(("note", ""), _negated=True),
                    _connector="OR",
                ),
                name="instruction_ends_with_a_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["incoming", "outgoing"])), name="instruction_direction_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["made", "sent", "confirmed", "failed", "cancelled"])),
                name="instruction_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="instructionleg",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_live", True)), fields=("leg",), name="one_live_instruction_per_leg"
            ),
        ),
        migrations.AddConstraint(
            model_name="instructionleg",
            constraint=models.CheckConstraint(
                condition=models.Q(("amount__gt", 0)), name="instruction_leg_amount_positive"
            ),
        ),
        migrations.AddConstraint(
            model_name="instructionleg",
            constraint=models.CheckConstraint(
                condition=models.Q(("reported__gte", 0), ("reported__lte", models.F("amount"))),
                name="instruction_leg_reported_up_to_it",
            ),
        ),
        migrations.AddConstraint(
            model_name="instructionleg",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["incoming", "outgoing"])), name="instruction_leg_direction_known"
            ),
        ),
        *(migrations.RunSQL(NEVER_DELETED.format(table=table), migrations.RunSQL.noop) for table in FIXED),
        *(never_changed(table, columns) for table, columns in FIXED.items()),
        migrations.RunSQL(FILES, migrations.RunSQL.noop),
        migrations.RunSQL(INSTRUCTIONS.format(moves=MOVES), migrations.RunSQL.noop),
        migrations.RunSQL(AGREED, migrations.RunSQL.noop),
    ]
