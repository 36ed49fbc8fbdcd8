from accounts.services.addresses import forget_addresses, note_address
from accounts.services.clients import authenticate_client, create_api_client, granted
from accounts.services.customer_states import change_customer, check, decide_on_customer, sweep
from accounts.services.customers import (
    NewCustomer,
    authenticate,
    change_account,
    create_customer,
    open_account,
    open_customers,
)
from accounts.services.funding import base_units, deposit, withdraw
from accounts.services.invitations import Invitation, accept, invite, open_invited
from accounts.services.personal_data import GivenNumber, PersonalData
from accounts.services.sessions import change_password, end_tokens, log_out_everywhere, login_of
from accounts.services.staff import keeping_an_administrator, switch_login, was_ever_staff

__all__ = [
    "GivenNumber",
    "Invitation",
    "NewCustomer",
    "PersonalData",
    "accept",
    "authenticate",
    "authenticate_client",
    "base_units",
    "change_account",
    "change_customer",
    "change_password",
    "check",
    "create_api_client",
    "create_customer",
    "decide_on_customer",
    "deposit",
    "end_tokens",
    "forget_addresses",
    "granted",
    "invite",
    "keeping_an_administrator",
    "log_out_everywhere",
    "login_of",
    "note_address",
    "open_account",
    "open_customers",
    "open_invited",
    "sweep",
    "switch_login",
    "was_ever_staff",
    "withdraw",
]
