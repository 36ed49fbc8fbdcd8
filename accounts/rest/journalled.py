"""What an operator's machine is asked to do by API is in the journal: before it does anything, and what came of it.

By the scope that an action asks for: those of operators' machines, not those by which partners and traders trade.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from accounts.identity import SANDBOX, Caller
from accounts.services import journal
from accounts.services.journal import Deed, Outcome, Via

OPERATORS: Final = frozenset({"settlements:execute", "customers:write", "accounts:write", SANDBOX})
_KEPT: Final = "_deed"


def begin(view: Any, request: Any) -> None:
    """The caller is known, and may."""
    if _is_deed(view, request):
        setattr(view, _KEPT, _begun(view, request))


def end(view: Any, request: Any, response: Any) -> None:
    """What was answered; also to a client of the firm's that may not."""
    deed: Deed | None = getattr(view, _KEPT, None)
    refused_at_the_door = deed is None and response.status_code == HTTPStatus.FORBIDDEN
    if refused_at_the_door and _is_deed(view, request):
        deed = _begun(view, request)
    if deed is None:
        return
    setattr(view, _KEPT, None)
    body = getattr(request, "_full_data", None)  # what the view has read, if it has
    if isinstance(body, dict):
        deed.asked, deed.reason = journal.asked_of(body), str(body.get("reason") or "")
    data: Any = getattr(response, "data", None)
    data = data if isinstance(data, dict) else {}
    if response.status_code < HTTPStatus.BAD_REQUEST:
        guid = data.get("guid")
        deed.named.extend([guid] if isinstance(guid, str) else [])
        journal.end(deed, Outcome.DONE, "Answered again." if response.headers.get("Idempotent-Replayed") else "")
        return
    is_fault = response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    said = data.get("error_message") or data.get("error") or response.status_code
    journal.end(deed, Outcome.FAILED if is_fault else Outcome.REFUSED, str(said))


def _is_deed(view: Any, request: Any) -> bool:
    action = getattr(view, "action", None)
    caller = request.user
    return (
        request.method in ("POST", "PATCH", "DELETE")
        and getattr(view, "scopes", {}).get(action) in OPERATORS
        and isinstance(caller, Caller)
        and caller.customer_id is None
    )


def _begun(view: Any, request: Any) -> Deed:
    """By the route's name. The body isn't read yet: what can't be read is the view's to refuse."""
    match = request.resolver_match
    route = (match.url_name if match else None) or type(view).__name__
    return journal.begin(
        f"api {request.method} {route}",
        by=request.user.actor,
        via=Via.API,
        address=str(request.META.get("REMOTE_ADDR", "")),
        objects=[str(guid).replace("-", "") for guid in view.kwargs.values()],
    )
