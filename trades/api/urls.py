from accounts.rest.routers import A_GUID_IN_A_PATH, BothSlashes
from trades.api.account import MarginAccountViewSet
from trades.api.batches import SettlementBatchViewSet
from trades.api.corrections import CorrectionViewSet
from trades.api.legs import SettlementLegViewSet
from trades.api.orders import OrdersRouter, OrderViewSet
from trades.api.quotes import QuoteViewSet
from trades.api.trades import TradeViewSet
from trades.api.transfers import TransferViewSet
from trades.api.windows import SettlementWindowViewSet

orders = OrdersRouter()
orders.register("api/v1/trade", OrderViewSet, "order")

router = BothSlashes()
router.register("api/v1", MarginAccountViewSet, "margin-account")
router.register("api/quotes", QuoteViewSet, "quote")
router.register("api/trades", TradeViewSet, "trade")
router.register("api/transfers", TransferViewSet, "transfer")
router.register("api/settlement_batches", SettlementBatchViewSet, "batch")
router.register("api/settlement_windows", SettlementWindowViewSet, "window")
router.register("api/settlement_legs", SettlementLegViewSet, "leg")
router.register("api/corrections", CorrectionViewSet, "correction")
router.register(f"api/settlement_batches/(?P<batch_guid>{A_GUID_IN_A_PATH})/legs", SettlementLegViewSet, "leg-of-batch")
urlpatterns = [*orders.urls, *router.urls]
