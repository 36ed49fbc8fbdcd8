"""What a person typed into a page's address, or a link that was cut: it asks for nothing, and fails nothing."""

from __future__ import annotations

import logging

from django.contrib import messages
from django.db import DataError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.deprecation import MiddlewareMixin

log = logging.getLogger(__name__)

# A zero byte, a year beyond all calendars, a number that no column holds: Django's filters hand them to the database.
IMPOSSIBLE = (DataError, OverflowError, ValueError)


class OddAddressMiddleware(MiddlewareMixin):
    """Leads to the same page without the parameters that it failed by, and says so.

    Only where a page is read, and once: a page that fails without them fails by a fault of ours. The log keeps either.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if request.method == "POST" or not request.GET or not isinstance(exception, IMPOSSIBLE):
            return None
        log.warning("%s can't be shown with the parameters that it was asked with", request.path, exc_info=exception)
        messages.warning(request, "The address asked for something that can't be; this is the page without it.")
        return HttpResponseRedirect(request.path)
