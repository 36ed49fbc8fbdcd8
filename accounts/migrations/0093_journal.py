"""The journal: what people did and were refused. Append-only, for the application's role by its grants as well."""

import accounts.ids
import accounts.request_id
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.functions.datetime
from django.db import migrations, models


GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_journalentry
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_journalentry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0090_last_administrator"),
    ]

    operations = [
        migrations.CreateModel(
            name="JournalEntry",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("user_id", models.UUIDField(help_text="Who: a person.", null=True)),
                ("client_id", models.UUIDField(help_text="Who: an API client.", null=True)),
                (
                    "via",
                    models.CharField(
                        choices=[("admin", "Admin"), ("command", "Command line"), ("api", "API")], max_length=8
                    ),
                ),
                (
                    "address",
                    models.CharField(blank=True, help_text="The network address that it came from.", max_length=45),
                ),
                (
                    "deed",
                    models.CharField(
                        help_text="What: a page's, an action's, a command's or a route's name.", max_length=100
                    ),
                ),
                (
                    "objects_named",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200),
                        default=list,
                        help_text="What it was done to or made: guids, and app.model:key of rows that have none.",
                        size=None,
                    ),
                ),
                (
                    "asked",
                    models.JSONField(default=dict, help_text="What was filled in, where that is no row's column."),
                ),
                ("before", models.JSONField(default=dict, help_text="The columns that changed, as they were.")),
                (
                    "after",
                    models.JSONField(
                        default=dict, help_text="The same as they are; of a new row all that say something."
                    ),
                ),
                ("reason", models.CharField(blank=True, max_length=500)),
                (
                    "second_id",
                    models.UUIDField(
                        help_text="The other one of two persons: who proposed what is decided.", null=True
                    ),
                ),
                ("second_client_id", models.UUIDField(help_text="The same, where that is an API client.", null=True)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("begun", "Begun"),
                            ("done", "Done"),
                            ("refused", "Refused"),
                            ("nothing", "Nothing done"),
                            ("failed", "Failed"),
                        ],
                        max_length=8,
                    ),
                ),
                ("said", models.CharField(blank=True, help_text="Why it was refused, or what failed.", max_length=500)),
                ("begun_id", models.UUIDField(help_text="Of an outcome: the row that was written before.", null=True)),
                ("once", models.UUIDField(help_text="The one-time key of the dialog that was answered.", null=True)),
                ("request_id", models.CharField(default=accounts.request_id.current, max_length=128, null=True)),
            ],
            options={
                "verbose_name_plural": "journal entries",
                "indexes": [
                    models.Index(fields=["user_id", "id"], name="journal_by_person"),
                    models.Index(fields=["deed", "id"], name="journal_by_deed"),
                    django.contrib.postgres.indexes.GinIndex(
                        fastupdate=False, fields=["objects_named"], name="journal_by_object"
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("outcome__in", ["begun", "done", "refused", "nothing", "failed"])),
                        name="journal_outcome_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("via__in", ["admin", "command", "api"])), name="journal_via_known"
                    ),
                    models.UniqueConstraint(fields=("begun_id",), name="one_outcome_of_a_deed"),
                    models.UniqueConstraint(fields=("once",), name="a_dialog_is_answered_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("outcome", "begun"), _negated=True), ("begun_id__isnull", True), _connector="OR"
                        ),
                        name="journal_begins_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("user_id__isnull", True), ("client_id__isnull", True), _connector="OR"),
                        name="journal_names_one",
                    ),
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
