"""A call to an outside watch after each good audit and seal, so that silence alarms: also that of the whole system."""

from __future__ import annotations

import logging
from typing import Final

import httpx
from django.conf import settings

log = logging.getLogger(__name__)

SECONDS: Final = 5.0


def tell_that_it_is_well(what: str) -> None:
    """GET the address of this job: `ALERT_URL` with `audit` or `seal` for its `{}`. Outside of every transaction.

    A watch that doesn't answer costs a line of the log, for the job itself was done.
    """
    if not settings.ALERT_URL:
        return
    try:
        answer = httpx.get(settings.ALERT_URL.replace("{}", what), timeout=SECONDS)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as failure:
        log.warning("ALERT_URL wasn't told of the %s: %s", what, type(failure).__name__)
