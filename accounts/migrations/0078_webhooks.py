"""Subscriptions to events, what is sent to them, and what came back."""

import accounts.ids
import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
import uuid
from django.db import migrations, models

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_webhookattempt
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_webhookattempt
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed AFTER UPDATE OF id, subscription_id, transaction, number, kind, object_id, created_at
    ON accounts_webhookdelivery FOR EACH ROW
    WHEN ((NEW.id, NEW.subscription_id, NEW.transaction, NEW.number, NEW.kind, NEW.object_id, NEW.created_at)
          IS DISTINCT FROM
          (OLD.id, OLD.subscription_id, OLD.transaction, OLD.number, OLD.kind, OLD.object_id, OLD.created_at))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON accounts_webhookdelivery
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_webhookdelivery
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_changed AFTER UPDATE OF id, client_id, customer_id, url, kinds, created_at
    ON accounts_webhooksubscription FOR EACH ROW
    WHEN ((NEW.id, NEW.client_id, NEW.customer_id, NEW.url, NEW.kinds, NEW.created_at)
          IS DISTINCT FROM (OLD.id, OLD.client_id, OLD.customer_id, OLD.url, OLD.kinds, OLD.created_at))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON accounts_webhooksubscription
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_webhooksubscription
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# How far a subscription has been told moves all day.
VERSIONS = """
SELECT keep_versions('accounts_webhooksubscription', 'id',
                     'transaction,number,failures,failing_since,next_at,updated_at', 'seed,previous_seed');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0077_payments"),
    ]

    operations = [
        migrations.CreateModel(
            name="WebhookDelivery",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("transaction", models.BigIntegerField()),
                ("number", models.BigIntegerField()),
                ("kind", models.CharField(help_text="The event's.", max_length=40)),
                (
                    "object_id",
                    models.UUIDField(help_text="The event's: a later event of the same object waits for this one."),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("storing", "Storing"),
                            ("failing", "Failing"),
                            ("completed", "Completed"),
                            ("failed", "Failed"),
                        ],
                        default="storing",
                        max_length=16,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(default=0)),
                (
                    "tries",
                    models.PositiveIntegerField(default=0, help_text="Attempts since it was made or asked for again."),
                ),
                (
                    "response",
                    models.TextField(blank=True, help_text="Of the last attempt, as its client is told of it."),
                ),
                (
                    "since",
                    models.DateTimeField(
                        help_text="When it was made or asked for again: three days later it is given up."
                    ),
                ),
                ("next_attempt_at", models.DateTimeField(null=True)),
                (
                    "request_id",
                    models.CharField(
                        editable=False,
                        help_text="The HTTP request that asked for it again.",
                        max_length=128,
                        null=True,
                    ),
                ),
                ("completed_at", models.DateTimeField(null=True)),
                ("failed_at", models.DateTimeField(null=True)),
                ("created_at", models.DateTimeField()),
                ("updated_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="WebhookAttempt",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("headers", models.JSONField(help_text="As they were sent, without the signatures.")),
                ("address", models.CharField(blank=True, help_text="To which it was sent.", max_length=64)),
                ("status", models.PositiveSmallIntegerField(help_text="Empty: no answer.", null=True)),
                ("response", models.TextField(blank=True, help_text="The first kilobyte.")),
                ("error", models.CharField(blank=True, max_length=200)),
                ("milliseconds", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                (
                    "delivery",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="log", to="accounts.webhookdelivery"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookSubscription",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=128)),
                ("url", models.CharField(max_length=1024)),
                (
                    "kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        help_text="Empty: all that the client may see.",
                        null=True,
                        size=None,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("completed", "Completed"), ("failed", "Failed")], default="completed", max_length=16
                    ),
                ),
                ("failure_code", models.CharField(blank=True, max_length=32)),
                (
                    "seed",
                    models.CharField(editable=False, help_text="The key is made of it and SECRET_KEY.", max_length=64),
                ),
                ("previous_seed", models.CharField(blank=True, editable=False, max_length=64)),
                ("previous_until", models.DateTimeField(help_text="Until then the key before signs, too.", null=True)),
                ("transaction", models.BigIntegerField()),
                ("number", models.BigIntegerField()),
                (
                    "failures",
                    models.PositiveIntegerField(
                        default=0, help_text="Calls in a row that the endpoint didn't answer well."
                    ),
                ),
                ("failing_since", models.DateTimeField(null=True)),
                (
                    "next_at",
                    models.DateTimeField(default=django.utils.timezone.now, help_text="It isn't called before."),
                ),
                ("deleted_at", models.DateTimeField(help_text="From then on it is told nothing.", null=True)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "client",
                    models.ForeignKey(
                        help_text="Who made it. It tells what this client's scopes allow now, and nothing while the client is off.",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.apiclient",
                    ),
                ),
                (
                    "customer",
                    models.ForeignKey(
                        help_text="Empty: the whole firm's.",
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.customer",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="webhookdelivery",
            name="subscription",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.webhooksubscription",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhooksubscription",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["completed", "failed"])), name="webhook_subscription_state_known"
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(fields=["transaction", "number", "id"], name="webhook_delivery_by_event"),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state__in", ("storing", "failing"))),
                fields=["subscription", "transaction", "number"],
                name="webhook_open",
            ),
        ),
        migrations.AddIndex(
            model_name="webhookdelivery",
            index=models.Index(
                condition=models.Q(("state__in", ("storing", "failing"))),
                fields=["subscription", "object_id"],
                name="webhook_open_by_object",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["storing", "failing", "completed", "failed"])),
                name="webhook_delivery_state_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.UniqueConstraint(
                fields=("subscription", "transaction", "number"), name="webhook_delivery_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="webhookdelivery",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("next_attempt_at__isnull", False), ("state__in", ("storing", "failing"))),
                    models.Q(("next_attempt_at__isnull", True), ("state__in", ("completed", "failed"))),
                    _connector="OR",
                ),
                name="webhook_delivery_due",
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(VERSIONS, migrations.RunSQL.noop),
    ]
