"""Hours are never changed, a switch is history, and which hours a market has is a term like the others (0017, 0046)."""

from importlib import import_module

from django.db import migrations

composite = import_module("quotes.migrations.0046_composite_prices")

# term: as in 0017. Two persons always: a schedule decides whether a stop fires.
BANDS = {"trading_hours_id": (0, 0, 0)}
TERMS = (*composite.TERMS, *BANDS)

GUARDS = """
CREATE TRIGGER never_changed AFTER UPDATE
    OF name, time_zone, sessions, calendar, closed_days, pre_open_minutes ON quotes_tradinghours
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON quotes_tradinghours
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_tradinghours
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON quotes_marketswitch
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON quotes_marketswitch
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
SELECT keep_versions('quotes_tradinghours', 'name', '', '');
"""

# As in 0017. The name of a market's hours is no number, and nobody changes it alone.
BEYOND = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION terms_beyond_band(of_symbol text, wanted jsonb) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(w.key ORDER BY w.key), '{}')
    FROM %1$I.quotes_instrument i
    CROSS JOIN LATERAL (
        SELECT key, CASE WHEN key <> 'trading_hours_id' THEN value::numeric END AS value FROM jsonb_each_text(wanted)
    ) w
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.key <> 'trading_hours_id'
            THEN coalesce(i.agreed ->> w.key, to_jsonb(i) ->> w.key)::numeric END AS value
    ) agreed
    LEFT JOIN %1$I.quotes_termband b ON b.term = w.key
    WHERE i.symbol = of_symbol AND NOT coalesce(w.value BETWEEN
        agreed.value - least(abs(agreed.value) * b.down_percent / 100, b.most)
        AND agreed.value + least(abs(agreed.value) * b.up_percent / 100, b.most), false)
$$
    $create$, pg_catalog.current_schema());
END $do$;
"""

# An installation that has had no price yet is a new one. What others trade around the clock, two persons change.
BEGINS = """
UPDATE quotes_instrument i SET trading_hours_id = CASE a.type WHEN 'metal' THEN 'metals' ELSE 'fx' END
FROM accounts_asset a
WHERE a.code = i.base_asset_id AND a.type IN ('fiat', 'metal')
  AND NOT EXISTS (SELECT FROM quotes_candle) AND NOT EXISTS (SELECT FROM quotes_quote);
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0047_trading_hours")]

    operations = [
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(BEYOND, migrations.RunSQL.noop),
        composite.sql(
            composite.ROWS,
            rows=", ".join(f"('{term}', {down}, {up}, {most})" for term, (down, up, most) in BANDS.items()),
        ),
        composite.sql(
            composite.INSTRUMENT,
            columns=", ".join([*TERMS, "agreed"]),
            changed=composite.differs([*TERMS, "agreed"]),
        ),
        composite.sql(composite.FUNCTION, set=", ".join(f"{term} = n.{term}" for term in TERMS)),
        migrations.RunSQL(BEGINS, migrations.RunSQL.noop),
    ]
