"""A rail for an asset that there isn't: a slip of the pen by which another asset goes on taking the rail of all."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks

from accounts.models import Asset


def rails_of_unknown_assets(app_configs: Any = None, databases: Any = None, **_: Any) -> list[checks.CheckMessage]:
    """`manage.py check --deploy --database default`: does PAYMENT_RAILS name assets alone that there are?"""
    if not databases or not settings.PAYMENT_RAILS:
        return []
    there = set(Asset.objects.filter(pk__in=settings.PAYMENT_RAILS).values_list("pk", flat=True))
    return [
        checks.Warning(
            f"PAYMENT_RAILS names {code!r}, which is no asset.",
            hint="Name assets by their codes: EUR=bank_file.",
            id="brokerage.W003",
        )
        for code in sorted(settings.PAYMENT_RAILS.keys() - there)
    ]
