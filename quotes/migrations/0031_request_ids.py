"""A quote says which HTTP request it was made for."""

import accounts.request_id
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("quotes", "0030_external_id")]

    operations = [
        migrations.AddField(
            model_name="quote",
            name="request_id",
            field=models.CharField(
                default=accounts.request_id.current,
                editable=False,
                help_text="The HTTP request that it was made for.",
                max_length=128,
                null=True,
            ),
        ),
    ]
