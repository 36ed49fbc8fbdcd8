"""`manage.py deposit CUSTOMER ASSET AMOUNT`: money arrived."""

from __future__ import annotations

from accounts import services
from trades.management.funding import FundingCommand
from trades.models import Correction


class Command(FundingCommand):
    help = "Credit a customer's available balance with money that came in."
    move = staticmethod(services.deposit)
    kind = Correction.Kind.DEPOSIT
