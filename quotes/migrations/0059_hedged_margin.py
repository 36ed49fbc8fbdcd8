"""What positions against each other reserve, both sides or the larger one: a term like the others (0017, 0056)."""

from importlib import import_module

from django.db import migrations, models

composite = import_module("quotes.migrations.0046_composite_prices")
leverage = import_module("quotes.migrations.0056_leverage_by_class_and_exposure")

# term: as in 0017. Two persons always: it is no number.
BANDS = {"hedged_margin": (0, 0, 0)}
TERMS = (*leverage.TERMS, *BANDS)

# As in 0056, with another term that is no number.
BEYOND = leverage.BEYOND.replace("'leverage_tiers')", "'leverage_tiers', 'hedged_margin')")


class Migration(migrations.Migration):
    dependencies = [("quotes", "0058_market_events")]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="hedged_margin",
            field=models.CharField(
                choices=[("full", "the margin of both sides"), ("larger_side", "the margin of the larger side")],
                db_default="full",
                default="full",
                help_text="What positions of one customer against each other in this symbol reserve, those that open from now on: the margin of both, or that of the larger side.",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("hedged_margin__in", ["full", "larger_side"])),
                name="instrument_hedged_margin_known",
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
