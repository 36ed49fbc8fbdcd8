"""The web process: `granian --interface wsgi brokerage.wsgi:application`."""

import gc
import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")

application = get_wsgi_application()

# What is there by now stays for good: looking through it at every full collection makes some requests wait.
gc.collect()
gc.freeze()
