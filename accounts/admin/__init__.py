from accounts.admin import (
    answered,
    backups,
    bank_accounts,
    clients,
    identity,
    ledger,
    reconciliation,
    seals,
    versions,
    webhooks,
)

__all__ = [
    "answered",
    "backups",
    "bank_accounts",
    "clients",
    "identity",
    "ledger",
    "reconciliation",
    "seals",
    "versions",
    "webhooks",
]
