"""The tables of trades at once, for a new database: what the migrations up to 0091_events leave, in a fraction of
their time. `tests/test_squashed.py` holds both to be the same."""

import accounts.clock
import accounts.ids
import accounts.request_id
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.db.models.functions.text
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models

from accounts.db.schema import Tables

MODELS = [
    migrations.CreateModel(
        name="EngineLease",
        fields=[
            ("partition", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
            ("epoch", models.BigIntegerField(default=0)),
            ("holder", models.CharField(blank=True, max_length=120)),
            ("renewed_at", models.DateTimeField(null=True)),
            (
                "partitions",
                models.PositiveSmallIntegerField(default=1, help_text="How many its holder believes there are."),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Counterparty",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("name", models.CharField(help_text="As its bank knows it.", max_length=70, unique=True)),
            ("lei", models.CharField(blank=True, help_text="Legal Entity Identifier, ISO 17442.", max_length=20)),
            (
                "is_own",
                models.BooleanField(default=False, help_text="The firm itself: the accounts that it pays from."),
            ),
            ("is_active", models.BooleanField(default=True, help_text="Off: no new instruction is made for it.")),
            ("made_at", models.DateTimeField()),
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
        options={
            "verbose_name_plural": "counterparties",
        },
    ),
    migrations.CreateModel(
        name="Erasure",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "state",
                models.CharField(
                    choices=[("proposed", "Proposed"), ("done", "Done"), ("refused", "Refused")],
                    default="proposed",
                    max_length=8,
                ),
            ),
            ("reason", models.CharField(help_text="Why; it names nobody, for it stays.", max_length=500)),
            ("made_at", models.DateTimeField()),
            ("decided_at", models.DateTimeField(help_text="When it was done or refused.", null=True)),
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
                "customer",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.customer"
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
        name="IdempotentAnswer",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("key", models.CharField(max_length=128)),
            (
                "request_sha256",
                models.CharField(help_text="Of the command's kind and validated fields.", max_length=64),
            ),
            ("command_id", models.UUIDField()),
            ("status", models.PositiveSmallIntegerField()),
            ("body", models.TextField()),
            ("at", models.DateTimeField()),
            (
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.customer",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="LowWater",
        fields=[
            ("kind", models.CharField(max_length=10, primary_key=True, serialize=False)),
            ("mark", models.UUIDField()),
            ("raised_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
        ],
        options={
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("kind__in", ["storing", "crypto", "fiat", "metal"])),
                    name="low_water_kind_known",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="MarginAccount",
        fields=[
            (
                "customer",
                models.OneToOneField(
                    on_delete=django.db.models.deletion.PROTECT,
                    primary_key=True,
                    related_name="margin_account",
                    serialize=False,
                    to="accounts.customer",
                ),
            ),
            (
                "called_at",
                models.DateTimeField(
                    help_text="Since when the margin level is at or below the call's mark.", null=True
                ),
            ),
            (
                "drawn",
                models.DecimalField(
                    decimal_places=0,
                    default=0,
                    help_text="How much of the open orders' margin losses have consumed: by this the reserve falls short.",
                    max_digits=38,
                ),
            ),
            (
                "owed",
                models.DecimalField(
                    db_default=0,
                    decimal_places=0,
                    default=0,
                    help_text="What the firm has advanced for losses and not got back yet. Counts against equity.",
                    max_digits=38,
                ),
            ),
            (
                "owed_at",
                models.DateTimeField(
                    help_text="When it last advanced something: profits of positions opened by then repay it.",
                    null=True,
                ),
            ),
            (
                "swap_carried",
                models.DecimalField(
                    db_default=0,
                    decimal_places=60,
                    default=0,
                    help_text="What closed orders' swap has left below a base unit, exactly; their next cent comes out of it.",
                    max_digits=61,
                ),
            ),
            ("updated_at", models.DateTimeField()),
        ],
        options={
            "constraints": [
                models.CheckConstraint(condition=models.Q(("drawn__gte", 0)), name="drawn_not_negative"),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("owed", 0), ("owed_at__isnull", True)),
                        models.Q(("owed__gt", 0), ("owed_at__isnull", False)),
                        _connector="OR",
                    ),
                    name="owed_since_a_moment",
                ),
                models.CheckConstraint(
                    condition=models.Q(("swap_carried__gte", Decimal("-0.5")), ("swap_carried__lte", Decimal("0.5"))),
                    name="swap_carried_below_a_unit",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Order",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("code", models.CharField(default=accounts.ids.order_code, editable=False, max_length=20)),
            ("client_order_id", models.CharField(blank=True, max_length=64, null=True)),
            (
                "command_id",
                models.UUIDField(editable=False, help_text="The command that made it: a replay finds it.", null=True),
            ),
            ("side", models.CharField(choices=[("buy", "Buy"), ("sell", "Sell")], max_length=4)),
            (
                "type",
                models.CharField(
                    choices=[("market", "Market"), ("limit", "Limit"), ("stop", "Stop")], default="market", max_length=8
                ),
            ),
            ("quantity", models.DecimalField(decimal_places=18, max_digits=38)),
            ("leverage", models.PositiveSmallIntegerField()),
            ("margin", models.DecimalField(decimal_places=0, max_digits=38)),
            (
                "price",
                models.DecimalField(decimal_places=18, help_text="Requested, if pending.", max_digits=38, null=True),
            ),
            ("open_price", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            ("take_profit", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            ("stop_loss", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            (
                "trailing_stop",
                models.DecimalField(decimal_places=18, help_text="Distance in price.", max_digits=38, null=True),
            ),
            (
                "trail_peak",
                models.DecimalField(
                    decimal_places=18,
                    help_text="The exit price when the trailing stop was set.",
                    max_digits=38,
                    null=True,
                ),
            ),
            ("trail_at", models.DateTimeField(help_text="From when on prices move the trailing stop.", null=True)),
            (
                "status",
                models.CharField(
                    choices=[
                        ("PENDING", "Pending"),
                        ("OPEN", "Open"),
                        ("CLOSED", "Closed"),
                        ("CANCELLED", "Cancelled"),
                    ],
                    max_length=10,
                ),
            ),
            ("created_at", models.DateTimeField()),
            ("opened_at", models.DateTimeField(null=True)),
            ("closed_at", models.DateTimeField(null=True)),
            ("close_price", models.DecimalField(decimal_places=18, max_digits=38, null=True)),
            (
                "profit",
                models.DecimalField(decimal_places=0, help_text="Signed, base units.", max_digits=38, null=True),
            ),
            (
                "swap",
                models.DecimalField(
                    decimal_places=0, default=0, help_text="Signed, base units, so far.", max_digits=38
                ),
            ),
            ("fee", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
            (
                "close_reason",
                models.CharField(
                    blank=True,
                    choices=[
                        ("manual", "Manual"),
                        ("take_profit", "Take Profit"),
                        ("stop_loss", "Stop Loss"),
                        ("trailing_stop", "Trailing Stop"),
                        ("stop_out", "Stop Out"),
                        ("close_all", "Close All"),
                        ("no_margin", "not enough free margin when its price came"),
                        ("forbidden", "the customer or the instrument was not open to new orders when its price came"),
                        ("gap", "a gap took its price beyond its own take profit"),
                    ],
                    max_length=16,
                ),
            ),
            ("parent_id", models.UUIDField(help_text="The order that this closed part was taken from.", null=True)),
            (
                "realized",
                models.DecimalField(
                    db_default=0,
                    decimal_places=36,
                    default=0,
                    help_text="What the parts closed before this have brought: base units, exactly.",
                    max_digits=80,
                    null=True,
                ),
            ),
            (
                "swap_accrued",
                models.DecimalField(
                    db_default=0,
                    decimal_places=60,
                    default=0,
                    help_text="What all nights have brought, its parts' included: base units, exactly.",
                    max_digits=110,
                    null=True,
                ),
            ),
            (
                "customer",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="orders",
                    to="accounts.customer",
                ),
            ),
            (
                "instrument",
                models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="quotes.instrument"),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Deal",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "command_id",
                models.UUIDField(help_text="The command it answers; null when a price fired it.", null=True),
            ),
            ("kind", models.CharField(choices=[("open", "Open"), ("close", "Close")], max_length=5)),
            ("price", models.DecimalField(decimal_places=18, max_digits=38)),
            ("quantity", models.DecimalField(decimal_places=18, max_digits=38)),
            ("profit", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
            (
                "reason",
                models.CharField(
                    blank=True,
                    choices=[
                        ("manual", "Manual"),
                        ("take_profit", "Take Profit"),
                        ("stop_loss", "Stop Loss"),
                        ("trailing_stop", "Trailing Stop"),
                        ("stop_out", "Stop Out"),
                        ("close_all", "Close All"),
                    ],
                    max_length=16,
                ),
            ),
            ("at", models.DateTimeField()),
            (
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="deals",
                    to="accounts.customer",
                ),
            ),
            (
                "order",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="deals",
                    to="trades.order",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Position",
        fields=[],
        options={
            "verbose_name": "open position",
            "proxy": True,
            "indexes": [],
            "constraints": [],
        },
        bases=("trades.order",),
    ),
    migrations.CreateModel(
        name="OrderEvent",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("order_id", models.UUIDField(null=True)),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("placed", "a pending order was placed"),
                        ("opened", "Opened"),
                        ("changed", "Changed"),
                        ("cancelled", "Cancelled"),
                        ("reduced", "a part was closed"),
                        ("closed", "Closed"),
                        ("swapped", "held overnight"),
                        ("margin_call", "Margin Call"),
                        ("margin_call_over", "Margin Call Over"),
                        ("stop_out", "Stop Out"),
                    ],
                    max_length=16,
                ),
            ),
            (
                "command_id",
                models.UUIDField(help_text="The command it answers; null when a price or the clock did it.", null=True),
            ),
            ("detail", models.JSONField(null=True)),
            ("at", models.DateTimeField()),
            (
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.customer",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="PaymentFile",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("format", models.CharField(choices=[("pain001", "pain.001.001.09"), ("csv", "CSV")], max_length=7)),
            ("message_id", models.CharField(max_length=35)),
            ("instructions_count", models.PositiveIntegerField()),
            ("control_sums", models.JSONField(help_text="By asset, in base units, as texts.")),
            ("content", models.BinaryField()),
            ("sha256", models.CharField(max_length=64)),
            ("made_at", models.DateTimeField()),
            (
                "made_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "repeat_of",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="repeats",
                    to="trades.paymentfile",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="PriceExtreme",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("partition", models.PositiveSmallIntegerField()),
            ("at", models.DateTimeField()),
            ("highest_bid", models.DecimalField(decimal_places=18, max_digits=38)),
            ("lowest_ask", models.DecimalField(decimal_places=18, max_digits=38)),
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
        name="SettlementBatch",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "asset_kinds",
                models.CharField(help_text="Comma-separated kinds of base asset it was cut for.", max_length=40),
            ),
            ("cut_at", models.DateTimeField(help_text="Members were accepted before.")),
            (
                "has_cut_off",
                models.BooleanField(
                    db_default=True,
                    editable=False,
                    help_text="Off: cut before there was a cut-off; members may be younger.",
                ),
            ),
            (
                "state",
                models.CharField(
                    choices=[
                        ("cut", "Cut"),
                        ("confirmed", "Confirmed"),
                        ("settling", "Settling"),
                        ("partially_settled", "Partially Settled"),
                        ("completed", "Completed"),
                        ("cancelled", "Cancelled"),
                    ],
                    default="cut",
                    max_length=20,
                ),
            ),
            ("first_trade_id", models.UUIDField(help_text="Members have ids from here …", null=True)),
            ("last_trade_id", models.UUIDField(help_text="… to here.", null=True)),
            (
                "trades_count",
                models.PositiveIntegerField(default=0, help_text="Members, without those left out since the cut."),
            ),
            ("customers_count", models.PositiveIntegerField(default=0)),
            (
                "members_sha256",
                models.CharField(
                    blank=True,
                    help_text="Of the members' terms as they were cut; see trades/settlement/membership.py.",
                    max_length=64,
                ),
            ),
            (
                "left_out_count",
                models.PositiveIntegerField(default=0, help_text="Taken out again before any money moved."),
            ),
            ("completed_count", models.PositiveIntegerField(default=0)),
            ("legs_are_automatic", models.BooleanField(default=True)),
            ("completes_in_order", models.BooleanField(default=False)),
            (
                "symbols",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=20),
                    default=list,
                    help_text="The instruments of its members.",
                    size=None,
                ),
            ),
            (
                "round",
                models.PositiveSmallIntegerField(
                    default=0,
                    help_text="Completion goes through the members once for each set of instruments that became ready.",
                ),
            ),
            (
                "round_symbols",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=20),
                    default=list,
                    help_text="The instruments of the round under way.",
                    size=None,
                ),
            ),
            (
                "round_stops",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.UUIDField(),
                    default=list,
                    help_text="Of each of those, the first trade that has to wait; empty where none has to.",
                    size=None,
                ),
            ),
            (
                "parts_seen",
                models.JSONField(
                    default=dict, help_text="By instrument, what had come of its legs when its last round began."
                ),
            ),
            (
                "done_symbols",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=20),
                    default=list,
                    help_text="Those that are completed.",
                    size=None,
                ),
            ),
            (
                "slice_ends",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.UUIDField(),
                    default=list,
                    help_text="The last customer of each slice of the round under way.",
                    size=None,
                ),
            ),
            (
                "slices_done",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.PositiveIntegerField(),
                    default=list,
                    help_text="The places of those slices that are completed.",
                    size=None,
                ),
            ),
            ("confirmed_at", models.DateTimeField(blank=True, null=True)),
            (
                "key",
                models.CharField(
                    blank=True,
                    editable=False,
                    help_text="Whoever cuts with this key again gets this batch.",
                    max_length=128,
                    null=True,
                ),
            ),
            ("created_at", models.DateTimeField()),
            ("updated_at", models.DateTimeField()),
            (
                "cancelled_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "cancelled_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "confirmed_by",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "confirmed_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "made_by",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "made_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
        ],
        options={
            "verbose_name_plural": "settlement batches",
        },
    ),
    migrations.CreateModel(
        name="BatchEvent",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "became",
                models.CharField(
                    choices=[
                        ("cut", "Cut"),
                        ("confirmed", "Confirmed"),
                        ("settling", "Settling"),
                        ("partially_settled", "Partially Settled"),
                        ("completed", "Completed"),
                        ("cancelled", "Cancelled"),
                    ],
                    max_length=20,
                ),
            ),
            ("window_id", models.UUIDField(null=True)),
            ("asset_kinds", models.CharField(max_length=40)),
            ("cut_at", models.DateTimeField()),
            ("created_at", models.DateTimeField(help_text="The batch's.")),
            ("confirmed_at", models.DateTimeField(null=True)),
            ("trades_count", models.PositiveIntegerField()),
            ("members_sha256", models.CharField(blank=True, max_length=64)),
            ("made_by", models.CharField(blank=True, help_text="The user or the client, as an id.", max_length=36)),
            ("confirmed_by", models.CharField(blank=True, max_length=36)),
            ("cancelled_by", models.CharField(blank=True, max_length=36)),
            ("at", models.DateTimeField()),
            ("request_id", models.CharField(help_text="The HTTP request that did it.", max_length=128, null=True)),
            (
                "batch",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="events",
                    to="trades.settlementbatch",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="SettlementInstruction",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "reference",
                models.CharField(help_text="What the bank is told; its last is a check.", max_length=35, unique=True),
            ),
            ("direction", models.CharField(choices=[("incoming", "Incoming"), ("outgoing", "Outgoing")], max_length=8)),
            ("amount", models.DecimalField(decimal_places=0, max_digits=38)),
            ("confirmed_amount", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
            ("value_date", models.DateField()),
            (
                "state",
                models.CharField(
                    choices=[
                        ("made", "Made"),
                        ("sent", "Sent"),
                        ("confirmed", "Confirmed"),
                        ("failed", "Failed"),
                        ("cancelled", "Cancelled"),
                    ],
                    default="made",
                    max_length=9,
                ),
            ),
            ("note", models.CharField(blank=True, help_text="Why it failed or was cancelled.", max_length=200)),
            ("made_at", models.DateTimeField()),
            ("updated_at", models.DateTimeField()),
            (
                "asset",
                models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"
                ),
            ),
            (
                "batch",
                models.ForeignKey(
                    help_text="Empty: it nets the batches of a day.",
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="instructions",
                    to="trades.settlementbatch",
                ),
            ),
            (
                "counterparty",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="trades.counterparty",
                ),
            ),
            (
                "made_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "made_by_client",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "payment_file",
                models.ForeignKey(
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="instructions",
                    to="trades.paymentfile",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="SettlementLeg",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "received",
                models.DecimalField(decimal_places=0, default=0, help_text="By customers, after fees.", max_digits=38),
            ),
            (
                "delivered",
                models.DecimalField(decimal_places=0, default=0, help_text="By customers, with fees.", max_digits=38),
            ),
            ("fees", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
            ("direction", models.CharField(choices=[("incoming", "Incoming"), ("outgoing", "Outgoing")], max_length=8)),
            ("expected", models.DecimalField(decimal_places=0, max_digits=38)),
            ("actual", models.DecimalField(blank=True, decimal_places=0, max_digits=38, null=True)),
            (
                "difference",
                models.GeneratedField(
                    db_persist=True,
                    expression=models.Case(
                        models.When(
                            status="settled",
                            then=django.db.models.expressions.CombinedExpression(
                                models.F("actual"), "-", models.F("expected")
                            ),
                        )
                    ),
                    output_field=models.DecimalField(decimal_places=0, max_digits=38, null=True),
                ),
            ),
            (
                "status",
                models.CharField(
                    choices=[
                        ("pending", "Pending"),
                        ("partially_settled", "Partially Settled"),
                        ("settled", "Settled"),
                        ("failed", "Failed"),
                    ],
                    default="pending",
                    max_length=20,
                ),
            ),
            ("attempts", models.PositiveIntegerField(default=0, help_text="How often it was reported.")),
            (
                "next_attempt_at",
                models.DateTimeField(blank=True, help_text="When a failed leg is due again.", null=True),
            ),
            ("reference", models.CharField(blank=True, help_text="The bank's or the provider's own.", max_length=128)),
            (
                "reason_code",
                models.CharField(
                    blank=True,
                    choices=[
                        ("AC01", "the account number is wrong or missing"),
                        ("AC04", "the account is closed"),
                        ("AC06", "the account is blocked"),
                        ("AG01", "transactions of this kind are forbidden on the account"),
                        ("AM02", "the amount is above what is allowed"),
                        ("AM04", "the funds don't suffice"),
                        ("AM05", "it was sent before"),
                        ("CURR", "the currency is wrong"),
                        ("CUST", "whoever ordered it took it back"),
                        ("DT01", "the date is invalid"),
                        ("ED05", "the settlement failed"),
                        ("FR01", "returned as fraud"),
                        ("MS03", "the agent doesn't say why"),
                        ("RC01", "the bank's identifier is wrong"),
                        ("RR04", "a regulation forbids it"),
                        ("TECH", "a technical problem"),
                        ("TM01", "it came after the cut-off time"),
                        ("AWMO", "money from the counterparty is awaited"),
                        ("AWSH", "the asset is awaited from the counterparty"),
                        ("BLOC", "the account is blocked at the depository"),
                        ("CLAC", "the counterparty hasn't enough of the asset"),
                        ("CLAT", "the counterparty's instruction came too late"),
                        ("CMON", "the counterparty hasn't enough money"),
                        ("DKNY", "the counterparty doesn't know of it"),
                        ("LACK", "there isn't enough of the asset to deliver"),
                        ("LATE", "the market's deadline was missed"),
                        ("MONY", "there isn't enough money to pay"),
                        ("OTHR", "another reason"),
                        ("NARR", "the text says why"),
                    ],
                    help_text="ISO 20022's code of why the last attempt failed.",
                    max_length=4,
                ),
            ),
            ("failure", models.CharField(blank=True, help_text="Why the last attempt failed.", max_length=200)),
            ("settled_at", models.DateTimeField(blank=True, null=True)),
            (
                "reversals",
                models.PositiveSmallIntegerField(default=0, help_text="How often a correction has reopened it."),
            ),
            (
                "value_date",
                models.DateField(help_text="The day on which it is to be carried out, in the window's time zone."),
            ),
            ("due_by", models.DateTimeField(help_text="The end of that day: from then on it is overdue.")),
            ("updated_at", models.DateTimeField()),
            (
                "asset",
                models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"
                ),
            ),
            (
                "batch",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="legs",
                    to="trades.settlementbatch",
                ),
            ),
            (
                "reported_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "reported_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="LegReport",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("part", "a part came, and more is expected"),
                        ("settled", "settled: nothing more comes"),
                        ("failed", "an attempt failed"),
                        ("retried", "due again after its pause"),
                        ("reopened", "taken back by a correction"),
                    ],
                    max_length=8,
                ),
            ),
            (
                "number",
                models.PositiveIntegerField(help_text="The leg's attempts by then; movements have it in their keys."),
            ),
            (
                "reversals",
                models.PositiveSmallIntegerField(default=0, help_text="How often the leg had been reopened by then."),
            ),
            ("amount", models.DecimalField(decimal_places=0, max_digits=38, null=True)),
            ("reference", models.CharField(blank=True, help_text="The bank's or the provider's own.", max_length=128)),
            (
                "reason_code",
                models.CharField(
                    blank=True,
                    choices=[
                        ("AC01", "the account number is wrong or missing"),
                        ("AC04", "the account is closed"),
                        ("AC06", "the account is blocked"),
                        ("AG01", "transactions of this kind are forbidden on the account"),
                        ("AM02", "the amount is above what is allowed"),
                        ("AM04", "the funds don't suffice"),
                        ("AM05", "it was sent before"),
                        ("CURR", "the currency is wrong"),
                        ("CUST", "whoever ordered it took it back"),
                        ("DT01", "the date is invalid"),
                        ("ED05", "the settlement failed"),
                        ("FR01", "returned as fraud"),
                        ("MS03", "the agent doesn't say why"),
                        ("RC01", "the bank's identifier is wrong"),
                        ("RR04", "a regulation forbids it"),
                        ("TECH", "a technical problem"),
                        ("TM01", "it came after the cut-off time"),
                        ("AWMO", "money from the counterparty is awaited"),
                        ("AWSH", "the asset is awaited from the counterparty"),
                        ("BLOC", "the account is blocked at the depository"),
                        ("CLAC", "the counterparty hasn't enough of the asset"),
                        ("CLAT", "the counterparty's instruction came too late"),
                        ("CMON", "the counterparty hasn't enough money"),
                        ("DKNY", "the counterparty doesn't know of it"),
                        ("LACK", "there isn't enough of the asset to deliver"),
                        ("LATE", "the market's deadline was missed"),
                        ("MONY", "there isn't enough money to pay"),
                        ("OTHR", "another reason"),
                        ("NARR", "the text says why"),
                    ],
                    max_length=4,
                ),
            ),
            (
                "text",
                models.CharField(blank=True, help_text="Why it failed; which correction reopened it.", max_length=200),
            ),
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
            ("at", models.DateTimeField()),
            (
                "by_client",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "by_user",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "leg",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="reports",
                    to="trades.settlementleg",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="LegReference",
        fields=[
            (
                "key",
                models.CharField(
                    editable=False,
                    help_text="In capitals, without spaces: see reference_key.",
                    max_length=256,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            (
                "leg",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="trades.settlementleg",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="InstructionLeg",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "direction",
                models.CharField(
                    choices=[("incoming", "Incoming"), ("outgoing", "Outgoing")], help_text="The leg's.", max_length=8
                ),
            ),
            ("amount", models.DecimalField(decimal_places=0, help_text="What was open of the leg.", max_digits=38)),
            (
                "reported",
                models.DecimalField(
                    decimal_places=0, default=0, help_text="What the leg was told of it.", max_digits=38
                ),
            ),
            ("is_live", models.BooleanField(default=True)),
            (
                "instruction",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT, related_name="legs", to="trades.settlementinstruction"
                ),
            ),
            (
                "leg",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="instruction_legs",
                    to="trades.settlementleg",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="SettlementWindow",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("name", models.CharField(max_length=60, unique=True)),
            (
                "asset_kind",
                models.CharField(
                    choices=[("fiat", "Fiat"), ("crypto", "Crypto"), ("metal", "Metal")],
                    help_text="Trades whose base asset is of this kind: crypto, fiat or metal. It stays as it was made.",
                    max_length=10,
                ),
            ),
            (
                "cron",
                models.CharField(help_text="Five fields, in the time zone below, e.g. 0 9-17 * * *", max_length=60),
            ),
            ("time_zone", models.CharField(default="America/New_York", max_length=40)),
            (
                "calendar",
                models.CharField(
                    blank=True,
                    help_text="No cut on weekends and this market's holidays, e.g. NYSE. Empty: any day.",
                    max_length=10,
                ),
            ),
            ("is_active", models.BooleanField(default=True)),
            ("is_automatic", models.BooleanField(default=True, help_text="Off: a second person confirms each batch.")),
            (
                "legs_are_automatic",
                models.BooleanField(
                    default=True,
                    help_text="Legs settle at once, as expected. Off: each leg waits until it is reported settled or failed.",
                ),
            ),
            (
                "netting",
                models.CharField(
                    choices=[("batch", "each batch by itself"), ("day", "across the batches of a day")],
                    default="batch",
                    help_text="What an instruction to a counterparty nets: a batch's legs, or those of a day's batches, when told.",
                    max_length=5,
                ),
            ),
            (
                "completes_in_order",
                models.BooleanField(
                    default=False,
                    help_text="When a part of a leg has come, trades complete in order of time up to it. Off: none until all has.",
                ),
            ),
            (
                "value_days",
                models.PositiveSmallIntegerField(
                    default=0,
                    help_text="Business days of the calendar from the cut to the legs' value date; 0: the day of the cut.",
                    validators=[django.core.validators.MaxValueValidator(30)],
                ),
            ),
            (
                "last_cut_at",
                models.DateTimeField(editable=False, help_text="Its latest cut, also one without trades.", null=True),
            ),
            (
                "schedule_since",
                models.DateTimeField(
                    db_default=django.db.models.functions.datetime.Now(),
                    editable=False,
                    help_text="When it was made, its schedule changed or it was switched on: cut times up to here aren't due.",
                ),
            ),
            (
                "waits_since",
                models.DateTimeField(
                    editable=False, help_text="When a cut that was due began to wait for trades in storing.", null=True
                ),
            ),
            ("created_at", models.DateTimeField(default=accounts.clock.about_now, editable=False)),
        ],
        options={
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("asset_kind__in", ["crypto", "fiat", "metal"])), name="window_asset_kind_known"
                ),
                models.CheckConstraint(
                    condition=models.Q(("netting__in", ["batch", "day"])), name="window_netting_known"
                ),
                models.CheckConstraint(condition=models.Q(("value_days__lte", 30)), name="window_value_days_bounded"),
            ],
        },
    ),
    migrations.AddField(
        model_name="settlementbatch",
        name="window",
        field=models.ForeignKey(
            blank=True,
            db_index=False,
            null=True,
            on_delete=django.db.models.deletion.PROTECT,
            related_name="batches",
            to="trades.settlementwindow",
        ),
    ),
    migrations.CreateModel(
        name="StandingInstruction",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "state",
                models.CharField(
                    choices=[("proposed", "Proposed"), ("approved", "Approved"), ("refused", "Refused")],
                    default="proposed",
                    max_length=8,
                ),
            ),
            ("kind", models.CharField(choices=[("bank", "bank account"), ("wallet", "Wallet")], max_length=6)),
            (
                "holder",
                models.CharField(blank=True, help_text="Whose account it is, as the bank knows them.", max_length=70),
            ),
            ("iban", models.CharField(blank=True, max_length=34)),
            ("bic", models.CharField(blank=True, max_length=11)),
            ("bank_name", models.CharField(blank=True, max_length=70)),
            ("network", models.CharField(blank=True, max_length=20)),
            ("address", models.CharField(blank=True, max_length=100)),
            (
                "memo",
                models.CharField(
                    blank=True, help_text="A memo or a destination tag, where one is needed.", max_length=64
                ),
            ),
            (
                "is_default",
                models.BooleanField(default=False, help_text="This counterparty settles the asset from then on."),
            ),
            (
                "not_before",
                models.DateTimeField(help_text="In force from then, or from its approval if that is later.", null=True),
            ),
            ("in_force_from", models.DateTimeField(null=True)),
            ("reason", models.CharField(max_length=500)),
            (
                "once",
                models.UUIDField(
                    editable=False, help_text="The one-time key of the dialog that made it.", null=True, unique=True
                ),
            ),
            ("made_at", models.DateTimeField()),
            ("decided_at", models.DateTimeField(null=True)),
            (
                "asset",
                models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"
                ),
            ),
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
                "counterparty",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="standing_instructions",
                    to="trades.counterparty",
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
    migrations.AddField(
        model_name="settlementinstruction",
        name="standing",
        field=models.ForeignKey(
            db_index=False,
            on_delete=django.db.models.deletion.PROTECT,
            related_name="+",
            to="trades.standinginstruction",
        ),
    ),
    migrations.CreateModel(
        name="StatementFile",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("format", models.CharField(choices=[("camt053", "camt.053"), ("csv", "CSV")], max_length=7)),
            ("name", models.CharField(max_length=200)),
            ("sha256", models.CharField(max_length=64, unique=True)),
            ("entries_count", models.PositiveIntegerField(help_text="How many it has, those known before among them.")),
            ("made_at", models.DateTimeField()),
            (
                "made_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "made_by_client",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="StatementEntry",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("number", models.PositiveIntegerField(help_text="Its place in the file.")),
            ("key", models.CharField(max_length=64, unique=True)),
            ("facts", models.CharField(help_text="SHA-256 of what it says.", max_length=64)),
            ("account", models.CharField(blank=True, max_length=100)),
            ("currency", models.CharField(blank=True, max_length=10)),
            ("amount", models.DecimalField(decimal_places=0, help_text="Base units.", max_digits=38, null=True)),
            ("amount_text", models.CharField(blank=True, help_text="As the bank wrote it.", max_length=40)),
            ("direction", models.CharField(blank=True, max_length=8)),
            ("bank_reference", models.CharField(blank=True, max_length=100)),
            ("names", models.JSONField(help_text="The texts in which an instruction's id may stand.")),
            ("named", models.CharField(blank=True, help_text="The one instruction id in them.", max_length=35)),
            ("other_account", models.CharField(blank=True, max_length=100)),
            ("booked_on", models.DateField(null=True)),
            (
                "state",
                models.CharField(
                    choices=[("listed", "Listed"), ("matched", "Matched"), ("explained", "Explained")],
                    default="listed",
                    max_length=9,
                ),
            ),
            ("reason", models.CharField(blank=True, help_text="Why it wasn't matched.", max_length=40)),
            ("note", models.CharField(blank=True, max_length=200)),
            ("decided_at", models.DateTimeField(null=True)),
            (
                "asset",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.asset",
                ),
            ),
            (
                "decided_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "decided_by_client",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "instruction",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="entries",
                    to="trades.settlementinstruction",
                ),
            ),
            (
                "file",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="trades.statementfile"
                ),
            ),
        ],
        options={
            "verbose_name_plural": "statement entries",
        },
    ),
    migrations.CreateModel(
        name="SwapRun",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("partition", models.PositiveSmallIntegerField()),
            ("night", models.DateField(help_text="The day whose evening it is, in the swap's own zone.")),
            ("cutoff", models.DateTimeField(help_text="Orders that were open at this moment are held overnight.")),
            ("prices", models.JSONField(help_text="By symbol: the mid price that positions are valued at.")),
            (
                "rates",
                models.JSONField(
                    default=dict,
                    help_text="By symbol: the rates of a buy and a sell, in hundredths of a percent, and how often it counts.",
                ),
            ),
            ("through_customer_id", models.UUIDField(help_text="How far it came: by customer,", null=True)),
            ("through_id", models.UUIDField(help_text="and by order.", null=True)),
            ("orders_count", models.PositiveIntegerField(default=0)),
            ("started_at", models.DateTimeField()),
            ("done_at", models.DateTimeField(null=True)),
        ],
        options={
            "constraints": [models.UniqueConstraint(fields=("partition", "night"), name="one_swap_run_per_night")],
        },
    ),
    migrations.CreateModel(
        name="Trade",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("trade_type", models.CharField(choices=[("platform", "Platform"), ("exit", "Exit")], max_length=8)),
            ("side", models.CharField(choices=[("buy", "Buy"), ("sell", "Sell")], max_length=4)),
            ("receive_amount", models.DecimalField(decimal_places=0, max_digits=38)),
            ("deliver_amount", models.DecimalField(decimal_places=0, max_digits=38)),
            ("fee", models.DecimalField(decimal_places=0, max_digits=38)),
            (
                "labels",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=64), blank=True, null=True, size=None
                ),
            ),
            (
                "external_id",
                models.CharField(blank=True, help_text="What the partner calls this trade.", max_length=64, null=True),
            ),
            (
                "expected_error",
                models.CharField(blank=True, help_text="Sandbox only: fail with this code.", max_length=32),
            ),
            (
                "state",
                models.CharField(
                    choices=[
                        ("storing", "Storing"),
                        ("settling", "Settling"),
                        ("completed", "Completed"),
                        ("failed", "Failed"),
                    ],
                    default="storing",
                    max_length=10,
                ),
            ),
            (
                "failure_code",
                models.CharField(
                    blank=True,
                    choices=[
                        ("expired_quote", "Expired Quote"),
                        ("non_sufficient_funds", "Non Sufficient Funds"),
                        ("invalid_reference_trade", "Invalid Reference Trade"),
                        ("market_volatility", "Market Volatility"),
                        ("limit_exceeded", "Limit Exceeded"),
                        ("unsupported", "Unsupported"),
                    ],
                    max_length=32,
                    null=True,
                ),
            ),
            (
                "taken_from_settling",
                models.DecimalField(
                    decimal_places=0,
                    default=0,
                    help_text="Of deliver_amount: how much came out of what the original left in settling.",
                    max_digits=38,
                ),
            ),
            ("created_at", models.DateTimeField()),
            ("updated_at", models.DateTimeField()),
            (
                "batch",
                models.ForeignKey(
                    blank=True,
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="trades",
                    to="trades.settlementbatch",
                ),
            ),
            (
                "customer",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="trades",
                    to="accounts.customer",
                ),
            ),
            (
                "deliver_asset",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.asset",
                ),
            ),
            (
                "exiting_trade",
                models.OneToOneField(
                    blank=True,
                    db_constraint=False,
                    help_text="The reference trade, once this exit is live: unique, so a trade has one live exit at most.",
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="live_exit",
                    to="trades.trade",
                ),
            ),
            (
                "instrument",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    to="quotes.instrument",
                ),
            ),
            (
                "quote",
                models.OneToOneField(
                    on_delete=django.db.models.deletion.PROTECT, related_name="trade", to="quotes.quote"
                ),
            ),
            (
                "receive_asset",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.asset",
                ),
            ),
            (
                "reference_trade",
                models.ForeignKey(
                    blank=True,
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="exits",
                    to="trades.trade",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="LeftOut",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "stage",
                models.CharField(
                    choices=[("cut", "at the cut"), ("settling", "after the cut, before any money moved")], max_length=8
                ),
            ),
            (
                "reason",
                models.CharField(
                    choices=[
                        ("customer_frozen", "Customer Frozen"),
                        ("trade_flagged", "Trade Flagged"),
                        ("exited_later", "exited after the cut time"),
                        ("still_storing", "still storing, or its exit is"),
                    ],
                    max_length=20,
                ),
            ),
            ("detail", models.CharField(blank=True, max_length=200)),
            ("at", models.DateTimeField()),
            (
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.customer",
                ),
            ),
            (
                "batch",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="left_out",
                    to="trades.settlementbatch",
                ),
            ),
            (
                "trade",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="left_out",
                    to="trades.trade",
                ),
            ),
        ],
        options={
            "verbose_name_plural": "left out",
        },
    ),
    migrations.CreateModel(
        name="TradeEvent",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "became",
                models.CharField(
                    choices=[
                        ("storing", "Storing"),
                        ("settling", "Settling"),
                        ("completed", "Completed"),
                        ("failed", "Failed"),
                        ("reversed", "reversed"),
                    ],
                    max_length=10,
                ),
            ),
            (
                "detail",
                models.CharField(
                    blank=True,
                    help_text="The failure code, the batch it settled with, or the correction that reversed it.",
                    max_length=64,
                ),
            ),
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
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.customer",
                ),
            ),
            (
                "trade",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="events",
                    to="trades.trade",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="TradeFlag",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("reason", models.CharField(max_length=200)),
            ("flagged_at", models.DateTimeField()),
            ("cleared_at", models.DateTimeField(blank=True, null=True)),
            (
                "cleared_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "flagged_by",
                models.ForeignKey(
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "trade",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="flags",
                    to="trades.trade",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Correction",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("reverse_trade", "Reverse Trade"),
                        ("reverse_batch", "Reverse Batch"),
                        ("reverse_leg", "Reverse Leg"),
                        ("adjustment", "Adjustment"),
                        ("break_paid", "Break Paid"),
                        ("break_written_off", "Break Written Off"),
                        ("deposit", "Deposit"),
                        ("withdrawal", "Withdrawal"),
                        ("capital_in", "capital that came in"),
                        ("profit_out", "profit paid out"),
                        ("fees_out", "fees paid out"),
                    ],
                    max_length=20,
                ),
            ),
            (
                "state",
                models.CharField(
                    choices=[
                        ("proposed", "Proposed"),
                        ("applying", "being applied"),
                        ("applied", "Applied"),
                        ("rejected", "Rejected"),
                    ],
                    default="proposed",
                    max_length=8,
                ),
            ),
            (
                "subject",
                models.UUIDField(blank=True, help_text="The trade, batch, leg or break that it corrects.", null=True),
            ),
            (
                "amount",
                models.DecimalField(blank=True, decimal_places=0, help_text="Base units.", max_digits=38, null=True),
            ),
            (
                "direction",
                models.CharField(
                    blank=True, choices=[("credit", "to the customer"), ("debit", "from the customer")], max_length=6
                ),
            ),
            ("reason", models.CharField(max_length=500)),
            ("reference", models.CharField(blank=True, help_text="The bank's or the provider's own.", max_length=128)),
            (
                "once",
                models.UUIDField(
                    blank=True,
                    editable=False,
                    help_text="The one-time key of the dialog that made it.",
                    null=True,
                    unique=True,
                ),
            ),
            ("needs_checker", models.BooleanField(default=True)),
            ("made_at", models.DateTimeField()),
            ("decided_at", models.DateTimeField(blank=True, help_text="When it was applied or rejected.", null=True)),
            (
                "updated_at",
                models.DateTimeField(
                    db_default=django.db.models.functions.datetime.Now(), editable=False, help_text="Its latest step."
                ),
            ),
            ("movements_count", models.PositiveIntegerField(default=0)),
            (
                "trades_count",
                models.PositiveIntegerField(default=0, help_text="Of a batch's reversal: how many it takes back."),
            ),
            (
                "trades_done",
                models.PositiveIntegerField(default=0, help_text="How many of them it has taken back so far."),
            ),
            (
                "slice_ends",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.UUIDField(),
                    default=list,
                    help_text="The last customer of each slice of it.",
                    size=None,
                ),
            ),
            (
                "slices_done",
                models.PositiveIntegerField(default=0, help_text="How many slices are done, from the first on."),
            ),
            (
                "waits_for",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.UUIDField(),
                    default=list,
                    help_text="Customers passed over: they can't pay back just now.",
                    size=None,
                ),
            ),
            (
                "asset",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.asset",
                ),
            ),
            (
                "checked_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "checked_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "customer",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.customer",
                ),
            ),
            (
                "made_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "made_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
        ],
        options={
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(
                        ("made_by__isnull", True),
                        ("checked_by__isnull", True),
                        models.Q(("made_by", models.F("checked_by")), _negated=True),
                        _connector="OR",
                    ),
                    name="correction_maker_is_not_checker",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("made_by_client__isnull", True),
                        ("checked_by_client__isnull", True),
                        models.Q(("made_by_client", models.F("checked_by_client")), _negated=True),
                        _connector="OR",
                    ),
                    name="correction_maker_client_is_not_checker",
                ),
                models.CheckConstraint(
                    condition=models.Q(("made_by__isnull", False), ("made_by_client__isnull", False), _connector="OR"),
                    name="correction_has_a_maker",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("state__in", ["applying", "applied"]), _negated=True),
                        ("needs_checker", False),
                        ("checked_by__isnull", False),
                        ("checked_by_client__isnull", False),
                        _connector="OR",
                    ),
                    name="correction_applied_by_a_checker",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("decided_at__isnull", True), ("state", "proposed")),
                        models.Q(("decided_at__isnull", False), ("state__in", ["applying", "applied", "rejected"])),
                        _connector="OR",
                    ),
                    name="correction_decided_at_a_time",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("kind", "adjustment"), _negated=True),
                        models.Q(
                            ("amount__gt", 0),
                            ("asset__isnull", False),
                            ("customer__isnull", False),
                            ("direction__in", ["credit", "debit"]),
                        ),
                        _connector="OR",
                    ),
                    name="adjustment_says_whose_and_how_much",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("kind__in", ["adjustment", "deposit", "withdrawal", "capital_in", "profit_out", "fees_out"]),
                        ("subject__isnull", False),
                        _connector="OR",
                    ),
                    name="correction_names_its_subject",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("kind__in", ["deposit", "withdrawal"]), _negated=True),
                        models.Q(
                            ("amount__gt", 0),
                            ("asset__isnull", False),
                            ("customer__isnull", False),
                            models.Q(("reference", ""), _negated=True),
                        ),
                        _connector="OR",
                    ),
                    name="funding_says_whose_and_by_which_reference",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("kind__in", ["capital_in", "profit_out", "fees_out"]), _negated=True),
                        models.Q(
                            ("amount__gt", 0),
                            ("asset__isnull", False),
                            ("customer__isnull", True),
                            ("needs_checker", True),
                            models.Q(("reference", ""), _negated=True),
                        ),
                        _connector="OR",
                    ),
                    name="the_firms_own_money_takes_two_persons",
                ),
                models.UniqueConstraint(
                    condition=models.Q(
                        ("kind__in", ["deposit", "withdrawal", "capital_in", "profit_out", "fees_out"]),
                        ("state__in", ["proposed", "applied"]),
                    ),
                    fields=("reference",),
                    name="one_funding_per_reference",
                ),
                models.CheckConstraint(
                    condition=models.Q(("reason", ""), _negated=True), name="correction_has_a_reason"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        (
                            "kind__in",
                            [
                                "reverse_trade",
                                "reverse_batch",
                                "reverse_leg",
                                "adjustment",
                                "break_paid",
                                "break_written_off",
                                "deposit",
                                "withdrawal",
                                "capital_in",
                                "profit_out",
                                "fees_out",
                            ],
                        )
                    ),
                    name="correction_kind_known",
                ),
                models.CheckConstraint(
                    condition=models.Q(("state__in", ["proposed", "applying", "applied", "rejected"])),
                    name="correction_state_known",
                ),
                models.CheckConstraint(
                    condition=models.Q(("direction__in", ["", "credit", "debit"])), name="correction_direction_known"
                ),
                models.UniqueConstraint(
                    condition=models.Q(("state__in", ["proposed", "applying"]), ("subject__isnull", False)),
                    fields=("kind", "subject"),
                    name="one_open_proposal_per_subject",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("kind", "reverse_batch"), ("state__in", ["applying", "applied"])),
                    fields=("subject",),
                    name="a_batch_is_reversed_once",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("state", "applying"), _negated=True), ("kind", "reverse_batch"), _connector="OR"
                    ),
                    name="only_a_batch_is_reversed_in_slices",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("state__in", ["proposed", "rejected"]), _negated=True),
                        models.Q(("movements_count", 0), ("slices_done", 0), ("trades_count", 0), ("trades_done", 0)),
                        _connector="OR",
                    ),
                    name="correction_moves_nothing_undecided",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("slices_done__lte", models.F("slice_ends__len")),
                            ("state", "applying"),
                            ("trades_done__lte", models.F("trades_count")),
                        ),
                        models.Q(
                            models.Q(("state", "applying"), _negated=True),
                            ("slices_done", models.F("slice_ends__len")),
                            ("trades_done", models.F("trades_count")),
                            ("waits_for__len", 0),
                        ),
                        _connector="OR",
                    ),
                    name="correction_is_applied_when_all_is_done",
                ),
            ],
        },
    ),
    migrations.AddConstraint(
        model_name="counterparty",
        constraint=models.UniqueConstraint(
            condition=models.Q(("is_own", True)), fields=("is_own",), name="the_firm_is_one_counterparty"
        ),
    ),
    migrations.AddConstraint(
        model_name="counterparty",
        constraint=models.UniqueConstraint(
            condition=models.Q(("lei", ""), _negated=True), fields=("lei",), name="one_counterparty_per_lei"
        ),
    ),
    migrations.AddConstraint(
        model_name="erasure",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["proposed", "done", "refused"])), name="erasure_state_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="erasure",
        constraint=models.CheckConstraint(
            condition=models.Q(("reason", ""), _negated=True), name="erasure_has_a_reason"
        ),
    ),
    migrations.AddConstraint(
        model_name="erasure",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("checked_by__isnull", True),
                models.Q(("made_by", models.F("checked_by")), _negated=True),
                _connector="OR",
            ),
            name="erasure_maker_is_not_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="erasure",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("state", "done"), _negated=True), ("checked_by__isnull", False), _connector="OR"
            ),
            name="erasure_done_by_a_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="erasure",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                models.Q(("decided_at__isnull", False), ("state__in", ["done", "refused"])),
                _connector="OR",
            ),
            name="erasure_decided_at_a_time",
        ),
    ),
    migrations.AddConstraint(
        model_name="erasure",
        constraint=models.UniqueConstraint(
            condition=models.Q(("state__in", ["proposed", "done"])),
            fields=("customer",),
            name="one_erasure_per_customer",
        ),
    ),
    migrations.AddConstraint(
        model_name="idempotentanswer",
        constraint=models.UniqueConstraint(fields=("customer", "key"), name="one_answer_per_key"),
    ),
    migrations.AddConstraint(
        model_name="idempotentanswer",
        constraint=models.CheckConstraint(
            condition=models.Q(("status__gte", 200), ("status__lt", 500)), name="answer_status_final"
        ),
    ),
    migrations.AddIndex(
        model_name="order",
        index=models.Index(
            condition=models.Q(("status__in", ["OPEN", "PENDING"])), fields=["customer", "id"], name="order_live"
        ),
    ),
    migrations.AddIndex(
        model_name="order",
        index=models.Index(
            condition=models.Q(("status", "CLOSED")), fields=["customer", "closed_at", "id"], name="order_history"
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.UniqueConstraint(fields=("customer", "code"), name="order_code_unique"),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.UniqueConstraint(
            condition=models.Q(("client_order_id__isnull", False)),
            fields=("customer", "client_order_id"),
            name="client_order_id_unique",
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.UniqueConstraint(
            condition=models.Q(("command_id__isnull", False)),
            fields=("customer", "command_id"),
            name="one_order_per_command",
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(("leverage__gte", 1), ("margin__gte", 0), ("quantity__gt", 0)), name="order_sane"
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(("trailing_stop__isnull", True), ("trailing_stop__gt", 0), _connector="OR"),
            name="trailing_sane",
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("open_price__isnull", True), ("price__isnull", False), ("status", "PENDING")),
                models.Q(
                    ("closed_at__isnull", True), ("open_price__gt", 0), ("opened_at__isnull", False), ("status", "OPEN")
                ),
                models.Q(
                    ("close_price__gt", 0),
                    ("closed_at__isnull", False),
                    ("open_price__gt", 0),
                    ("profit__isnull", False),
                    ("status", "CLOSED"),
                ),
                ("status", "CANCELLED"),
                _connector="OR",
            ),
            name="order_status_complete",
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(condition=models.Q(("side__in", ["buy", "sell"])), name="order_side_known"),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(("type__in", ["market", "limit", "stop"])), name="order_type_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(("status__in", ["PENDING", "OPEN", "CLOSED", "CANCELLED"])), name="order_status_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "close_reason__in",
                    [
                        "",
                        "manual",
                        "take_profit",
                        "stop_loss",
                        "trailing_stop",
                        "stop_out",
                        "close_all",
                        "no_margin",
                        "forbidden",
                        "gap",
                    ],
                )
            ),
            name="order_close_reason_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("realized__isnull", False), ("swap_accrued__isnull", False)),
                models.Q(
                    ("realized__isnull", True), ("status__in", ["CLOSED", "CANCELLED"]), ("swap_accrued__isnull", True)
                ),
                _connector="OR",
            ),
            name="order_cumulates",
        ),
    ),
    migrations.AddConstraint(
        model_name="order",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("parent_id__isnull", True), ("swap_accrued__isnull", True), ("swap_accrued", 0), _connector="OR"
            ),
            name="order_nights_are_the_wholes",
        ),
    ),
    migrations.AddConstraint(
        model_name="deal",
        constraint=models.UniqueConstraint(fields=("order", "kind"), name="one_opening_and_one_closing_deal"),
    ),
    migrations.AddConstraint(
        model_name="deal",
        constraint=models.CheckConstraint(
            condition=models.Q(("price__gt", 0), ("quantity__gt", 0)), name="deal_positive"
        ),
    ),
    migrations.AddConstraint(
        model_name="deal",
        constraint=models.CheckConstraint(condition=models.Q(("kind__in", ["open", "close"])), name="deal_kind_known"),
    ),
    migrations.AddConstraint(
        model_name="deal",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("reason__in", ["", "manual", "take_profit", "stop_loss", "trailing_stop", "stop_out", "close_all"])
            ),
            name="deal_reason_known",
        ),
    ),
    migrations.AddIndex(
        model_name="orderevent",
        index=models.Index(fields=["customer", "id"], name="order_event_by_customer"),
    ),
    migrations.AddConstraint(
        model_name="orderevent",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "kind__in",
                    [
                        "placed",
                        "opened",
                        "changed",
                        "cancelled",
                        "reduced",
                        "closed",
                        "swapped",
                        "margin_call",
                        "margin_call_over",
                        "stop_out",
                    ],
                )
            ),
            name="order_event_kind_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="paymentfile",
        constraint=models.UniqueConstraint(
            condition=models.Q(("repeat_of__isnull", True)),
            fields=("message_id",),
            name="one_payment_file_per_message_id",
        ),
    ),
    migrations.AddConstraint(
        model_name="paymentfile",
        constraint=models.CheckConstraint(
            condition=models.Q(("instructions_count__gt", 0)), name="payment_file_has_instructions"
        ),
    ),
    migrations.AddConstraint(
        model_name="paymentfile",
        constraint=models.CheckConstraint(
            condition=models.Q(("format__in", ["pain001", "csv"])), name="payment_file_format_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="priceextreme",
        constraint=models.UniqueConstraint(fields=("partition", "instrument", "at"), name="one_extreme_per_beginning"),
    ),
    migrations.AddIndex(
        model_name="batchevent",
        index=models.Index(fields=["batch", "at"], name="batch_event_by_batch"),
    ),
    migrations.AddConstraint(
        model_name="batchevent",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("became__in", ["cut", "confirmed", "settling", "partially_settled", "completed", "cancelled"])
            ),
            name="batch_event_became_known",
        ),
    ),
    migrations.AddIndex(
        model_name="settlementleg",
        index=models.Index(
            condition=models.Q(("status", "settled"), _negated=True), fields=["id"], name="leg_not_settled"
        ),
    ),
    migrations.AddIndex(
        model_name="settlementleg",
        index=models.Index(
            condition=models.Q(("status", "settled"), _negated=True), fields=["due_by"], name="leg_not_settled_by_due"
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.UniqueConstraint(fields=("batch", "asset"), name="one_leg_per_asset"),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.CheckConstraint(condition=models.Q(("expected__gte", 0)), name="leg_expected_not_negative"),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.CheckConstraint(
            condition=models.Q(("actual__isnull", True), ("actual__gte", 0), _connector="OR"),
            name="leg_actual_not_negative",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("status", "settled"), _negated=True), ("actual__isnull", False), _connector="OR"
            ),
            name="leg_settled_with_an_amount",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.CheckConstraint(
            condition=models.Q(("direction__in", ["incoming", "outgoing"])), name="leg_direction_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "reason_code__in",
                    [
                        "",
                        "AC01",
                        "AC04",
                        "AC06",
                        "AG01",
                        "AM02",
                        "AM04",
                        "AM05",
                        "CURR",
                        "CUST",
                        "DT01",
                        "ED05",
                        "FR01",
                        "MS03",
                        "RC01",
                        "RR04",
                        "TECH",
                        "TM01",
                        "AWMO",
                        "AWSH",
                        "BLOC",
                        "CLAC",
                        "CLAT",
                        "CMON",
                        "DKNY",
                        "LACK",
                        "LATE",
                        "MONY",
                        "OTHR",
                        "NARR",
                    ],
                )
            ),
            name="leg_reason_code_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementleg",
        constraint=models.CheckConstraint(
            condition=models.Q(("status__in", ["pending", "partially_settled", "settled", "failed"])),
            name="leg_status_known",
        ),
    ),
    migrations.AddIndex(
        model_name="legreport",
        index=models.Index(fields=["leg", "id"], name="leg_report_by_leg"),
    ),
    migrations.AddConstraint(
        model_name="legreport",
        constraint=models.UniqueConstraint(
            condition=models.Q(("kind__in", ["part", "settled", "failed"])),
            fields=("leg", "number"),
            name="one_report_per_attempt",
        ),
    ),
    migrations.AddConstraint(
        model_name="legreport",
        constraint=models.UniqueConstraint(
            models.F("leg"),
            models.F("reversals"),
            django.db.models.functions.text.Upper(
                django.db.models.functions.text.Replace(models.F("reference"), models.Value(" "), models.Value(""))
            ),
            condition=models.Q(("amount__isnull", False), models.Q(("reference", ""), _negated=True)),
            name="one_report_per_reference",
        ),
    ),
    migrations.AddConstraint(
        model_name="legreport",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("amount__gte", 0), ("amount__isnull", False), ("kind", "settled")),
                models.Q(
                    ("amount__gt", 0),
                    ("amount__isnull", False),
                    ("kind", "part"),
                    models.Q(("reference", ""), _negated=True),
                ),
                models.Q(("amount__isnull", True), ("kind__in", ["failed", "retried", "reopened"]), ("reference", "")),
                _connector="OR",
            ),
            name="leg_report_amount_where_it_moved",
        ),
    ),
    migrations.AddConstraint(
        model_name="legreport",
        constraint=models.CheckConstraint(
            condition=models.Q(("kind", "failed"), ("reason_code", ""), _connector="XOR"),
            name="leg_report_reason_of_failure",
        ),
    ),
    migrations.AddConstraint(
        model_name="legreport",
        constraint=models.CheckConstraint(
            condition=models.Q(("kind__in", ["part", "settled", "failed", "retried", "reopened"])),
            name="leg_report_kind_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="legreport",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "reason_code__in",
                    [
                        "",
                        "AC01",
                        "AC04",
                        "AC06",
                        "AG01",
                        "AM02",
                        "AM04",
                        "AM05",
                        "CURR",
                        "CUST",
                        "DT01",
                        "ED05",
                        "FR01",
                        "MS03",
                        "RC01",
                        "RR04",
                        "TECH",
                        "TM01",
                        "AWMO",
                        "AWSH",
                        "BLOC",
                        "CLAC",
                        "CLAT",
                        "CMON",
                        "DKNY",
                        "LACK",
                        "LATE",
                        "MONY",
                        "OTHR",
                        "NARR",
                    ],
                )
            ),
            name="leg_report_reason_code_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="instructionleg",
        constraint=models.UniqueConstraint(
            condition=models.Q(("is_live", True)), fields=("leg",), name="one_live_instruction_per_leg"
        ),
    ),
    migrations.AddConstraint(
        model_name="instructionleg",
        constraint=models.CheckConstraint(
            condition=models.Q(("amount__gt", 0)), name="instruction_leg_amount_positive"
        ),
    ),
    migrations.AddConstraint(
        model_name="instructionleg",
        constraint=models.CheckConstraint(
            condition=models.Q(("reported__gte", 0), ("reported__lte", models.F("amount"))),
            name="instruction_leg_reported_up_to_it",
        ),
    ),
    migrations.AddConstraint(
        model_name="instructionleg",
        constraint=models.CheckConstraint(
            condition=models.Q(("direction__in", ["incoming", "outgoing"])), name="instruction_leg_direction_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.UniqueConstraint(fields=("key",), name="one_batch_per_key"),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.UniqueConstraint(fields=("window", "cut_at"), name="one_batch_per_window_and_cut"),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.CheckConstraint(
            condition=models.Q(("completed_count__lte", models.F("trades_count"))),
            name="batch_completes_no_more_than_it_has",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.CheckConstraint(
            condition=models.Q(("slices_done__len__lte", models.F("slice_ends__len"))),
            name="batch_does_no_more_slices_than_it_has",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("made_by__isnull", True),
                ("confirmed_by__isnull", True),
                models.Q(("made_by", models.F("confirmed_by")), _negated=True),
                _connector="OR",
            ),
            name="batch_maker_is_not_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("made_by_client__isnull", True),
                ("confirmed_by_client__isnull", True),
                models.Q(("made_by_client", models.F("confirmed_by_client")), _negated=True),
                _connector="OR",
            ),
            name="batch_maker_client_is_not_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("made_by__isnull", True),
                    ("cancelled_by__isnull", True),
                    models.Q(("made_by", models.F("cancelled_by")), _negated=True),
                    _connector="OR",
                ),
                models.Q(
                    ("made_by_client__isnull", True),
                    ("cancelled_by_client__isnull", True),
                    models.Q(("made_by_client", models.F("cancelled_by_client")), _negated=True),
                    _connector="OR",
                ),
            ),
            name="batch_maker_does_not_cancel",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementbatch",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("state__in", ["cut", "confirmed", "settling", "partially_settled", "completed", "cancelled"])
            ),
            name="batch_state_known",
        ),
    ),
    migrations.AddIndex(
        model_name="standinginstruction",
        index=models.Index(
            condition=models.Q(("state", "approved")),
            fields=["asset", "counterparty", "in_force_from"],
            name="standing_instruction_in_force",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("checked_by__isnull", True),
                models.Q(("made_by", models.F("checked_by")), _negated=True),
                _connector="OR",
            ),
            name="standing_instruction_maker_is_not_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("state", "approved"), _negated=True), ("checked_by__isnull", False), _connector="OR"
            ),
            name="standing_instruction_approved_by_a_checker",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                models.Q(("decided_at__isnull", False), ("state__in", ["approved", "refused"])),
                _connector="OR",
            ),
            name="standing_instruction_decided_at_a_time",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("in_force_from__gte", models.F("decided_at")),
                    ("state", "approved"),
                    models.Q(
                        ("not_before__isnull", True), ("in_force_from__gte", models.F("not_before")), _connector="OR"
                    ),
                ),
                models.Q(models.Q(("state", "approved"), _negated=True), ("in_force_from__isnull", True)),
                _connector="OR",
            ),
            name="standing_instruction_in_force_once_approved",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("address", ""),
                    ("kind", "bank"),
                    ("memo", ""),
                    ("network", ""),
                    models.Q(("holder", ""), _negated=True),
                    models.Q(("iban", ""), _negated=True),
                    models.Q(("bic", ""), _negated=True),
                ),
                models.Q(
                    ("bank_name", ""),
                    ("bic", ""),
                    ("holder", ""),
                    ("iban", ""),
                    ("kind", "wallet"),
                    models.Q(("network", ""), _negated=True),
                    models.Q(("address", ""), _negated=True),
                ),
                _connector="OR",
            ),
            name="standing_instruction_is_an_account_or_a_wallet",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("reason", ""), _negated=True), name="standing_instruction_has_a_reason"
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.UniqueConstraint(
            condition=models.Q(("state", "proposed")),
            fields=("counterparty", "asset"),
            name="one_open_standing_instruction",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["proposed", "approved", "refused"])),
            name="standing_instruction_state_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="standinginstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("kind__in", ["bank", "wallet"])), name="standing_instruction_kind_known"
        ),
    ),
    migrations.AddIndex(
        model_name="settlementinstruction",
        index=models.Index(fields=["value_date", "id"], name="instruction_by_value_date"),
    ),
    migrations.AddIndex(
        model_name="settlementinstruction",
        index=models.Index(condition=models.Q(("state__in", ["made", "sent"])), fields=["id"], name="instruction_open"),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("amount__gte", 0)), name="instruction_amount_not_negative"
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("confirmed_amount__gte", 0), ("confirmed_amount__lte", models.F("amount"))),
            name="instruction_confirmed_up_to_its_amount",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("confirmed_amount", models.F("amount")), ("state", "confirmed")),
                models.Q(
                    models.Q(("state", "confirmed"), _negated=True),
                    models.Q(("confirmed_amount", models.F("amount")), _negated=True),
                ),
                _connector="OR",
            ),
            name="instruction_confirmed_when_all_has_moved",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("payment_file__isnull", True),
                models.Q(("direction", "outgoing"), models.Q(("state__in", ["made", "cancelled"]), _negated=True)),
                _connector="OR",
            ),
            name="instruction_in_a_file_is_outgoing_and_sent",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("state__in", ["failed", "cancelled"]), _negated=True),
                models.Q(("note", ""), _negated=True),
                _connector="OR",
            ),
            name="instruction_ends_with_a_reason",
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("direction__in", ["incoming", "outgoing"])), name="instruction_direction_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="settlementinstruction",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["made", "sent", "confirmed", "failed", "cancelled"])),
            name="instruction_state_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="statementfile",
        constraint=models.CheckConstraint(
            condition=models.Q(("format__in", ["camt053", "csv"])), name="statement_file_format_known"
        ),
    ),
    migrations.AddIndex(
        model_name="statemententry",
        index=models.Index(condition=models.Q(("state", "listed")), fields=["id"], name="entry_listed"),
    ),
    migrations.AddIndex(
        model_name="statemententry",
        index=models.Index(
            condition=models.Q(("state", "matched")), fields=["instruction"], name="entry_by_instruction"
        ),
    ),
    migrations.AddConstraint(
        model_name="statemententry",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("amount__gt", 0), ("asset__isnull", False), ("instruction__isnull", False), ("state", "matched")
                ),
                models.Q(models.Q(("state", "matched"), _negated=True), ("instruction__isnull", True)),
                _connector="OR",
            ),
            name="entry_matched_with_an_instruction",
        ),
    ),
    migrations.AddConstraint(
        model_name="statemententry",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("state", "explained"), _negated=True),
                models.Q(models.Q(("note", ""), _negated=True), ("decided_at__isnull", False)),
                _connector="OR",
            ),
            name="entry_explained_with_a_reason",
        ),
    ),
    migrations.AddConstraint(
        model_name="statemententry",
        constraint=models.UniqueConstraint(fields=("file", "number"), name="one_entry_per_place"),
    ),
    migrations.AddConstraint(
        model_name="statemententry",
        constraint=models.CheckConstraint(
            condition=models.Q(("direction__in", ["", "incoming", "outgoing"])), name="entry_direction_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="statemententry",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["listed", "matched", "explained"])), name="entry_state_known"
        ),
    ),
    migrations.AddIndex(
        model_name="trade",
        index=models.Index(fields=["customer", "id"], name="trade_by_customer"),
    ),
    migrations.AddIndex(
        model_name="trade",
        index=models.Index(
            condition=models.Q(("reference_trade__isnull", False)),
            fields=["reference_trade", "id"],
            name="trade_by_reference",
        ),
    ),
    migrations.AddIndex(
        model_name="trade",
        index=models.Index(
            condition=models.Q(("external_id__isnull", False)),
            fields=["external_id", "id"],
            name="trade_by_external_id",
        ),
    ),
    migrations.AddIndex(
        model_name="trade",
        index=models.Index(
            condition=models.Q(("failure_code__isnull", False)), fields=["failure_code", "id"], name="trade_by_failure"
        ),
    ),
    migrations.AddIndex(
        model_name="trade",
        index=django.contrib.postgres.indexes.GinIndex(
            condition=models.Q(("labels__isnull", False)), fields=["labels"], name="trade_by_label"
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(("deliver_amount__gt", 0), ("fee__gte", 0), ("receive_amount__gt", 0)),
            name="trade_amounts_positive",
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("taken_from_settling__gte", 0), ("taken_from_settling__lte", models.F("deliver_amount"))
            ),
            name="trade_takes_no_more_than_it_delivers",
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("failure_code__isnull", True), ("state__in", ["storing", "settling", "completed"])),
                models.Q(("failure_code__isnull", False), ("state", "failed")),
                _connector="OR",
            ),
            name="trade_failed_with_a_code",
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("exiting_trade__isnull", True), ("reference_trade__isnull", True), ("trade_type", "platform")
                ),
                models.Q(
                    ("reference_trade__isnull", False),
                    ("state__in", ["storing", "failed"]),
                    ("trade_type", "exit"),
                    ("exiting_trade__isnull", True),
                ),
                models.Q(
                    ("exiting_trade", models.F("reference_trade")),
                    ("state__in", ["settling", "completed"]),
                    ("trade_type", "exit"),
                ),
                _connector="OR",
            ),
            name="trade_exit_names_its_original",
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("batch__isnull", True), ("state__in", ["storing", "settling", "failed"])),
                models.Q(("batch__isnull", False), ("state__in", ["settling", "completed"])),
                _connector="OR",
            ),
            name="trade_batched_only_while_settling",
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(("trade_type__in", ["platform", "exit"])), name="trade_trade_type_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(condition=models.Q(("side__in", ["buy", "sell"])), name="trade_side_known"),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["storing", "settling", "completed", "failed"])), name="trade_state_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="trade",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "failure_code__in",
                    [
                        "expired_quote",
                        "non_sufficient_funds",
                        "invalid_reference_trade",
                        "market_volatility",
                        "limit_exceeded",
                        "unsupported",
                    ],
                )
            ),
            name="trade_failure_code_known",
        ),
    ),
    migrations.AddIndex(
        model_name="leftout",
        index=models.Index(fields=["trade", "id"], name="left_out_by_trade"),
    ),
    migrations.AddConstraint(
        model_name="leftout",
        constraint=models.UniqueConstraint(fields=("batch", "trade"), name="left_out_of_a_batch_once"),
    ),
    migrations.AddConstraint(
        model_name="leftout",
        constraint=models.CheckConstraint(
            condition=models.Q(("stage__in", ["cut", "settling"])), name="left_out_stage_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="leftout",
        constraint=models.CheckConstraint(
            condition=models.Q(("reason__in", ["customer_frozen", "trade_flagged", "exited_later", "still_storing"])),
            name="left_out_reason_known",
        ),
    ),
    migrations.AddIndex(
        model_name="tradeevent",
        index=models.Index(
            condition=models.Q(("became", "reversed")), fields=["detail", "trade"], name="trade_events_of_reversal"
        ),
    ),
    migrations.AddConstraint(
        model_name="tradeevent",
        constraint=models.UniqueConstraint(fields=("trade", "became"), name="one_event_per_step"),
    ),
    migrations.AddConstraint(
        model_name="tradeevent",
        constraint=models.CheckConstraint(
            condition=models.Q(("became__in", ["storing", "settling", "completed", "failed", "reversed"])),
            name="trade_event_became_known",
        ),
    ),
    migrations.AddIndex(
        model_name="tradeflag",
        index=models.Index(fields=["trade", "id"], name="flags_by_trade"),
    ),
    migrations.AddConstraint(
        model_name="tradeflag",
        constraint=models.UniqueConstraint(
            condition=models.Q(("cleared_at__isnull", True)), fields=("trade",), name="one_open_flag_per_trade"
        ),
    ),
]


