"""The web process: `granian --interface wsgi brokerage.wsgi:application`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brokerage.settings")

application = get_wsgi_application()
