"""How near to the market stops and pending prices may be set: a term like the others (0017, 0048)."""

from decimal import Decimal
from importlib import import_module

from django.db import migrations, models

composite = import_module("quotes.migrations.0046_composite_prices")
hours = import_module("quotes.migrations.0048_trading_hours_guards")

# term: as in 0017. Two persons always: it refuses what customers may have set yesterday, or admits what costs the firm.
BANDS = {"least_distance_bps": (0, 0, 0)}
TERMS = (*hours.TERMS, *BANDS)


class Migration(migrations.Migration):
    dependencies = [("quotes", "0054_ways_stay")]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="least_distance_bps",
            field=models.DecimalField(
                max_digits=8,
                decimal_places=3,
                default=Decimal(0),
                db_default=Decimal(0),
                help_text="So far from the market are stops, take profits and pending prices at least when they are set, in hundredths of a percent of the price.",
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("least_distance_bps__gte", 0), ("least_distance_bps__lt", 10000)),
                name="instrument_least_distance_is_a_part",
            ),
        ),
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
