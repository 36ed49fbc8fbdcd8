"""When a schedule counts from, when a batch took a step, and which quotes may be executed: by the firm's clock."""

from django.db import migrations

FUNCTIONS = """
CREATE OR REPLACE FUNCTION public.count_schedule_from_now() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    IF TG_OP = 'INSERT' OR ROW(NEW.cron, NEW.time_zone, NEW.calendar, NEW.is_active, NEW.is_automatic,
                               NEW.legs_are_automatic)
        IS DISTINCT FROM ROW(OLD.cron, OLD.time_zone, OLD.calendar, OLD.is_active, OLD.is_automatic,
                             OLD.legs_are_automatic) THEN
        NEW.schedule_since := public.firm_clock();
    ELSE
        NEW.schedule_since := OLD.schedule_since;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION public.note_batch() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO public.trades_batchevent (id, batch_id, became, window_id, asset_kinds, cut_at, created_at, confirmed_at,
        trades_count, members_sha256, made_by, confirmed_by, cancelled_by, at)
    VALUES (public.new_uuid7(), NEW.id, NEW.state, NEW.window_id, NEW.asset_kinds, NEW.cut_at, NEW.created_at,
        NEW.confirmed_at, NEW.trades_count, NEW.members_sha256,
        coalesce(NEW.made_by_id::text, NEW.made_by_client_id::text, ''),
        coalesce(NEW.confirmed_by_id::text, NEW.confirmed_by_client_id::text, ''),
        coalesce(NEW.cancelled_by_id::text, NEW.cancelled_by_client_id::text, ''), public.firm_clock());
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION public.what_is_open(of_symbol text) RETURNS text
    LANGUAGE sql STABLE
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    SELECT string_agg(found.count || ' ' || found.what, ', ' ORDER BY found.number) FROM (
        SELECT 1, 'open orders', count(*) FROM public.trades_order
        WHERE instrument_id = of_symbol AND status = 'OPEN'
        UNION ALL
        SELECT 2, 'pending orders', count(*) FROM public.trades_order
        WHERE instrument_id = of_symbol AND status = 'PENDING'
        UNION ALL
        SELECT 3, 'trades under way', count(*) FROM public.trades_trade
        WHERE instrument_id = of_symbol AND state IN ('storing', 'settling')
        UNION ALL
        SELECT 4, 'quotes that may be executed', count(*) FROM public.quotes_quote q
        WHERE q.instrument_id = of_symbol AND q.expires_at > public.firm_clock()
          AND NOT EXISTS (SELECT FROM public.trades_trade t WHERE t.quote_id = q.id)
    ) found (number, what, count) WHERE found.count > 0
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0098_bank_files"), ("accounts", "0081_firm_clock")]

    operations = [migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop)]
