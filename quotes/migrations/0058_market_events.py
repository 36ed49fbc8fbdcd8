"""A market that somebody halts, lets be closed only or resumes is an event; closed days may be half days."""

from importlib import import_module

from django.db import migrations, models

tell = import_module("accounts.migrations.0075_events").tell

SWITCHES = """
CREATE TRIGGER tells_made AFTER INSERT ON quotes_marketswitch FOR EACH ROW EXECUTE FUNCTION tell_switch();
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0057_spread_of_a_close"), ("accounts", "0075_events")]

    operations = [
        tell(
            "tell_switch",
            "SELECT here, CASE NEW.switch WHEN 'none' THEN 'market.resumed' ELSE 'market.' || NEW.switch END, NEW.id,"
            " NULL::uuid, NEW.instrument_id, NEW.at",
        ),
        migrations.RunSQL(SWITCHES, migrations.RunSQL.noop),
        migrations.AlterField(
            "tradinghours",
            "closed_days",
            models.CharField(
                max_length=600,
                blank=True,
                help_text="More days without trading, such as: 12-25, 01-01, 2026-12-24. With a time, when a half day"
                " closes: 12-24 13:00.",
            ),
        ),
    ]
