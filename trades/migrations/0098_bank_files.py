"""Payments by a bank's files: payouts in payment files, and statements that complete them (docs/decisions/0075)."""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

book = import_module("trades.migrations.0096_book_transfers")

FIXED = (*book.FIXED, "external_bank_account_id", "remittance_reference")
GUARDS = f"""
DROP TRIGGER never_changed ON trades_payment;
CREATE TRIGGER never_changed AFTER UPDATE OF {", ".join(FIXED)} ON trades_payment FOR EACH ROW
    WHEN ({" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)}) EXECUTE FUNCTION refuse_change();
DROP TRIGGER ended_for_good ON trades_payment;
CREATE TRIGGER ended_for_good BEFORE UPDATE ON trades_payment FOR EACH ROW
    WHEN (OLD.state = 'failed' OR OLD.state = 'completed' AND (
        NEW.state, NEW.failure_code, NEW.reference, NEW.needs_checker, NEW.made_by_id, NEW.checked_by_id,
        NEW.approved_at, NEW.payment_file_id
    ) IS DISTINCT FROM (
        OLD.state, OLD.failure_code, OLD.reference, OLD.needs_checker, OLD.made_by_id, OLD.checked_by_id,
        OLD.approved_at, OLD.payment_file_id
    ))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER filed_once BEFORE UPDATE OF payment_file_id, approved_at ON trades_payment FOR EACH ROW
    WHEN (OLD.payment_file_id IS NOT NULL AND NEW.payment_file_id IS DISTINCT FROM OLD.payment_file_id
          OR OLD.approved_at IS NOT NULL AND NEW.approved_at IS DISTINCT FROM OLD.approved_at)
    EXECUTE FUNCTION refuse_change();
DROP TRIGGER alone_within_limit ON trades_payment;
CREATE TRIGGER alone_within_limit BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NOT NEW.needs_checker AND (
        NEW.rail = 'manual' AND NEW.state = 'completed'
        OR NEW.rail = 'bank_file' AND NEW.side = 'withdrawal' AND NEW.state = 'settling'
        OR NEW.rail = 'bank_file' AND NEW.side = 'deposit' AND NEW.state = 'completed' AND NEW.made_by_id IS NOT NULL))
    EXECUTE FUNCTION payment_within_limit();
"""

# Nobody is paid at somebody else's account. The file's own moment decides once more whether it is still there.
OF_ITS_ACCOUNT = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION payment_of_its_bank_account() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.accounts_externalbankaccount a
        WHERE a.id = NEW.external_bank_account_id AND a.customer_id = NEW.customer_id AND a.asset_id = NEW.asset_id
          AND a.state = 'completed'
    ) THEN
        RAISE EXCEPTION 'a payment names a bank account of its own customer, in its asset, that is not deleted'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER of_its_bank_account BEFORE INSERT ON trades_payment FOR EACH ROW
    WHEN (NEW.external_bank_account_id IS NOT NULL) EXECUTE FUNCTION payment_of_its_bank_account();
CREATE TRIGGER sent_to_its_bank_account BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NEW.rail = 'bank_file' AND NEW.side = 'withdrawal' AND OLD.state = 'pending' AND NEW.state = 'settling')
    EXECUTE FUNCTION payment_of_its_bank_account();
