from accounts.api.accounts import AccountViewSet, AssetViewSet
from accounts.api.clients import CustomerTokenViewSet, TokenViewSet
from accounts.api.customers import CustomerViewSet
from accounts.api.events import EventViewSet
from accounts.api.external_bank_accounts import ExternalBankAccountViewSet
from accounts.api.identity import OwnLoginViewSet, SessionViewSet
from accounts.api.subscription_deliveries import DeliveryViewSet, SubscriptionEventViewSet
from accounts.api.subscriptions import SubscriptionViewSet
from accounts.api.transactions import TransactionViewSet
from accounts.rest.routers import BothSlashes

router = BothSlashes()
router.register("api/v1/auth", SessionViewSet, "session")
router.register("api/v1/auth", OwnLoginViewSet, "own-login")
router.register("oauth/token", TokenViewSet, "token")
router.register("api/customer_tokens", CustomerTokenViewSet, "customer-token")
router.register("api/customers", CustomerViewSet)
router.register("api/events", EventViewSet, "event")
router.register("api/subscriptions", SubscriptionViewSet, "subscription")
router.register("api/subscription_events", SubscriptionEventViewSet, "subscription-event")
router.register("api/subscription_deliveries", DeliveryViewSet, "subscription-delivery")
router.register("api/accounts", AccountViewSet, "account")
router.register("api/external_bank_accounts", ExternalBankAccountViewSet, "external-bank-account")
router.register("api/transactions", TransactionViewSet, "transaction")
router.register("api/assets", AssetViewSet)
urlpatterns = router.urls
