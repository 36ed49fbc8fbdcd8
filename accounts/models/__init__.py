from accounts.models.audit import LedgerAudit
from accounts.models.funding import Funding
from accounts.models.identity import ApiClient, Customer, User
from accounts.models.ledger import Asset, LedgerAccount, Transfer
from accounts.models.reconciliation import Break, ReconciliationLine, ReconciliationRun
from accounts.models.seal import SealBlock
from accounts.models.version import RowVersion

__all__ = [
    "ApiClient",
    "Asset",
    "Break",
    "Customer",
    "Funding",
    "LedgerAccount",
    "LedgerAudit",
    "ReconciliationLine",
    "ReconciliationRun",
    "RowVersion",
    "SealBlock",
    "Transfer",
    "User",
]
