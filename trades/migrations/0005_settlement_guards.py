"""Settlement's and corrections' rules as triggers: second persons, frozen membership, legal moves.

The moves are written out here and not imported, because a migration must say the same thing for ever;
`tests/trades/test_states.py` holds them equal to `trades/states.py`.
"""

from django.db import migrations

LEG = (
    "OLD.status = 'pending' AND NEW.status IN ('settled', 'failed')"
    " OR OLD.status = 'failed' AND NEW.status IN ('pending', 'settled')"
    " OR OLD.status = 'settled' AND NEW.status = 'pending'"
)
CORRECTION = "OLD.state = 'proposed' AND NEW.state IN ('applied', 'rejected')"

LEGAL_MOVES = """
CREATE TRIGGER legal_moves BEFORE UPDATE ON {table} FOR EACH ROW
    WHEN (OLD.{column} <> NEW.{column} AND NOT ({moves}))
    EXECUTE FUNCTION refuse_move('{column}');
"""

NEVER_DELETED = """
CREATE TRIGGER never_deleted BEFORE DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

APPEND_ONLY = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# A batch that somebody made is confirmed by somebody; that it is somebody else, two CHECKs say.
SECOND_PERSON = """
CREATE FUNCTION refuse_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a second person must decide on this row of %', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE TRIGGER made_unconfirmed BEFORE INSERT ON trades_settlementbatch FOR EACH ROW
    WHEN (NEW.state <> 'cut' OR NEW.confirmed_by_id IS NOT NULL OR NEW.confirmed_by_client_id IS NOT NULL)
    EXECUTE FUNCTION refuse_alone();
CREATE TRIGGER confirmed_by_a_second BEFORE UPDATE ON trades_settlementbatch FOR EACH ROW
    WHEN (OLD.state = 'cut' AND NEW.state = 'confirmed'
          AND (NEW.made_by_id IS NOT NULL OR NEW.made_by_client_id IS NOT NULL)
          AND NEW.confirmed_by_id IS NULL AND NEW.confirmed_by_client_id IS NULL)
    EXECUTE FUNCTION refuse_alone();
CREATE TRIGGER cancelled_by_a_second BEFORE UPDATE ON trades_settlementbatch FOR EACH ROW
    WHEN (OLD.state <> 'cancelled' AND NEW.state = 'cancelled'
          AND (NEW.made_by_id IS NOT NULL OR NEW.made_by_client_id IS NOT NULL)
          AND NEW.cancelled_by_id IS NULL AND NEW.cancelled_by_client_id IS NULL)
    EXECUTE FUNCTION refuse_alone();
CREATE TRIGGER made_once BEFORE UPDATE ON trades_settlementbatch FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.cut_at <> OLD.cut_at OR NEW.window_id IS DISTINCT FROM OLD.window_id
          OR NEW.made_by_id IS DISTINCT FROM OLD.made_by_id
          OR NEW.made_by_client_id IS DISTINCT FROM OLD.made_by_client_id
          OR OLD.members_sha256 <> '' AND NEW.members_sha256 <> OLD.members_sha256
          OR OLD.state <> 'cut' AND (NEW.confirmed_by_id IS DISTINCT FROM OLD.confirmed_by_id
                                     OR NEW.confirmed_by_client_id IS DISTINCT FROM OLD.confirmed_by_client_id))
    EXECUTE FUNCTION refuse_change();
"""

# From one batch straight into another, or out of one after money moved: never.
FROZEN_MEMBERSHIP = """
CREATE TRIGGER membership_is_frozen AFTER UPDATE ON trades_trade FOR EACH ROW
    WHEN (OLD.batch_id IS NOT NULL AND NEW.batch_id IS DISTINCT FROM OLD.batch_id
          AND (NEW.batch_id IS NOT NULL OR OLD.state <> 'settling' OR NEW.state <> 'settling'))
    EXECUTE FUNCTION refuse_change();
