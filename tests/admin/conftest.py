from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.com", "a long enough word")


@pytest.fixture
def desk(operator: User) -> Client:
    """A browser in which the operator is logged in."""
    client = Client()
    client.force_login(operator)
    return client
