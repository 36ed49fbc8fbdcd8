"""A customer is checked before it trades: states with legal moves, what was asked of the sandbox's check, personal data in a
table of its own (docs/decisions/0057), and labels on accounts. Customers that there are keep the state they have.
"""

import accounts.ids
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.lookups
from django.db import migrations, models

# Written out here: a migration says the same for ever. `tests/accounts/test_customer_states.py` holds it equal to
# `accounts/states.py`.
MOVES = (
    "OLD.state = 'storing' AND NEW.state IN ('unverified', 'verified', 'rejected')"
    " OR OLD.state = 'unverified' AND NEW.state IN ('verified', 'rejected')"
    " OR OLD.state = 'verified' AND NEW.state IN ('unverified', 'rejected', 'frozen')"
    " OR OLD.state = 'rejected' AND NEW.state IN ('unverified', 'verified')"
    " OR OLD.state = 'frozen' AND NEW.state IN ('verified', 'rejected')"
)

LEGAL_MOVES = f"""
CREATE TRIGGER legal_moves BEFORE UPDATE OF state ON accounts_customer FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NOT ({MOVES}))
    EXECUTE FUNCTION refuse_move('state');
"""

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON {table} FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""

WAS_FIXED = ("id", "user_id", "partition", "created_at")
FIXED = {
    "accounts_customer": (*WAS_FIXED, "external_id", "expected_behaviour"),
    "accounts_customerdetails": (
        *("id", "customer_id", "first_name", "middle_name", "last_name", "alias", "date_of_birth", "phone_number"),
        *("email_address", "website", "street", "street2", "city", "subdivision", "postal_code", "country_code"),
    ),
    "accounts_identificationnumber": (
        *("id", "details_id", "type", "issuing_country_code", "issuing_subdivision", "masked"),
    ),
}


