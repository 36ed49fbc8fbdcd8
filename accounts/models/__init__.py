from accounts.models.answered import AnsweredRequest
from accounts.models.audit import LedgerAudit
from accounts.models.backup import Backup
from accounts.models.bank_account import ExternalBankAccount
from accounts.models.details import CustomerDetails, IdentificationNumber
from accounts.models.event import Event, EventHorizon, EventShift
from accounts.models.firm_clock import ClockMove
from accounts.models.funding import Funding
from accounts.models.identity import ApiClient, Customer, EndedSession, KnownAddress, User
from accounts.models.journal import JournalEntry
from accounts.models.ledger import Asset, LedgerAccount, Transfer
from accounts.models.reconciliation import Break, ReconciliationLine, ReconciliationRun
from accounts.models.seal import SealBlock
from accounts.models.version import RowVersion
from accounts.models.webhook import WebhookAttempt, WebhookDelivery, WebhookSubscription

__all__ = [
    "AnsweredRequest",
    "ApiClient",
    "Asset",
    "Backup",
    "Break",
    "ClockMove",
    "Customer",
    "CustomerDetails",
    "EndedSession",
    "Event",
    "EventHorizon",
    "EventShift",
    "ExternalBankAccount",
    "Funding",
    "IdentificationNumber",
    "JournalEntry",
    "KnownAddress",
    "LedgerAccount",
    "LedgerAudit",
    "ReconciliationLine",
    "ReconciliationRun",
    "RowVersion",
    "SealBlock",
    "Transfer",
    "User",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookSubscription",
]
