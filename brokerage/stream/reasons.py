"""Why a connection is refused or closed, beside what the API's own refusals say. `message_code` is the reason."""

from __future__ import annotations

from typing import Final

from accounts.errors import InvalidToken
from brokerage.errors import BUG, Told, of_status, told

# WebSocket close codes of RFC 6455.
RESTARTS, NO_TEXT, POLICY, LATER = 1012, 1003, 1008, 1013

BAD_TOKEN: Final = told(InvalidToken()) or BUG
SLOW: Final = Told(408, "What was sent was not read in time; connect again from the last event.", "slow_reader")
TOO_LATE: Final = Told(408, "The request, or the token, did not come in time.", "request_timeout")
FULL: Final = Told(503, "This process has as many connections as it takes; try again.")
STOPS: Final = Told(503, "This process stops; connect again from the last event.")
TOO_MANY: Final = Told(429, "This caller has as many connections as it may have.")
TOO_OFTEN: Final = Told(429, "This caller connects too often.", wait=60)
TOO_FAST: Final = Told(429, "Messages come too fast.")
SCOPES: Final = Told(403, "The token's scopes have changed; connect again.")
NOT_ALLOWED: Final = Told(403, "This origin may not connect.")
NOTHING: Final = Told(403, "The token's scopes show nothing of what was asked for.")
NOT_HTTP: Final = Told(400, "The request can't be read.")
NO_BODY: Final = Told(400, "Nothing is sent before the answer, and no body.")
LONG_LINE: Final = of_status(414)
LARGE_HEAD: Final = Told(431, "The request's head is too large.", "header_fields_too_large")
NO_METHOD: Final = of_status(405)
NOT_FOUND: Final = of_status(404)
NO_UPGRADE: Final = Told(426, "This path speaks WebSocket, version 13.", "upgrade_required")
NOT_TEXT: Final = Told(400, "Messages are text.")
UNKNOWN_MESSAGE: Final = Told(400, "A message is a JSON object with the type authenticate, once, or subscribe.")
