"""Whether a request names a host of ours."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest


def check(request: HttpRequest) -> None:
    """Raises DisallowedHost. Django's own look at it, once a host."""
    host = request.META.get("HTTP_HOST")
    if host is None:
        request.get_host()
    else:
        _check(host, tuple(settings.ALLOWED_HOSTS))


@lru_cache(maxsize=128)
def _check(host: str, _: tuple[str, ...]) -> None:
    asked = HttpRequest()
    asked.META["HTTP_HOST"] = host
    asked.get_host()
