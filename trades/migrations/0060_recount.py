"""Events of batches, written by the table itself; the rates of a night of swap."""

import django.db.models.deletion
from django.db import migrations, models

import accounts.ids

STATES = [
    ("cut", "Cut"),
    ("confirmed", "Confirmed"),
    ("settling", "Settling"),
    ("partially_settled", "Partially Settled"),
    ("completed", "Completed"),
    ("cancelled", "Cancelled"),
]

NOTE = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION note_batch() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO %1$I.trades_batchevent (id, batch_id, became, window_id, asset_kinds, cut_at, created_at, confirmed_at,
        trades_count, members_sha256, made_by, confirmed_by, cancelled_by, at)
    VALUES (%1$I.new_uuid7(), NEW.id, NEW.state, NEW.window_id, NEW.asset_kinds, NEW.cut_at, NEW.created_at,
        NEW.confirmed_at, NEW.trades_count, NEW.members_sha256,
        coalesce(NEW.made_by_id::text, NEW.made_by_client_id::text, ''),
        coalesce(NEW.confirmed_by_id::text, NEW.confirmed_by_client_id::text, ''),
        coalesce(NEW.cancelled_by_id::text, NEW.cancelled_by_client_id::text, ''), clock_timestamp());
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;

CREATE TRIGGER noted AFTER UPDATE ON trades_settlementbatch FOR EACH ROW
    WHEN ((NEW.state, NEW.window_id, NEW.asset_kinds, NEW.cut_at, NEW.created_at, NEW.confirmed_at, NEW.trades_count,
           NEW.members_sha256, NEW.made_by_id, NEW.made_by_client_id, NEW.confirmed_by_id, NEW.confirmed_by_client_id,
           NEW.cancelled_by_id, NEW.cancelled_by_client_id)
        IS DISTINCT FROM
          (OLD.state, OLD.window_id, OLD.asset_kinds, OLD.cut_at, OLD.created_at, OLD.confirmed_at, OLD.trades_count,
           OLD.members_sha256, OLD.made_by_id, OLD.made_by_client_id, OLD.confirmed_by_id, OLD.confirmed_by_client_id,
           OLD.cancelled_by_id, OLD.cancelled_by_client_id))
    EXECUTE FUNCTION note_batch();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_batchevent
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_batchevent
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# What there is begins with what it says now.
BEGIN = """
INSERT INTO trades_batchevent (id, batch_id, became, window_id, asset_kinds, cut_at, created_at, confirmed_at,
    trades_count, members_sha256, made_by, confirmed_by, cancelled_by, at)
SELECT new_uuid7(), id, state, window_id, asset_kinds, cut_at, created_at, confirmed_at, trades_count, members_sha256,
    coalesce(made_by_id::text, made_by_client_id::text, ''),
    coalesce(confirmed_by_id::text, confirmed_by_client_id::text, ''),
    coalesce(cancelled_by_id::text, cancelled_by_client_id::text, ''), clock_timestamp()
FROM trades_settlementbatch
"""

RATES = """
CREATE TRIGGER never_changed AFTER UPDATE OF id, partition, night, cutoff, prices, rates, started_at ON trades_swaprun
    FOR EACH ROW WHEN (NEW.id IS DISTINCT FROM OLD.id OR NEW.partition IS DISTINCT FROM OLD.partition
        OR NEW.night IS DISTINCT FROM OLD.night OR NEW.cutoff IS DISTINCT FROM OLD.cutoff
        OR NEW.prices IS DISTINCT FROM OLD.prices OR NEW.rates IS DISTINCT FROM OLD.rates
        OR NEW.started_at IS DISTINCT FROM OLD.started_at)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0053_decimals_wait"), ("quotes", "0021_fee_terms")]

    operations = [
        migrations.AddField(
            "swaprun",
            "rates",
            models.JSONField(
                default=dict,
                help_text="By symbol: the rates of a buy and a sell, in hundredths of a percent, and how often it counts.",
            ),
        ),
        migrations.RunSQL("DROP TRIGGER never_changed ON trades_swaprun", migrations.RunSQL.noop),
        migrations.RunSQL(RATES, migrations.RunSQL.noop),
        migrations.CreateModel(
            name="BatchEvent",
            fields=[
                (
                    "id",
                    models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False),
                ),
                ("became", models.CharField(choices=STATES, max_length=20)),
                ("window_id", models.UUIDField(null=True)),
                ("asset_kinds", models.CharField(max_length=40)),
                ("cut_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(help_text="The batch's.")),
                ("confirmed_at", models.DateTimeField(null=True)),
                ("trades_count", models.PositiveIntegerField()),
                ("members_sha256", models.CharField(blank=True, max_length=64)),
                ("made_by", models.CharField(blank=True, help_text="The user or the client, as an id.", max_length=36)),
                ("confirmed_by", models.CharField(blank=True, max_length=36)),
                ("cancelled_by", models.CharField(blank=True, max_length=36)),
                ("at", models.DateTimeField()),
                (
                    "batch",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="trades.settlementbatch",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["batch", "at"], name="batch_event_by_batch")],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("became__in", [state for state, _ in STATES])),
                        name="batch_event_became_known",
                    )
                ],
            },
        ),
        migrations.RunSQL(NOTE, migrations.RunSQL.noop),
        migrations.RunSQL(BEGIN, migrations.RunSQL.noop),
    ]
