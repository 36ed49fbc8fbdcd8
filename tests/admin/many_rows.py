"""Many rows of everything the admin shows, written straight into the tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.contrib.auth.models import Group
from django.utils import timezone
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from accounts import ledger, services
from accounts.ids import uuid7
from accounts.models import (
    AnsweredRequest,
    ApiClient,
    Asset,
    Backup,
    Break,
    Customer,
    Event,
    ExternalBankAccount,
    JournalEntry,
    LedgerAudit,
    ReconciliationLine,
    ReconciliationRun,
    SealBlock,
    User,
    WebhookAttempt,
    WebhookDelivery,
    WebhookSubscription,
)
from accounts.states import CustomerState
from quotes.candles import make_months
from quotes.models import Candle, Instrument, InstrumentChange, MarketSwitch, PriceHold, Quote, TradingHours
from trades.models import (
    ClientClassChange,
    ControlChange,
    Correction,
    Counterparty,
    Deal,
    DealersAction,
    EngineLease,
    Erasure,
    IdempotentAnswer,
    InstructionLeg,
    LeftOut,
    MarginAccount,
    Order,
    OrderEvent,
    Payment,
    PaymentEvent,
    PaymentFile,
    RiskLimit,
    SettlementBatch,
    SettlementInstruction,
    SettlementLeg,
    SettlementWindow,
    StandingInstruction,
    StatementEntry,
    StatementFile,
    SwapRun,
    Trade,
    TradeEvent,
    TradeFlag,
)


def many_rows(size: int, start: int = 0) -> None:
    """`size` rows more of every table; each row belongs to another customer, order, trade or batch."""
    numbers = range(start, start + size)
    customers = _customers(numbers)
    _money(customers)
    _orders(customers)
    _what_the_engine_notes(numbers, customers)
    batches = _batches(numbers)
    _payments(customers)
    _control(numbers, customers, batches, _trades(customers, batches))
    _counterparties(numbers)
    _instructions(batches)
    _markets(numbers)
    _system(numbers, customers)
    _webhooks(numbers, customers)
    _bank_accounts(numbers, customers)


def _customers(numbers: range) -> list[Customer]:
    users = [User(email=f"trader{n}@example.com", name=f"Trader {n}", password="!") for n in numbers]
    User.objects.bulk_create(users)
    ApiClient.objects.bulk_create(
        ApiClient(name=f"client {n}", client_id=f"client_{n:032x}", secret_sha256="0" * 64, scopes=["quotes:read"])
        for n in numbers
    )
    Group.objects.bulk_create(Group(name=f"team {n}") for n in numbers)
    wanted = [services.NewCustomer(user=user, name=user.name, state=CustomerState.VERIFIED) for user in users]
    return services.open_customers(wanted, timezone.now())


def _money(customers: list[Customer]) -> None:
    for customer in customers:
        services.deposit(customer, "USD", 1_000_000, key=uuid7().hex, at=timezone.now(), by="test")
    ledger.lock(ledger.customers(customer.pk, "BTC", ledger.SETTLING) for customer in customers)


def _orders(customers: list[Customer]) -> None:
    at = timezone.now()
    common = {"instrument_id": "BTC-USD", "side": "buy", "quantity": Decimal("0.5"), "leverage": 10, "margin": 211750}
    opened = {"open_price": Decimal("42350.00"), "opened_at": at, "created_at": at, **common}
    closed = {"closed_at": at, "close_price": Decimal("42400.00"), "profit": 2500, "close_reason": "manual"}
    orders = [
        order
        for customer in customers
        for order in (
            Order(customer=customer, status="OPEN", stop_loss=Decimal(40000), **opened),
            Order(customer=customer, status="CLOSED", **opened, **closed),
            Order(customer=customer, status="PENDING", price=Decimal(40000), created_at=at, **common),
        )
    ]
    Order.objects.bulk_create(orders)
    priced = {"bid": Decimal(42350), "ask": Decimal(42350), "priced_at": at, "price_age_ms": 40, "sources": ""}
    Deal.objects.bulk_create(
        Deal(customer_id=o.customer_id, order=o, kind=kind, price=Decimal(42350), quantity=o.quantity, at=at, **priced)
        for o in orders
        if o.status != "PENDING"
        for kind in (["open", "close"] if o.status == "CLOSED" else ["open"])
    )


def _what_the_engine_notes(numbers: range, customers: list[Customer]) -> None:
    """Every second customer is called; a part was closed of each open order."""
    at = timezone.now()
    MarginAccount.objects.bulk_create(
        MarginAccount(customer=customer, called_at=at if n % 2 == 0 else None, updated_at=at)
        for n, customer in zip(numbers, customers, strict=True)
    )
    opened = list(Order.objects.filter(status="OPEN", customer__in=customers))
    parts = [
        Order(
            customer_id=order.customer_id,
            parent_id=order.pk,
            instrument_id="BTC-USD",
            side="buy",
            quantity=Decimal("0.1"),
            leverage=10,
            margin=42350,
            status="CLOSED",
            open_price=order.open_price,
            opened_at=order.opened_at,
            created_at=at,
            closed_at=at,
            close_price=Decimal("42400.00"),
            profit=500,
            close_reason="manual",
        )
        for order in opened
    ]
    Order.objects.bulk_create(parts)
    OrderEvent.objects.bulk_create(
        event
        for order, part in zip(opened, parts, strict=True)
        for event in (
            OrderEvent(customer_id=order.customer_id, order_id=order.pk, kind="opened", at=at),
            OrderEvent(
                customer_id=order.customer_id, order_id=order.pk, kind="reduced", detail={"part": part.code}, at=at
            ),
            OrderEvent(customer_id=order.customer_id, kind="margin_call", detail={"marginLevel": 99.5}, at=at),
        )
    )
    SwapRun.objects.bulk_create(
        SwapRun(
            partition=n % 16,
            night=date(2026, 1, 1) + timedelta(days=n),
            cutoff=at,
            prices={"BTC-USD": "42350.00"},
            orders_count=n,
            started_at=at,
        )
        for n in numbers
    )


def _batches(numbers: range) -> list[SettlementBatch]:
    at = timezone.now()
    window = SettlementWindow.objects.order_by("name").first()
    batches = [
        SettlementBatch(
            window=window,
            asset_kinds="crypto",
            cut_at=at + timedelta(minutes=n),
            trades_count=1,
            state="cut",
            created_at=at,
            updated_at=at,
        )
        for n in numbers
    ]
    SettlementBatch.objects.bulk_create(batches)
    SettlementLeg.objects.bulk_create(
        SettlementLeg(
            batch=batch, asset_id=asset, direction="incoming", expected=5, value_date=at, due_by=at, updated_at=at
        )
        for batch in batches
        for asset in ("BTC", "USD", "EUR")
    )
    SettlementWindow.objects.bulk_create(
        SettlementWindow(name=f"window {n}", asset_kind="crypto", cron="0 9 * * *", calendar="") for n in numbers
    )
    return batches


def _trades(customers: list[Customer], batches: list[SettlementBatch]) -> list[Trade]:
    at = timezone.now()
    amounts = {"receive_amount": 10_000_000, "deliver_amount": 423_500, "fee": 1_050}
    quotes = [
        Quote(
            customer=customer,
            product_type="trading",
            instrument_id="BTC-USD",
            side="buy",
            price=Decimal(42350),
            issued_at=at,
            expires_at=at,
            **amounts,
        )
        for customer in customers
    ]
    Quote.objects.bulk_create(quotes)
    trades = [
        Trade(
            customer=quote.customer,
            quote=quote,
            trade_type="platform",
            instrument_id="BTC-USD",
            side="buy",
            receive_asset_id="BTC",
            deliver_asset_id="USD",
            state="settling",
            batch=batch,
            created_at=at,
            updated_at=at,
            **amounts,
        )
        for quote, batch in zip(quotes, batches, strict=True)
    ]
    Trade.objects.bulk_create(trades)
    for trade, batch in zip(trades, batches, strict=True):
        SettlementBatch.objects.filter(pk=batch.pk).update(first_trade_id=trade.pk, last_trade_id=trade.pk)
    TradeEvent.objects.bulk_create(
        TradeEvent(trade=trade, customer_id=trade.customer_id, became=became, at=at)
        for trade in trades
        for became in ("storing", "settling")
    )
    return trades


def _payments(customers: list[Customer]) -> None:
    at = timezone.now()
    amounts = {"receive_amount": 9_900, "deliver_amount": 10_000, "fee": 100}
    quotes = [
        Quote(
            customer=customer,
            product_type="funding",
            asset_id="USD",
            side="deposit",
            issued_at=at,
            expires_at=at,
            **amounts,
        )
        for customer in customers
    ]
    Quote.objects.bulk_create(quotes)
    payments = [
        Payment(
            customer=quote.customer,
            quote=quote,
            type="funding",
            side="deposit",
            asset_id="USD",
            rail="manual",
            created_at=at,
            updated_at=at,
            **amounts,
        )
        for quote in quotes
    ]
    Payment.objects.bulk_create(payments)
    PaymentEvent.objects.bulk_create(
        PaymentEvent(payment=payment, customer_id=payment.customer_id, became=became, at=at)
        for payment in payments
        for became in ("storing", "pending")
    )


def _control(numbers: range, customers: list[Customer], batches: list[SettlementBatch], trades: list[Trade]) -> None:
    """Who was left out and held back, what was corrected, what doesn't fit: each row by other people."""
    at = timezone.now()
    makers = [User(email=f"maker{n}@firm.example", password="!", is_staff=True) for n in numbers]
    User.objects.bulk_create(makers)
    LeftOut.objects.bulk_create(
        LeftOut(batch=batch, trade=trade, customer_id=trade.customer_id, stage="cut", reason="trade_flagged", at=at)
        for batch, trade in zip(batches, trades, strict=True)
    )
    TradeFlag.objects.bulk_create(
        TradeFlag(trade=trade, reason="odd", flagged_by=maker, flagged_at=at)
        for trade, maker in zip(trades, makers, strict=True)
    )
    Correction.objects.bulk_create(
        Correction(
            kind="adjustment",
            customer=customer,
            asset_id="USD",
            amount=2500,
            direction="credit",
            reason="goodwill",
            made_by=maker,
            made_at=at,
        )
        for customer, maker in zip(customers, makers, strict=True)
    )
    ClientClassChange.objects.bulk_create(
        ClientClassChange(
            customer=customer, was="retail", becomes="professional", reason="means", made_by=maker, made_at=at
        )
        for customer, maker in zip(customers, makers, strict=True)
    )
    DealersAction.objects.bulk_create(
        DealersAction(
            kind="close_all", customer=customer, worth=100, positions_count=1, reason="odd", made_by=maker, made_at=at
        )
        for customer, maker in zip(customers, makers, strict=True)
    )
    Erasure.objects.bulk_create(
        Erasure(customer=customer, reason="letter 7", made_by=maker, made_at=at)
        for customer, maker in zip(customers, makers, strict=True)
    )
    ControlChange.objects.bulk_create(
        ControlChange(kind="window", subject=uuid7(), adds=["is_automatic"], reason="x", made_by=maker, made_at=at)
        for maker in makers
    )
    RiskLimit.objects.bulk_create(RiskLimit(kind="customer", customer=one, amount=10**9) for one in customers)
    Break.objects.bulk_create(
        Break(kind="leg_difference", asset_id="USD", amount=-7, subject=uuid7(), owner=maker, opened_at=at)
        for maker in makers
    )
    runs = [ReconciliationRun(as_of=at, at=at, made_by=maker, source="bank.csv", ok=False) for maker in makers]
    ReconciliationRun.objects.bulk_create(runs)
    ReconciliationLine.objects.bulk_create(
        ReconciliationLine(run=run, asset_id=asset, ledger=5, statement=7) for run in runs for asset in ("BTC", "USD")
    )


