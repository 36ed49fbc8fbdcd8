"""How much leverage retail customers get, and whoever has a large exposure: terms like the others (0017, 0055)."""

from importlib import import_module

from django.db import migrations, models

composite = import_module("quotes.migrations.0046_composite_prices")
distance = import_module("quotes.migrations.0055_least_distance")

# term: as in 0017. Two persons always: a cap that is empty is measured by nothing, and tiers are no number.
BANDS = {"retail_leverage_cap": (0, 0, 0), "leverage_tiers": (0, 0, 0)}
TERMS = (*distance.TERMS, *BANDS)

# As in 0048, with another term that is no number.
BEYOND = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE OR REPLACE FUNCTION terms_beyond_band(of_symbol text, wanted jsonb) RETURNS text[] LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(w.key ORDER BY w.key), '{}')
    FROM %1$I.quotes_instrument i
    CROSS JOIN LATERAL (
        SELECT key, CASE WHEN key NOT IN ('trading_hours_id', 'leverage_tiers') THEN value::numeric END AS value
        FROM jsonb_each_text(wanted)
    ) w
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.key NOT IN ('trading_hours_id', 'leverage_tiers')
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


class Migration(migrations.Migration):
    dependencies = [("quotes", "0055_least_distance")]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="retail_leverage_cap",
            field=models.PositiveSmallIntegerField(
                blank=True, help_text="Of retail customers; empty: the leverage cap alone.", null=True
            ),
        ),
        migrations.AddField(
            model_name="instrument",
            name="leverage_tiers",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="From so much exposure of a customer in this symbol, in the account currency, at most so much leverage, such as: 100000:50, 500000:20.",
                max_length=300,
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("retail_leverage_cap__isnull", True), ("retail_leverage_cap__gte", 1), _connector="OR"
                ),
                name="instrument_retail_leverage_cap_positive",
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "leverage_tiers__regex",
                        "^([1-9][0-9]{0,17}:[1-9][0-9]{0,4}(, [1-9][0-9]{0,17}:[1-9][0-9]{0,4}){0,9})?$",
                    )
                ),
                name="instrument_leverage_tiers_can_be_read",
            ),
        ),
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
    ]
