"""Markets and prices. /api/quotes is in trades/api: an exit quote needs to know trades."""

from django.urls import re_path

from quotes.api.markets import markets_urlpatterns
from quotes.api.prices import PricesView, SymbolsView

urlpatterns = [
    *markets_urlpatterns,
    re_path(r"^api/symbols/?$", SymbolsView.as_view()),
    re_path(r"^api/prices/?$", PricesView.as_view()),
]
