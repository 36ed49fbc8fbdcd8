"""A leg comes in parts, and trades complete in order of time up to what has come (docs/decisions/0062)."""

import django.contrib.postgres.fields
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models

LEG = (
    "OLD.status = 'pending' AND NEW.status IN ('partially_settled', 'settled', 'failed')"
    " OR OLD.status = 'failed' AND NEW.status IN ('pending', 'partially_settled', 'settled')"
    " OR OLD.status = 'partially_settled' AND NEW.status IN ('settled', 'failed', 'pending')"
    " OR OLD.status = 'settled' AND NEW.status = 'pending'"
)

# A column that a trigger names keeps its type.
LET_GO = """
DROP TRIGGER legal_moves ON trades_settlementleg;
DROP TRIGGER says_what_was_reported ON trades_settlementleg;
DROP TRIGGER not_beside_a_reversal ON trades_settlementleg;
"""
MOVES = f"""
CREATE TRIGGER legal_moves BEFORE UPDATE ON trades_settlementleg FOR EACH ROW
    WHEN (OLD.status <> NEW.status AND NOT ({LEG}))
    EXECUTE FUNCTION refuse_move('status');
CREATE TRIGGER says_what_was_reported AFTER INSERT OR UPDATE OF actual, reversals, status ON trades_settlementleg
    FOR EACH ROW EXECUTE FUNCTION leg_says_what_was_reported();
CREATE TRIGGER not_beside_a_reversal BEFORE UPDATE OF status ON trades_settlementleg FOR EACH ROW
    WHEN (NEW.status <> OLD.status AND NEW.status <> 'pending')
    EXECUTE FUNCTION refuse_beside_reversal('leg');
"""

FIXED = (
    *("id", "window_id", "asset_kinds", "cut_at", "has_cut_off", "legs_are_automatic", "completes_in_order"),
    *("made_by_id", "made_by_client_id", "created_at"),
)
PROGRESS = (
    "state,first_trade_id,last_trade_id,trades_count,customers_count,members_sha256,left_out_count,completed_count,"
    "symbols,round,round_symbols,round_stops,parts_seen,done_symbols,slice_ends,slices_done,updated_at"
)
BATCHES = f"""
DROP TRIGGER never_changed ON trades_settlementbatch;
CREATE TRIGGER never_changed AFTER UPDATE OF {", ".join(FIXED)} ON trades_settlementbatch FOR EACH ROW
    WHEN ({" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)})
    EXECUTE FUNCTION refuse_change();
DROP TRIGGER versioned ON trades_settlementbatch;
CREATE TRIGGER versioned AFTER INSERT OR UPDATE OR DELETE ON trades_settlementbatch FOR EACH ROW
    EXECUTE FUNCTION note_row_version('id', '{PROGRESS}', '');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0072_sessions"),
        ("trades", "0077_leg_reports"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="legreport",
            name="one_report_per_attempt",
        ),
        migrations.RemoveConstraint(
            model_name="legreport",
            name="leg_report_amount_where_it_moved",
        ),
        migrations.RemoveConstraint(
            model_name="legreport",
            name="leg_report_kind_known",
        ),
        migrations.RemoveConstraint(
            model_name="settlementleg",
            name="leg_status_known",
        ),
        migrations.AddField(
            model_name="settlementbatch",
            name="completes_in_order",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="settlementbatch",
            name="parts_seen",
            field=models.JSONField(
                default=dict, help_text="By instrument, what had come of its legs when its last round began."
            ),
        ),
        migrations.AddField(
            model_name="settlementbatch",
            name="round_stops",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                default=list,
                help_text="Of each of those, the first trade that has to wait; empty where none has to.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="settlementwindow",
            name="completes_in_order",
            field=models.BooleanField(
                default=False,
                help_text="When a part of a leg has come, trades complete in order of time up to it. Off: none until all has.",
            ),
        ),
        migrations.AlterField(
            model_name="legreport",
            name="kind",
            field=models.CharField(
                choices=[
                    ("part", "a part came, and more is expected"),
                    ("settled", "settled: nothing more comes"),
                    ("failed", "an attempt failed"),
                    ("retried", "due again after its pause"),
                    ("reopened", "taken back by a correction"),
                ],
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="settlementleg",
            name="attempts",
            field=models.PositiveIntegerField(default=0, help_text="How often it was reported."),
        ),
        migrations.RunSQL(LET_GO, migrations.RunSQL.noop),
        migrations.RemoveField(model_name="settlementleg", name="difference"),
        migrations.AlterField(
            model_name="settlementleg",
            name="status",
            field=models.CharField(
                choices=[
                    ("pending", "Pending"),
                    ("partially_settled", "Partially Settled"),
                    ("settled", "Settled"),
                    ("failed", "Failed"),
                ],
                default="pending",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="settlementleg",
            name="difference",
            field=models.GeneratedField(
                db_persist=True,
                expression=models.Case(
                    models.When(
                        status="settled",
                        then=django.db.models.expressions.CombinedExpression(
                            models.F("actual"), "-", models.F("expected")
                        ),
                    )
                ),
                output_field=models.DecimalField(decimal_places=0, max_digits=38, null=True),
            ),
        ),
        migrations.RunSQL(MOVES, migrations.RunSQL.noop),
        migrations.RunSQL(BATCHES, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind__in", ["part", "settled", "failed"])),
                fields=("leg", "number"),
                name="one_report_per_attempt",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount__gte", 0), ("amount__isnull", False), ("kind", "settled")),
                    models.Q(
                        ("amount__gt", 0),
                        ("amount__isnull", False),
                        ("kind", "part"),
                        models.Q(("reference", ""), _negated=True),
                    ),
                    models.Q(
                        ("amount__isnull", True), ("kind__in", ["failed", "retried", "reopened"]), ("reference", "")
                    ),
                    _connector="OR",
                ),
                name="leg_report_amount_where_it_moved",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["part", "settled", "failed", "retried", "reopened"])),
                name="leg_report_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementleg",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["pending", "partially_settled", "settled", "failed"])),
                name="leg_status_known",
            ),
        ),
    ]
