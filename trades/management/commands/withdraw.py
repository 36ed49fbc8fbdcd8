"""`manage.py withdraw CUSTOMER ASSET AMOUNT`: money leaves."""

from __future__ import annotations

from accounts.management.funding import FundingCommand
from trades import funding


class Command(FundingCommand):
    help = "Pay money out of what a customer can spend."
    move = staticmethod(funding.withdraw)
