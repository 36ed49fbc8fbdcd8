"""Candles lie in partitions by month, know when their open and close were said, and each batch of them is written once."""

import django.db.models.deletion
from django.db import migrations, models

# What is there is moved: the tables of before had some rows a minute. No foreign key: who writes looks the symbol up.
# A partition is made by its owner, whoever asks for it: the application may make no tables.
PARTITIONS = """
ALTER TABLE quotes_candle RENAME TO quotes_candle_before;
CREATE TABLE quotes_candle (
    LIKE quotes_candle_before INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    open_at timestamptz, close_at timestamptz
) PARTITION BY RANGE (minute);

DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION make_candle_month(moment timestamptz) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    began CONSTANT timestamp := date_trunc('month', moment AT TIME ZONE 'UTC');
    month CONSTANT text := 'quotes_candle_' || to_char(began, 'YYYYMM');
BEGIN
    IF EXISTS (SELECT FROM pg_inherits WHERE inhparent = '%1$I.quotes_candle'::regclass
               AND inhrelid = to_regclass(format('%1$I.%%I', month))) THEN
        RETURN false;
    END IF;
    IF NOT moment BETWEEN '1990-01-01Z' AND '2199-12-31Z' THEN
        RAISE EXCEPTION 'no candle is of %%', moment USING ERRCODE = 'datetime_field_overflow';
    END IF;
    LOCK TABLE %1$I.quotes_candle IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass(format('%1$I.%%I', month)) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE %1$I.%%I (LIKE %1$I.quotes_candle INCLUDING ALL)', month);
    EXECUTE format('ALTER TABLE %1$I.quotes_candle ATTACH PARTITION %1$I.%%I FOR VALUES FROM (%%L) TO (%%L)', month,
        began AT TIME ZONE 'UTC', (began + interval '1 month') AT TIME ZONE 'UTC');
    RETURN true;
END $$
    $create$, pg_catalog.current_schema());
END $do$;

SELECT make_candle_month(month AT TIME ZONE 'UTC')
FROM (SELECT DISTINCT date_trunc('month', minute AT TIME ZONE 'UTC') FROM quotes_candle_before) months (month);
INSERT INTO quotes_candle (id, minute, open, high, low, close, volume, trade_count, instrument_id)
SELECT id, minute, open, high, low, close, volume, trade_count, instrument_id FROM quotes_candle_before;
DROP TABLE quotes_candle_before;
ALTER TABLE quotes_candle ADD CONSTRAINT quotes_candle_pkey PRIMARY KEY (id, minute);
ALTER TABLE quotes_candle ADD CONSTRAINT one_candle_per_minute UNIQUE (instrument_id, minute);
"""

STATE = [
    migrations.AlterField(
        model_name="candle",
        name="instrument",
        field=models.ForeignKey(
            db_constraint=False,
            db_index=False,
            on_delete=django.db.models.deletion.PROTECT,
            to="quotes.instrument",
        ),
    ),
    migrations.AddField(
        model_name="candle",
        name="open_at",
        field=models.DateTimeField(null=True, help_text="When the open was said; empty: it stays as it is."),
    ),
    migrations.AddField(
        model_name="candle",
        name="close_at",
        field=models.DateTimeField(null=True, help_text="When the close was said."),
    ),
]


class Migration(migrations.Migration):
    dependencies = [("quotes", "0049_instruments_in_other_currencies")]

    operations = [
        migrations.RunSQL(PARTITIONS, state_operations=STATE),
        migrations.CreateModel(
            name="CandleBatch",
            fields=[("id", models.UUIDField(primary_key=True, serialize=False, editable=False))],
        ),
    ]
