"""The hot path: an order's POST goes to its view past what only people with a browser need."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from brokerage.http import arrival
from trades.api.orders_urls import HOT


class HotPathMiddleware:
    """Stands behind the security headers and before static files, sessions, CSRF, messages and the URL patterns.

    A bearer token is sent by a program, never by a browser on its own, so none of those has anything to say; they
    were half of what a close cost the web process. The paths stand in the URL patterns, too: without this class
    everything answers the same, more slowly.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        view = HOT.get(request.path_info) if request.method == "POST" else None
        if view is None:
            return self.get_response(request)
        request.get_host()  # this and the length: what CommonMiddleware does for the others
        response = _answered(view, request)
        response.headers["Content-Length"] = str(len(response.content))
        return response


def _answered(view: Callable[[HttpRequest], HttpResponse], request: HttpRequest) -> HttpResponse:
    try:
        return view(request)
    except Exception as error:
        answer = arrival.answer_to(request, error)
        if answer is None:
            raise
        return answer
