"""What the web process serves (`brokerage/web.py`)."""

import gc
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402

from accounts import metrics  # noqa: E402
from brokerage.http.handler import Handler  # noqa: E402 - it loads middleware, which needs the apps

application = Handler()
metrics.serve("web", among=settings.WEB_WORKERS)

# What is there by now stays for good: looking through it at every full collection makes some requests wait.
gc.collect()
gc.freeze()
