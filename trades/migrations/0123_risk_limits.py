"""How much may be open is a row: lowered by one person, raised by two, and checked by every engine against the same sums."""

import accounts.ids
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from accounts.db.locks import TICK

KINDS = [
    ("order", "of one order"),
    ("customer", "of a customer"),
    ("symbol", "of a symbol, long and short together"),
    ("firm", "of the firm, long and short together"),
    ("symbol_net", "of a symbol, net"),
    ("firm_net", "of the firm, each symbol net"),
]
CONTROLS = [("window", "a settlement window"), ("client", "an API client"), ("limit", "a risk limit")]
REASONS = [
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
    ("limit", "a risk limit of the firm was reached when its price came"),
    ("spread", "its stop loss or a stop-out would have closed it at once, by the spread alone"),
]

# The words as one value, as 0070 has them.
WORDS = (
    "ALTER TABLE trades_order DROP CONSTRAINT order_close_reason_known, ADD CONSTRAINT order_close_reason_known"
    f" CHECK (close_reason::text = ANY ('{{\"\",{','.join(reason for reason, _ in REASONS)}}}'::text[]))"
)

# What a limit bounds never changes. It is raised, or taken away, in the transaction in which a proposal of just these
# two amounts becomes applied; lowered by anybody who may.
GUARDS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION risk_limit_raised_by_two() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_controlchange c
        WHERE c.subject = NEW.id AND c.kind = 'limit' AND c.state = 'applied'
          AND c.applied_in = pg_current_xact_id()::text
          AND c.adds::text[] = ARRAY[OLD.amount::text || ' to ' || coalesce(NEW.amount::text, 'none')]
    ) THEN
        RAISE EXCEPTION 'two persons raise a limit'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'risk_limit_raised_by_two';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER raised_by_two BEFORE UPDATE OF amount ON trades_risklimit FOR EACH ROW
    WHEN (OLD.amount IS NOT NULL AND (NEW.amount IS NULL OR NEW.amount > OLD.amount))
    EXECUTE FUNCTION risk_limit_raised_by_two();
CREATE TRIGGER never_changed AFTER UPDATE OF id, kind, customer_id, instrument_id ON trades_risklimit FOR EACH ROW
    WHEN (NEW.id IS DISTINCT FROM OLD.id OR NEW.kind IS DISTINCT FROM OLD.kind
        OR NEW.customer_id IS DISTINCT FROM OLD.customer_id OR NEW.instrument_id IS DISTINCT FROM OLD.instrument_id)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_risklimit FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_risklimit FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_risklimit', 'id', '', '');
"""

# Every tick holds the lock of its partition, shared, until its outcome can be seen. So no tick runs while a limit changes:
# those before it are counted, and those after it see the new version. The lock's number never changes.
HELD = f"""
CREATE FUNCTION hold_all_ticks() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock({TICK}, partition) FROM generate_series(0, 15) partition;
    RETURN NULL;
END $$;
CREATE TRIGGER while_no_tick_runs BEFORE INSERT OR UPDATE ON trades_risklimit
    FOR EACH STATEMENT EXECUTE FUNCTION hold_all_ticks();
"""
COUNTED = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION count_open_exposure() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM %1$I.trades_openexposure;
    IF EXISTS (
        SELECT FROM %1$I.trades_risklimit
        WHERE amount IS NOT NULL AND kind IN ('symbol', 'firm', 'symbol_net', 'firm_net')
    ) THEN
        INSERT INTO %1$I.trades_openexposure (partition, instrument_id, bought, sold)
        SELECT c.partition, o.instrument_id,
            coalesce(sum(o.margin * o.leverage) FILTER (WHERE o.side = 'buy'), 0),
            coalesce(sum(o.margin * o.leverage) FILTER (WHERE o.side = 'sell'), 0)
        FROM %1$I.trades_order o JOIN %1$I.accounts_customer c ON c.id = o.customer_id
        WHERE o.status = 'OPEN' GROUP BY c.partition, o.instrument_id;
    END IF;
    INSERT INTO %1$I.trades_limitversion (id, version) VALUES (1, gen_random_uuid())
    ON CONFLICT (id) DO UPDATE SET version = excluded.version;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER counted_anew AFTER INSERT OR UPDATE ON trades_risklimit
    FOR EACH STATEMENT EXECUTE FUNCTION count_open_exposure();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_limitversion FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_limitversion FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0098_kinds_of_hedged_margin"),
        ("quotes", "0059_hedged_margin"),
        ("trades", "0122_hedged_margin"),
    ]

    operations = [
        migrations.CreateModel(
            name="LimitVersion",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ("version", models.UUIDField()),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_limit_version")],
            },
        ),
        migrations.CreateModel(
            name="OpenExposure",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("partition", models.PositiveSmallIntegerField()),
                ("bought", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
                ("sold", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
                (
                    "instrument",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="quotes.instrument",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("partition", "instrument"), name="one_open_exposure_per_symbol")
                ],
            },
        ),
        migrations.CreateModel(
            name="RiskLimit",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=KINDS, max_length=10)),
                (
                    "amount",
                    models.PositiveBigIntegerField(
                        help_text="In whole units of the account currency; empty: no limit any more.", null=True
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        blank=True,
                        help_text="Of this customer alone; empty: of each.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.customer",
                    ),
                ),
                (
                    "instrument",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        help_text="Of this symbol alone; empty: of each.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="quotes.instrument",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", [kind for kind, _ in KINDS])), name="risk_limit_kind_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("customer__isnull", True), ("kind", "customer"), _connector="OR"),
                            models.Q(
                                ("instrument__isnull", True),
                                ("kind__in", ["order", "symbol", "symbol_net"]),
                                _connector="OR",
                            ),
                        ),
                        name="risk_limit_of_what_it_bounds",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("amount__isnull", True), ("amount__lte", 10**15), _connector="OR"),
                        name="risk_limit_amount_in_bounds",
                    ),
                    models.UniqueConstraint(
                        fields=("kind", "customer", "instrument"),
                        name="one_risk_limit_of_a_kind",
                        nulls_distinct=False,
                    ),
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(HELD, migrations.RunSQL.noop),
        migrations.RunSQL(COUNTED, migrations.RunSQL.noop),
        migrations.RemoveConstraint(model_name="controlchange", name="control_kind_known"),
        migrations.AlterField(
            model_name="controlchange",
            name="adds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=64),
                help_text="A window's columns that become true, a client's scopes, or a limit's amounts, as 1000 to"
                " 2000.",
                size=None,
            ),
        ),
        migrations.AlterField(
            model_name="controlchange",
            name="kind",
            field=models.CharField(choices=CONTROLS, max_length=6),
        ),
        migrations.AlterField(
            model_name="controlchange",
            name="subject",
            field=models.UUIDField(help_text="The window, the client, or the limit."),
        ),
        migrations.AddConstraint(
            model_name="controlchange",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", [kind for kind, _ in CONTROLS])), name="control_kind_known"
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(WORDS, migrations.RunSQL.noop)],
            state_operations=[
                migrations.RemoveConstraint(model_name="order", name="order_close_reason_known"),
                migrations.AlterField(
                    model_name="order",
                    name="close_reason",
                    field=models.CharField(blank=True, choices=REASONS, max_length=16),
                ),
                migrations.AddConstraint(
                    model_name="order",
                    constraint=models.CheckConstraint(
                        condition=models.Q(("close_reason__in", ["", *(reason for reason, _ in REASONS)])),
                        name="order_close_reason_known",
                    ),
                ),
            ],
        ),
    ]
