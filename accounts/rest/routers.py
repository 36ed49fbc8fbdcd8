"""The router of every API path: with a slash at the end and without, for a redirect would turn a POST into a GET."""

from __future__ import annotations

from rest_framework.routers import SimpleRouter

A_GUID_IN_A_PATH = "[^/]{1,64}"
"""What may stand where a guid does; what can't be one names nothing, and is 404."""


class BothSlashes(SimpleRouter):
    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"
