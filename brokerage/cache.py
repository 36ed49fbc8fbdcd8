"""How values of the cache are written into Redis: as JSON, which says something and does nothing."""

from __future__ import annotations

from typing import Any

from django_redis.serializers.json import JSONSerializer


class Json:
    """What somebody else put there and isn't JSON (a pickle, which would be a program) counts as missing."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._json = JSONSerializer(options)

    def dumps(self, value: Any) -> bytes:
        written: bytes = self._json.dumps(value)
        return written

    def loads(self, value: bytes) -> Any:
        try:
            return self._json.loads(value)
        except ValueError:
            return None
