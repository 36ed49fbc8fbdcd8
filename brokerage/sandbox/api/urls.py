"""The paths that there are in a sandbox alone."""

from __future__ import annotations

from accounts.rest.routers import BothSlashes
from brokerage.sandbox.api.clock import ClockViewSet
from brokerage.sandbox.api.deposits import SandboxDepositViewSet
from brokerage.sandbox.api.faults import FaultViewSet
from brokerage.sandbox.api.prices import SandboxPriceViewSet
from brokerage.sandbox.api.settlement import SandboxBatchViewSet

router = BothSlashes()
router.register("api/sandbox/prices", SandboxPriceViewSet, "sandbox-price")
router.register("api/sandbox/deposits", SandboxDepositViewSet, "sandbox-deposit")
router.register("api/sandbox/settlement_batches", SandboxBatchViewSet, "sandbox-batch")
router.register("api/sandbox/faults", FaultViewSet, "sandbox-fault")
router.register("api/sandbox/clock", ClockViewSet, "sandbox-clock")
urlpatterns = router.urls
