"""A line of the log: for a person, or one JSON object. Both without secrets, and with the name of the request.

Everything logs by Python's own `logging`; structlog makes the line of the record (decision 0102). What a call gives as
`extra`, if it is one of FIELDS, is a field of the object, and `name=value` behind a readable line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter
from structlog.typing import EventDict

from accounts import request_id
from brokerage.stack.masking import masked

FORMATS: Final = ("readable", "json")
# Libraries give whole requests, statements with their values, and tasks with their arguments.
FIELDS: Final = ("route", "method", "status", "seconds", "command", "request", "customer", "order")
_FIRST: Final = ("time", "level", "logger", "message", "request")


def formatter(how: str) -> ProcessorFormatter:
    """What `LOGGING` calls; `how` is one of FORMATS."""
    return ProcessorFormatter(
        foreign_pre_chain=[ExtraAdder(FIELDS), _described, format_exc_info],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            _masked,
            _readable if how == "readable" else JSONRenderer(_dumped),
        ],
    )


def _described(_: Any, __: str, told: EventDict) -> EventDict:
    """When and by whom it was written, and for which request."""
    record = told["_record"]
    told["time"] = datetime.fromtimestamp(record.created, UTC)
    told["level"], told["logger"], told["message"] = record.levelname.lower(), record.name, told.pop("event")
    given = told.pop("request", None)
    if name := given if isinstance(given, str) else request_id.current():
        told["request"] = name
    return told


def _masked(_: Any, __: str, told: EventDict) -> EventDict:
    return {name: masked(its) if isinstance(its, str) else its for name, its in told.items()}


def _readable(_: Any, __: str, told: EventDict) -> str:
    name = f" [{told['request']}]" if "request" in told else ""
    line = f"{told['level'].upper():<7} {told['logger']}:{name} {told['message']}"
    further = {key: its for key, its in told.items() if key not in (*_FIRST, "exception", "stack")}
    line += "".join(f" {key}={its}" for key, its in further.items())
    return "\n".join([line, *(str(told[part]) for part in ("exception", "stack") if part in told)])


def _dumped(told: EventDict, **_: Any) -> str:
    told["time"] = told["time"].isoformat(timespec="milliseconds").replace("+00:00", "Z")
    in_order = {name: told.pop(name) for name in _FIRST if name in told} | dict(told)
    plain = {name: _encodable(its) if isinstance(its, str) else its for name, its in in_order.items()}
    return orjson.dumps(plain, default=_encodable, option=orjson.OPT_NON_STR_KEYS).decode()


def _encodable(its: object) -> str:
    """A half of a surrogate pair, which UTF-8 hasn't, as its number: else the line would be lost."""
    return str(its).encode(errors="backslashreplace").decode()
