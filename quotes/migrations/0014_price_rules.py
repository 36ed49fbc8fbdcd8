"""An instrument has a greatest spread; one whose own spread is wider than the default's gets twice its own."""

from decimal import Decimal

from django.db import migrations, models
from django.db.models import F


def room_for_its_own_spread(apps, schema_editor):
    wide = apps.get_model("quotes", "Instrument").objects.filter(spread_bps__gt=500)
    wide.update(max_spread_percent=F("spread_bps") / 50)


class Migration(migrations.Migration):
    dependencies = [("quotes", "0013_role_guards")]

    operations = [
        migrations.AddField(
            model_name="instrument",
            name="max_spread_percent",
            field=models.DecimalField(
                decimal_places=3,
                default=Decimal("5"),
                help_text="Of the middle. A price whose bid and ask are further apart is no price.",
                max_digits=6,
            ),
        ),
        migrations.AddConstraint(
            model_name="instrument",
            constraint=models.CheckConstraint(
                condition=models.Q(("max_spread_percent__gt", 0)), name="instrument_max_spread_positive"
            ),
        ),
        migrations.AlterField(
            model_name="instrument",
            name="jump_limit_percent",
            field=models.DecimalField(
                decimal_places=3,
                default=Decimal("50"),
                help_text="A bid or ask that differs more from the one before is no price until an operator accepts it.",
                max_digits=6,
            ),
        ),
        migrations.RunPython(room_for_its_own_spread, migrations.RunPython.noop),
    ]
