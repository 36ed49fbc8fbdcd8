"""Margin orders, and the deals that opened and closed them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual

from accounts.ids import order_code, uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from trades.states import CancelReason, CloseReason, OrderStatus, OrderType


class Order(FixedColumns):
    """A leveraged position, from its opening to its close. Only the engine changes one.

    `code` is the public orderId. `margin` and `profit` are base units of the account currency; prices
    and quantity are exact decimals. `open_multiplier` / `open_divisor` is the rate that the margin was converted at,
    empty where the instrument is counted in the account currency. What was agreed never changes: of an open order, its
    quantity and margin shrink by partial closes, swap adds up, and what protects it can be moved.

    `realized` and `swap_accrued` are what rounding is cumulative over (docs/decisions/0040). They are empty where an
    order had ended before that rule; a part has `realized` from before it was closed, and no nights of its own.
    """

    fixed = frozenset(
        {
            "customer_id",
            "code",
            "client_order_id",
            "command_id",
            "instrument_id",
            "side",
            "type",
            "leverage",
            "created_at",
            "parent_id",
        }
    )

    class Side(models.TextChoices):
        BUY = "buy"
        SELL = "sell"

    Type = OrderType

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    code = models.CharField(max_length=20, default=order_code, editable=False)
    customer = models.ForeignKey("accounts.Customer", on_delete=models.PROTECT, related_name="orders", db_index=False)
    client_order_id = models.CharField(max_length=64, null=True, blank=True)
    command_id = models.UUIDField(null=True, editable=False, help_text="The command that made it: a replay finds it.")
    instrument = models.ForeignKey("quotes.Instrument", on_delete=models.PROTECT, db_index=False)
    side = models.CharField(max_length=4, choices=Side)
    type = models.CharField(max_length=8, choices=Type, default=Type.MARKET)
    quantity = models.DecimalField(max_digits=38, decimal_places=18)
    leverage = models.PositiveSmallIntegerField()
    margin = models.DecimalField(max_digits=38, decimal_places=0)
    price = models.DecimalField(max_digits=38, decimal_places=18, null=True, help_text="Requested, if pending.")
    open_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    take_profit = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    stop_loss = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    trailing_stop = models.DecimalField(max_digits=38, decimal_places=18, null=True, help_text="Distance in price.")
    trail_peak = models.DecimalField(
        max_digits=38, decimal_places=18, null=True, help_text="The exit price when the trailing stop was set."
    )
    trail_at = models.DateTimeField(null=True, help_text="From when on prices move the trailing stop.")
    status = models.CharField(max_length=10, choices=OrderStatus)
    created_at = models.DateTimeField()
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    close_price = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    profit = models.DecimalField(max_digits=38, decimal_places=0, null=True, help_text="Signed, base units.")
    swap = models.DecimalField(max_digits=38, decimal_places=0, default=0, help_text="Signed, base units, so far.")
    fee = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    close_reason = models.CharField(
        max_length=16, choices=dict([*CloseReason.choices, *CancelReason.choices]), blank=True
    )
    parent_id = models.UUIDField(null=True, help_text="The order that this closed part was taken from.")
    realized = models.DecimalField(
        max_digits=80,
        decimal_places=36,
        null=True,
        default=0,
        db_default=0,
        help_text="What the parts closed before this have brought: base units, exactly.",
    )
    swap_accrued = models.DecimalField(
        max_digits=110,
        decimal_places=60,
        null=True,
        default=0,
        db_default=0,
        help_text="What all nights have brought, its parts' included: base units, exactly.",
    )
    open_multiplier = models.DecimalField(
        max_digits=76,
        decimal_places=36,
        null=True,
        help_text="What its margin was converted at: this by the divisor; empty: not converted.",
    )
    open_divisor = models.DecimalField(max_digits=76, decimal_places=36, null=True)
    nets_margin = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Its margin is hedged by that of positions against it: so the instrument had it when it opened.",
    )

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["customer", "code"], name="order_code_unique"),
            models.UniqueConstraint(
                fields=["customer", "client_order_id"],
                condition=Q(client_order_id__isnull=False),
                name="client_order_id_unique",
            ),
            models.UniqueConstraint(
                fields=["customer", "command_id"],
                condition=Q(command_id__isnull=False),
                name="one_order_per_command",
            ),
            models.CheckConstraint(condition=Q(quantity__gt=0, leverage__gte=1, margin__gte=0), name="order_sane"),
            models.CheckConstraint(
                condition=Q(trailing_stop__isnull=True) | Q(trailing_stop__gt=0), name="trailing_sane"
            ),
            models.CheckConstraint(
                condition=Q(status="PENDING", price__isnull=False, open_price__isnull=True)
                | Q(status="OPEN", open_price__gt=0, opened_at__isnull=False, closed_at__isnull=True)
                | Q(
                    status="CLOSED",
                    open_price__gt=0,
                    close_price__gt=0,
                    profit__isnull=False,
                    closed_at__isnull=False,
                )
                | Q(status="CANCELLED"),
                name="order_status_complete",
            ),
            known("order", "side", ["buy", "sell"]),
            known("order", "type", OrderType.values),
            known("order", "status", OrderStatus.values),
            known("order", "close_reason", ["", *dict.fromkeys([*CloseReason.values, *CancelReason.values])]),
            models.CheckConstraint(
                condition=Q(realized__isnull=False, swap_accrued__isnull=False)
                | Q(status__in=["CLOSED", "CANCELLED"], realized__isnull=True, swap_accrued__isnull=True),
                name="order_cumulates",
            ),
            models.CheckConstraint(
                condition=Q(parent_id__isnull=True) | Q(swap_accrued__isnull=True) | Q(swap_accrued=0),
                name="order_nights_are_the_wholes",
            ),
            models.CheckConstraint(
                condition=Q(open_multiplier__isnull=True, open_divisor__isnull=True)
                | Q(open_multiplier__isnull=False, open_divisor__isnull=False, open_price__isnull=False)
                & Q(open_multiplier__gt=0, open_divisor__gt=0),
                name="order_rate_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(nets_margin=False) | Q(open_price__isnull=False), name="order_nets_when_it_has_opened"
            ),
        )
        indexes = (
            models.Index(fields=["customer", "id"], condition=Q(status__in=["OPEN", "PENDING"]), name="order_live"),
            models.Index(fields=["customer", "closed_at", "id"], condition=Q(status="CLOSED"), name="order_history"),
            models.Index(fields=["code"], name="order_by_code"),
            models.Index(
                fields=["client_order_id"], condition=Q(client_order_id__isnull=False), name="order_by_client_order_id"
            ),
        )

    def __str__(self) -> str:
        return self.code


class Deal(models.Model):
    """An execution: what opened or closed an order, at which price. Never changed, never removed.

    `bid` to `sources` say which price that was, as the engine had read it when it decided (docs/decisions/0081). They
    are empty in deals from before they were kept, all of them; the database takes no new one without them.

    `rate_multiplier` / `rate_divisor` is the rate at which its margin (open) or its profit (close) was converted from
    what the instrument is counted in, by the prices that `rate_path` names, as of `rate_at`. Empty: not converted.
    """

    class Kind(models.TextChoices):
        OPEN = "open"
        CLOSE = "close"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer", on_delete=models.PROTECT, related_name="deals", db_constraint=False, db_index=False
    )
    order = models.ForeignKey(
        Order, on_delete=models.PROTECT, related_name="deals", db_constraint=False, db_index=False
    )
    command_id = models.UUIDField(null=True, help_text="The command it answers; null when a price fired it.")
    kind = models.CharField(max_length=5, choices=Kind)
    price = models.DecimalField(max_digits=38, decimal_places=18)
    quantity = models.DecimalField(max_digits=38, decimal_places=18)
    profit = models.DecimalField(max_digits=38, decimal_places=0, default=0)
    reason = models.CharField(max_length=16, choices=CloseReason, blank=True)
    rate_multiplier = models.DecimalField(max_digits=76, decimal_places=36, null=True)
    rate_divisor = models.DecimalField(max_digits=76, decimal_places=36, null=True)
    rate_path = models.CharField(max_length=80, blank=True, default="", db_default="")
    rate_at = models.DateTimeField(null=True)
    at = models.DateTimeField()
    bid = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    ask = models.DecimalField(max_digits=38, decimal_places=18, null=True)
    priced_at = models.DateTimeField(null=True, help_text="As of when the price was, by Redis' clock.")
    price_age_ms = models.IntegerField(null=True, help_text="How old it was when the engine had read it.")
    hold = models.BigIntegerField(null=True, help_text="The number of the hold, where an operator held the price.")
    sources = models.TextField(null=True, help_text="What it was made of, as the feed wrote it beside the price.")

    class Meta:
        constraints = (
            models.CheckConstraint(
                condition=Q(rate_multiplier__isnull=True, rate_divisor__isnull=True, rate_path="", rate_at__isnull=True)
                | Q(rate_multiplier__isnull=False, rate_divisor__isnull=False, rate_at__isnull=False)
                & Q(rate_multiplier__gt=0, rate_divisor__gt=0)
                & ~Q(rate_path=""),
                name="deal_rate_is_whole",
            ),
            models.UniqueConstraint(fields=["order", "kind"], name="one_opening_and_one_closing_deal"),
            models.CheckConstraint(condition=Q(price__gt=0, quantity__gt=0), name="deal_positive"),
            known("deal", "kind", ["open", "close"]),
            known("deal", "reason", ["", *CloseReason.values]),
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
            models.CheckConstraint(
                condition=Q(sources__isnull=True)
                | Q(LessThanOrEqual(Length("sources"), 2000), sources__regex=r"^[a-z0-9_.,;]*$"),
                name="deal_sources_are_short",
            ),
        )

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id.hex}"


_EVENT_KINDS = (
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
)


class OrderEvent(models.Model):
    """What happened to an order or a margin account, in the order of `id`. Never changed, never removed.

    Whoever tells others of it (webhooks, streams) reads on from the last id it has seen. `order_id` is empty where it
    is about the whole account; `detail` says what the order's row and its deals don't.
    """

    class Kind(models.TextChoices):
        PLACED = "placed", "a pending order was placed"
        OPENED = "opened"
        CHANGED = "changed"
        CANCELLED = "cancelled"
        REDUCED = "reduced", "a part was closed"
        CLOSED = "closed"
        SWAPPED = "swapped", "held overnight"
        MARGIN_CALL = "margin_call"
        MARGIN_CALL_OVER = "margin_call_over"
        STOP_OUT = "stop_out"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.ForeignKey(
        "accounts.Customer", on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    order_id = models.UUIDField(null=True)
    kind = models.CharField(max_length=16, choices=Kind)
    command_id = models.UUIDField(null=True, help_text="The command it answers; null when a price or the clock did it.")
    detail = models.JSONField(null=True)
    at = models.DateTimeField()

    class Meta:
        constraints = (known("order_event", "kind", _EVENT_KINDS),)
        indexes = (models.Index(fields=["customer", "id"], name="order_event_by_customer"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.order_id.hex if self.order_id else self.customer_id.hex}"
