"""Retail or professional: which leverage a customer is offered."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0086_more_currencies")]

    operations = [
        migrations.AddField(
            model_name="customer",
            name="client_class",
            field=models.CharField(
                choices=[("retail", "Retail"), ("professional", "Professional")],
                db_default="retail",
                default="retail",
                editable=False,
                help_text="Which leverage is offered: two persons change it.",
                max_length=12,
            ),
        ),
        migrations.AddConstraint(
            model_name="customer",
            constraint=models.CheckConstraint(
                condition=models.Q(("client_class__in", ["retail", "professional"])),
                name="customer_client_class_known",
            ),
        ),
    ]
