"""Statements that were imported, and their entries, with what the tables refuse (docs/decisions/0063)."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_statementfile
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_statementfile
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON trades_statemententry FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_statemententry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON trades_statemententry FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_statemententry FOR EACH ROW
    WHEN (OLD.state <> 'listed') EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_statemententry', 'id', '', '');
"""

FIXED = (
    *("id", "file_id", "number", "key", "facts", "account", "asset_id", "currency", "amount", "amount_text"),
    *("direction", "bank_reference", "names", "named", "other_account", "booked_on"),
)
SQL = GUARDS.format(
    columns=", ".join(FIXED), changed=" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)
)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0072_sessions"),
        ("trades", "0083_instructions"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="StatementFile",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("format", models.CharField(choices=[("camt053", "camt.053"), ("csv", "CSV")], max_length=7)),
                ("name", models.CharField(max_length=200)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                (
                    "entries_count",
                    models.PositiveIntegerField(help_text="How many it has, those known before among them."),
                ),
                ("made_at", models.DateTimeField()),
                (
                    "made_by",
                    models.ForeignKey(
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
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.apiclient",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="StatementEntry",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("number", models.PositiveIntegerField(help_text="Its place in the file.")),
                ("key", models.CharField(max_length=64, unique=True)),
                ("facts", models.CharField(help_text="SHA-256 of what it says.", max_length=64)),
                ("account", models.CharField(blank=True, max_length=100)),
                ("currency", models.CharField(blank=True, max_length=10)),
                ("amount", models.DecimalField(decimal_places=0, help_text="Base units.", max_digits=38, null=True)),
                ("amount_text", models.CharField(blank=True, help_text="As the bank wrote it.", max_length=40)),
                ("direction", models.CharField(blank=True, max_length=8)),
                ("bank_reference", models.CharField(blank=True, max_length=100)),
                ("names", models.JSONField(help_text="The texts in which an instruction's id may stand.")),
                ("named", models.CharField(blank=True, help_text="The one instruction id in them.", max_length=35)),
                ("other_account", models.CharField(blank=True, max_length=100)),
                ("booked_on", models.DateField(null=True)),
                (
                    "state",
                    models.CharField(
                        choices=[("listed", "Listed"), ("matched", "Matched"), ("explained", "Explained")],
                        default="listed",
                        max_length=9,
                    ),
                ),
                ("reason", models.CharField(blank=True, help_text="Why it wasn't matched.", max_length=40)),
                ("note", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "asset",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.asset",
                    ),
                ),
                (
                    "decided_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "decided_by_client",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.apiclient",
                    ),
                ),
                (
                    "instruction",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="entries",
                        to="trades.settlementinstruction",
                    ),
                ),
                (
                    "file",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="entries", to="trades.statementfile"
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "statement entries",
            },
        ),
        migrations.AddConstraint(
            model_name="statementfile",
            constraint=models.CheckConstraint(
                condition=models.Q(("format__in", ["camt053", "csv"])), name="statement_file_format_known"
            ),
        ),
        migrations.AddIndex(
            model_name="statemententry",
            index=models.Index(condition=models.Q(("state", "listed")), fields=["id"], name="entry_listed"),
        ),
        migrations.AddIndex(
            model_name="statemententry",
            index=models.Index(
                condition=models.Q(("state", "matched")), fields=["instruction"], name="entry_by_instruction"
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("amount__gt", 0),
                        ("asset__isnull", False),
                        ("instruction__isnull", False),
                        ("state", "matched"),
                    ),
                    models.Q(models.Q(("state", "matched"), _negated=True), ("instruction__isnull", True)),
                    _connector="OR",
                ),
                name="entry_matched_with_an_instruction",
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "explained"), _negated=True),
                    models.Q(models.Q(("note", ""), _negated=True), ("decided_at__isnull", False)),
                    _connector="OR",
                ),
                name="entry_explained_with_a_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.UniqueConstraint(fields=("file", "number"), name="one_entry_per_place"),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=models.Q(("direction__in", ["", "incoming", "outgoing"])), name="entry_direction_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["listed", "matched", "explained"])), name="entry_state_known"
            ),
        ),
        migrations.RunSQL(SQL, migrations.RunSQL.noop),
    ]
