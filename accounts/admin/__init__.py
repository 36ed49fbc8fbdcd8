from accounts.admin import answered, bank_accounts, clients, identity, ledger, reconciliation, seals, versions, webhooks

__all__ = [
    "answered",
    "bank_accounts",
    "clients",
    "identity",
    "ledger",
    "reconciliation",
    "seals",
    "versions",
    "webhooks",
]
