from django.urls import re_path

from trades.api import orders

orders_urlpatterns = [
    re_path(r"^api/v1/trade/create/?$", orders.create),
    re_path(r"^api/v1/trade/close/?$", orders.close),
    re_path(r"^api/v1/trade/(?:orders|open)/?$", orders.LiveOrders.as_view()),
    re_path(r"^api/v1/trade/orders/(?P<order_id>[^/]{1,64})/?$", orders.OneOrder.as_view()),
    re_path(r"^api/v1/balance/?$", orders.Balance.as_view()),
    re_path(r"^api/v1/account/?$", orders.AccountFigures.as_view()),
]
