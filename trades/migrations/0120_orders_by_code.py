"""An order is found by its code, or by the client's own name of it, whoever's it is. Neither ever changes."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("trades", "0119_dealers_actions")]

    operations = [
        migrations.AddIndex("order", models.Index(fields=["code"], name="order_by_code")),
        migrations.AddIndex(
            "order",
            models.Index(
                fields=["client_order_id"], condition=Q(client_order_id__isnull=False), name="order_by_client_order_id"
            ),
        ),
    ]
