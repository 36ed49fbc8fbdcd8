"""`manage.py withdraw CUSTOMER ASSET AMOUNT`: money leaves."""

from __future__ import annotations

from trades import funding
from trades.management.funding import FundingCommand
from trades.models import Correction


class Command(FundingCommand):
    help = "Pay money out of what a customer can spend."
    move = staticmethod(funding.withdraw)
    kind = Correction.Kind.WITHDRAWAL
