from accounts.services.clients import authenticate_client, create_api_client, granted
from accounts.services.customers import NewCustomer, authenticate, create_customer, open_account, open_customers
from accounts.services.funding import base_units, deposit, withdraw

__all__ = [
    "NewCustomer",
    "authenticate",
    "authenticate_client",
    "base_units",
    "create_api_client",
    "create_customer",
    "deposit",
    "granted",
    "open_account",
    "open_customers",
    "withdraw",
]
