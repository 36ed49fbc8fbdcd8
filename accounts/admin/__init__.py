from accounts.admin import clients, identity, ledger, reconciliation, seals, versions

__all__ = ["clients", "identity", "ledger", "reconciliation", "seals", "versions"]
