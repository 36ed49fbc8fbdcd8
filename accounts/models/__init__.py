from accounts.models.audit import LedgerAudit
from accounts.models.identity import ApiClient, Customer, User
from accounts.models.ledger import Asset, LedgerAccount, Transfer

__all__ = ["ApiClient", "Asset", "Customer", "LedgerAccount", "LedgerAudit", "Transfer", "User"]
