"""Instruments that are counted in another currency than the accounts, and the one that their cross goes by."""

from decimal import Decimal as D

from django.db import migrations

WEDNESDAY = 2

INSTRUMENTS = [
    # symbol, name, price decimals, quantity decimals, min, max, leverage cap, spread, fee, start price, long, short swap
    ("USD-JPY", "US dollar in yen", 3, 2, D(1), D(50000000), 500, D(1), D(10), D("148.250"), D("0.9"), D("-1.6")),
    ("EUR-GBP", "Euro in pounds", 5, 2, D(1), D(50000000), 500, D(1), D(10), D("0.85650"), D("-0.6"), D("0.2")),
    ("GBP-USD", "Pound", 5, 2, D(1), D(50000000), 500, D(1), D(10), D("1.26970"), D("-0.2"), D("-0.2")),
    ("ETH-BTC", "Ether in bitcoin", 6, 18, D("0.0001"), D(20000), 50, D(6), D(25), D("0.053100"), D("-1"), D("-1")),
]
NIGHTS = {"ETH-BTC": None}
HOURS = {"ETH-BTC": "always"}


def add(apps, schema_editor):
    instrument = apps.get_model("quotes", "Instrument")
    instrument.objects.bulk_create(
        [
            instrument(
                symbol=symbol,
                name=name,
                image_url=f"/static/assets/{symbol.split('-')[0].lower()}.svg",
                base_asset_id=symbol.split("-")[0],
                counter_asset_id=symbol.split("-")[1],
                price_decimals=price_decimals,
                quantity_decimals=quantity_decimals,
                min_quantity=least,
                max_quantity=most,
                leverage_cap=cap,
                spread_bps=spread,
                fee_bps=fee,
                simulator_price=price,
                swap_long_bps=long,
                swap_short_bps=short,
                swap_triple_weekday=NIGHTS.get(symbol, WEDNESDAY),
                trading_hours_id=HOURS.get(symbol, "fx"),
            )
            for symbol, name, price_decimals, quantity_decimals, least, most, cap, spread, fee, price, long, short in (
                INSTRUMENTS
            )
        ],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("quotes", "0048_trading_hours_guards"), ("accounts", "0086_more_currencies")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
