"""Every report of a leg is a row; a leg has a value date; an outside reference settles one leg (docs/decisions/0062).

What legs said before is their first row. Where several had the same reference, the first keeps it; of the others the
row tells which it was.
"""

import accounts.ids
import accounts.request_id
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

BEFORE = """
UPDATE trades_settlementleg l
SET value_date = (b.cut_at AT TIME ZONE 'UTC')::date,
    due_by = ((b.cut_at AT TIME ZONE 'UTC')::date + 1)::timestamp AT TIME ZONE 'UTC',
    reason_code = CASE WHEN l.status = 'failed' THEN 'NARR' ELSE '' END
FROM trades_settlementbatch b WHERE b.id = l.batch_id;

INSERT INTO trades_legreport (id, leg_id, kind, number, reversals, amount, reference, reason_code, text, by_user_id,
                              by_client_id, request_id, at)
SELECT new_uuid7(), id, status, attempts, 0, actual, CASE WHEN place = 1 THEN reference ELSE '' END, reason_code,
       CASE WHEN status = 'failed' THEN failure
            WHEN place = 1 THEN '' ELSE left('Another leg was settled by the same reference: ' || reference, 200) END,
       reported_by_id, reported_by_client_id, NULL, coalesce(settled_at, updated_at)
FROM (
    SELECT l.*, CASE WHEN reference = '' OR status <> 'settled' THEN 1 ELSE row_number() OVER (
        PARTITION BY status, upper(replace(reference, ' ', '')) ORDER BY settled_at, id) END AS place
    FROM trades_settlementleg l WHERE status IN ('settled', 'failed')
) told
ORDER BY coalesce(settled_at, updated_at), id;

UPDATE trades_legreport SET reference = '' WHERE kind = 'failed';

INSERT INTO trades_legreference (key, leg_id)
SELECT upper(replace(reference, ' ', '')), leg_id FROM trades_legreport WHERE reference <> '';
"""

# The reference is claimed before the row is written; whoever claims the same one at the same time waits for the first.
FUNCTIONS = """
DO $do$
BEGIN
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION claim_leg_reference() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO %1$I.trades_legreference (key, leg_id) VALUES (upper(replace(NEW.reference, ' ', '')), NEW.leg_id)
    ON CONFLICT (key) DO NOTHING;
    IF NOT EXISTS (SELECT FROM %1$I.trades_legreference
                   WHERE key = upper(replace(NEW.reference, ' ', '')) AND leg_id = NEW.leg_id) THEN
        RAISE EXCEPTION 'this reference has settled another leg' USING ERRCODE = 'integrity_constraint_violation',
            CONSTRAINT = 'one_leg_per_reference';
    END IF;
    RETURN NEW;
END $$
    $create$, pg_catalog.current_schema());
    EXECUTE pg_catalog.format($create$
CREATE FUNCTION leg_says_what_was_reported() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.actual IS DISTINCT FROM (SELECT sum(amount) FROM %1$I.trades_legreport
                                    WHERE leg_id = NEW.id AND reversals = NEW.reversals) THEN
        RAISE EXCEPTION 'a leg''s actual is the sum of its reports' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END $$
    $create$, pg_catalog.current_schema());
END $do$;
"""

