"""Backups that were made, and who reads of them. Append-only."""

from django.db import migrations, models

import accounts.ids

GUARDS = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON accounts_backup
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON accounts_backup
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

# The content type and the permission are those that Django would make after the migrations.
READERS = """
INSERT INTO django_content_type (app_label, model) VALUES ('accounts', 'backup') ON CONFLICT DO NOTHING;
INSERT INTO auth_permission (content_type_id, codename, name)
SELECT id, 'view_backup', 'Can view backup' FROM django_content_type WHERE app_label = 'accounts' AND model = 'backup'
ON CONFLICT DO NOTHING;
INSERT INTO auth_group_permissions (group_id, permission_id)
SELECT g.id, p.id FROM auth_group g, auth_permission p JOIN django_content_type c ON c.id = p.content_type_id
WHERE g.name IN ('Risk', 'Auditor') AND c.app_label = 'accounts' AND c.model = 'backup' AND p.codename = 'view_backup'
ON CONFLICT DO NOTHING;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0099_risk_limits"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Backup",
            fields=[
                ("id", models.UUIDField(default=accounts.ids.uuid7, editable=False, primary_key=True, serialize=False)),
                ("kind", models.CharField(choices=[("base", "Whole server"), ("dump", "Database")], max_length=4)),
                ("began_at", models.DateTimeField(help_text="What was committed until then is in it.")),
                ("at", models.DateTimeField(help_text="When it stood whole on its disk.")),
                ("bytes", models.BigIntegerField(help_text="Of its files together.")),
                (
                    "place",
                    models.CharField(help_text="The directory, on the machine where the command ran.", max_length=500),
                ),
                ("migration", models.CharField(help_text="The last one of the database.", max_length=255)),
                (
                    "head_number",
                    models.BigIntegerField(help_text="Of the newest sealed block when it began.", null=True),
                ),
                ("head_hash", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["base", "dump"])), name="backup_kind_known"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("at__gte", models.F("began_at")), ("bytes__gt", 0)),
                        name="backup_is_whole",
                    ),
                ],
            },
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
        migrations.RunSQL(READERS, migrations.RunSQL.noop),
    ]
