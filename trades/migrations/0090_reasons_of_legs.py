"""A leg says no other reason of a failure than its reports may."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("trades", "0089_erasures"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="settlementleg",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "reason_code__in",
                        [
                            "",
                            "AC01",
                            "AC04",
                            "AC06",
                            "AG01",
                            "AM02",
                            "AM04",
                            "AM05",
                            "CURR",
                            "CUST",
                            "DT01",
                            "ED05",
                            "FR01",
                            "MS03",
                            "RC01",
                            "RR04",
                            "TECH",
                            "TM01",
                            "AWMO",
                            "AWSH",
                            "BLOC",
                            "CLAC",
                            "CLAT",
                            "CMON",
                            "DKNY",
                            "LACK",
                            "LATE",
                            "MONY",
                            "OTHR",
                            "NARR",
                        ],
                    )
                ),
                name="leg_reason_code_known",
            ),
        ),
    ]
