"""The instruments a new installation starts with. Operators add and change them in the admin."""

from decimal import Decimal as D

from django.db import migrations

ASSETS = [
    # code, type, name, sign, decimals
    ("USD", "fiat", "US dollar", "$", 2),
    ("EUR", "fiat", "Euro", "€", 2),
    ("BTC", "crypto", "Bitcoin", "₿", 8),
    ("ETH", "crypto", "Ether", "Ξ", 18),
    ("SOL", "crypto", "Solana", "◎", 9),
    ("XAU", "metal", "Gold", "oz", 6),
]

INSTRUMENTS = [
    # symbol, name, price decimals, quantity decimals, min, max, leverage cap, spread, fee, start price
    ("BTC-USD", "Bitcoin", 2, 8, D("0.00001"), D(1000), 100, D(5), D(25), D(42350)),
    ("ETH-USD", "Ether", 2, 18, D("0.0001"), D(20000), 100, D(6), D(25), D(2250)),
    ("SOL-USD", "Solana", 4, 9, D("0.01"), D(200000), 50, D(8), D(25), D(98)),
    ("EUR-USD", "Euro", 5, 2, D(1), D(50000000), 500, D(1), D(10), D("1.0875")),
    ("XAU-USD", "Gold", 2, 6, D("0.001"), D(10000), 200, D(3), D(15), D(2040)),
]


def add(apps, schema_editor):
    asset, instrument = apps.get_model("accounts", "Asset"), apps.get_model("quotes", "Instrument")
    asset.objects.bulk_create(
        [asset(code=c, type=t, name=n, symbol=s, decimals=d) for c, t, n, s, d in ASSETS], ignore_conflicts=True
    )
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
            )
            for symbol, name, price_decimals, quantity_decimals, least, most, cap, spread, fee, price in INSTRUMENTS
        ],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("quotes", "0001_tables"), ("accounts", "0002_guards")]

    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