def _counterparties(numbers: range) -> None:
    at, maker = timezone.now(), User.objects.last()
    providers = [Counterparty(name=f"Provider {n}", made_by=maker, made_at=at) for n in numbers]
    Counterparty.objects.bulk_create(providers)
    StandingInstruction.objects.bulk_create(
        StandingInstruction(
            counterparty=provider,
            asset_id="USD",
            kind="bank",
            holder=provider.name,
            iban="DE89370400440532013000",
            bic="COBADEFFXXX",
            reason="as they wrote",
            made_by=maker,
            made_at=at,
        )
        for provider in providers
    )


def _instructions(batches: list[SettlementBatch]) -> None:
    at, maker = timezone.now(), User.objects.last()
    going = list(StandingInstruction.objects.order_by("-pk")[: len(batches)])
    StandingInstruction.objects.filter(pk__in=[one.pk for one in going]).update(
        state="approved", checked_by=User.objects.first(), decided_at=at, in_force_from=at
    )
    instructions = [
        SettlementInstruction(
            reference=f"SI{batch.pk.hex[-16:]}",
            counterparty_id=one.counterparty_id,
            standing=one,
            asset_id="USD",
            batch=batch,
            direction="outgoing",
            amount=7,
            value_date=at.date(),
            made_by=maker,
            made_at=at,
            updated_at=at,
        )
        for batch, one in zip(batches, going, strict=True)
    ]
    SettlementInstruction.objects.bulk_create(instructions)
    InstructionLeg.objects.bulk_create(
        InstructionLeg(instruction=one, leg=one.batch.legs.first(), direction="outgoing", amount=7)
        for one in instructions
    )
    statements = [
        StatementFile(format="csv", name="bank.csv", sha256=one.pk.hex, entries_count=1, made_by=maker, made_at=at)
        for one in instructions
    ]
    StatementFile.objects.bulk_create(statements)
    StatementEntry.objects.bulk_create(
        StatementEntry(
            file=one,
            number=1,
            key=one.pk.hex,
            facts="0" * 64,
            asset_id="USD",
            currency="USD",
            amount=7,
            direction="incoming",
            names=["nothing"],
            reason="nothing_named",
        )
        for one in statements
    )
    PaymentFile.objects.bulk_create(
        PaymentFile(
            format="csv",
            message_id=one.reference,
            instructions_count=1,
            control_sums={"USD": "7"},
            content=b"x",
            sha256="0" * 64,
            made_by=maker,
            made_at=at,
        )
        for one in instructions
    )


