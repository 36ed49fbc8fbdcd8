"""A price that is held or released is an event."""

from importlib import import_module

from django.db import migrations

tell = import_module("accounts.migrations.0075_events").tell

HOLDS = """
CREATE TRIGGER tells_made AFTER INSERT ON quotes_pricehold FOR EACH ROW EXECUTE FUNCTION tell_hold();
"""


class Migration(migrations.Migration):
    dependencies = [("quotes", "0040_holds_say_their_request"), ("accounts", "0075_events")]

    operations = [
        tell(
            "tell_hold",
            "SELECT here, CASE WHEN NEW.bid IS NULL THEN 'price.released' ELSE 'price.held' END, NEW.id, NULL::uuid,"
            " NEW.instrument_id, NEW.at",
        ),
        migrations.RunSQL(HOLDS, migrations.RunSQL.noop),
    ]
