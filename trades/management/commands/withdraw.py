"""`manage.py withdraw CUSTOMER ASSET AMOUNT`: money leaves."""

from __future__ import annotations

from trades.management.funding import FundingCommand
from trades.models import Payment


class Command(FundingCommand):
    help = "Pay money out of what a customer can spend."
    side = Payment.Side.WITHDRAWAL
