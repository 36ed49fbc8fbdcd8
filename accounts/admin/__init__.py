from accounts.admin import clients, identity, ledger

__all__ = ["clients", "identity", "ledger"]
