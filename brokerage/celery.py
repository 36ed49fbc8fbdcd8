"""Celery's application. Tasks live with their app in `tasks.py`; the schedule lives in the database."""

import os

from celery import Celery

from brokerage import transport

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")

transport.use()
app = Celery("brokerage")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
