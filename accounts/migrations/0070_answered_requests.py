"""What a POST under an Idempotency-Key was answered (docs/decisions/0058-idempotency-of-every-post.md)."""

import accounts.ids
import accounts.request_id
import django.db.models.functions.datetime
from django.db import migrations, models

# A row is forgotten when it is old, never before a day has passed, and never changed: whoever could do either could
# have a request carried out twice.
GUARDS = """
CREATE FUNCTION refuse_early_removal() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: an answer is kept for a day', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER kept_for_a_day AFTER DELETE ON accounts_answeredrequest FOR EACH ROW
    WHEN (OLD.at > clock_timestamp() - interval '24 hours') EXECUTE FUNCTION refuse_early_removal();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_answeredrequest
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

FIXED = (
    "id",
    "user_id",
    "client_id",
    "customer_id",
    "key",
    "request_sha256",
    "path",
    "request_id",
    "status",
    "body",
    "at",
)
NEVER_CHANGED = f"""
CREATE TRIGGER never_changed AFTER UPDATE OF {", ".join(FIXED)} ON accounts_answeredrequest FOR EACH ROW
    WHEN ({" OR ".join(f"NEW.{name} IS DISTINCT FROM OLD.{name}" for name in FIXED)}) EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0040_customer_states")]

    operations = [
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
        migrations.RunSQL(GUARDS, "DROP FUNCTION refuse_early_removal() CASCADE"),
        migrations.RunSQL(NEVER_CHANGED, migrations.RunSQL.noop),
    ]
