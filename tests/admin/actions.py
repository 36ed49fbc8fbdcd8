"""What people do in the admin in tests: each in a browser of their own, through the actions' dialogs."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from accounts.admin.noting import ONCE
from accounts.ids import uuid7
from accounts.models import User


def logged_in(email: str, *permissions: str) -> Client:
    """A browser of a new member of staff: an Administrator, or somebody with just these of Django's permissions."""
    user = User.objects.create_user(email, "a long enough word", is_staff=True, is_superuser=not permissions)
    for name in permissions:
        app, codename = name.split(".")
        user.user_permissions.add(Permission.objects.get(content_type__app_label=app, codename=codename))
    client = Client()
    client.force_login(user)
    return client


def staff(email: str, *roles: str) -> User:
    """A new member of staff with these roles."""
    user = User.objects.create_user(email, "a long enough word", is_staff=True)
    user.groups.set(Group.objects.filter(name__in=roles))
    return user


def browser_with(*roles: str) -> Client:
    """A browser of a new member of staff with these roles."""
    client = Client()
    client.force_login(staff(f"{uuid4().hex[:8]}@firm.example", *roles))
    return client


def browser_of(user: User) -> Client:
    """A browser of somebody who is there, as a superuser from now on."""
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def act(client: Client, action: str, *args: object, **answers: Any) -> Any:
    """Open an action's dialog (app_model_action) and answer it; the page that follows."""
    url = reverse(f"admin:{action}", args=args)
    opened = client.get(url)
    assert opened.status_code == 200, opened.status_code
    assert b"<form" in opened.content
    return client.post(url, {**hidden(opened), **answers}, follow=True)


def act_twice(client: Client, action: str, *args: object, **answers: Any) -> Any:
    """The same of a dialog that asks about an amount first: tick its box, and send it again."""
    asked = act(client, action, *args, **answers)
    found = re.search(r'<input type="checkbox" name="confirmed" value="(\w+)">', asked.content.decode())
    assert found, "nothing was asked"
    url = reverse(f"admin:{action}", args=args)
    return client.post(url, {**hidden(asked), **answers, "confirmed": found[1]}, follow=True)


def hidden(opened: Any) -> dict[str, str]:
    """What an opened dialog sends along unseen: its one-time key among it."""
    inputs = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', opened.content.decode())
    return {name: value for name, value in inputs if name != "csrfmiddlewaretoken"}


def sent(**answers: Any) -> dict[str, Any]:
    """An answer to a dialog that nobody opened, with a one-time key as if somebody had."""
    return {"_form_submitted": "True", ONCE: uuid7(), **answers}


def edited(client: Client, url: str, form: dict[str, Any], **how: Any) -> Any:
    """Send a page's form, with the version that the page has now."""
    return client.post(url, {**hidden(client.get(url)), **form}, **how)


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def shown(answer: Any) -> str:
    """A page's words, without its tags."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def page(name: str, pk: object) -> str:
    return reverse(f"admin:{name}_change", args=[pk])


def offers(client: Client, name: str, pk: object) -> set[str]:
    """The actions whose buttons a row's page shows."""
    text = client.get(page(name, pk)).content.decode()
    return set(re.findall(rf"/{pk}/([a-z_]+)/?\"", text)) - {"history", "change", "delete"}