"""

CORRECTIONS = """
CREATE FUNCTION propose_correction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'proposed' OR NEW.checked_by_id IS NOT NULL OR NEW.checked_by_client_id IS NOT NULL THEN
        RAISE EXCEPTION 'a correction begins as a proposal that nobody has checked'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND (NEW.kind <> 'adjustment' OR NEW.amount > (
            SELECT adjustment_limit FROM accounts_asset WHERE code = NEW.asset_id)) THEN
        RAISE EXCEPTION 'this correction needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER proposed_first BEFORE INSERT ON trades_correction
    FOR EACH ROW EXECUTE FUNCTION propose_correction();
CREATE TRIGGER terms_never_change BEFORE UPDATE ON trades_correction FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.kind <> OLD.kind OR NEW.subject IS DISTINCT FROM OLD.subject
          OR NEW.customer_id IS DISTINCT FROM OLD.customer_id OR NEW.asset_id IS DISTINCT FROM OLD.asset_id
          OR NEW.amount IS DISTINCT FROM OLD.amount OR NEW.direction <> OLD.direction OR NEW.reason <> OLD.reason
          OR NEW.reference <> OLD.reference OR NEW.needs_checker <> OLD.needs_checker
          OR NEW.made_by_id IS DISTINCT FROM OLD.made_by_id
          OR NEW.made_by_client_id IS DISTINCT FROM OLD.made_by_client_id OR NEW.made_at <> OLD.made_at
          OR OLD.state <> 'proposed')
    EXECUTE FUNCTION refuse_change();
"""

# An AFTER trigger whose WHEN is false costs a comparison; a BEFORE trigger also locks each row first, which is a
# fourth of the time of a cut. The rules stay as they were made in 0002.
AFTER = """
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT tgname, relname, pg_get_triggerdef(t.oid) AS definition FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid
        WHERE relname IN ('trades_trade', 'trades_order', 'accounts_ledgeraccount')
          AND tgname IN ('legal_moves', 'terms_never_change', 'owner_never_changes')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %I', found.tgname, found.relname);
        EXECUTE replace(found.definition, 'BEFORE UPDATE', 'AFTER UPDATE');
    END LOOP;
END $$;
"""

# Batches that were under way when this version came: what they hold, and a completion that begins anew with what is left.
UNDER_WAY = """
UPDATE trades_settlementbatch b
SET settled_through = NULL, symbols = coalesce((
    SELECT array_agg(DISTINCT t.instrument_id) FROM trades_trade t
    WHERE t.batch_id = b.id AND t.id BETWEEN b.first_trade_id AND b.last_trade_id), '{}')
WHERE b.state IN ('cut', 'confirmed', 'settling', 'partially_settled')
"""

FLAGS = """
CREATE TRIGGER flagged_once BEFORE UPDATE ON trades_tradeflag FOR EACH ROW
    WHEN (NEW.id <> OLD.id OR NEW.trade_id <> OLD.trade_id OR NEW.reason <> OLD.reason
          OR NEW.flagged_by_id IS DISTINCT FROM OLD.flagged_by_id OR NEW.flagged_at <> OLD.flagged_at
          OR OLD.cleared_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0004_settlement"), ("accounts", "0004_house_guards")]

    operations = [
        *(
            migrations.RunSQL(LEGAL_MOVES.format(table=table, column=column, moves=moves), migrations.RunSQL.noop)
            for table, column, moves in (
                ("trades_settlementleg", "status", LEG),
                ("trades_correction", "state", CORRECTION),
            )
        ),
        *(
            migrations.RunSQL(NEVER_DELETED.format(table=table), migrations.RunSQL.noop)
            for table in ("trades_settlementleg", "trades_correction", "trades_tradeflag")
        ),
        migrations.RunSQL(APPEND_ONLY.format(table="trades_leftout"), migrations.RunSQL.noop),
        migrations.RunSQL(SECOND_PERSON, migrations.RunSQL.noop),
        migrations.RunSQL(FROZEN_MEMBERSHIP, migrations.RunSQL.noop),
        migrations.RunSQL(CORRECTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(FLAGS, migrations.RunSQL.noop),
        migrations.RunSQL(AFTER, migrations.RunSQL.noop),
        migrations.RunSQL(UNDER_WAY, migrations.RunSQL.noop),
    ]
