"""What currencies are converted by isn't changed by whoever adds an instrument (docs/decisions/0080)."""

from django.conf import settings
from django.db import migrations

# As `quotes.conversion.path`: direct, inverse, or a cross over the currency that comes first in the alphabet.
GUARD = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION conversion_way(source text, target text, without text) RETURNS text LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    WITH legs AS (
        SELECT base_asset_id AS begins, counter_asset_id AS ends, symbol, 0 AS turned
        FROM %1$I.quotes_instrument WHERE symbol <> without
        UNION ALL
        SELECT counter_asset_id, base_asset_id, symbol, 1 FROM %1$I.quotes_instrument WHERE symbol <> without
    )
    SELECT found.way FROM (
        SELECT symbol AS way, 0 AS legs, '' AS middle, turned AS first, 0 AS second
        FROM legs WHERE begins = source AND ends = target
        UNION ALL
        SELECT one.symbol || ' ' || two.symbol, 1, one.ends, one.turned, two.turned
        FROM legs one JOIN legs two ON two.begins = one.ends AND two.ends = target WHERE one.begins = source
    ) found ORDER BY found.legs, found.middle COLLATE "C", found.first, found.second LIMIT 1
$$;
CREATE FUNCTION refuse_another_way() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    turned text;
BEGIN
    SELECT i.counter_asset_id INTO turned FROM %1$I.quotes_instrument i
    WHERE i.symbol <> NEW.symbol AND i.counter_asset_id <> {currency}
      AND %1$I.conversion_way(i.counter_asset_id, {currency}, NEW.symbol)
          <> %1$I.conversion_way(i.counter_asset_id, {currency}, '')  -- where there was none, nothing could be opened
    LIMIT 1;
    IF turned IS NOT NULL AND NOT pg_has_role(
        current_user, (SELECT c.relowner FROM pg_class c WHERE c.oid = TG_RELID), 'USAGE'
    ) THEN
        RAISE EXCEPTION '%% would convert %% another way: only the owner of the table adds it', NEW.symbol, turned
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END $$;
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER ways_stay AFTER INSERT ON quotes_instrument FOR EACH ROW EXECUTE FUNCTION refuse_another_way();
"""
NO_GUARD = """
DROP TRIGGER ways_stay ON quotes_instrument;
DROP FUNCTION refuse_another_way();
DROP FUNCTION conversion_way(text, text, text);
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0053_last_live_candles")]

    operations = [migrations.RunSQL(GUARD.replace("{currency}", f"'{settings.ACCOUNT_CURRENCY}'"), NO_GUARD)]
