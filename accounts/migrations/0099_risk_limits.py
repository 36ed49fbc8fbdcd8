"""Risk sets the firm's limits: the deed, who has it, and who may read them (accounts/deeds.py)."""

from django.db import migrations

CONTENT_TYPE = """
INSERT INTO django_content_type (app_label, model) VALUES (%(app)s, %(model)s) ON CONFLICT DO NOTHING
"""
PERMISSION = """
INSERT INTO auth_permission (content_type_id, codename, name)
SELECT id, %(codename)s, %(name)s FROM django_content_type WHERE app_label = %(app)s AND model = %(model)s
ON CONFLICT (content_type_id, codename) DO UPDATE SET name = excluded.name
"""
HAS = """
INSERT INTO auth_group_permissions (group_id, permission_id)
SELECT g.id, p.id FROM auth_group g, auth_permission p JOIN django_content_type c ON c.id = p.content_type_id
WHERE g.name = %(role)s AND c.app_label = %(app)s AND c.model = %(model)s AND p.codename = %(codename)s
ON CONFLICT DO NOTHING
"""
CONTROL = "Let a window go alone, an API client do more, or more be open, as another proposed."
GIVEN = [
    ("accounts", "deed", "change_limit", "Set and lower a risk limit, and propose to raise it.", ["Risk"]),
    ("accounts", "deed", "decide_control", CONTROL, ["Risk"]),
    ("trades", "risklimit", "view_risklimit", "Can view risklimit", ["Dealer", "Risk", "Auditor"]),
]


def write(apps, schema_editor):
    with schema_editor.connection.cursor() as cursor:
        for app, model, codename, name, roles in GIVEN:
            of = {"app": app, "model": model, "codename": codename, "name": name}
            cursor.execute(CONTENT_TYPE, of)
            cursor.execute(PERMISSION, of)
            for role in roles:
                cursor.execute(HAS, {**of, "role": role})


class Migration(migrations.Migration):
    dependencies = [("accounts", "0098_kinds_of_hedged_margin")]
    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