def never_changed(table: str, columns: tuple[str, ...]) -> str:
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    return NEVER_CHANGED.format(table=table, columns=", ".join(columns), changed=changed)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0033_refuse_changed_rows"),
    ]

    operations = [
        migrations.CreateModel(
            name="CustomerDetails",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("first_name", models.CharField(blank=True, max_length=66)),
                ("middle_name", models.CharField(blank=True, max_length=66)),
                ("last_name", models.CharField(blank=True, max_length=66)),
                ("alias", models.CharField(blank=True, max_length=200)),
                ("date_of_birth", models.DateField(blank=True, null=True)),
                (
                    "phone_number",
                    models.CharField(
                        blank=True,
                        max_length=32,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A\\+?[0-9][0-9 ().-]{3,30}\\Z", "It must be a phone number such as +12025550123."
                            )
                        ],
                    ),
                ),
                ("email_address", models.EmailField(blank=True, max_length=254)),
                ("website", models.URLField(blank=True)),
                ("street", models.CharField(blank=True, max_length=200)),
                ("street2", models.CharField(blank=True, max_length=200)),
                ("city", models.CharField(blank=True, max_length=100)),
                (
                    "subdivision",
                    models.CharField(
                        blank=True,
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Z0-9]{1,3}\\Z", "It must be a subdivision's one to three letters, such as NY."
                            )
                        ],
                    ),
                ),
                ("postal_code", models.CharField(blank=True, max_length=16)),
                (
                    "country_code",
                    models.CharField(
                        blank=True,
                        max_length=2,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Z]{2}\\Z", "It must be a country's two letters (ISO 3166), such as US."
                            )
                        ],
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="IdentificationNumber",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "type",
                    models.CharField(
                        choices=[
                            ("drivers_license", "Drivers License"),
                            ("passport", "Passport"),
                            ("passport_card", "Passport Card"),
                            ("visa", "Visa"),
                            ("residence_card", "Residence Card"),
                            ("social_security_number", "Social Security Number"),
                            ("tax_identification_number", "Tax Identification Number"),
                            ("identification_card", "Identification Card"),
                            ("work_permit", "Work Permit"),
                            ("indigenous_document_number", "Indigenous Document Number"),
                            ("national_identification_number", "National Identification Number"),
                            ("employer_identification_number", "Employer Identification Number"),
                            ("business_registration_number", "Business Registration Number"),
                        ],
                        max_length=32,
                    ),
                ),
                (
                    "issuing_country_code",
                    models.CharField(
                        max_length=2,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Z]{2}\\Z", "It must be a country's two letters (ISO 3166), such as US."
                            )
                        ],
                    ),
                ),
                (
                    "issuing_subdivision",
                    models.CharField(
                        blank=True,
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Z0-9]{1,3}\\Z", "It must be a subdivision's one to three letters, such as NY."
                            )
                        ],
                    ),
                ),
                ("masked", models.CharField(help_text="****6789: nothing before the last four is kept.", max_length=8)),
            ],
        ),
        migrations.AddField(
            model_name="customer",
            name="expected_behaviour",
            field=models.CharField(
                blank=True,
                choices=[("passed_immediately", "Passed Immediately"), ("failed_immediately", "Failed Immediately")],
                editable=False,
                help_text="Sandbox only: how the check ends.",
                max_length=20,
            ),
        ),
        migrations.AddField(
            model_name="customer",
            name="external_id",
            field=models.CharField(
                blank=True, editable=False, help_text="What the partner calls this customer.", max_length=64, null=True
            ),
        ),
        migrations.AddField(
            model_name="ledgeraccount",
            name="labels",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=64), blank=True, null=True, size=None
            ),
        ),
        migrations.AlterField(
            model_name="customer",
            name="state",
            field=models.CharField(
                choices=[
                    ("storing", "Storing"),
                    ("unverified", "Unverified"),
                    ("verified", "Verified"),
                    ("rejected", "Rejected"),
                    ("frozen", "Frozen"),
                ],
                default="storing",
                max_length=16,
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(condition=models.Q(("state", "storing")), fields=["id"], name="customer_storing"),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=models.Index(
                condition=models.Q(("external_id__isnull", False)),
                fields=["external_id"],
                name="customer_by_external_id",
            ),
        ),
        migrations.AddIndex(
            model_name="customer",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("labels__isnull", False)), fields=["labels"], name="customer_by_label"
            ),
        ),
        migrations.AddIndex(
            model_name="ledgeraccount",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("labels__isnull", False)), fields=["labels"], name="account_by_label"
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("expected_behaviour__in", ["", "passed_immediately", "failed_immediately"])),
                name="customer_expected_behaviour_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("labels__isnull", True),
                    models.Q(
                        ("labels__len__lte", 8),
                        django.db.models.lookups.IsNull(
                            models.Func(
                                "labels",
                                models.Value(""),
                                function="array_position",
                                output_field=models.IntegerField(),
                            ),
                            True,
                        ),
                    ),
                    _connector="OR",
                ),
                name="customer_labels_few",
            ),
        ),
        migrations.AddConstraint(
            model_name="ledgeraccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("labels__isnull", True),
                    models.Q(
                        ("labels__len__lte", 8),
                        django.db.models.lookups.IsNull(
                            models.Func(
                                "labels",
                                models.Value(""),
                                function="array_position",
                                output_field=models.IntegerField(),
                            ),
                            True,
                        ),
                    ),
                    _connector="OR",
                ),
                name="account_labels_few",
            ),
        ),
        migrations.AddField(
            model_name="customerdetails",
            name="customer",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT, related_name="details", to="accounts.customer"
            ),
        ),
        migrations.AddField(
            model_name="identificationnumber",
            name="details",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="identification_numbers",
                to="accounts.customerdetails",
            ),
        ),
        migrations.AddConstraint(
            model_name="identificationnumber",
            constraint=models.CheckConstraint(
                condition=models.Q(("masked__regex", "^\\*{4}[^*]{0,4}$")), name="identification_number_masked"
            ),
        ),
        migrations.AddConstraint(
            model_name="identificationnumber",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "type__in",
                        [
                            "drivers_license",
                            "passport",
                            "passport_card",
                            "visa",
                            "residence_card",
                            "social_security_number",
                            "tax_identification_number",
                            "identification_card",
                            "work_permit",
                            "indigenous_document_number",
                            "national_identification_number",
                            "employer_identification_number",
                            "business_registration_number",
                        ],
                    )
                ),
                name="identification_number_type_known",
            ),
        ),
        migrations.RunSQL(LEGAL_MOVES, "DROP TRIGGER legal_moves ON accounts_customer"),
        migrations.RunSQL(
            "DROP TRIGGER never_changed ON accounts_customer", never_changed("accounts_customer", WAS_FIXED)
        ),
        *(
            migrations.RunSQL(never_changed(table, columns), f"DROP TRIGGER never_changed ON {table}")
            for table, columns in FIXED.items()
        ),
    ]