"""

# The bank says so, in an entry that names the payment; or a person says that an entry is this payment's.
BY_AN_ENTRY = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION payment_by_an_entry() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM %1$I.trades_statemententry e
        WHERE e.payment_id = NEW.id AND e.state = 'matched' AND e.reason = '' AND e.asset_id = NEW.asset_id
          AND e.direction = CASE NEW.side WHEN 'deposit' THEN 'incoming' ELSE 'outgoing' END
          AND e.amount = CASE NEW.side WHEN 'deposit' THEN NEW.deliver_amount ELSE NEW.receive_amount END
          AND (e.named = NEW.remittance_reference OR e.decided_by_id IS NOT NULL
               AND (NEW.side = 'withdrawal' OR NEW.made_by_id IS NOT NULL))
    ) THEN
        RAISE EXCEPTION 'a payment by file completes by an entry of a statement'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION entry_decided_for_good() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.state = 'listed' AND OLD.payment_id IS NOT NULL AND OLD.reason = '' AND EXISTS (
        SELECT FROM %1$I.trades_payment p WHERE p.id = OLD.payment_id AND p.state = 'failed' AND p.side = 'deposit'
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'an entry is decided on for good' USING ERRCODE = 'integrity_constraint_violation';
END $$
    $create$, pg_catalog.current_schema());
END $do$;
CREATE TRIGGER by_an_entry BEFORE UPDATE OF state ON trades_payment FOR EACH ROW
    WHEN (NEW.rail = 'bank_file' AND NEW.state = 'completed' AND OLD.state <> 'completed')
    EXECUTE FUNCTION payment_by_an_entry();
DROP TRIGGER decided_for_good ON trades_statemententry;
CREATE TRIGGER decided_for_good BEFORE UPDATE ON trades_statemententry FOR EACH ROW
    WHEN (OLD.state <> 'listed') EXECUTE FUNCTION entry_decided_for_good();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0080_external_bank_accounts"),
        ("quotes", "0043_book_transfers"),
        ("trades", "0097_payments_come_back"),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="payment", name="payment_between_customers_says_to_whom"),
        migrations.RemoveConstraint(model_name="payment", name="payment_rail_known"),
        migrations.RemoveConstraint(model_name="statemententry", name="entry_matched_with_an_instruction"),
        migrations.RemoveConstraint(model_name="statemententry", name="entry_explained_with_a_reason"),
        migrations.RemoveConstraint(model_name="statemententry", name="entry_state_known"),
        migrations.AddField(
            model_name="payment",
            name="approved_at",
            field=models.DateTimeField(blank=True, help_text="Of a payout by file: since when.", null=True),
        ),
        migrations.AddField(
            model_name="payment",
            name="external_bank_account",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="The customer's, to which it goes, or from which it comes; by constraint and trigger theirs.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.externalbankaccount",
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="payment_file",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                help_text="In which the bank was told to pay it out.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="payments",
                to="trades.paymentfile",
            ),
        ),
        migrations.AddField(
            model_name="payment",
            name="remittance_reference",
            field=models.CharField(
                blank=True,
                default="",
                help_text="What the payer writes, or the bank is told: an ISO 11649 reference.",
                max_length=35,
            ),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="statemententry",
            name="payment",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="entries",
                to="trades.payment",
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="made_by",
            field=models.ForeignKey(
                blank=True,
                help_text="Who says that the money moved outside; of a payout by file, who approved it first.",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.user",
            ),
        ),
        migrations.AlterField(
            model_name="payment",
            name="needs_checker",
            field=models.BooleanField(default=False, help_text="A second person must agree."),
        ),
        migrations.AlterField(
            model_name="payment",
            name="rail",
            field=models.CharField(
                choices=[
                    ("sandbox", "Sandbox"),
                    ("manual", "Manual"),
                    ("bank_file", "Bank File"),
                    ("book", "Book"),
                ],
                help_text="By which way the money moves outside.",
                max_length=10,
            ),
        ),
        migrations.AlterField(
            model_name="paymentfile",
            name="instructions_count",
            field=models.PositiveIntegerField(help_text="Instructions, or payouts."),
        ),
        migrations.AlterField(
            model_name="statemententry",
            name="state",
            field=models.CharField(
                choices=[
                    ("listed", "Listed"),
                    ("matched", "Matched"),
                    ("explained", "Explained"),
                    ("send_back", "to be sent back"),
                ],
                default="listed",
                max_length=9,
            ),
        ),
        migrations.AddIndex(
            model_name="payment",
            index=models.Index(
                condition=Q(("payment_file__isnull", False)), fields=["payment_file"], name="payment_by_payment_file"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(destination__isnull=True, rail__in=["sandbox", "manual", "bank_file"], type="funding")
                | Q(destination__isnull=False, rail="book", reference="", side="deposit", type="book")
                & ~Q(destination=F("customer")),
                name="payment_between_customers_says_to_whom",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(type="funding") | Q(external_bank_account__isnull=True),
                name="payment_of_a_bank_account_is_funding",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(rail="bank_file") ^ Q(remittance_reference=""), name="payment_by_file_has_a_reference"
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=~Q(rail="bank_file", side="withdrawal") | Q(external_bank_account__isnull=False),
                name="payout_by_file_goes_to_an_account",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(payment_file__isnull=True)
                | Q(rail="bank_file", side="withdrawal", state__in=["settling", "completed", "failed"]),
                name="payment_in_a_file_is_a_payout_that_was_sent",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=~Q(rail="bank_file", side="withdrawal", state__in=["settling", "completed"])
                | Q(payment_file__isnull=False, made_by__isnull=False, approved_at__isnull=False)
                & (Q(needs_checker=False) | Q(checked_by__isnull=False)),
                name="payout_by_file_is_sent_once_approved",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=~Q(rail="bank_file", state="completed", needs_checker=True) | Q(checked_by__isnull=False),
                name="payment_by_file_is_completed_by_its_checker",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.UniqueConstraint(
                condition=~Q(remittance_reference=""),
                fields=("remittance_reference",),
                name="one_payment_per_remittance_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="payment",
            constraint=models.CheckConstraint(
                condition=Q(rail__in=["sandbox", "manual", "bank_file", "book"]), name="payment_rail_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=Q(state="matched", amount__gt=0, asset__isnull=False)
                & (
                    Q(instruction__isnull=False, payment__isnull=True)
                    | Q(instruction__isnull=True, payment__isnull=False)
                )
                | ~Q(state="matched") & Q(instruction__isnull=True, payment__isnull=True),
                name="entry_matched_with_one_of_ours",
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=~Q(state__in=["explained", "send_back"]) | ~Q(note="") & Q(decided_at__isnull=False),
                name="entry_explained_with_a_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=~Q(state="send_back") | Q(direction="incoming", amount__gt=0), name="entry_sent_back_came_in"
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.UniqueConstraint(
                condition=Q(state="matched", reason=""), fields=("payment",), name="one_entry_completes_a_payment"
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.UniqueConstraint(
                condition=Q(state="matched", reason="a_reversal"),
                fields=("payment",),
                name="one_entry_returns_a_payment",
            ),
        ),
        migrations.AddConstraint(
            model_name="statemententry",
            constraint=models.CheckConstraint(
                condition=Q(state__in=["listed", "matched", "explained", "send_back"]), name="entry_state_known"
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(OF_ITS_ACCOUNT, migrations.RunSQL.noop),
        migrations.RunSQL(BY_AN_ENTRY, migrations.RunSQL.noop),
    ]
