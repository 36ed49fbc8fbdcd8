"""ETag and 304 for one object: who polls it is told in a few bytes that nothing has changed."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView


class Conditional(APIView):
    """A viewset whose `retrieve` has an ETag, and is 304 where `If-None-Match` names it (RFC 9110, 13.1.2)."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        finished = super().finalize_response(request, response, *args, **kwargs)
        if getattr(self, "action", None) == "retrieve" and response.status_code == 200:
            finished.add_post_render_callback(partial(_or_unchanged, request._request))
        return finished


def _or_unchanged(request: HttpRequest, response: Response) -> HttpResponseBase | None:
    """The tag is of the answer's bytes; `W/` before it, as a proxy that compresses writes, is no difference."""
    etag = f'"{hashlib.sha256(response.content).hexdigest()[:32]}"'
    response["ETag"] = etag
    return get_conditional_response(request, etag=etag, response=response)
