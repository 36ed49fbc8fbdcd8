"""What every answer of the API has, whoever gave it: security headers, `Cache-Control`, numbers as texts, gzip.

One middleware for all of it: each costs a close some microseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.security import SecurityMiddleware

from brokerage.http import gzip, headers, number_texts, private
from brokerage.http.paths import is_api


class ApiAnswersMiddleware(SecurityMiddleware):
    """Outside of everything that answers, so that errors and the engine's stored bytes are no exceptions."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        super().__init__(get_response)
        said = self.process_response(HttpRequest(), HttpResponse())
        del said.headers["Content-Type"]
        self._always = headers.ready(**{name.replace("-", "_"): value for name, value in said.items()})

    def __call__(self, request: HttpRequest) -> Any:
        response: Any = self.get_response(request)
        if is_api(request):
            headers.put_default(response, self._always)
            if self.sts_seconds:  # what depends on the request
                self.process_response(request, response)
            private.keep_unstored(request, response)
            number_texts.write(request, response)
            gzip.compress(request, response)
        return response
