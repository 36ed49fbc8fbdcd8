"""Counterparties and their standing instructions, with what the tables refuse by themselves (docs/decisions/0063)."""

import accounts.ids
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


NEVER_DELETED = """
CREATE TRIGGER never_deleted BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

NEVER_CHANGED = """
CREATE TRIGGER never_changed AFTER UPDATE OF {columns} ON {table} FOR EACH ROW
    WHEN ({changed}) EXECUTE FUNCTION refuse_change();
"""

# That the second person isn't the first, a CHECK says; that there is one, and none from the beginning, these do.
TWO_PERSONS = """
CREATE TRIGGER proposed_first BEFORE INSERT ON trades_standinginstruction FOR EACH ROW
    WHEN (NEW.state <> 'proposed') EXECUTE FUNCTION refuse_alone();
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_standinginstruction FOR EACH ROW
    WHEN (OLD.state <> 'proposed') EXECUTE FUNCTION refuse_change();
SELECT keep_versions('trades_counterparty', 'id', '', '');
SELECT keep_versions('trades_standinginstruction', 'id', '', '');
"""

FIXED = {
    "trades_counterparty": ("id", "name", "lei", "is_own", "made_by_id", "made_at"),
    "trades_standinginstruction": (
        "id",
        "counterparty_id",
        "asset_id",
        "kind",
        "holder",
        "iban",
        "bic",
        "bank_name",
        "network",
        "address",
        "memo",
        "is_default",
        "not_before",
        "reason",
        "once",
        "made_by_id",
        "made_at",
    ),
}


def never_changed(table, columns):
    changed = " OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in columns)
    sql = NEVER_CHANGED.format(table=table, columns=", ".join(columns), changed=changed)
    return migrations.RunSQL(sql, migrations.RunSQL.noop)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0072_sessions"),
        ("trades", "0072_request_ids"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Counterparty",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(help_text="As its bank knows it.", max_length=70, unique=True)),
                ("lei", models.CharField(blank=True, help_text="Legal Entity Identifier, ISO 17442.", max_length=20)),
                (
                    "is_own",
                    models.BooleanField(default=False, help_text="The firm itself: the accounts that it pays from."),
                ),
                ("is_active", models.BooleanField(default=True, help_text="Off: no new instruction is made for it.")),
                ("made_at", models.DateTimeField()),
                (
                    "made_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "counterparties",
            },
        ),
        migrations.CreateModel(
            name="StandingInstruction",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "state",
                    models.CharField(
                        choices=[("proposed", "Proposed"), ("approved", "Approved"), ("refused", "Refused")],
                        default="proposed",
                        max_length=8,
                    ),
                ),
                ("kind", models.CharField(choices=[("bank", "bank account"), ("wallet", "Wallet")], max_length=6)),
                (
                    "holder",
                    models.CharField(
                        blank=True, help_text="Whose account it is, as the bank knows them.", max_length=70
                    ),
                ),
                ("iban", models.CharField(blank=True, max_length=34)),
                ("bic", models.CharField(blank=True, max_length=11)),
                ("bank_name", models.CharField(blank=True, max_length=70)),
                ("network", models.CharField(blank=True, max_length=20)),
                ("address", models.CharField(blank=True, max_length=100)),
                (
                    "memo",
                    models.CharField(
                        blank=True, help_text="A memo or a destination tag, where one is needed.", max_length=64
                    ),
                ),
                (
                    "is_default",
                    models.BooleanField(default=False, help_text="This counterparty settles the asset from then on."),
                ),
                (
                    "not_before",
                    models.DateTimeField(
                        help_text="In force from then, or from its approval if that is later.", null=True
                    ),
                ),
                ("in_force_from", models.DateTimeField(null=True)),
                ("reason", models.CharField(max_length=500)),
                (
                    "once",
                    models.UUIDField(
                        editable=False, help_text="The one-time key of the dialog that made it.", null=True, unique=True
                    ),
                ),
                ("made_at", models.DateTimeField()),
                ("decided_at", models.DateTimeField(null=True)),
                (
                    "asset",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.asset",
                    ),
                ),
                (
                    "checked_by",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "counterparty",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="standing_instructions",
                        to="trades.counterparty",
                    ),
                ),
                (
                    "made_by",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="counterparty",
            constraint=models.UniqueConstraint(
                condition=models.Q(("is_own", True)), fields=("is_own",), name="the_firm_is_one_counterparty"
            ),
        ),
        migrations.AddConstraint(
            model_name="counterparty",
            constraint=models.UniqueConstraint(
                condition=models.Q(("lei", ""), _negated=True), fields=("lei",), name="one_counterparty_per_lei"
            ),
        ),
        migrations.AddIndex(
            model_name="standinginstruction",
            index=models.Index(
                condition=models.Q(("state", "approved")),
                fields=["asset", "counterparty", "in_force_from"],
                name="standing_instruction_in_force",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("checked_by__isnull", True),
                    models.Q(("made_by", models.F("checked_by")), _negated=True),
                    _connector="OR",
                ),
                name="standing_instruction_maker_is_not_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "approved"), _negated=True), ("checked_by__isnull", False), _connector="OR"
                ),
                name="standing_instruction_approved_by_a_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("checked_by__isnull", True), ("decided_at__isnull", True), ("state", "proposed")),
                    models.Q(("decided_at__isnull", False), ("state__in", ["approved", "refused"])),
                    _connector="OR",
                ),
                name="standing_instruction_decided_at_a_time",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("in_force_from__gte", models.F("decided_at")),
                        ("state", "approved"),
                        models.Q(
                            ("not_before__isnull", True),
                            ("in_force_from__gte", models.F("not_before")),
                            _connector="OR",
                        ),
                    ),
                    models.Q(models.Q(("state", "approved"), _negated=True), ("in_force_from__isnull", True)),
                    _connector="OR",
                ),
                name="standing_instruction_in_force_once_approved",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("address", ""),
                        ("kind", "bank"),
                        ("memo", ""),
                        ("network", ""),
                        models.Q(("holder", ""), _negated=True),
                        models.Q(("iban", ""), _negated=True),
                        models.Q(("bic", ""), _negated=True),
                    ),
                    models.Q(
                        ("bank_name", ""),
                        ("bic", ""),
                        ("holder", ""),
                        ("iban", ""),
                        ("kind", "wallet"),
                        models.Q(("network", ""), _negated=True),
                        models.Q(("address", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="standing_instruction_is_an_account_or_a_wallet",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True), name="standing_instruction_has_a_reason"
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "proposed")),
                fields=("counterparty", "asset"),
                name="one_open_standing_instruction",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["proposed", "approved", "refused"])),
                name="standing_instruction_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="standinginstruction",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["bank", "wallet"])), name="standing_instruction_kind_known"
            ),
        ),
        *(migrations.RunSQL(NEVER_DELETED.format(table=table), migrations.RunSQL.noop) for table in FIXED),
        *(never_changed(table, columns) for table, columns in FIXED.items()),
        migrations.RunSQL(TWO_PERSONS, migrations.RunSQL.noop),
    ]