def _markets(numbers: range) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)  # not now: two calls as a minute turns would share one
    price = dict.fromkeys(("open", "high", "low", "close"), Decimal(42350))
    make_months(at - timedelta(minutes=n) for n in numbers)
    Candle.objects.bulk_create(
        Candle(instrument_id="BTC-USD", minute=at - timedelta(minutes=n), trade_count=240, **price) for n in numbers
    )
    TradingHours.objects.bulk_create(TradingHours(name=f"some-{n}", sessions="mon 09:00-10:00") for n in numbers)
    MarketSwitch.objects.bulk_create(
        MarketSwitch(
            instrument_id="BTC-USD",
            number=n + 1,
            switch="halted" if n % 2 else "none",
            by=User.objects.last(),
            reason="a test",
            at=at,
        )
        for n in numbers
    )
    PriceHold.objects.bulk_create(
        PriceHold(instrument_id="BTC-USD", number=n + 1, bid=42350, ask=42351, by=User.objects.last(), at=at)
        for n in numbers
    )
    model = Instrument.objects.get(pk="BTC-USD")
    Asset.objects.bulk_create(Asset(code=f"A{n}", type="crypto", name=f"Asset {n}", decimals=8) for n in numbers)
    columns = {field.attname: getattr(model, field.attname) for field in Instrument._meta.concrete_fields}
    Instrument.objects.bulk_create(
        Instrument(**{**columns, "symbol": f"A{n}-USD", "base_asset_id": f"A{n}"}) for n in numbers
    )
    InstrumentChange.objects.bulk_create(
        InstrumentChange(
            instrument_id=f"A{n}-USD",
            old={"spread_bps": "5.000"},
            new={"spread_bps": "9.000"},
            stated={"bid": "42341.00", "ask": "42379.00", "stop_losses": 2},
            fires=True,
            reason="a thin market",
            made_by=User.objects.last(),
            made_at=at,
        )
        for n in numbers
    )


