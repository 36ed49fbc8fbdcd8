"""A hold of a price says which HTTP request set it, as everything does that a request causes."""

import accounts.request_id
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("quotes", "0031_request_ids"), ("accounts", "0074_erased_customers")]

    operations = [
        migrations.AddField(
            model_name="pricehold",
            name="request_id",
            field=models.CharField(
                default=accounts.request_id.current,
                editable=False,
                help_text="The HTTP request that did it.",
                max_length=128,
                null=True,
            ),
        ),
    ]
