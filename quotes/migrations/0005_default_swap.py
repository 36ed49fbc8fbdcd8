"""What holding a position overnight costs or brings in the instruments a new installation starts with.

Only where nobody has set anything yet: rows whose two rates are still zero.
"""

from decimal import Decimal as D

from django.db import migrations

WEDNESDAY = 2  # settlement is two business days off, so Wednesday's night reaches over the weekend

RATES = [
    # symbol, long, short (basis points of the value a night; negative: charged), the night that counts three times
    ("BTC-USD", D("-2.5"), D("-0.5"), None),
    ("ETH-USD", D("-2.5"), D("-0.5"), None),
    ("SOL-USD", D("-2.5"), D("-0.5"), None),
    ("EUR-USD", D("-0.6"), D("0.2"), WEDNESDAY),
    ("XAU-USD", D("-1.1"), D("0.4"), WEDNESDAY),
]


def set_rates(apps, schema_editor):
    instrument = apps.get_model("quotes", "Instrument")
    for symbol, long, short, triple in RATES:
        unset = instrument.objects.filter(symbol=symbol, swap_long_bps=0, swap_short_bps=0)
        unset.update(swap_long_bps=long, swap_short_bps=short, swap_triple_weekday=triple)


class Migration(migrations.Migration):
    dependencies = [("quotes", "0004_order_rules")]

    operations = [migrations.RunPython(set_rates, migrations.RunPython.noop)]