def _system(numbers: range, customers: list[Customer]) -> None:
    at = timezone.now()
    EngineLease.objects.bulk_create(
        EngineLease(partition=n, epoch=1, holder=f"host:{n}", renewed_at=at) for n in numbers
    )
    IdempotentAnswer.objects.bulk_create(
        IdempotentAnswer(
            customer=customer, key="k", request_sha256="0" * 64, command_id=UUID(int=1), status=200, body="{}", at=at
        )
        for customer in customers
    )
    AnsweredRequest.objects.bulk_create(
        AnsweredRequest(
            client_id=UUID(int=1), customer_id=customer.pk, key="k", request_sha256="0" * 64, path="/api/quotes",
            status=201, body="{}",
        )
        for customer in customers
    )  # fmt: skip
    JournalEntry.objects.bulk_create(
        JournalEntry(user_id=customer.user_id or customer.pk, via="admin", deed="accounts_customer_change",
                     objects_named=[customer.pk.hex], outcome="done", before={"type": "a"}, after={"type": "b"})
        for customer in customers
    )  # fmt: skip
    LedgerAudit.objects.bulk_create(
        LedgerAudit(at=at, ok=n % 2 == 0, counted={"balances": 7}, findings=_findings(n)) for n in numbers
    )
    Backup.objects.bulk_create(
        Backup(kind="base", began_at=at, at=at, bytes=n + 1, place=f"/backups/{n}", migration="accounts.0100_backups")
        for n in numbers
    )
    SealBlock.objects.bulk_create(
        SealBlock(
            number=n + 1,
            table_name="accounts_transfer",
            columns="id",
            after=UUID(int=n),
            through=UUID(int=n + 1),
            rows_count=1,
            ids=bytes(16),
            digests=bytes(32),
            sides=bytes(8),
            previous_hash=f"{n:064x}",
            hash=f"{n + 1:064x}",
            sealed_at=at,
        )
        for n in numbers
    )
    for n in numbers:
        every = IntervalSchedule.objects.create(every=n + 1000, period="seconds")
        cron = CrontabSchedule.objects.create(minute=str(n % 60), hour=str(n // 60))
        PeriodicTask.objects.create(name=f"task {n}", task="trades.tasks.sweep", interval=every)
        PeriodicTask.objects.create(name=f"cron {n}", task="trades.tasks.sweep", crontab=cron)


def _bank_accounts(numbers: range, customers: list[Customer]) -> None:
    at = timezone.now()
    ExternalBankAccount.objects.bulk_create(
        ExternalBankAccount(
            customer=customer,
            asset_id="USD",
            name=f"salary {number}",
            holder="Alice Miller",
            routing_type="ABA",
            routing_number="021000021",
            account_number=f"{10_000 + number}",
            created_at=at,
            updated_at=at,
        )
        for number, customer in zip(numbers, customers, strict=True)
    )


def _webhooks(numbers: range, customers: list[Customer]) -> None:
    at = timezone.now()
    client = ApiClient.objects.first()
    subscriptions = WebhookSubscription.objects.bulk_create(
        WebhookSubscription(
            client=client, customer=customer, name=f"shop {n}", url=f"https://shop.example/{n}", seed=f"{n:064x}",
            transaction=0, number=0,
        )
        for n, customer in zip(numbers, customers, strict=True)
    )  # fmt: skip
    events = list(Event.objects.order_by("transaction", "number")[: len(customers)])
    deliveries = WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            subscription=subscription, transaction=event.transaction, number=event.number, kind=event.kind,
            object_id=event.object_id, since=at, next_attempt_at=at, created_at=at, updated_at=at,
        )
        for subscription, event in zip(subscriptions, events, strict=True)
    )  # fmt: skip
    WebhookAttempt.objects.bulk_create(
        WebhookAttempt(delivery=delivery, headers={"webhook-id": "x"}, status=200, milliseconds=1, at=at)
        for delivery in deliveries
    )


def _findings(number: int) -> list[dict[str, str]]:
    finding = {"check": "balances", "row": "0" * 32, "sentence": "It should be 7 and is 8."}
    return [finding] if number % 2 else []
