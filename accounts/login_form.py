"""The form by which staff log in."""

from __future__ import annotations

import math
from typing import Any

from django.core.exceptions import ValidationError
from unfold.forms import AuthenticationForm


class LoginForm(AuthenticationForm):  # type: ignore[misc]
    """Looks at no password while too many failed: `login_wait` of the request says for how many seconds."""

    def clean(self) -> dict[str, Any]:
        wait: int = getattr(self.request, "login_wait", 0)
        if wait:
            minutes = math.ceil(wait / 60)
            raise ValidationError(
                f"Too many logins failed. Try again in {minutes} min, or ask an Administrator to let you in.",
                code="too_many",
            )
        given: dict[str, Any] = super().clean()
        return given
