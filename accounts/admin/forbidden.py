"""What somebody is told who may not do something here: that it is refused, and who may."""

from __future__ import annotations

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views import defaults

_SENTENCE = "This isn't done here, by anybody."


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403. A page of the admin names the deed that is missing, and the roles that have it."""
    missing: str = getattr(request, "missing", "") or _SENTENCE  # before the page itself asks what it may show
    if not admin.site.has_permission(request):
        return defaults.permission_denied(request, exception)
    context = {**admin.site.each_context(request), "title": "Not with your roles", "missing": missing}
    roles = request.user.groups.order_by("name").values_list("name", flat=True)
    context["roles"] = ", ".join(roles) or "none"
    if request.headers.get("HX-Request"):  # a dialog's script shows nothing that is refused: it is sent to a page
        messages.error(request, missing)
        return HttpResponse(status=403, headers={"HX-Redirect": reverse("admin:index")})
    return TemplateResponse(request, "admin/forbidden.html", context, status=403).render()