GUARDS = """
CREATE TRIGGER claim_reference BEFORE INSERT ON trades_legreport FOR EACH ROW
    WHEN (NEW.reference <> '') EXECUTE FUNCTION claim_leg_reference();
CREATE TRIGGER says_what_was_reported AFTER INSERT OR UPDATE OF actual, reversals, status ON trades_settlementleg
    FOR EACH ROW EXECUTE FUNCTION leg_says_what_was_reported();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_legreport
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_legreport
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON trades_legreference
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON trades_legreference
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
DROP TRIGGER never_changed ON trades_settlementleg;
CREATE TRIGGER never_changed AFTER UPDATE OF id, batch_id, asset_id, value_date, due_by ON trades_settlementleg
    FOR EACH ROW
    WHEN (NEW.id IS DISTINCT FROM OLD.id OR NEW.batch_id IS DISTINCT FROM OLD.batch_id
          OR NEW.asset_id IS DISTINCT FROM OLD.asset_id OR NEW.value_date IS DISTINCT FROM OLD.value_date
          OR NEW.due_by IS DISTINCT FROM OLD.due_by)
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0072_sessions"),
        ("trades", "0074_cut_off"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="LegReference",
            fields=[
                (
                    "key",
                    models.CharField(
                        editable=False,
                        help_text="In capitals, without spaces: see reference_key.",
                        max_length=256,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="LegReport",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("settled", "settled: nothing more comes"),
                            ("failed", "an attempt failed"),
                            ("retried", "due again after its pause"),
                            ("reopened", "taken back by a correction"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "number",
                    models.PositiveIntegerField(
                        help_text="The leg's attempts by then; movements have it in their keys."
                    ),
                ),
                (
                    "reversals",
                    models.PositiveSmallIntegerField(
                        default=0, help_text="How often the leg had been reopened by then."
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=0, max_digits=38, null=True)),
                (
                    "reference",
                    models.CharField(blank=True, help_text="The bank's or the provider's own.", max_length=128),
                ),
                (
                    "reason_code",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("AC01", "the account number is wrong or missing"),
                            ("AC04", "the account is closed"),
                            ("AC06", "the account is blocked"),
                            ("AG01", "transactions of this kind are forbidden on the account"),
                            ("AM02", "the amount is above what is allowed"),
                            ("AM04", "the funds don't suffice"),
                            ("AM05", "it was sent before"),
                            ("CURR", "the currency is wrong"),
                            ("CUST", "whoever ordered it took it back"),
                            ("DT01", "the date is invalid"),
                            ("ED05", "the settlement failed"),
                            ("FR01", "returned as fraud"),
                            ("MS03", "the agent doesn't say why"),
                            ("RC01", "the bank's identifier is wrong"),
                            ("RR04", "a regulation forbids it"),
                            ("TECH", "a technical problem"),
                            ("TM01", "it came after the cut-off time"),
                            ("AWMO", "money from the counterparty is awaited"),
                            ("AWSH", "the asset is awaited from the counterparty"),
                            ("BLOC", "the account is blocked at the depository"),
                            ("CLAC", "the counterparty hasn't enough of the asset"),
                            ("CLAT", "the counterparty's instruction came too late"),
                            ("CMON", "the counterparty hasn't enough money"),
                            ("DKNY", "the counterparty doesn't know of it"),
                            ("LACK", "there isn't enough of the asset to deliver"),
                            ("LATE", "the market's deadline was missed"),
                            ("MONY", "there isn't enough money to pay"),
                            ("OTHR", "another reason"),
                            ("NARR", "the text says why"),
                        ],
                        max_length=4,
                    ),
                ),
                (
                    "text",
                    models.CharField(
                        blank=True, help_text="Why it failed; which correction reopened it.", max_length=200
                    ),
                ),
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
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.AddField(
            model_name="settlementleg",
            name="due_by",
            field=models.DateTimeField(help_text="The end of that day: from then on it is overdue.", null=True),
        ),
        migrations.AddField(
            model_name="settlementleg",
            name="reason_code",
            field=models.CharField(
                blank=True,
                choices=[
                    ("AC01", "the account number is wrong or missing"),
                    ("AC04", "the account is closed"),
                    ("AC06", "the account is blocked"),
                    ("AG01", "transactions of this kind are forbidden on the account"),
                    ("AM02", "the amount is above what is allowed"),
                    ("AM04", "the funds don't suffice"),
                    ("AM05", "it was sent before"),
                    ("CURR", "the currency is wrong"),
                    ("CUST", "whoever ordered it took it back"),
                    ("DT01", "the date is invalid"),
                    ("ED05", "the settlement failed"),
                    ("FR01", "returned as fraud"),
                    ("MS03", "the agent doesn't say why"),
                    ("RC01", "the bank's identifier is wrong"),
                    ("RR04", "a regulation forbids it"),
                    ("TECH", "a technical problem"),
                    ("TM01", "it came after the cut-off time"),
                    ("AWMO", "money from the counterparty is awaited"),
                    ("AWSH", "the asset is awaited from the counterparty"),
                    ("BLOC", "the account is blocked at the depository"),
                    ("CLAC", "the counterparty hasn't enough of the asset"),
                    ("CLAT", "the counterparty's instruction came too late"),
                    ("CMON", "the counterparty hasn't enough money"),
                    ("DKNY", "the counterparty doesn't know of it"),
                    ("LACK", "there isn't enough of the asset to deliver"),
                    ("LATE", "the market's deadline was missed"),
                    ("MONY", "there isn't enough money to pay"),
                    ("OTHR", "another reason"),
                    ("NARR", "the text says why"),
                ],
                help_text="ISO 20022's code of why the last attempt failed.",
                max_length=4,
            ),
        ),
        migrations.AddField(
            model_name="settlementleg",
            name="reversals",
            field=models.PositiveSmallIntegerField(default=0, help_text="How often a correction has reopened it."),
        ),
        migrations.AddField(
            model_name="settlementleg",
            name="value_date",
            field=models.DateField(
                help_text="The day on which it is to be carried out, in the window's time zone.", null=True
            ),
        ),
        migrations.AddField(
            model_name="settlementwindow",
            name="value_days",
            field=models.PositiveSmallIntegerField(
                default=0,
                help_text="Business days of the calendar from the cut to the legs' value date; 0: the day of the cut.",
                validators=[django.core.validators.MaxValueValidator(30)],
            ),
        ),
        migrations.AddIndex(
            model_name="settlementleg",
            index=models.Index(
                condition=models.Q(("status", "settled"), _negated=True), fields=["id"], name="leg_not_settled"
            ),
        ),
        migrations.AddIndex(
            model_name="settlementleg",
            index=models.Index(
                condition=models.Q(("status", "settled"), _negated=True),
                fields=["due_by"],
                name="leg_not_settled_by_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="settlementwindow",
            constraint=models.CheckConstraint(
                condition=models.Q(("value_days__lte", 30)), name="window_value_days_bounded"
            ),
        ),
        migrations.AddField(
            model_name="legreference",
            name="leg",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="trades.settlementleg",
            ),
        ),
        migrations.AddField(
            model_name="legreport",
            name="by_client",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.apiclient",
            ),
        ),
        migrations.AddField(
            model_name="legreport",
            name="by_user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="legreport",
            name="leg",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reports",
                to="trades.settlementleg",
            ),
        ),
        migrations.AddIndex(
            model_name="legreport",
            index=models.Index(fields=["leg", "id"], name="leg_report_by_leg"),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.UniqueConstraint(
                condition=models.Q(("kind__in", ["settled", "failed"])),
                fields=("leg", "number"),
                name="one_report_per_attempt",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.UniqueConstraint(
                models.F("leg"),
                models.F("reversals"),
                django.db.models.functions.text.Upper(
                    django.db.models.functions.text.Replace(models.F("reference"), models.Value(" "), models.Value(""))
                ),
                condition=models.Q(("amount__isnull", False), models.Q(("reference", ""), _negated=True)),
                name="one_report_per_reference",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("amount__gte", 0), ("amount__isnull", False), ("kind", "settled")),
                    models.Q(
                        ("amount__isnull", True), ("kind__in", ["failed", "retried", "reopened"]), ("reference", "")
                    ),
                    _connector="OR",
                ),
                name="leg_report_amount_where_it_moved",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind", "failed"), ("reason_code", ""), _connector="XOR"),
                name="leg_report_reason_of_failure",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["settled", "failed", "retried", "reopened"])),
                name="leg_report_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="legreport",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "reason_code__in",
                        [
                            "",
                            "AC01",
                            "AC04",
                            "AC06",
                            "AG01",
                            "AM02",
                            "AM04",
                            "AM05",
                            "CURR",
                            "CUST",
                            "DT01",
                            "ED05",
                            "FR01",
                            "MS03",
                            "RC01",
                            "RR04",
                            "TECH",
                            "TM01",
                            "AWMO",
                            "AWSH",
                            "BLOC",
                            "CLAC",
                            "CLAT",
                            "CMON",
                            "DKNY",
                            "LACK",
                            "LATE",
                            "MONY",
                            "OTHR",
                            "NARR",
                        ],
                    )
                ),
                name="leg_report_reason_code_known",
            ),
        ),
        migrations.RunSQL(BEFORE, migrations.RunSQL.noop),
        migrations.AlterField(
            model_name="settlementleg",
            name="due_by",
            field=models.DateTimeField(help_text="The end of that day: from then on it is overdue."),
        ),
        migrations.AlterField(
            model_name="settlementleg",
            name="value_date",
            field=models.DateField(help_text="The day on which it is to be carried out, in the window's time zone."),
        ),
        migrations.RunSQL(FUNCTIONS, migrations.RunSQL.noop),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
