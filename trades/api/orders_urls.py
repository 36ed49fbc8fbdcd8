from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from trades.api import account, orders

orders_urlpatterns = [
    re_path(r"^api/v1/trade/create/?$", orders.create),
    re_path(r"^api/v1/trade/close/?$", orders.close),
    re_path(r"^api/v1/trade/close-all/?$", orders.close_all),
    re_path(r"^api/v1/trade/(?:orders|open)/?$", orders.LiveOrders.as_view()),
    re_path(r"^api/v1/trade/orders/(?P<order_id>[^/]{1,64})/?$", orders.order),
    re_path(r"^api/v1/balance/?$", account.Balance.as_view()),
    re_path(r"^api/v1/account/?$", account.AccountFigures.as_view()),
    re_path(r"^api/v1/statement/?$", account.AccountStatement.as_view()),
]

HOT: Final[dict[str, Callable[[HttpRequest], HttpResponse]]] = {
    f"/api/v1/trade/{name}{slash}": view
    for name, view in (("create", orders.post_create), ("close", orders.post_close))
    for slash in ("", "/")
}
"""What a POST asks the engine for, more than a thousand times a second."""
