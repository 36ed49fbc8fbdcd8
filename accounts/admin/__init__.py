from accounts.admin import clients, identity, ledger, reconciliation, seals

__all__ = ["clients", "identity", "ledger", "reconciliation", "seals"]
