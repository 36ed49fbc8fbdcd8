"""What worker and beat run: `celery -A brokerage.background`, the application once the settings could be read.

Whoever only imports `brokerage` reads no settings by it: tests say first which servers are theirs.
"""

from brokerage.celery import app
from brokerage.starting import with_good_settings

__all__ = ["app"]

with with_good_settings():
    import brokerage.settings  # noqa: F401
