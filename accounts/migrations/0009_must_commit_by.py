"""PostgreSQL itself refuses a transaction that isn't committed by a moment of its clock (accounts/clock.py)."""

from django.db import migrations

# Setting a timeout that runs does not start it anew; switching it off in between does. From 17 on the transaction has a
# timeout of its own, which also counts while the server's process stands still. Before, the time in which the server
# waits for its client is bounded, and tables with the deferred trigger `late_commit` look once more at the commit.
CREATE = """
CREATE FUNCTION must_commit_by(moment timestamptz) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    left_ms bigint := pg_catalog.floor(extract(epoch FROM moment - pg_catalog.clock_timestamp()) * 1000)::bigint;
BEGIN
    IF left_ms < 1 THEN
        RAISE EXCEPTION 'the transaction took too long: it had to be committed by %', moment
            USING ERRCODE = 'query_canceled';
    END IF;
    IF pg_catalog.current_setting('server_version_num')::int >= 170000 THEN
        PERFORM pg_catalog.set_config('transaction_timeout', '0', true);
        PERFORM pg_catalog.set_config('transaction_timeout', left_ms::text, true);
    ELSE
        PERFORM pg_catalog.set_config('idle_in_transaction_session_timeout', left_ms::text, true);
        PERFORM pg_catalog.set_config('brokerage.commit_by', moment::text, true);
    END IF;
END $$;

CREATE FUNCTION refuse_late_commit() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    moment text := pg_catalog.current_setting('brokerage.commit_by', true);
BEGIN
    IF moment <> '' AND pg_catalog.clock_timestamp() > moment::timestamptz THEN
        RAISE EXCEPTION 'the transaction took too long: it had to be committed by %', moment
            USING ERRCODE = 'query_canceled';
    END IF;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0008_ids_by_the_shared_clock")]
    operations = [
        migrations.RunSQL(CREATE, "DROP FUNCTION must_commit_by(timestamptz); DROP FUNCTION refuse_late_commit()")
    ]
