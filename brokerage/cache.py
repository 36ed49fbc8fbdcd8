"""How values of the cache are written into Redis: as JSON, which says something and does nothing."""

from __future__ import annotations

from typing import Any

from django_redis.serializers.json import JSONSerializer


class Json(JSONSerializer):
    """What somebody else put there and isn't JSON (a pickle, which would be a program) counts as missing."""

    def loads(self, value: bytes) -> Any:
        try:
            return super().loads(value)
        except ValueError:
            return None
