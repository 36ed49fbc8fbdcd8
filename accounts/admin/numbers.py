"""Numbers in the admin's forms: as strict about what is a number as the API and the commands are.

Django's own fields read full-width digits, "1_0" and " 10 " as 10, which isn't what stands there.
"""

from __future__ import annotations

import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from accounts.money import LONGEST_NUMBER, is_plainly_written


def amount_field(**options: Any) -> forms.CharField:
    """An amount in units of its asset, as it was typed: `base_units` reads it, blanks and all."""
    return forms.CharField(max_length=LONGEST_NUMBER, strip=False, **options)


_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")  # "0,125" is an eighth, written otherwise


def as_printed(text: str, asset: str) -> str:
    """An amount as the pages print it, "1,234.50 USD", without commas and asset: "1234.50". All else stays as it is."""
    text = text.removesuffix(f" {asset}")
    return text.replace(",", "") if _GROUPED.fullmatch(text) else text


class _Plain(forms.Field):
    def to_python(self, value: Any) -> Any:
        if isinstance(value, str) and not is_plainly_written(value):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return super().to_python(value)


class PlainDecimalField(_Plain, forms.DecimalField):
    pass


class PlainIntegerField(_Plain, forms.IntegerField):
    pass
