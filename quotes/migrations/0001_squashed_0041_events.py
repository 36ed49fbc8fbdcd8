"""The tables of quotes at once, for a new database: what the migrations up to 0041_events leave, in a fraction of
their time. `tests/test_squashed.py` holds both to be the same."""

import accounts.ids
import accounts.request_id
import django.db.models.deletion
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

from accounts.db.schema import Tables

MODELS = [
    migrations.CreateModel(
        name="TermBand",
        fields=[
            (
                "term",
                models.CharField(
                    help_text="A column of the instrument.", max_length=40, primary_key=True, serialize=False
                ),
            ),
            ("down_percent", models.PositiveSmallIntegerField(default=0)),
            ("up_percent", models.PositiveSmallIntegerField(default=0)),
            (
                "most",
                models.DecimalField(decimal_places=3, default=0, help_text="In the term's own unit.", max_digits=12),
            ),
        ],
        options={
            "abstract": False,
        },
    ),
    migrations.CreateModel(
        name="FeedLease",
        fields=[
            ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
            ("epoch", models.BigIntegerField(default=0)),
            ("holder", models.CharField(blank=True, max_length=120)),
            ("renewed_at", models.DateTimeField(null=True)),
            ("taken_at", models.DateTimeField(null=True)),
        ],
        options={
            "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="one_feed_lease")],
        },
    ),
    migrations.CreateModel(
        name="Instrument",
        fields=[
            ("symbol", models.CharField(max_length=21, primary_key=True, serialize=False)),
            ("name", models.CharField(max_length=60)),
            ("image_url", models.CharField(blank=True, max_length=200)),
            ("is_active", models.BooleanField(default=True, help_text="Off: no new orders, quotes or trades.")),
            ("price_decimals", models.PositiveSmallIntegerField()),
            ("quantity_decimals", models.PositiveSmallIntegerField(default=18)),
            ("min_quantity", models.DecimalField(decimal_places=18, max_digits=38)),
            ("max_quantity", models.DecimalField(decimal_places=18, max_digits=38)),
            ("leverage_cap", models.PositiveSmallIntegerField(default=100)),
            (
                "spread_bps",
                models.DecimalField(
                    decimal_places=3,
                    help_text="Between bid and ask, in hundredths of a percent of the mid price.",
                    max_digits=8,
                ),
            ),
            (
                "fee_bps",
                models.DecimalField(
                    decimal_places=3,
                    default=Decimal("0"),
                    help_text="Of a spot trade's value, unless a quote says.",
                    max_digits=8,
                ),
            ),
            (
                "price_age_limit_seconds",
                models.PositiveSmallIntegerField(default=10, help_text="An older price is no price."),
            ),
            (
                "jump_limit_percent",
                models.DecimalField(
                    decimal_places=3,
                    default=Decimal("50"),
                    help_text="A bid or ask that differs more from the one before is no price until an operator accepts it.",
                    max_digits=6,
                ),
            ),
            (
                "max_spread_percent",
                models.DecimalField(
                    decimal_places=3,
                    default=Decimal("5"),
                    help_text="Of the middle. A price whose bid and ask are further apart is no price.",
                    max_digits=6,
                ),
            ),
            (
                "swap_long_bps",
                models.DecimalField(
                    decimal_places=3,
                    default=Decimal("0"),
                    help_text="Paid to a buy position held overnight, in hundredths of a percent of its value; negative: charged.",
                    max_digits=8,
                ),
            ),
            (
                "swap_short_bps",
                models.DecimalField(
                    decimal_places=3, default=Decimal("0"), help_text="The same for a sell position.", max_digits=8
                ),
            ),
            (
                "swap_triple_weekday",
                models.PositiveSmallIntegerField(
                    blank=True,
                    choices=[(0, "Monday"), (1, "Tuesday"), (2, "Wednesday"), (3, "Thursday"), (4, "Friday")],
                    help_text="The night that counts three times, for markets that rest at weekends; empty: every night once.",
                    null=True,
                ),
            ),
            ("quote_life_seconds", models.PositiveSmallIntegerField(default=30)),
            (
                "volatility_limit_percent",
                models.DecimalField(
                    decimal_places=3,
                    default=Decimal("1"),
                    help_text="A spot trade fails when the price moved further since its quote, either way.",
                    max_digits=6,
                ),
            ),
            (
                "simulator_price",
                models.DecimalField(decimal_places=18, help_text="Where the simulator starts its walk.", max_digits=38),
            ),
            (
                "simulator_step_bps",
                models.DecimalField(
                    decimal_places=3,
                    default=Decimal("2"),
                    help_text="The simulator's largest step per tick.",
                    max_digits=8,
                ),
            ),
            ("agreed", models.JSONField(db_default={}, default=dict, editable=False)),
            (
                "base_asset",
                models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"),
            ),
            (
                "counter_asset",
                models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"),
            ),
        ],
        options={
            "ordering": ("symbol",),
        },
    ),
    migrations.CreateModel(
        name="Candle",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("minute", models.DateTimeField()),
            ("open", models.DecimalField(decimal_places=18, max_digits=38)),
            ("high", models.DecimalField(decimal_places=18, max_digits=38)),
            ("low", models.DecimalField(decimal_places=18, max_digits=38)),
            ("close", models.DecimalField(decimal_places=18, max_digits=38)),
            ("volume", models.DecimalField(decimal_places=18, default=Decimal("0"), max_digits=38)),
            ("trade_count", models.PositiveIntegerField(default=0, help_text="Price updates in this minute.")),
            (
                "instrument",
                models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="quotes.instrument"),
            ),
        ],
    ),
    migrations.CreateModel(
        name="InstrumentChange",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "state",
                models.CharField(
                    choices=[("proposed", "Proposed"), ("applied", "Applied"), ("refused", "Refused")],
                    default="proposed",
                    max_length=8,
                ),
            ),
            ("old", models.JSONField()),
            ("new", models.JSONField()),
            ("stated", models.JSONField()),
            ("fires", models.BooleanField(help_text="Whether it would stop, call, open or cancel anything.")),
            ("needs_checker", models.BooleanField(default=True)),
            ("reason", models.CharField(max_length=500)),
            (
                "once",
                models.UUIDField(
                    editable=False, help_text="The one-time key of the dialog that made it.", null=True, unique=True
                ),
            ),
            ("made_at", models.DateTimeField()),
            ("decided_at", models.DateTimeField(help_text="When it was applied or refused.", null=True)),
            ("stated_when_applied", models.JSONField(null=True)),
            (
                "checked_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "instrument",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT, related_name="+", to="quotes.instrument"
                ),
            ),
            (
                "made_by",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="PriceHold",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("number", models.BigIntegerField()),
            ("bid", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            ("ask", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            ("reason", models.CharField(blank=True, max_length=200)),
            ("at", models.DateTimeField()),
            (
                "request_id",
                models.CharField(
                    default=accounts.request_id.current,
                    editable=False,
                    help_text="The HTTP request that did it.",
                    max_length=128,
                    null=True,
                ),
            ),
            (
                "by",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    help_text="Empty: the command line, without a name.",
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "instrument",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="quotes.instrument",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Quote",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "product_type",
                models.CharField(choices=[("trading", "Trading"), ("trading_exit", "Trading Exit")], max_length=16),
            ),
            ("side", models.CharField(choices=[("buy", "Buy"), ("sell", "Sell")], max_length=4)),
            (
                "price",
                models.DecimalField(decimal_places=18, help_text="Ask for a buy, bid for a sell.", max_digits=38),
            ),
            ("receive_amount", models.DecimalField(decimal_places=0, max_digits=38)),
            ("deliver_amount", models.DecimalField(decimal_places=0, max_digits=38)),
            ("fee", models.DecimalField(decimal_places=0, max_digits=38)),
            (
                "fee_bps",
                models.DecimalField(
                    decimal_places=3,
                    help_text="The fee's share of the value, in hundredths of a percent; empty where it was not noted.",
                    max_digits=8,
                    null=True,
                ),
            ),
            (
                "fee_fixed",
                models.DecimalField(
                    decimal_places=0, help_text="The fee's fixed part, counter base units.", max_digits=38, null=True
                ),
            ),
            (
                "reference_trade_id",
                models.UUIDField(blank=True, help_text="The trade that an exit quote counters.", null=True),
            ),
            (
                "external_id",
                models.CharField(blank=True, help_text="What the partner calls this quote.", max_length=64, null=True),
            ),
            ("issued_at", models.DateTimeField()),
            ("expires_at", models.DateTimeField()),
            (
                "request_id",
                models.CharField(
                    default=accounts.request_id.current,
                    editable=False,
                    help_text="The HTTP request that it was made for.",
                    max_length=128,
                    null=True,
                ),
            ),
            (
                "customer",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="quotes",
                    to="accounts.customer",
                ),
            ),
            (
                "instrument",
                models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="quotes.instrument"),
            ),
        ],
    ),
    migrations.AddConstraint(
        model_name="instrument",
        constraint=models.CheckConstraint(
            condition=models.Q(("base_asset", models.F("counter_asset")), _negated=True),
            name="instrument_of_two_assets",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrument",
        constraint=models.CheckConstraint(
            condition=models.Q(("max_quantity__gte", models.F("min_quantity")), ("min_quantity__gt", 0)),
            name="instrument_quantity_range",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrument",
        constraint=models.CheckConstraint(
            condition=models.Q(("leverage_cap__gte", 1)), name="instrument_leverage_cap_positive"
        ),
    ),
    migrations.AddConstraint(
        model_name="instrument",
        constraint=models.CheckConstraint(
            condition=models.Q(("jump_limit_percent__gt", 0)), name="instrument_jump_limit_positive"
        ),
    ),
    migrations.AddConstraint(
        model_name="instrument",
        constraint=models.CheckConstraint(
            condition=models.Q(("max_spread_percent__gt", 0)), name="instrument_max_spread_positive"
        ),
    ),
    migrations.AddConstraint(
        model_name="instrument",
        constraint=models.CheckConstraint(
            condition=models.Q(("swap_triple_weekday__in", [0, 1, 2, 3, 4])),
            name="instrument_swap_triple_weekday_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="candle",
        constraint=models.UniqueConstraint(fields=("instrument", "minute"), name="one_candle_per_minute"),
    ),
    migrations.AddConstraint(
        model_name="candle",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("high__gte", models.F("open")),
                ("low__gt", 0),
                ("low__lte", models.F("open")),
                ("high__gte", models.F("close")),
                ("low__lte", models.F("close")),
            ),
            name="candle_in_order",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("checked_by__isnull", True),
                models.Q(("made_by", models.F("checked_by")), _negated=True),
                _connector="OR",
            ),
            name="instrument_change_maker_is_not_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("state", "applied"), _negated=True),
                ("needs_checker", False),
                ("checked_by__isnull", False),
                _connector="OR",
            ),
            name="instrument_change_applied_by_a_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.CheckConstraint(
            condition=models.Q(("needs_checker", True), ("fires", False), _connector="OR"),
            name="instrument_change_that_fires_takes_two",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                models.Q(("decided_at__isnull", False), ("state__in", ["applied", "refused"])),
                _connector="OR",
            ),
            name="instrument_change_decided_at_a_time",
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.CheckConstraint(
            condition=models.Q(("reason", ""), _negated=True), name="instrument_change_has_a_reason"
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.UniqueConstraint(
            condition=models.Q(("state", "proposed")), fields=("instrument",), name="one_open_change_per_instrument"
        ),
    ),
    migrations.AddConstraint(
        model_name="instrumentchange",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["proposed", "applied", "refused"])), name="instrument_change_state_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="pricehold",
        constraint=models.UniqueConstraint(fields=("instrument", "number"), name="one_hold_per_number"),
    ),
    migrations.AddConstraint(
        model_name="pricehold",
        constraint=models.CheckConstraint(condition=models.Q(("number__gt", 0)), name="hold_number_positive"),
    ),
    migrations.AddConstraint(
        model_name="pricehold",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("ask__isnull", True), ("bid__isnull", True)),
                models.Q(("ask__gte", models.F("bid")), ("ask__isnull", False), ("bid__gt", 0), ("bid__isnull", False)),
                _connector="OR",
            ),
            name="hold_is_a_price_or_a_release",
        ),
    ),
    migrations.AddIndex(
        model_name="quote",
        index=models.Index(fields=["customer", "id"], name="quote_by_customer"),
    ),
    migrations.AddIndex(
        model_name="quote",
        index=models.Index(
            condition=models.Q(("reference_trade_id__isnull", False)),
            fields=["reference_trade_id", "id"],
            name="quote_by_reference",
        ),
    ),
    migrations.AddIndex(
        model_name="quote",
        index=models.Index(
            condition=models.Q(("external_id__isnull", False)),
            fields=["external_id", "id"],
            name="quote_by_external_id",
        ),
    ),
    migrations.AddConstraint(
        model_name="quote",
        constraint=models.CheckConstraint(
            condition=models.Q(("deliver_amount__gt", 0), ("fee__gte", 0), ("receive_amount__gt", 0)),
            name="quote_amounts_positive",
        ),
    ),
    migrations.AddConstraint(
        model_name="quote",
        constraint=models.CheckConstraint(condition=models.Q(("price__gt", 0)), name="quote_price_positive"),
    ),
    migrations.AddConstraint(
        model_name="quote",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("product_type", "trading"), ("reference_trade_id__isnull", True)),
                models.Q(("product_type", "trading_exit"), ("reference_trade_id__isnull", False)),
                _connector="OR",
            ),
            name="quote_reference_fits_product",
        ),
    ),
    migrations.AddConstraint(
        model_name="quote",
        constraint=models.CheckConstraint(condition=models.Q(("side__in", ["buy", "sell"])), name="quote_side_known"),
    ),
    migrations.AddConstraint(
        model_name="quote",
        constraint=models.CheckConstraint(
            condition=models.Q(("product_type__in", ["trading", "trading_exit"])), name="quote_product_type_known"
        ),
    ),
]


class Migration(migrations.Migration):
    initial = True
    replaces = [
        ("quotes", "0001_tables"),
        ("quotes", "0002_instruments"),
        ("quotes", "0003_adjustment_limit"),
        ("quotes", "0004_order_rules"),
        ("quotes", "0005_default_swap"),
        ("quotes", "0006_ids_by_the_shared_clock"),
        ("quotes", "0007_feed_lease_and_holds"),
        ("quotes", "0008_holds_are_never_rewritten"),
        ("quotes", "0012_words"),
        ("quotes", "0013_role_guards"),
        ("quotes", "0014_price_rules"),
        ("quotes", "0015_volatility_limit"),
        ("quotes", "0016_instrument_changes"),
        ("quotes", "0017_instrument_guards"),
        ("quotes", "0020_versions"),
        ("quotes", "0021_fee_terms"),
        ("quotes", "0030_external_id"),
        ("quotes", "0031_request_ids"),
        ("quotes", "0040_holds_say_their_request"),
        ("quotes", "0041_events"),
    ]
    dependencies = [("accounts", "0075_events"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [Tables(__file__, MODELS)]
