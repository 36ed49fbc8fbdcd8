"""The real moment of a moment of the firm's time: the inverse of `firm_clock()`."""

from django.db import migrations

# A move passes over the times between `at + before` and `at + ahead`: all of them are the move's moment.
REAL_OF = """
CREATE FUNCTION real_of(moment timestamptz) RETURNS timestamptz LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce((
        SELECT m.at + greatest(moment - m.at - m.ahead, interval '0') FROM public.accounts_clockmove m
        WHERE m.at + m.before <= moment ORDER BY m.number DESC LIMIT 1
    ), moment)
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0081_firm_clock")]

    operations = [migrations.RunSQL(REAL_OF, "DROP FUNCTION real_of(timestamptz)")]
