"""Actions that are given Django's own request, because they are asked for more than a thousand times a second.

REST framework wraps the request, negotiates, authenticates by a query and checks a permission: some 100 us, where the
whole close costs the web process 500. A direct action does its own reading of the token and the body; what it raises
is answered by `brokerage.http.arrival`, in the same words. Its route, name and schema are the router's like every
other action's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase


class DirectActions:
    """Of a viewset: `direct` names its actions that take an HttpRequest and return an HttpResponse."""

    direct: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def as_view(cls, actions: Any = None, **initkwargs: Any) -> Any:
        """REST framework's view; a direct action is called on one instance for all, of which it keeps nothing."""
        usual: Callable[..., HttpResponseBase] = super().as_view(actions, **initkwargs)  # type: ignore[misc]
        one = cls(**initkwargs)
        direct = {method.upper(): getattr(one, name) for method, name in actions.items() if name in cls.direct}

        @wraps(usual)
        def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            answer: HttpResponseBase = direct.get(request.method or "", usual)(request, *args, **kwargs)
            return answer

        return view
