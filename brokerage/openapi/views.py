"""The document as it is committed, for whoever asks: as YAML, or as JSON where `Accept` wants that."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from typing import Any, Final

import yaml
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from accounts import json_codec

AS_YAML: Final = ("application/yaml", "application/vnd.oai.openapi")
AS_JSON: Final = ("application/json", "application/vnd.oai.openapi+json")


class _Exact(yaml.CSafeLoader):
    """Fractions as Decimal: an example's 125.50 is no 125.5."""


_Exact.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(node.value))


class _Printed(_Exact):
    """Whole numbers as Decimal, too: an amount's greatest exceeds 64 bits."""


_Printed.add_constructor("tag:yaml.org,2002:int", lambda loader, node: Decimal(node.value))


@require_safe
@vary_on_headers("Accept")
def schema(request: HttpRequest) -> HttpResponse:
    """The API's document. It is read once: to make it of the viewsets takes seconds."""
    wanted = request.get_preferred_type([*AS_YAML, *AS_JSON]) or AS_YAML[0]
    return HttpResponse(_as_json() if wanted in AS_JSON else _as_yaml(), content_type=wanted)


@cache
def _as_yaml() -> bytes:
    return (settings.BASE_DIR / "openapi.yaml").read_bytes()


@cache
def _as_json() -> bytes:
    return json_codec.dumps(yaml.load(_as_yaml(), _Printed))  # noqa: S506 - it is a safe loader


def loads(text: bytes) -> Any:
    """A document's YAML, with exact numbers."""
    return yaml.load(text, _Exact)  # noqa: S506 - it is a safe loader
