"""The wiring: settings, URLs, processes. It imports every app and is imported by none."""

from brokerage.celery import app as celery_app

__all__ = ["celery_app"]
