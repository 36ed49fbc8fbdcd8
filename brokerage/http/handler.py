"""The WSGI application: Django's, without what it does at every request and finds nothing to do here.

Each such thing costs a close some microseconds of the web process (benchmarks/README.md).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, get_resolver
from django.utils.http import parse_header_parameters

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

KNOWN_PATHS: Final = 128


class Utf8Request(WSGIRequest):
    """A request whose text is UTF-8: Django would look up whatever `charset` says, which may be no encoding of text."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))
        self.content_params.pop("charset", None)


class Handler(WSGIHandler):
    request_class = Utf8Request

    def __init__(self) -> None:
        super().__init__()
        self._resolve = lru_cache(KNOWN_PATHS)(get_resolver().resolve)
        _leave_out()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        """An answer that is whole is handed over as a list: Granian sends that at once, and anything else in turns."""
        response = super().__call__(environ, start_response)
        if not isinstance(response, HttpResponse):
            return response
        response.close()
        return [response.content]

    def resolve_request(self, request: HttpRequest) -> ResolverMatch:
        """Where the path leads: where it led before, if that was lately. Django goes through its patterns each time."""
        request.resolver_match = self._resolve(request.path_info)
        return request.resolver_match


def _leave_out() -> None:
    """Take away receivers of Django's: for a log of queries that is kept with DEBUG alone, caches whose connections
    stay, a URLconf that each request sets anew, and connections that were given back when the request before ended."""
    if not settings.DEBUG:
        request_started.disconnect(reset_queries)
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_caches)
    request_finished.disconnect(reset_urlconf)
