"""`manage.py deposit CUSTOMER ASSET AMOUNT`: money arrived."""

from __future__ import annotations

from trades.management.funding import FundingCommand
from trades.models import Payment


class Command(FundingCommand):
    help = "Credit a customer's available balance with money that came in."
    side = Payment.Side.DEPOSIT
