"""Who moved money into or out of the firm, beside the transfer."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_funding
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_funding
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0013_role_guards")]

    operations = [
        migrations.CreateModel(
            name="Funding",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "transfer",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="funding",
                        to="accounts.transfer",
                    ),
                ),
                (
                    "reference",
                    models.CharField(help_text="The bank's or the provider's own.", max_length=128, unique=True),
                ),
                (
                    "reason",
                    models.CharField(
                        blank=True, help_text="Why; empty only where nobody had to say it.", max_length=500
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
                    "made_from",
                    models.CharField(
                        blank=True,
                        help_text='Where nobody is named, from where it was done: "command line".',
                        max_length=40,
                    ),
                ),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reference", ""), _negated=True), name="funding_has_a_reference"
                    ),
                    models.CheckConstraint(
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
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
