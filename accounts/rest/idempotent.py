"""`Idempotency-Key` on a change: the same key and request by the same caller bring the same answer again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import json_codec
from accounts.errors import Malformed, Refusal
from accounts.identity import Caller
from accounts.services.idempotency import Given, Keyed, check_key, once

REPLAYED = "Idempotent-Replayed"
MAY_BE_KEYED: Final = frozenset({"POST", "PATCH"})
_REFUSALS = (Refusal, APIException, Http404, PermissionDenied)

Handler = Callable[..., Response]


class Idempotent(APIView):
    """Every viewset that is asked for something by POST or PATCH is one of these, through `Resource`.

    `keeps_answers = False`: what it hands out are tokens, which are kept nowhere; or it has no caller.

    The handler runs inside the transaction that keeps its answer, and again where the database gave it up. So
    whatever it does must be undone with its transaction; what comes after the commit goes through `on_commit`.
    Who calls, and whether they may, is asked anew each time, also before an answer is brought back.
    """

    keeps_answers: ClassVar[bool] = True

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        key = request.META.get("HTTP_IDEMPOTENCY_KEY")
        name = str(request.method).lower()
        if self.keeps_answers and key is not None and request.method in MAY_BE_KEYED and hasattr(self, name):
            check_key(key)
            self.__dict__[name] = partial(self._once, key, getattr(self, name))  # which `dispatch` calls next

    def _once(self, key: str, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        done: list[Response] = []

        def work() -> Given:
            response = self._answered(handler, request, *args, **kwargs)
            done[:] = [response]
            body = b"" if response.data is None else json_codec.dumps(response.data)
            return Given(response.status_code, body.decode())

        caller: Any = request.user
        assert isinstance(caller, Caller)  # a public view has nobody to keep an answer for
        path = request.path.rstrip("/")
        kept = once(Keyed(caller, key, path, _sha256(request, path)), work)
        if kept is None:
            return done[0]
        return HttpResponse(kept.body, status=kept.status, content_type="application/json", headers={REPLAYED: "true"})

    def _answered(self, handler: Handler, request: Request, *args: Any, **kwargs: Any) -> Response:
        """A refusal is an answer like any other, once what was done before it is undone."""
        try:
            with transaction.atomic():
                return handler(request, *args, **kwargs)
        except _REFUSALS as refusal:
            return self.handle_exception(refusal)


def _sha256(request: Request, path: str) -> str:
    """What makes two requests the same: what their bodies mean, not how they are spelled, nor a slash at a path's end.

    Raises Malformed for a body of more levels than anybody means.
    """
    query = request.META.get("QUERY_STRING", "")
    try:
        return hashlib.sha256(repr((request.method, path, query, _meant(request.data))).encode()).hexdigest()
    except RecursionError:
        raise Malformed("The body has too many levels.") from None


def _meant(value: Any) -> Any:
    """A value of JSON with the names of its objects in order; numbers stay as they were written: 1 isn't 1.0."""
    if isinstance(value, dict):
        return {name: _meant(value[name]) for name in sorted(value)}
    return [_meant(item) for item in value] if isinstance(value, list) else value
