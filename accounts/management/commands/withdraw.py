"""`manage.py withdraw CUSTOMER ASSET AMOUNT`: money leaves."""

from __future__ import annotations

from accounts import services
from accounts.management.funding import FundingCommand


class Command(FundingCommand):
    help = "Pay money out of a customer's available balance."
    move = staticmethod(services.withdraw)
