"""Sessions end: a generation of a user's and a client's tokens, sessions that ended alone, addresses that are known."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

# What ends every session is written by many: the API, the admin, commands, SQL. So the database raises the number, and
# never lowers it, whoever saves a row that they read before. Another hash of the same password says so.
CREATE = """
CREATE FUNCTION end_sessions() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF NEW.generation > OLD.generation THEN
        RETURN NEW;
    END IF;
    NEW.generation := OLD.generation;
    IF NEW.is_active IS DISTINCT FROM OLD.is_active
       OR (to_jsonb(NEW) ->> 'password' IS DISTINCT FROM to_jsonb(OLD) ->> 'password'
           AND coalesce(current_setting('brokerage.same_password', true), '') <> 'yes') THEN
        NEW.generation := OLD.generation + 1;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER ends_sessions BEFORE UPDATE ON accounts_user FOR EACH ROW EXECUTE FUNCTION end_sessions();
CREATE TRIGGER ends_sessions BEFORE UPDATE ON accounts_apiclient FOR EACH ROW EXECUTE FUNCTION end_sessions();
"""

DROP = """
DROP TRIGGER ends_sessions ON accounts_apiclient;
DROP TRIGGER ends_sessions ON accounts_user;
DROP FUNCTION end_sessions();
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0071_request_ids")]

    operations = [
        migrations.AddField(
            model_name="apiclient",
            name="generation",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Of this client's tokens: raised by the database with is_active, it ends them all.",
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="generation",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                editable=False,
                help_text="Of this user's sessions: raised by the database with the password and is_active, it ends them all.",
            ),
        ),
        migrations.CreateModel(
            name="EndedSession",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("ended_at", models.DateTimeField()),
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
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "address"), name="known_address_once")],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
