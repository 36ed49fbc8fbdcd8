"""Every path of the system. Each app names its API's own; both slash forms are theirs to take."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from brokerage.observe import health

urlpatterns: list[URLPattern | URLResolver] = [
    path("", RedirectView.as_view(url="/admin/")),
    path("livez", health.livez),
    path("readyz", health.readyz),
    path("admin/", admin.site.urls),
    path("", include("accounts.api.urls")),
    path("", include("quotes.api.urls")),
    path("", include("trades.api.urls")),
]
