"""Each deal says which price it was executed at: bid, ask, as of when, how old, held or made of what."""

from django.db import migrations, models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual

# Deals from before have none of it, so this is no constraint of a model: what is there is never looked at.
ALWAYS = """
ALTER TABLE trades_deal ADD CONSTRAINT deal_has_its_price CHECK (bid IS NOT NULL) NOT VALID;
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0105_conversion_rates")]

    operations = [
        migrations.AddField("deal", "bid", models.DecimalField(max_digits=38, decimal_places=18, null=True)),
        migrations.AddField("deal", "ask", models.DecimalField(max_digits=38, decimal_places=18, null=True)),
        migrations.AddField(
            "deal", "priced_at", models.DateTimeField(null=True, help_text="As of when the price was, by Redis' clock.")
        ),
        migrations.AddField(
            "deal",
            "price_age_ms",
            models.IntegerField(null=True, help_text="How old it was when the engine had read it."),
        ),
        migrations.AddField(
            "deal",
            "hold",
            models.BigIntegerField(null=True, help_text="The number of the hold, where an operator held the price."),
        ),
        migrations.AddField(
            "deal",
            "sources",
            models.TextField(null=True, help_text="What it was made of, as the feed wrote it beside the price."),
        ),
        migrations.AddConstraint(
            "deal",
            models.CheckConstraint(
                condition=Q(
                    *(Q(**{f"{name}__isnull": True}) for name in ("bid", "ask", "priced_at", "price_age_ms")),
                    hold__isnull=True,
                    sources__isnull=True,
                )
                | Q(
                    Q(price=F("bid")) | Q(price=F("ask")),
                    *(
                        Q(**{f"{name}__isnull": False})
                        for name in ("bid", "ask", "priced_at", "price_age_ms", "sources")
                    ),
                    bid__gt=0,
                    ask__gte=F("bid"),
                ),
                name="deal_at_its_price",
            ),
        ),
        migrations.AddConstraint(
            "deal",
            models.CheckConstraint(
                condition=Q(sources__isnull=True)
                | Q(LessThanOrEqual(Length("sources"), 2000), sources__regex=r"^[a-z0-9_.,;]*$"),
                name="deal_sources_are_short",
            ),
        ),
        migrations.RunSQL(ALWAYS, "ALTER TABLE trades_deal DROP CONSTRAINT deal_has_its_price"),
    ]
