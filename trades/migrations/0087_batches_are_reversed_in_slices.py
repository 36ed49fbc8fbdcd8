"""A batch's reversal goes by slices: a state between proposed and applied, and what nobody else may do meanwhile.

The moves are written out here and not imported, because a migration must say the same thing for ever;
`tests/trades/test_states.py` holds them equal to `trades/states.py`.
"""

import django.contrib.postgres.fields
from django.db import migrations, models

CORRECTION = (
    "OLD.state = 'proposed' AND NEW.state IN ('applying', 'applied', 'rejected')"
    " OR OLD.state = 'applying' AND NEW.state = 'applied'"
)

# What was decided is final. While it is being applied its progress goes on, and never back.
MOVES = f"""
DROP TRIGGER legal_moves ON trades_correction;
CREATE TRIGGER legal_moves BEFORE UPDATE ON trades_correction FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NOT ({CORRECTION}))
    EXECUTE FUNCTION refuse_move('state');
DROP TRIGGER terms_never_change ON trades_correction;
CREATE TRIGGER terms_never_change BEFORE UPDATE ON trades_correction FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.subject IS DISTINCT FROM OLD.subject
          OR NEW.customer_id IS DISTINCT FROM OLD.customer_id OR NEW.asset_id IS DISTINCT FROM OLD.asset_id
          OR NEW.amount IS DISTINCT FROM OLD.amount OR NEW.direction <> OLD.direction OR NEW.reason <> OLD.reason
          OR NEW.reference <> OLD.reference OR NEW.needs_checker <> OLD.needs_checker
          OR NEW.made_by_id IS DISTINCT FROM OLD.made_by_id
          OR NEW.made_by_client_id IS DISTINCT FROM OLD.made_by_client_id OR NEW.made_at <> OLD.made_at
          OR OLD.state IN ('applied', 'rejected'))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER goes_on_as_decided BEFORE UPDATE ON trades_correction FOR EACH ROW
    WHEN (OLD.state = 'applying' AND (
        NEW.checked_by_id IS DISTINCT FROM OLD.checked_by_id
        OR NEW.checked_by_client_id IS DISTINCT FROM OLD.checked_by_client_id
        OR NEW.decided_at IS DISTINCT FROM OLD.decided_at OR NEW.trades_count <> OLD.trades_count
        OR NEW.slice_ends <> OLD.slice_ends OR NEW.trades_done < OLD.trades_done
        OR NEW.slices_done < OLD.slices_done OR NEW.movements_count < OLD.movements_count))
    EXECUTE FUNCTION refuse_change();
"""

# Each asks in a statement of its own, after it waited for the row that a batch's reversal locks before it is begun.
ALONE = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION refuse_beside_reversal() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM %1$I.trades_correction c
        WHERE c.kind = 'reverse_batch' AND c.state IN ('applying', 'applied')
          AND c.subject = CASE TG_ARGV[0]
              WHEN 'leg' THEN (to_jsonb(NEW) ->> 'batch_id')::uuid
              ELSE (SELECT t.batch_id FROM %1$I.trades_trade t WHERE t.id = (to_jsonb(NEW) ->> 'subject')::uuid) END
    ) THEN
        RAISE EXCEPTION 'the batch of this row of %% has been reversed', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER not_beside_a_reversal BEFORE UPDATE OF status ON trades_settlementleg FOR EACH ROW
    WHEN (NEW.status <> OLD.status AND NEW.status <> 'pending')
    EXECUTE FUNCTION refuse_beside_reversal('leg');
CREATE TRIGGER not_beside_a_reversal BEFORE UPDATE OF state ON trades_correction FOR EACH ROW
    WHEN (NEW.kind = 'reverse_trade' AND NEW.state <> OLD.state AND NEW.state <> 'rejected')
    EXECUTE FUNCTION refuse_beside_reversal('trade');
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0084_statements")]

    operations = [
        migrations.RemoveConstraint(
            model_name="correction",
            name="correction_applied_by_a_checker",
        ),
        migrations.RemoveConstraint(
            model_name="correction",
            name="correction_decided_at_a_time",
        ),
        migrations.RemoveConstraint(
            model_name="correction",
            name="one_open_proposal_per_subject",
        ),
        migrations.RemoveConstraint(
            model_name="correction",
            name="correction_state_known",
        ),
        migrations.AddField(
            model_name="correction",
            name="slice_ends",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                default=list,
                help_text="The last customer of each slice of it.",
                size=None,
            ),
        ),
        migrations.AddField(
            model_name="correction",
            name="slices_done",
            field=models.PositiveIntegerField(default=0, help_text="How many slices are done, from the first on."),
        ),
        migrations.AddField(
            model_name="correction",
            name="trades_count",
            field=models.PositiveIntegerField(default=0, help_text="Of a batch's reversal: how many it takes back."),
        ),
        migrations.AddField(
            model_name="correction",
            name="trades_done",
            field=models.PositiveIntegerField(default=0, help_text="How many of them it has taken back so far."),
        ),
        migrations.AddField(
            model_name="correction",
            name="waits_for",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.UUIDField(),
                default=list,
                help_text="Customers passed over: they can't pay back just now.",
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="correction",
            name="state",
            field=models.CharField(
                choices=[
                    ("proposed", "Proposed"),
                    ("applying", "being applied"),
                    ("applied", "Applied"),
                    ("rejected", "Rejected"),
                ],
                default="proposed",
                max_length=8,
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["applying", "applied"]), _negated=True),
                    ("needs_checker", False),
                    ("checked_by__isnull", False),
                    ("checked_by_client__isnull", False),
                    _connector="OR",
                ),
                name="correction_applied_by_a_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decided_at__isnull", True), ("state", "proposed")),
                    models.Q(("decided_at__isnull", False), ("state__in", ["applying", "applied", "rejected"])),
                    _connector="OR",
                ),
                name="correction_decided_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["proposed", "applying", "applied", "rejected"])),
                name="correction_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["proposed", "applying"]), ("subject__isnull", False)),
                fields=("kind", "subject"),
                name="one_open_proposal_per_subject",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind", "reverse_batch"), ("state__in", ["applying", "applied"])),
                fields=("subject",),
                name="a_batch_is_reversed_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "applying"), _negated=True), ("kind", "reverse_batch"), _connector="OR"
                ),
                name="only_a_batch_is_reversed_in_slices",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["proposed", "rejected"]), _negated=True),
                    models.Q(("movements_count", 0), ("slices_done", 0), ("trades_count", 0), ("trades_done", 0)),
                    _connector="OR",
                ),
                name="correction_moves_nothing_undecided",
            ),
        ),
        migrations.AddConstraint(
            model_name="correction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("slices_done__lte", models.F("slice_ends__len")),
                        ("state", "applying"),
                        ("trades_done__lte", models.F("trades_count")),
                    ),
                    models.Q(
                        models.Q(("state", "applying"), _negated=True),
                        ("slices_done", models.F("slice_ends__len")),
                        ("trades_done", models.F("trades_count")),
                        ("waits_for__len", 0),
                    ),
                    _connector="OR",
                ),
                name="correction_is_applied_when_all_is_done",
            ),
        ),
        migrations.RunSQL(MOVES, migrations.RunSQL.noop),
        migrations.RunSQL(ALONE, migrations.RunSQL.noop),
    ]
