"""The words that a column may hold are one value in the CHECKs of what every close writes (docs/decisions/0054).

PostgreSQL reads a table's CHECKs anew for each statement that writes it. As Django makes them, a list of words is a node
and a cast for each word: 43 kB of text a tick, and 27 kB where the list is one value, which means the same.
"""

from django.db import migrations

# A list is written in either of two ways, the second after a dump was restored.
REWRITE = r"""
DO $$
DECLARE
    one record;
    list text[];
BEGIN
    FOR one IN
        SELECT conrelid::regclass AS of_table, conname AS name, pg_catalog.pg_get_constraintdef(oid) AS said
        FROM pg_catalog.pg_constraint
        WHERE contype = 'c' AND conrelid = ANY (ARRAY['accounts_ledgeraccount', 'accounts_transfer', 'trades_order',
            'trades_deal', 'trades_orderevent']::regclass[])
    LOOP
        CONTINUE WHEN pg_catalog.strpos(one.said, 'ARRAY[') = 0;
        LOOP
            list := pg_catalog.regexp_match(one.said, '(ANY \(\(?ARRAY\[([^]]*)\](\)::text\[\])?\))');
            EXIT WHEN list IS NULL;
            one.said := pg_catalog.replace(one.said, list[1], pg_catalog.format('ANY (%L::text[])', ARRAY(
                SELECT word[1]
                FROM pg_catalog.regexp_matches(list[2], '''([^'']*)''::character varying', 'g') AS word
            )::text));
        END LOOP;
        EXECUTE pg_catalog.format(
            'ALTER TABLE %s DROP CONSTRAINT %I, ADD CONSTRAINT %I %s', one.of_table, one.name, one.name, one.said
        );
    END LOOP;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0065_versions"), ("accounts", "0033_refuse_changed_rows")]
    operations = [migrations.RunSQL(REWRITE, migrations.RunSQL.noop)]
