"""Markets and prices. /api/quotes is in trades/api: an exit quote needs to know trades."""

from accounts.rest.routers import BothSlashes
from quotes.api.markets import MarketViewSet
from quotes.api.prices import PriceViewSet, SymbolViewSet

router = BothSlashes()
router.register("api/v1", MarketViewSet, "market")
router.register("api/symbols", SymbolViewSet, "symbol")
router.register("api/prices", PriceViewSet, "price")
urlpatterns = router.urls
