"""How fine a price or a quantity is doesn't change while anything of the instrument is open, whoever asks."""

from django.db import migrations

# %1$I is the schema. A quote lives until it expires or a trade has used it.
GUARD = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION what_is_open(of_symbol text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(found.count || ' ' || found.what, ', ' ORDER BY found.number) FROM (
        SELECT 1, 'open orders', count(*) FROM %1$I.trades_order
        WHERE instrument_id = of_symbol AND status = 'OPEN'
        UNION ALL
        SELECT 2, 'pending orders', count(*) FROM %1$I.trades_order
        WHERE instrument_id = of_symbol AND status = 'PENDING'
        UNION ALL
        SELECT 3, 'trades under way', count(*) FROM %1$I.trades_trade
        WHERE instrument_id = of_symbol AND state IN ('storing', 'settling')
        UNION ALL
        SELECT 4, 'quotes that may be executed', count(*) FROM %1$I.quotes_quote q
        WHERE q.instrument_id = of_symbol AND q.expires_at > clock_timestamp()
          AND NOT EXISTS (SELECT FROM %1$I.trades_trade t WHERE t.quote_id = q.id)
    ) found (number, what, count) WHERE found.count > 0
$$
    $create$, pg_catalog.current_schema());

    EXECUTE pg_catalog.format($create$
CREATE FUNCTION refuse_while_open() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF %1$I.what_is_open(NEW.symbol) IS NOT NULL THEN
        RAISE EXCEPTION 'decimals of %% do not change while there are %%', NEW.symbol, %1$I.what_is_open(NEW.symbol)
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;

CREATE TRIGGER decimals_wait BEFORE UPDATE OF price_decimals, quantity_decimals ON quotes_instrument FOR EACH ROW
    WHEN (NEW.price_decimals <> OLD.price_decimals OR NEW.quantity_decimals <> OLD.quantity_decimals)
    EXECUTE FUNCTION refuse_while_open();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0051_words_of_funding"), ("quotes", "0017_instrument_guards")]

    operations = [migrations.RunSQL(GUARD, migrations.RunSQL.noop)]