class Migration(migrations.Migration):
    initial = True
    replaces = [
        ("trades", "0001_tables"),
        ("trades", "0002_guards"),
        ("trades", "0003_windows"),
        ("trades", "0004_settlement"),
        ("trades", "0005_settlement_guards"),
        ("trades", "0006_order_engine"),
        ("trades", "0007_order_engine_guards"),
        ("trades", "0008_slices_done"),
        ("trades", "0009_room_for_a_batch"),
        ("trades", "0010_advances"),
        ("trades", "0011_ids_by_the_shared_clock"),
        ("trades", "0012_marks_by_kind"),
        ("trades", "0013_marks_guards"),
        ("trades", "0014_late_commits"),
        ("trades", "0020_parts_are_rounded_cumulatively"),
        ("trades", "0030_words"),
        ("trades", "0031_role_guards"),
        ("trades", "0050_who_moved_it"),
        ("trades", "0051_words_of_funding"),
        ("trades", "0053_decimals_wait"),
        ("trades", "0060_recount"),
        ("trades", "0065_versions"),
        ("trades", "0070_words_as_one_value"),
        ("trades", "0071_lookups"),
        ("trades", "0072_request_ids"),
        ("trades", "0073_schedules_count_from_their_change"),
        ("trades", "0074_cut_off"),
        ("trades", "0076_batch_keys"),
        ("trades", "0077_leg_reports"),
        ("trades", "0078_parts_of_legs"),
        ("trades", "0082_counterparties"),
        ("trades", "0083_instructions"),
        ("trades", "0084_statements"),
        ("trades", "0086_steps_that_others_see"),
        ("trades", "0087_batches_are_reversed_in_slices"),
        ("trades", "0089_erasures"),
        ("trades", "0090_reasons_of_legs"),
        ("trades", "0091_events"),
    ]
    dependencies = [
        ("accounts", "0075_events"),
        ("quotes", "0041_events"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [Tables(__file__, MODELS)]
