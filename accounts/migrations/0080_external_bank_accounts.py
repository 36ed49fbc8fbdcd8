"""Customers' bank accounts outside: never changed, deleted once, emptied when their customer is erased; with versions."""

from importlib import import_module

import django.contrib.postgres.functions
import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

import accounts.ids

tell = import_module("accounts.migrations.0075_events").tell

FIXED = ("id", "customer_id", "asset_id", "kind", "routing_type", "made_by_id", "made_by_client_id", "created_at")
PERSONAL = ("name", "holder", "routing_number", "account_number", "address", "email_address")
TABLE = "accounts_externalbankaccount"


def row(which, names):
    return f"({', '.join(f'{which}.{name}' for name in names)})"


GUARDS = f"""
CREATE TRIGGER legal_moves BEFORE UPDATE ON {TABLE} FOR EACH ROW
    WHEN (OLD.state <> NEW.state AND NOT (OLD.state = 'completed' AND NEW.state = 'deleted'))
    EXECUTE FUNCTION refuse_move('state');
CREATE TRIGGER never_changed AFTER UPDATE OF {", ".join(FIXED)} ON {TABLE} FOR EACH ROW
    WHEN ({row("NEW", FIXED)} IS DISTINCT FROM {row("OLD", FIXED)}) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER erased_or_as_it_was BEFORE UPDATE ON {TABLE} FOR EACH ROW
    WHEN (NEW.erased_at IS NULL AND {row("NEW", (*PERSONAL, "salt"))} IS DISTINCT FROM {row("OLD", (*PERSONAL, "salt"))}
          OR OLD.erased_at IS NOT NULL)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER versioned AFTER INSERT OR UPDATE OR DELETE ON {TABLE} FOR EACH ROW
    EXECUTE FUNCTION note_row_version(
        'id', 'updated_at', '', 'name,holder,routing_number,account_number,email_address,address');
"""

# Nobody's account is emptied whose personal data two persons haven't erased.
WITH_ITS_CUSTOMER = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION bank_account_of_an_erased_customer() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.accounts_customer c WHERE c.id = NEW.customer_id AND c.erased_at IS NOT NULL
    ) THEN
        RAISE EXCEPTION 'a bank account is erased with its customer' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER erased_with_its_customer BEFORE UPDATE OF erased_at ON accounts_externalbankaccount FOR EACH ROW
    WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION bank_account_of_an_erased_customer();
"""

TOLD = f"""
CREATE TRIGGER tells_made AFTER INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION tell_bank_account();
CREATE TRIGGER tells_moved AFTER UPDATE OF state ON {TABLE} FOR EACH ROW
    WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION tell_bank_account();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0079_book_transfers"),
    ]

    operations = [
        migrations.CreateModel(
            name="ExternalBankAccount",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(blank=True, help_text="What its customer calls it.", max_length=128)),
                (
                    "kind",
                    models.CharField(
                        choices=[("raw_routing_details", "Raw Routing Details")],
                        default="raw_routing_details",
                        max_length=20,
                    ),
                ),
                (
                    "holder",
                    models.CharField(
                        blank=True, help_text="Whose account it is, as the bank knows them.", max_length=70
                    ),
                ),
                (
                    "routing_type",
                    models.CharField(
                        choices=[
                            ("ABA", "ABA routing number and account number"),
                            ("BIC", "BIC and IBAN"),
                            ("CPA", "CPA routing number and account number"),
                        ],
                        max_length=3,
                    ),
                ),
                (
                    "routing_number",
                    models.CharField(blank=True, help_text="The bank's: a routing number, or a BIC.", max_length=11),
                ),
                ("account_number", models.CharField(blank=True, help_text="Or IBAN.", max_length=34)),
                ("address", models.JSONField(blank=True, help_text="The holder's.", null=True)),
                ("email_address", models.CharField(blank=True, max_length=254)),
                (
                    "state",
                    models.CharField(
                        choices=[("completed", "Completed"), ("deleted", "Deleted")], default="completed", max_length=9
                    ),
                ),
                (
                    "salt",
                    models.UUIDField(
                        db_default=django.contrib.postgres.functions.RandomUUID(),
                        default=uuid.uuid4,
                        editable=False,
                        help_text="Of the digests in its versions; replaced when the customer's personal data is erased.",
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
                (
                    "erased_at",
                    models.DateTimeField(editable=False, help_text="When the personal data was erased.", null=True),
                ),
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
                    "customer",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="bank_accounts",
                        to="accounts.customer",
                    ),
                ),
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
        migrations.AddConstraint(
            model_name="externalbankaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("erased_at__isnull", True),
                        models.Q(("holder", ""), _negated=True),
                        models.Q(("routing_number", ""), _negated=True),
                        models.Q(("account_number", ""), _negated=True),
                    ),
                    models.Q(
                        ("account_number", ""),
                        ("address__isnull", True),
                        ("email_address", ""),
                        ("erased_at__isnull", False),
                        ("holder", ""),
                        ("name", ""),
                        ("routing_number", ""),
                        ("state", "deleted"),
                    ),
                    _connector="OR",
                ),
                name="bank_account_is_whole_or_erased",
            ),
        ),
        migrations.AddConstraint(
            model_name="externalbankaccount",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "completed")),
                fields=("customer", "asset", "routing_type", "routing_number", "account_number"),
                name="one_bank_account_of_a_customer",
            ),
        ),
        migrations.AddConstraint(
            model_name="externalbankaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["raw_routing_details"])), name="bank_account_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="externalbankaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(("routing_type__in", ["ABA", "BIC", "CPA"])), name="bank_account_routing_type_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="externalbankaccount",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["completed", "deleted"])), name="bank_account_state_known"
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(WITH_ITS_CUSTOMER, migrations.RunSQL.noop),
        tell(
            "tell_bank_account",
            "SELECT here, 'external_bank_account.' || NEW.state, NEW.id, NEW.customer_id, '', NEW.updated_at",
        ),
        migrations.RunSQL(TOLD, migrations.RunSQL.noop),
    ]
