from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from tests.admin.deeds import sits_down


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.com", "a long enough word")


@pytest.fixture
def desk(operator: User) -> Client:
    """A browser in which the operator is logged in."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def maker(db: None) -> Client:
    return sits_down("maker@firm.example")


@pytest.fixture
def checker(db: None) -> Client:
    return sits_down("checker@firm.example")
