"""What was sent may still be paid after it has ended: until somebody says otherwise its legs get no other instruction.

See docs/decisions/0070.
"""

from django.db import migrations, models

# Of what has ended nothing changes any more, but for this word, once.
ENDED = """
DROP TRIGGER ended_for_good ON trades_settlementinstruction;
CREATE TRIGGER ended_for_good BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (OLD.state IN ('confirmed', 'failed', 'cancelled')
          AND (NOT OLD.may_be_paid OR NEW.may_be_paid OR NEW.state <> OLD.state
               OR NEW.confirmed_amount <> OLD.confirmed_amount))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER may_be_paid_once_sent BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (NEW.may_be_paid AND OLD.state <> 'sent') EXECUTE FUNCTION refuse_change();
"""
AS_BEFORE = """
DROP TRIGGER may_be_paid_once_sent ON trades_settlementinstruction;
DROP TRIGGER ended_for_good ON trades_settlementinstruction;
CREATE TRIGGER ended_for_good BEFORE UPDATE ON trades_settlementinstruction FOR EACH ROW
    WHEN (OLD.state IN ('confirmed', 'failed', 'cancelled')) EXECUTE FUNCTION refuse_change();
"""

NOT_TWICE = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION not_while_it_may_be_paid() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (
        SELECT FROM %1$I.trades_instructionleg line
        JOIN %1$I.trades_settlementinstruction i ON i.id = line.instruction_id AND i.may_be_paid
        WHERE line.leg_id = NEW.leg_id
    ) THEN
        RAISE EXCEPTION 'another instruction of this leg may still be paid'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER not_while_it_may_be_paid BEFORE INSERT ON trades_instructionleg
    FOR EACH ROW EXECUTE FUNCTION not_while_it_may_be_paid();
"""
TWICE = "DROP TRIGGER not_while_it_may_be_paid ON trades_instructionleg; DROP FUNCTION not_while_it_may_be_paid();"


class Migration(migrations.Migration):
    dependencies = [
        ("trades", "0092_carry_forward"),
    ]

    operations = [
        migrations.AddField(
            model_name="settlementinstruction",
            name="may_be_paid",
            field=models.BooleanField(
                default=False,
                help_text="It was sent and has ended, and nobody has said that the bank won't pay it: its legs get no other"
                " one.",
            ),
        ),
        migrations.AddIndex(
            model_name="settlementinstruction",
            index=models.Index(
                condition=models.Q(("may_be_paid", True)), fields=["id"], name="instruction_may_be_paid"
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementinstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("may_be_paid", False),
                    models.Q(("direction", "outgoing"), ("state", "failed")),
                    _connector="OR",
                ),
                name="instruction_may_be_paid_though_it_failed",
            ),
        ),
        migrations.RunSQL(ENDED, AS_BEFORE),
        migrations.RunSQL(NOT_TWICE, TWICE),
    ]
