"""Rails: the ways by which money moves outside. A rail says what becomes of a payment by itself, and what waits.

`PAYMENT_RAILS` says which one new payments of an asset take, `PAYMENT_RAIL` those of all others; a payment keeps its
own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from django.conf import settings
from django.db.models import Q

from accounts.models import Asset
from trades.models import Payment
from trades.states import PAYMENTS_UNDER_WAY, PaymentFailure, PaymentState


@dataclass(frozen=True, slots=True)
class Step:
    """Where a payment goes next: with the outside's reference, or with why it fails."""

    became: PaymentState
    reference: str = ""
    failure: PaymentFailure | None = None


class Rail(Protocol):
    """One way outside. `by_itself`: the states from which a worker takes a payment on; in the others it waits for
    somebody."""

    by_itself: Collection[PaymentState]

    def next_step(self, payment: Payment) -> Step:
        """What a worker does next with a payment in one of these states."""
        ...


class Sandbox:
    """Nothing is outside: a payment completes by itself, or fails as its `expected_error` says."""

    by_itself: Collection[PaymentState] = PAYMENTS_UNDER_WAY

    def next_step(self, payment: Payment) -> Step:
        if not settings.SANDBOX:  # since then: nobody brought the money
            return Step(PaymentState.FAILED, failure=PaymentFailure.REFUSED)
        if payment.expected_error:
            return Step(PaymentState.FAILED, failure=PaymentFailure(payment.expected_error))
        return {
            PaymentState.STORING.value: Step(PaymentState.PENDING),
            PaymentState.PENDING.value: Step(PaymentState.SETTLING),
            PaymentState.SETTLING.value: Step(PaymentState.COMPLETED, reference=f"sandbox-{payment.pk.hex}"),
        }[payment.state]


class Manual:
    """A person moves the money at a bank, and says here under which reference."""

    by_itself: Collection[PaymentState] = (PaymentState.STORING,)

    def next_step(self, payment: Payment) -> Step:
        if payment.expected_error:
            return Step(PaymentState.FAILED, failure=PaymentFailure(payment.expected_error))
        return Step(PaymentState.PENDING)


class BankFile(Manual):
    """Payouts are told to a bank in files that persons have approved, and a bank's statements complete payments."""


RAILS: Final[Mapping[str, Rail]] = MappingProxyType(
    {
        Payment.Rail.SANDBOX.value: Sandbox(),
        Payment.Rail.MANUAL.value: Manual(),
        Payment.Rail.BANK_FILE.value: BankFile(),
    }
)


def goes_on_by_itself() -> Q:
    """Of payments: those that a worker takes on. What waits for somebody is looked at by nobody else."""
    return Q(*(Q(rail=name, state__in=rail.by_itself) for name, rail in RAILS.items()), _connector=Q.OR)


def rail_of(asset: Asset) -> str:
    """The rail that new payments of this asset take. No bank keeps what is no currency: an operator moves that."""
    rail = str(settings.PAYMENT_RAILS.get(asset.code, settings.PAYMENT_RAIL))
    is_a_banks = asset.type == Asset.Type.FIAT or rail != Payment.Rail.BANK_FILE
    return rail if is_a_banks else Payment.Rail.MANUAL.value
