"""What an instrument asks of the sources of its price, and the firm's mark-up: terms like the others (0017)."""

from decimal import Decimal

from django.db import migrations, models

# term: (down %, up %, at most, in the term's unit) that one person may go from what two agreed to.
BANDS = {"markup_bps": (50, 50, 5), "least_sources": (0, 0, 0), "outlier_percent": (50, 0, 50)}

TERMS = (
    "price_decimals",
    "quantity_decimals",
    "price_age_limit_seconds",
    "jump_limit_percent",
    "max_spread_percent",
    "spread_bps",
    "volatility_limit_percent",
    "quote_life_seconds",
    "leverage_cap",
    "fee_bps",
    "swap_long_bps",
    "swap_short_bps",
    "swap_triple_weekday",
    "simulator_price",
    "simulator_step_bps",
    *BANDS,
)

ROWS = "INSERT INTO quotes_termband (term, down_percent, up_percent, most) VALUES {rows};"

INSTRUMENT = """
DROP TRIGGER changed_by_owner ON quotes_instrument;
CREATE TRIGGER changed_by_owner BEFORE UPDATE OF {columns} ON quotes_instrument FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_all_but_owner();
"""

# As in 0017, with all the terms that there are now. %1$I is the schema.
FUNCTION = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION carry_out_instrument_change() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    stood %1$I.quotes_instrument;
    names text[] := ARRAY(SELECT jsonb_object_keys(NEW.new) ORDER BY 1);
BEGIN
    SELECT * INTO STRICT stood FROM %1$I.quotes_instrument WHERE symbol = NEW.instrument_id FOR NO KEY UPDATE;
    IF names <> ARRAY(SELECT jsonb_object_keys(NEW.old) ORDER BY 1)
       OR EXISTS (SELECT FROM unnest(names) n WHERE NOT EXISTS (SELECT FROM %1$I.quotes_termband b WHERE b.term = n)) THEN
        RAISE EXCEPTION 'a change names terms that it may change, with what they were and what they become'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF jsonb_populate_record(stood, NEW.old) IS DISTINCT FROM stood THEN
        RAISE EXCEPTION 'the instrument is not any more as it was when this change was proposed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NOT NEW.needs_checker AND %1$I.terms_beyond_band(NEW.instrument_id, NEW.new) <> '{{}}' THEN
        RAISE EXCEPTION 'this change of an instrument needs a second person'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE %1$I.quotes_instrument i
    SET {set},
        agreed = CASE WHEN NEW.needs_checker THEN i.agreed - names ELSE NEW.old || i.agreed END
    FROM jsonb_populate_record(stood, NEW.new) n
    WHERE i.symbol = NEW.instrument_id;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
"""


def differs(columns):
    return " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)


def sql(text, **parts):
    return migrations.RunSQL(text.format(**parts), migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [("quotes", "0045_held_by_a_client")]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="markup_bps",
            field=models.DecimalField(
                max_digits=8,
                decimal_places=3,
                default=Decimal(0),
                db_default=Decimal(0),
                help_text="Added between bid and ask to what the sources say, half to each side, in hundredths of a percent.",
            ),
        ),
        migrations.AddField(
            model_name="instrument",
            name="least_sources",
            field=models.PositiveSmallIntegerField(
                default=1, db_default=1, help_text="Fewer sources that agree make no price."
            ),
        ),
        migrations.AddField(
            model_name="instrument",
            name="outlier_percent",
            field=models.DecimalField(
                max_digits=6,
                decimal_places=3,
                default=Decimal(1),
                db_default=Decimal(1),
                help_text="A source that is further from the median of the sources counts for nothing.",
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("markup_bps__gte", 0), ("markup_bps__lt", 10000)),
                name="instrument_markup_is_a_part",
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("least_sources__gte", 1), ("least_sources__lte", 16)),
                name="instrument_least_sources_are_some",
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("outlier_percent__gt", 0)), name="instrument_outlier_percent_positive"
            ),
        ),
        sql(ROWS, rows=", ".join(f"('{term}', {down}, {up}, {most})" for term, (down, up, most) in BANDS.items())),
        sql(INSTRUMENT, columns=", ".join([*TERMS, "agreed"]), changed=differs([*TERMS, "agreed"])),
        sql(FUNCTION, set=", ".join(f"{term} = n.{term}" for term in TERMS)),
    ]
