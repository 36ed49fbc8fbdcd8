"""What a request's bytes may be, seen to before anything reads them.

Text is UTF-8 whatever the header calls it (`brokerage.http.handler`), a body is whole and plain, and nothing holds a
NUL, which PostgreSQL's text can't. With HTTPS=1 a call of the API that came without TLS is refused: a redirect would
have it sent twice.
"""

from __future__ import annotations

import io
from typing import Final

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest

from brokerage.errors import Told, of_status

NOT_SECURE: Final = Told(403, "This is served through HTTPS only.", "https_required")
TOO_LARGE: Final = of_status(413)
UPLOADS = "/admin/"  # where an operator may send more than DATA_UPLOAD_MAX_MEMORY_SIZE: a bank's statement
NUL: Final = Told(400, "The address holds a NUL character.")
ENCODED: Final = Told(415, "A body is taken as it is: Content-Encoding isn't supported.")


def take(request: HttpRequest) -> None:
    """Make the request what its bytes are.

    Raises:
        RequestDataTooBig: a body in chunks goes beyond DATA_UPLOAD_MAX_MEMORY_SIZE.
    """
    if settings.PROXIES:
        _name_the_client(request)
    if "HTTP_TRANSFER_ENCODING" in request.META:
        _join_chunks(request)


def refusal(request: HttpRequest, *, api: bool) -> Told | None:
    """Why it goes no further, if it doesn't. `api`: a program sent it."""
    if api and settings.HTTPS and not request.is_secure():
        return NOT_SECURE
    if api and ("\0" in request.path_info or "%00" in request.META.get("QUERY_STRING", "")):
        return NUL
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"", "identity"}:
        return ENCODED
    if is_large(request) and not request.path_info.startswith(UPLOADS):
        return TOO_LARGE
    return None


def is_large(request: HttpRequest) -> bool:
    """Whether the body may come slowly: HAProxy holds no more than this until it is whole."""
    said = request.META.get("CONTENT_LENGTH") or "0"
    return not said.isdecimal() or int(said) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE


def _name_the_client(request: HttpRequest) -> None:
    """REMOTE_ADDR is the address that the outermost of our proxies saw; what stands before it, the client wrote."""
    seen = [address.strip() for address in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    request.META["REMOTE_ADDR"] = seen[-settings.PROXIES :][0]


def _join_chunks(request: HttpRequest) -> None:
    """A body without a length, which Django takes for none."""
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body = request.META["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise RequestDataTooBig
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)
