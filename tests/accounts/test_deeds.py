"""The list of deeds and the database say the same, and whoever lacks a deed is refused at the command line as well."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import IntegrityError, transaction

from accounts import deeds
from accounts.errors import LastAdministrator, NotOnesOwn
from accounts.models import User
from accounts.services import switch_login
from brokerage.stack.where import CHECKOUT
from tests.admin.actions import staff


def how_it_ends(*words: str) -> str:
    """What a command says where it is refused; nothing where it isn't."""
    try:
        call_command(*words)
    except CommandError as refusal:
        return str(refusal)
    return ""


pytestmark = pytest.mark.django_db


def test_the_database_has_the_deeds_and_roles_of_the_list():
    permissions = Permission.objects.filter(content_type__app_label="accounts", content_type__model="deed")

    assert dict(permissions.values_list("codename", "name")) == {deed.name: deed.sentence for deed in deeds.ALL}
    assert set(Group.objects.values_list("name", flat=True)) == set(deeds.ROLES) == set(deeds.READS)
    for role in deeds.ROLES:
        has = Permission.objects.filter(group__name=role).values_list("content_type__app_label", "codename")
        does = {("accounts", deed.name) for deed in deeds.ALL if role in deed.roles}
        reads = {tuple(deeds.reading(model).split(".")) for model in deeds.READS[role]}
        assert set(has) == does | reads, role


def test_the_operators_page_has_the_same_table():
    page = (CHECKOUT / "docs/operations.md").read_text()
    for deed in deeds.ALL:
        assert f"| `{deed.name}` | {deed.sentence} | {', '.join(deed.roles) or '–'} |" in page, deed.name


def test_no_role_makes_and_checks():
    for maker, checker in (
        ("cut_batch", "confirm_batch"),
        ("import_statement", "release_statement"),
        ("propose_standing_instruction", "decide_standing_instruction"),
        ("change_instrument", "apply_instrument_change"),
        ("propose_erasure", "decide_erasure"),
    ):
        assert not set(deeds.BY_NAME[maker].roles) & set(deeds.BY_NAME[checker].roles), maker


@pytest.mark.parametrize(
    ("words", "role", "others"),
    [
        (("cut_batch",), deeds.MAKER, deeds.CHECKER),
        (("batch", "confirm", "0" * 32), deeds.CHECKER, deeds.MAKER),
        (("correct", "apply", "0" * 32), deeds.RISK, deeds.DEALER),
        (("correct", "reject", "0" * 32), deeds.RISK, deeds.DEALER),
        (("market", "BTC-USD", "halt", "--reason", "x"), deeds.DEALER, deeds.SUPPORT),
    ],
)
def test_a_command_asks_the_roles_of_whom_it_names(words, role, others):
    """Guard: `who.must`."""
    staff("has@firm.example", role)
    staff("hasnt@firm.example", others)

    with pytest.raises(CommandError, match="Who has it:") as refused:
        call_command(*words, "--by", "hasnt@firm.example")
    assert refused.value.returncode == 3
    assert "Who has it" not in how_it_ends(*words, "--by", "has@firm.example")


def test_the_last_administrator_stays_whoever_writes_the_row():
    """Guard: the triggers last_administrator_stays and last_administrator_not_deleted."""
    only = User.objects.create_superuser("only@firm.example", "a long enough word")
    staff("support@firm.example", deeds.SUPPORT)
    mine = User.objects.filter(pk=only.pk)

    for change in ({"is_active": False}, {"is_staff": False}, {"is_superuser": False}):
        with pytest.raises(IntegrityError, match="last administrator"), transaction.atomic():
            mine.update(**change)
    with pytest.raises(IntegrityError, match="last administrator"), transaction.atomic():
        mine.delete()

    User.objects.create_superuser("other@firm.example", "a long enough word")
    mine.update(is_superuser=False)


def test_a_login_is_switched_by_somebody_else_and_never_the_last_administrators():
    ann = User.objects.create_superuser("ann@firm.example", "a long enough word")
    support = staff("support@firm.example", deeds.SUPPORT)

    with pytest.raises(NotOnesOwn):
        switch_login(support.pk, on=False, by=support.pk)
    with pytest.raises(LastAdministrator):
        switch_login(ann.pk, on=False, by=support.pk)

    switch_login(support.pk, on=False, by=ann.pk)
    support.refresh_from_db()
    assert (support.is_active, support.generation) == (False, 1)
