"""Swagger UI at /api/docs/ in a real browser: it shows the document, and asks nobody but this host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_admin_in_a_browser import a_browser

SIZES = {"wide": (1400, 900), "narrow": (390, 844)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.django_db(transaction=True)
def test_the_documents_page_shows_every_operation_and_asks_no_other_host(live_server, chromium, scheme, size):
    with a_browser(chromium, live_server.url, scheme) as (page, troubles):
        page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
        page.goto(f"{live_server.url}/api/docs/")
        close = page.locator("#operations-order-order_close")
        expect(close).to_be_visible(timeout=30_000)
        close.locator(".opblock-summary").click()
        expect(close.get_by_text("Order ID mismatch").first).to_be_attached(timeout=30_000)
        if shots := os.environ.get("SCREENSHOTS"):
            page.screenshot(path=str(Path(shots) / f"docs-{scheme}-{size}.png"))
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    assert troubles == []
