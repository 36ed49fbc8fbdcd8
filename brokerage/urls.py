"""Every path of the system. Each app names its API's own; both slash forms are theirs to take."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

import trades.api.urls
from accounts.admin import second_factor
from brokerage.openapi.views import schema
from trades.admin.search import view as search

# Without OPTIONS, as the document: REST framework's own description of a page can't be shown as one.
docs = SpectacularSwaggerSplitView.as_view(
    url="/api/schema", template_name="docs.html", http_method_names=["get", "head"]
)

handler403 = "accounts.admin.forbidden.forbidden"

urlpatterns: list[URLPattern | URLResolver] = [
    *trades.api.urls.urlpatterns,  # the orders' first: they are asked for most
    path("", include("accounts.api.urls")),
    path("", include("quotes.api.urls")),
    *([path("", include("brokerage.sandbox.api.urls"))] if settings.SANDBOX else []),
    path("", RedirectView.as_view(url="/admin/")),
    path("admin/second_factor/", second_factor.show, name="second_factor"),
    path("admin/second_factor/enrol/", second_factor.enrol, name="second_factor_enrol"),
    path("admin/search/", search),  # in the place of Unfold's own
    path("admin/", admin.site.urls),
    re_path("^api/schema/?$", schema),
    # Its script is a file of its own: the page may run no other (PAGE_POLICIES).
    re_path("^api/docs/?$", docs),
]
