"""What is known of a customer as a person or a business, apart from the customer's own row."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models

from accounts.ids import uuid7
from accounts.models.choices import known
from accounts.models.fixed import FixedColumns
from accounts.models.identity import Customer

_country = RegexValidator(r"\A[A-Z]{2}\Z", "It must be a country's two letters (ISO 3166), such as US.")
_subdivision = RegexValidator(r"\A[A-Z0-9]{1,3}\Z", "It must be a subdivision's one to three letters, such as NY.")
_phone = RegexValidator(r"\A\+?[0-9][0-9 ().-]{3,30}\Z", "It must be a phone number such as +12025550123.")


class CustomerDetails(FixedColumns):
    """Personal data, as they were given when the customer was made; never changed, and no history keeps a copy.

    Apart from the customer's row, which has versions for ever: this one can be erased. An identification number is kept
    without its digits but for the last four (docs/decisions/0057-customers-are-checked-before-they-trade.md).
    """

    fixed = frozenset(
        {
            "customer_id",
            "first_name",
            "middle_name",
            "last_name",
            "alias",
            "date_of_birth",
            "phone_number",
            "email_address",
            "website",
            "street",
            "street2",
            "city",
            "subdivision",
            "postal_code",
            "country_code",
        }
    )

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    customer = models.OneToOneField(Customer, on_delete=models.PROTECT, related_name="details")
    first_name = models.CharField(max_length=66, blank=True)
    middle_name = models.CharField(max_length=66, blank=True)
    last_name = models.CharField(max_length=66, blank=True)
    alias = models.CharField(max_length=200, blank=True)
    date_of_birth = models.DateField(null=True, blank=True)
    phone_number = models.CharField(max_length=32, blank=True, validators=[_phone])
    email_address = models.EmailField(blank=True)
    website = models.URLField(blank=True)
    street = models.CharField(max_length=200, blank=True)
    street2 = models.CharField(max_length=200, blank=True)
    city = models.CharField(max_length=100, blank=True)
    subdivision = models.CharField(max_length=3, blank=True, validators=[_subdivision])
    postal_code = models.CharField(max_length=16, blank=True)
    country_code = models.CharField(max_length=2, blank=True, validators=[_country])

    def __str__(self) -> str:
        return f"details of {self.customer_id.hex}"


class DocumentType(models.TextChoices):
    DRIVERS_LICENSE = "drivers_license"
    PASSPORT = "passport"
    PASSPORT_CARD = "passport_card"
    VISA = "visa"
    RESIDENCE_CARD = "residence_card"
    SOCIAL_SECURITY_NUMBER = "social_security_number"
    TAX_IDENTIFICATION_NUMBER = "tax_identification_number"
    IDENTIFICATION_CARD = "identification_card"
    WORK_PERMIT = "work_permit"
    INDIGENOUS_DOCUMENT_NUMBER = "indigenous_document_number"
    NATIONAL_IDENTIFICATION_NUMBER = "national_identification_number"
    EMPLOYER_IDENTIFICATION_NUMBER = "employer_identification_number"
    BUSINESS_REGISTRATION_NUMBER = "business_registration_number"


class IdentificationNumber(FixedColumns):
    """That a customer named a document's number, and how it ends: enough to tell two of them apart, not to use one."""

    fixed = frozenset({"details_id", "type", "issuing_country_code", "issuing_subdivision", "masked"})

    Type = DocumentType

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    details = models.ForeignKey(CustomerDetails, on_delete=models.CASCADE, related_name="identification_numbers")
    type = models.CharField(max_length=32, choices=DocumentType)
    issuing_country_code = models.CharField(max_length=2, validators=[_country])
    issuing_subdivision = models.CharField(max_length=3, blank=True, validators=[_subdivision])
    masked = models.CharField(max_length=8, help_text="****6789: nothing before the last four is kept.")

    class Meta:
        constraints = (
            known("identification_number", "type", DocumentType.values),
            models.CheckConstraint(
                condition=models.Q(masked__regex=r"^\*{4}[^*]{0,4}$"), name="identification_number_masked"
            ),
        )

    def __str__(self) -> str:
        return f"{self.type} {self.masked}"
