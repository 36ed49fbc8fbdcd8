"""Operators' machines see when batches are cut next."""

from __future__ import annotations

import pytest

from tests.caller import UNKNOWN, a_firm, code
from trades.models import SettlementWindow

pytestmark = pytest.mark.django_db


def test_the_windows_are_listed_with_their_next_cuts():
    firm = a_firm()
    SettlementWindow.objects.create(name="Hourly", asset_kind="crypto", cron="0 * * * *", time_zone="UTC")
    SettlementWindow.objects.create(name="Off", asset_kind="fiat", cron="0 * * * *", is_active=False)
    SettlementWindow.objects.create(name="Unreadable", asset_kind="metal", cron="0 * * *")

    status, page = firm.get("/api/settlement_windows", per_page="100")
    by_name = {one["name"]: one for one in page["objects"]}

    assert (status, page["total"]) == (200, SettlementWindow.objects.count())
    cuts = by_name["Hourly"]["next_cuts"]
    assert len(cuts) == 5
    assert cuts == sorted(cuts)
    assert all(cut.endswith(":00:00.000Z") for cut in cuts)
    assert (by_name["Off"]["next_cuts"], by_name["Unreadable"]["next_cuts"]) == ([], [])
    assert firm.get(f"/api/settlement_windows/{by_name['Hourly']['guid']}")[1]["cron"] == "0 * * * *"
    assert code(firm.get(f"/api/settlement_windows/{UNKNOWN}")) == (404, "not_found")
    assert firm.get("/api/settlement_windows", asset_kind="metal")[1]["objects"][-1]["name"] == "Unreadable"
