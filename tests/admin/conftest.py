from __future__ import annotations

import pytest
from django.test import Client

from accounts.models import User
from tests.admin.actions import logged_in


@pytest.fixture
def operator(db: None) -> User:
    return User.objects.create_superuser("operator@example.com", "a long enough word")


@pytest.fixture
def browser(operator: User) -> Client:
    """A browser in which the operator is logged in."""
    client = Client()
    client.force_login(operator)
    return client


@pytest.fixture
def maker(db: None) -> Client:
    return logged_in("maker@firm.example")


@pytest.fixture
def checker(db: None) -> Client:
    return logged_in("checker@firm.example")
