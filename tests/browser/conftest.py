"""A real browser for the admin. CHROMIUM names one that must exist; without it, one on the PATH is used.

Where there is neither, these tests are not collected: every page is also covered by tests/admin, without a browser.
"""

from __future__ import annotations

import os
import shutil

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")

collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser's path."""
    assert shutil.which(CHROMIUM), f"CHROMIUM says {CHROMIUM}, which is no program"
    return CHROMIUM
