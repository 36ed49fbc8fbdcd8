"""`manage.py deposit CUSTOMER ASSET AMOUNT`: money arrived."""

from __future__ import annotations

from accounts import services
from accounts.management.funding import FundingCommand


class Command(FundingCommand):
    help = "Credit a customer's available balance with money that came in."
    move = staticmethod(services.deposit)
