"""The tables of accounts at once, for a new database: what the migrations up to 0075_events leave, in a fraction of
their time. `tests/test_squashed.py` holds both to be the same."""

import accounts.ids
import accounts.request_id
import django.contrib.postgres.fields
import django.contrib.postgres.functions
import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import django.db.models.functions.text
import django.db.models.lookups
import django.utils.timezone
import uuid
from django.conf import settings
from django.db import migrations, models

from accounts.db.schema import Tables

MODELS = [
    migrations.CreateModel(
        name="ApiClient",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("name", models.CharField(max_length=100)),
            ("client_id", models.CharField(editable=False, max_length=64, unique=True)),
            (
                "secret_sha256",
                models.CharField(
                    editable=False,
                    help_text="Of 32 random bytes: nothing to guess, so a fast hash is enough.",
                    max_length=64,
                ),
            ),
            (
                "scopes",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=64),
                    help_text="What its tokens may do at the most.",
                    size=None,
                ),
            ),
            ("is_active", models.BooleanField(default=True)),
            (
                "generation",
                models.PositiveIntegerField(
                    db_default=0,
                    default=0,
                    editable=False,
                    help_text="Of this client's tokens: raised by the database with is_active, it ends them all.",
                ),
            ),
            ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
        ],
        options={
            "abstract": False,
        },
    ),
    migrations.CreateModel(
        name="EventHorizon",
        fields=[
            ("at", models.DateTimeField(primary_key=True, serialize=False)),
            ("transaction", models.BigIntegerField(help_text="Its number, plus the shift.")),
        ],
    ),
    migrations.CreateModel(
        name="LedgerAudit",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("at", models.DateTimeField()),
            ("ok", models.BooleanField()),
            ("counted", models.JSONField(help_text="How many rows each check looked at.")),
            ("findings", models.JSONField(help_text="What is wrong: check, row and sentence.")),
        ],
    ),
    migrations.CreateModel(
        name="User",
        fields=[
            ("password", models.CharField(max_length=128, verbose_name="password")),
            ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
            (
                "is_superuser",
                models.BooleanField(
                    default=False,
                    help_text="Designates that this user has all permissions without explicitly assigning them.",
                    verbose_name="superuser status",
                ),
            ),
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("email", models.EmailField(max_length=254, unique=True)),
            ("name", models.CharField(blank=True, max_length=200)),
            (
                "is_active",
                models.BooleanField(default=True, help_text="Off: every token of this user stops working at once."),
            ),
            ("is_staff", models.BooleanField(default=False, help_text="May enter this admin.")),
            (
                "generation",
                models.PositiveIntegerField(
                    db_default=0,
                    default=0,
                    editable=False,
                    help_text="Of this user's sessions: raised by the database with the password and is_active, it ends them all.",
                ),
            ),
            (
                "salt",
                models.UUIDField(
                    db_default=django.contrib.postgres.functions.RandomUUID(),
                    default=uuid.uuid4,
                    editable=False,
                    help_text="Of the digests in its versions; replaced when its personal data is erased.",
                ),
            ),
            ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            (
                "groups",
                models.ManyToManyField(
                    blank=True,
                    help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                    related_name="user_set",
                    related_query_name="user",
                    to="auth.group",
                    verbose_name="groups",
                ),
            ),
            (
                "user_permissions",
                models.ManyToManyField(
                    blank=True,
                    help_text="Specific permissions for this user.",
                    related_name="user_set",
                    related_query_name="user",
                    to="auth.permission",
                    verbose_name="user permissions",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="AnsweredRequest",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("user_id", models.UUIDField(null=True)),
            ("client_id", models.UUIDField(null=True)),
            ("customer_id", models.UUIDField(null=True)),
            ("key", models.CharField(max_length=128)),
            (
                "request_sha256",
                models.CharField(help_text="Of the method, the path and what the body means.", max_length=64),
            ),
            ("path", models.CharField(max_length=255)),
            ("request_id", models.CharField(default=accounts.request_id.current, max_length=128, null=True)),
            ("status", models.PositiveSmallIntegerField()),
            ("body", models.TextField()),
            ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("user_id", "client_id", "customer_id", "key"),
                    name="one_answer_per_caller_and_key",
                    nulls_distinct=False,
                ),
                models.CheckConstraint(
                    condition=models.Q(("user_id__isnull", False), ("client_id__isnull", False), _connector="OR"),
                    name="answered_somebody",
                ),
                models.CheckConstraint(condition=models.Q(("key", ""), _negated=True), name="answered_under_a_key"),
                models.CheckConstraint(
                    condition=models.Q(("status__gte", 200), ("status__lt", 500)), name="answered_for_good"
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Asset",
        fields=[
            ("code", models.CharField(max_length=10, primary_key=True, serialize=False)),
            (
                "type",
                models.CharField(choices=[("fiat", "Fiat"), ("crypto", "Crypto"), ("metal", "Metal")], max_length=10),
            ),
            ("name", models.CharField(max_length=60)),
            ("symbol", models.CharField(help_text="The sign shown before an amount, e.g. $.", max_length=10)),
            ("decimals", models.PositiveSmallIntegerField()),
            (
                "adjustment_limit",
                models.DecimalField(
                    decimal_places=0,
                    default=0,
                    help_text="A manual adjustment above this, in base units, needs a second person. 0: every one does.",
                    max_digits=38,
                ),
            ),
        ],
        options={
            "constraints": [
                models.CheckConstraint(condition=models.Q(("decimals__lte", 18)), name="asset_at_most_18_decimals"),
                models.CheckConstraint(
                    condition=models.Q(("type__in", ["fiat", "crypto", "metal"])), name="asset_type_known"
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Break",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "kind",
                models.CharField(
                    choices=[("leg_difference", "Leg Difference"), ("reconciliation", "Reconciliation")], max_length=20
                ),
            ),
            (
                "amount",
                models.DecimalField(
                    decimal_places=0,
                    help_text="Base units; above zero: there is more outside than expected.",
                    max_digits=38,
                ),
            ),
            ("subject", models.UUIDField(help_text="The leg it came from; empty for a reconciliation.", null=True)),
            ("note", models.CharField(blank=True, max_length=200)),
            (
                "state",
                models.CharField(choices=[("open", "Open"), ("resolved", "Resolved")], default="open", max_length=8),
            ),
            ("opened_at", models.DateTimeField()),
            ("resolved_at", models.DateTimeField(blank=True, null=True)),
            (
                "resolution",
                models.CharField(blank=True, help_text="How it was explained or made good.", max_length=200),
            ),
            (
                "asset",
                models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"
                ),
            ),
            (
                "owner",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Customer",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            (
                "type",
                models.CharField(
                    choices=[("individual", "Individual"), ("business", "Business")],
                    default="individual",
                    max_length=16,
                ),
            ),
            (
                "state",
                models.CharField(
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
            ("name", models.CharField(blank=True, max_length=200)),
            (
                "labels",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=64), blank=True, null=True, size=None
                ),
            ),
            (
                "external_id",
                models.CharField(
                    blank=True,
                    editable=False,
                    help_text="What the partner calls this customer.",
                    max_length=64,
                    null=True,
                ),
            ),
            (
                "expected_behaviour",
                models.CharField(
                    blank=True,
                    choices=[
                        ("passed_immediately", "Passed Immediately"),
                        ("failed_immediately", "Failed Immediately"),
                    ],
                    editable=False,
                    help_text="Sandbox only: how the check ends.",
                    max_length=20,
                ),
            ),
            (
                "partition",
                models.SmallIntegerField(
                    editable=False, help_text="Picks the engine and the house accounts; never changes."
                ),
            ),
            (
                "salt",
                models.UUIDField(
                    db_default=django.contrib.postgres.functions.RandomUUID(),
                    default=uuid.uuid4,
                    editable=False,
                    help_text="Of the digests in its versions; replaced when its personal data is erased.",
                ),
            ),
            ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ("updated_at", models.DateTimeField(auto_now=True)),
            (
                "erased_at",
                models.DateTimeField(
                    blank=True, editable=False, help_text="When the personal data was erased.", null=True
                ),
            ),
            (
                "user",
                models.OneToOneField(
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="customer",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
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
            (
                "customer",
                models.OneToOneField(
                    on_delete=django.db.models.deletion.PROTECT, related_name="details", to="accounts.customer"
                ),
            ),
        ],
        options={
            "abstract": False,
        },
    ),
    migrations.CreateModel(
        name="EndedSession",
        fields=[
            ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
            ("ended_at", models.DateTimeField()),
            (
                "request_id",
                models.CharField(
                    default=accounts.request_id.current,
                    editable=False,
                    help_text="The HTTP request that did it.",
                    max_length=128,
                    null=True,
                ),
            ),
            (
                "user",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="ended_sessions",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Event",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "transaction", "number", blank=True, editable=False, primary_key=True, serialize=False
                ),
            ),
            (
                "transaction",
                models.BigIntegerField(help_text="PostgreSQL's number of the transaction, plus the shift."),
            ),
            ("number", models.BigIntegerField(help_text="Counts up within a transaction.")),
            ("kind", models.CharField(max_length=40)),
            ("object_id", models.UUIDField()),
            ("detail", models.CharField(blank=True, max_length=64)),
            ("at", models.DateTimeField(help_text="The change's own time.")),
            (
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    help_text="Empty: the firm's.",
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.customer",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="EventShift",
        fields=[
            ("id", models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
            ("shift", models.BigIntegerField(default=0)),
        ],
        options={
            "constraints": [
                models.CheckConstraint(condition=models.Q(("id", 1)), name="one_event_shift"),
                models.CheckConstraint(condition=models.Q(("shift__gte", 0)), name="event_shift_not_negative"),
            ],
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
            (
                "details",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="identification_numbers",
                    to="accounts.customerdetails",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="KnownAddress",
        fields=[
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("address", models.CharField(max_length=43)),
            ("last_at", models.DateTimeField(help_text="To the day.")),
            (
                "user",
                models.ForeignKey(
                    on_delete=django.db.models.deletion.CASCADE,
                    related_name="known_addresses",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="LedgerAccount",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("bucket", models.SmallIntegerField(blank=True, null=True)),
            (
                "type",
                models.CharField(
                    choices=[
                        ("available", "Available"),
                        ("settling", "Settling"),
                        ("margin", "Margin"),
                        ("liquidity", "Liquidity"),
                        ("fees", "Fees"),
                        ("profit", "Profit"),
                        ("swap", "Swap"),
                        ("protection", "Protection"),
                        ("advances", "Advances"),
                        ("external", "External"),
                        ("differences", "Differences"),
                        ("adjustments", "Adjustments"),
                        ("capital", "Capital"),
                    ],
                    max_length=12,
                ),
            ),
            ("name", models.CharField(blank=True, max_length=128)),
            (
                "labels",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(max_length=64), blank=True, null=True, size=None
                ),
            ),
            ("debits", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
            ("credits", models.DecimalField(decimal_places=0, default=0, max_digits=38)),
            ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            ("updated_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
            (
                "request_id",
                models.CharField(
                    editable=False,
                    help_text="The HTTP request that opened it, or named or labelled it last.",
                    max_length=128,
                    null=True,
                ),
            ),
            (
                "asset",
                models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, to="accounts.asset"),
            ),
            (
                "customer",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="ledger_accounts",
                    to="accounts.customer",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="ReconciliationRun",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("as_of", models.DateTimeField(help_text="The moment that the statement speaks of.")),
            ("at", models.DateTimeField(help_text="When it was compared.")),
            ("source", models.CharField(help_text="The statement's file name.", max_length=200)),
            ("source_sha256", models.CharField(max_length=64)),
            ("ok", models.BooleanField(help_text="No asset drifts.")),
            (
                "request_id",
                models.CharField(
                    default=accounts.request_id.current,
                    editable=False,
                    help_text="The HTTP request that did it.",
                    max_length=128,
                    null=True,
                ),
            ),
            (
                "made_by",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="ReconciliationLine",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("ledger", models.DecimalField(decimal_places=0, max_digits=38)),
            ("statement", models.DecimalField(decimal_places=0, max_digits=38)),
            (
                "drift",
                models.GeneratedField(
                    db_persist=True,
                    expression=django.db.models.expressions.CombinedExpression(
                        models.F("statement"), "-", models.F("ledger")
                    ),
                    output_field=models.DecimalField(decimal_places=0, max_digits=38),
                ),
            ),
            (
                "asset",
                models.ForeignKey(
                    db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.asset"
                ),
            ),
            (
                "run",
                models.ForeignKey(
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="lines",
                    to="accounts.reconciliationrun",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="RowVersion",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("table_name", models.CharField(max_length=63)),
            ("row_key", models.CharField(max_length=64)),
            ("number", models.IntegerField(help_text="1 and up, without a gap, for each row.")),
            ("said", models.JSONField(help_text="By column; empty: the row was removed.", null=True)),
            ("by_role", models.CharField(help_text="The database's role that did it.", max_length=63)),
            ("at", models.DateTimeField()),
            ("request_id", models.CharField(help_text="The HTTP request that did it.", max_length=128, null=True)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("table_name", "row_key", "number"), name="one_version_per_number"),
                models.CheckConstraint(condition=models.Q(("number__gte", 1)), name="version_number_positive"),
            ],
        },
    ),
    migrations.CreateModel(
        name="SealBlock",
        fields=[
            (
                "number",
                models.BigIntegerField(
                    help_text="1 and up, without a gap, over all tables together.", primary_key=True, serialize=False
                ),
            ),
            ("table_name", models.CharField(max_length=63)),
            (
                "columns",
                models.TextField(help_text="The columns that the digests cover, comma-separated, in this order."),
            ),
            ("after", models.UUIDField(help_text="Ids above this …")),
            ("through", models.UUIDField(help_text="… up to and with this one are sealed here.")),
            ("rows_count", models.IntegerField()),
            ("ids", models.BinaryField(help_text="16 bytes a row, ascending.")),
            ("digests", models.BinaryField(help_text="32 bytes a row, in the order of the ids.")),
            (
                "sides",
                models.BinaryField(help_text="Transfers only, 8 bytes a row: the ends of the two accounts' ids."),
            ),
            ("previous_hash", models.CharField(help_text="Of the block before; zeros for the first.", max_length=64)),
            ("hash", models.CharField(max_length=64)),
            ("sealed_at", models.DateTimeField()),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(fields=("table_name", "after"), name="one_seal_block_per_range"),
                models.UniqueConstraint(fields=("hash",), name="seal_block_hash_unique"),
                models.CheckConstraint(
                    condition=models.Q(("number__gte", 1), ("rows_count__gte", 1), ("through__gt", models.F("after"))),
                    name="seal_block_holds_rows",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="Transfer",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("amount", models.DecimalField(decimal_places=0, max_digits=38)),
            (
                "kind",
                models.CharField(
                    help_text="What happened, e.g. order_margin; docs/ledger.md lists them.", max_length=32
                ),
            ),
            ("key", models.CharField(help_text="The event's own name: asking twice moves money once.", max_length=160)),
            (
                "subject",
                models.UUIDField(help_text="The order, trade or batch that this movement belongs to.", null=True),
            ),
            ("at", models.DateTimeField()),
            (
                "asset",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    to="accounts.asset",
                ),
            ),
            (
                "credit_account",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.ledgeraccount",
                ),
            ),
            (
                "customer",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="transfers",
                    to="accounts.customer",
                ),
            ),
            (
                "debit_account",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.ledgeraccount",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="Funding",
        fields=[
            ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
            ("reference", models.CharField(help_text="The bank's or the provider's own.", max_length=128, unique=True)),
            (
                "reason",
                models.CharField(blank=True, help_text="Why; empty only where nobody had to say it.", max_length=500),
            ),
            (
                "made_from",
                models.CharField(
                    blank=True,
                    help_text='Where nobody is named, from where it was done: "command line".',
                    max_length=40,
                ),
            ),
            ("at", models.DateTimeField()),
            (
                "request_id",
                models.CharField(
                    default=accounts.request_id.current,
                    editable=False,
                    help_text="The HTTP request that did it.",
                    max_length=128,
                    null=True,
                ),
            ),
            (
                "made_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "made_by_client",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="+",
                    to="accounts.apiclient",
                ),
            ),
            (
                "transfer",
                models.OneToOneField(
                    db_constraint=False,
                    on_delete=django.db.models.deletion.PROTECT,
                    related_name="funding",
                    to="accounts.transfer",
                ),
            ),
        ],
    ),
    migrations.AddConstraint(
        model_name="user",
        constraint=models.UniqueConstraint(django.db.models.functions.text.Lower("email"), name="user_email_any_case"),
    ),
    migrations.AddConstraint(
        model_name="break",
        constraint=models.CheckConstraint(
            condition=models.Q(("amount", 0), _negated=True), name="break_amount_not_zero"
        ),
    ),
    migrations.AddConstraint(
        model_name="break",
        constraint=models.CheckConstraint(
            condition=models.Q(("kind__in", ["leg_difference", "reconciliation"])), name="break_kind_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="break",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["open", "resolved"])), name="break_state_known"
        ),
    ),
    migrations.AddConstraint(
        model_name="break",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("resolution", ""), ("resolved_at__isnull", True), ("state", "open")),
                models.Q(
                    ("resolved_at__isnull", False), ("state", "resolved"), models.Q(("resolution", ""), _negated=True)
                ),
                _connector="OR",
            ),
            name="break_resolved_with_a_reason",
        ),
    ),
    migrations.AddConstraint(
        model_name="break",
        constraint=models.UniqueConstraint(
            condition=models.Q(("state", "open")),
            fields=("kind", "asset", "subject"),
            name="one_open_break_per_cause",
            nulls_distinct=False,
        ),
    ),
    migrations.AddIndex(
        model_name="customer",
        index=models.Index(condition=models.Q(("state", "storing")), fields=["id"], name="customer_storing"),
    ),
    migrations.AddIndex(
        model_name="customer",
        index=models.Index(
            condition=models.Q(("external_id__isnull", False)), fields=["external_id"], name="customer_by_external_id"
        ),
    ),
    migrations.AddIndex(
        model_name="customer",
        index=django.contrib.postgres.indexes.GinIndex(
            condition=models.Q(("labels__isnull", False)), fields=["labels"], name="customer_by_label"
        ),
    ),
    migrations.AddConstraint(
        model_name="customer",
        constraint=models.CheckConstraint(
            condition=models.Q(("state__in", ["storing", "unverified", "verified", "rejected", "frozen"])),
            name="customer_state_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="customer",
        constraint=models.CheckConstraint(
            condition=models.Q(("type__in", ["individual", "business"])), name="customer_type_known"
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
                            "labels", models.Value(""), function="array_position", output_field=models.IntegerField()
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
        model_name="customer",
        constraint=models.CheckConstraint(
            condition=models.Q(
                ("erased_at__isnull", True),
                models.Q(("labels__isnull", True), ("name", ""), ("state", "rejected")),
                _connector="OR",
            ),
            name="customer_erased_for_good",
        ),
    ),
    migrations.AddIndex(
        model_name="event",
        index=models.Index(fields=["customer", "transaction", "number"], name="event_by_customer"),
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
    migrations.AddConstraint(
        model_name="identificationnumber",
        constraint=models.CheckConstraint(
            condition=models.Q(("masked__regex", "^\\*{4}[^*]{0,4}$")), name="identification_number_masked"
        ),
    ),
    migrations.AddConstraint(
        model_name="knownaddress",
        constraint=models.UniqueConstraint(fields=("user", "address"), name="known_address_once"),
    ),
    migrations.AddIndex(
        model_name="ledgeraccount",
        index=django.contrib.postgres.indexes.GinIndex(
            condition=models.Q(("labels__isnull", False)), fields=["labels"], name="account_by_label"
        ),
    ),
    migrations.AddConstraint(
        model_name="ledgeraccount",
        constraint=models.UniqueConstraint(
            models.F("customer"),
            models.F("asset"),
            models.F("type"),
            condition=models.Q(("customer__isnull", False)),
            name="one_account_per_customer",
        ),
    ),
    migrations.AddConstraint(
        model_name="ledgeraccount",
        constraint=models.UniqueConstraint(
            models.F("bucket"),
            models.F("asset"),
            models.F("type"),
            condition=models.Q(("customer__isnull", True)),
            name="one_account_per_bucket",
        ),
    ),
    migrations.AddConstraint(
        model_name="ledgeraccount",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(
                    ("bucket__isnull", True),
                    ("customer__isnull", False),
                    ("type__in", ["available", "settling", "margin"]),
                ),
                models.Q(
                    ("bucket__isnull", False),
                    ("customer__isnull", True),
                    (
                        "type__in",
                        [
                            "liquidity",
                            "fees",
                            "profit",
                            "swap",
                            "protection",
                            "advances",
                            "external",
                            "differences",
                            "adjustments",
                            "capital",
                        ],
                    ),
                ),
                _connector="OR",
            ),
            name="account_owner_fits_type",
        ),
    ),
    migrations.AddConstraint(
        model_name="ledgeraccount",
        constraint=models.CheckConstraint(
            condition=models.Q(("credits__gte", 0), ("debits__gte", 0)), name="account_totals_not_negative"
        ),
    ),
    migrations.AddConstraint(
        model_name="ledgeraccount",
        constraint=models.CheckConstraint(
            condition=models.Q(("customer__isnull", True), ("credits__gte", models.F("debits")), _connector="OR"),
            name="customer_never_below_zero",
        ),
    ),
    migrations.AddConstraint(
        model_name="ledgeraccount",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "type__in",
                    [
                        "available",
                        "settling",
                        "margin",
                        "liquidity",
                        "fees",
                        "profit",
                        "swap",
                        "protection",
                        "advances",
                        "external",
                        "differences",
                        "adjustments",
                        "capital",
                    ],
                )
            ),
            name="account_type_known",
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
                            "labels", models.Value(""), function="array_position", output_field=models.IntegerField()
                        ),
                        True,
                    ),
                ),
                _connector="OR",
            ),
            name="account_labels_few",
        ),
    ),
    migrations.AddConstraint(
        model_name="reconciliationline",
        constraint=models.UniqueConstraint(fields=("run", "asset"), name="one_line_per_run_and_asset"),
    ),
    migrations.AddIndex(
        model_name="transfer",
        index=models.Index(fields=["customer", "id"], name="transfer_by_customer"),
    ),
    migrations.AddConstraint(
        model_name="transfer",
        constraint=models.UniqueConstraint(
            fields=("customer", "key"), name="transfer_key_unique_per_customer", nulls_distinct=False
        ),
    ),
    migrations.AddConstraint(
        model_name="transfer",
        constraint=models.CheckConstraint(condition=models.Q(("amount__gt", 0)), name="transfer_amount_positive"),
    ),
    migrations.AddConstraint(
        model_name="transfer",
        constraint=models.CheckConstraint(
            condition=models.Q(("debit_account", models.F("credit_account")), _negated=True),
            name="transfer_between_two_accounts",
        ),
    ),
    migrations.AddConstraint(
        model_name="transfer",
        constraint=models.CheckConstraint(
            condition=models.Q(
                (
                    "kind__in",
                    [
                        "order_margin",
                        "order_margin_release",
                        "order_profit",
                        "order_loss",
                        "trade_deliver",
                        "trade_receive",
                        "trade_fee",
                        "trade_settled",
                        "order_swap",
                        "order_margin_drawn",
                        "order_margin_restored",
                        "order_advance",
                        "order_advance_repaid",
                        "order_advance_waived",
                        "order_protection",
                        "deposit",
                        "withdrawal",
                        "capital_in",
                        "profit_out",
                        "fees_out",
                        "leg_settled",
                        "leg_difference",
                        "leg_reopened",
                        "adjustment",
                        "reversal",
                        "break_paid",
                        "break_written_off",
                    ],
                )
            ),
            name="transfer_kind_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="funding",
        constraint=models.CheckConstraint(
            condition=models.Q(("reference", ""), _negated=True), name="funding_has_a_reference"
        ),
    ),
    migrations.AddConstraint(
        model_name="funding",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("made_by__isnull", False), ("made_by_client__isnull", True), ("made_from", "")),
                models.Q(("made_by__isnull", True), ("made_by_client__isnull", False), ("made_from", "")),
                models.Q(
                    ("made_by__isnull", True),
                    ("made_by_client__isnull", True),
                    models.Q(("made_from", ""), _negated=True),
                ),
                _connector="OR",
            ),
            name="funding_says_who_or_from_where",
        ),
    ),
]


class Migration(migrations.Migration):
    initial = True
    replaces = [
        ("accounts", "0001_tables"),
        ("accounts", "0002_guards"),
        ("accounts", "0003_house_accounts"),
        ("accounts", "0004_house_guards"),
        ("accounts", "0005_seals"),
        ("accounts", "0006_seal_guards"),
        ("accounts", "0007_advances"),
        ("accounts", "0008_ids_by_the_shared_clock"),
        ("accounts", "0009_must_commit_by"),
        ("accounts", "0012_words"),
        ("accounts", "0013_role_guards"),
        ("accounts", "0020_funding"),
        ("accounts", "0021_capital"),
        ("accounts", "0022_references_from_before"),
        ("accounts", "0023_capital_is_a_word"),
        ("accounts", "0030_kinds_of_transfers"),
        ("accounts", "0031_every_funding_has_a_row"),
        ("accounts", "0032_row_versions"),
        ("accounts", "0033_refuse_changed_rows"),
        ("accounts", "0040_customer_states"),
        ("accounts", "0070_answered_requests"),
        ("accounts", "0071_request_ids"),
        ("accounts", "0072_sessions"),
        ("accounts", "0073_request_ids_of_accounts_and_funding"),
        ("accounts", "0074_erased_customers"),
        ("accounts", "0075_events"),
    ]
    dependencies = [("auth", "0012_alter_user_first_name_max_length")]
    operations = [Tables(__file__, MODELS)]
