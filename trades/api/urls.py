from django.urls import re_path

from trades.api import batches, legs, quotes, trades
from trades.api.orders_urls import orders_urlpatterns

_GUID = r"(?P<guid>[^/]{1,64})"
_LEG = r"(?P<leg_guid>[^/]{1,64})"
_BATCHES = r"^api/settlement_batches"

urlpatterns = [
    *orders_urlpatterns,
    re_path(r"^api/quotes/?$", quotes.Quotes.as_view()),
    re_path(rf"^api/quotes/{_GUID}/?$", quotes.OneQuote.as_view()),
    re_path(r"^api/trades/?$", trades.Trades.as_view()),
    re_path(rf"^api/trades/{_GUID}/?$", trades.OneTrade.as_view()),
    re_path(rf"{_BATCHES}/?$", batches.Batches.as_view()),
    re_path(rf"{_BATCHES}/preview/?$", batches.Preview.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/?$", batches.OneBatch.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/legs/?$", legs.LegsOfBatch.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/legs/{_LEG}/settle/?$", legs.Settle.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/legs/{_LEG}/fail/?$", legs.Fail.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/left_out/?$", batches.LeftOutOf.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/trades/?$", batches.Members.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/confirm/?$", batches.Confirm.as_view()),
    re_path(rf"{_BATCHES}/{_GUID}/cancel/?$", batches.Cancel.as_view()),
    re_path(r"^api/settlement_legs/?$", legs.Legs.as_view()),
]
