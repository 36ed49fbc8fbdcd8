"""What is known of a customer as a person is erased; rows that books and history refer to stay, and name nobody.

Who may ask for it, and when it is possible, is `trades/erasure.py`'s to say. What can't be erased here: words that
somebody wrote where they don't belong (a reason, a label of a trade), logs, and backups until they expire.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from django.contrib.auth.hashers import make_password
from django.contrib.postgres.functions import RandomUUID

from accounts.models import Customer, CustomerDetails, ExternalBankAccount, KnownAddress, LedgerAccount, User
from accounts.states import BankAccountState, CustomerState

NOBODYS: Final = "erased.invalid"  # RFC 2606: no mail ever gets there


def erase(customer_id: UUID, at: datetime) -> None:
    """Erase a customer's personal data, and their login's, inside the caller's transaction, which holds the customer.

    The salts go as well: what versions say of the names and the address is then nobody's. Whoever has the address may
    sign up anew.
    """
    LedgerAccount.objects.filter(customer_id=customer_id).update(name="", labels=None)
    customer = Customer.objects.filter(pk=customer_id)
    customer.update(name="", labels=None, state=CustomerState.REJECTED, erased_at=at, updated_at=at, salt=uuid4())
    CustomerDetails.objects.filter(customer_id=customer_id).delete()
    ExternalBankAccount.objects.filter(customer_id=customer_id).update(
        **dict.fromkeys(ExternalBankAccount.PERSONAL, ""),
        address=None,
        state=BankAccountState.DELETED,
        updated_at=at,
        erased_at=at,
        salt=RandomUUID(),  # one for each
    )
    user_id = customer.values_list("user_id", flat=True).get()
    if user_id is None:
        return
    KnownAddress.objects.filter(user_id=user_id).delete()
    User.objects.filter(pk=user_id).update(
        email=f"{user_id.hex}@{NOBODYS}", name="", is_active=False, password=make_password(None), salt=uuid4()
    )
