from accounts.admin import clients, identity, ledger, seals

__all__ = ["clients", "identity", "ledger", "seals"]
