"""At which rate an order's margin and its profit were converted, and the night's swap; fixed as what they stand beside.

No default is written into existing rows: what was there was counted in the account currency, and nothing converted.
"""

from django.db import migrations, models
from django.db.models import Q

RATE = {"max_digits": 76, "decimal_places": 36, "null": True}

GUARDS = """
DROP TRIGGER open_terms_never_change ON public.trades_order;
CREATE TRIGGER open_terms_never_change
    AFTER UPDATE OF price, open_price, opened_at, quantity, margin, open_multiplier, open_divisor
    ON public.trades_order FOR EACH ROW
    WHEN (OLD.status::text = 'OPEN' AND (NEW.open_price IS DISTINCT FROM OLD.open_price
        OR NEW.opened_at IS DISTINCT FROM OLD.opened_at OR NEW.price IS DISTINCT FROM OLD.price
        OR NEW.open_multiplier IS DISTINCT FROM OLD.open_multiplier OR NEW.open_divisor IS DISTINCT FROM OLD.open_divisor
        OR NEW.quantity > OLD.quantity OR NEW.margin > OLD.margin
        OR NEW.margin <> OLD.margin AND NEW.quantity = OLD.quantity))
    EXECUTE FUNCTION public.refuse_change();
DROP TRIGGER never_changed ON public.trades_swaprun;
CREATE TRIGGER never_changed
    AFTER UPDATE OF id, partition, night, cutoff, prices, rates, conversions, started_at ON public.trades_swaprun
    FOR EACH ROW
    WHEN (NEW.id IS DISTINCT FROM OLD.id OR NEW.partition IS DISTINCT FROM OLD.partition
        OR NEW.night IS DISTINCT FROM OLD.night OR NEW.cutoff IS DISTINCT FROM OLD.cutoff
        OR NEW.prices IS DISTINCT FROM OLD.prices OR NEW.rates IS DISTINCT FROM OLD.rates
        OR NEW.conversions IS DISTINCT FROM OLD.conversions OR NEW.started_at IS DISTINCT FROM OLD.started_at)
    EXECUTE FUNCTION public.refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("trades", "0102_entries_not_booked")]

    operations = [
        migrations.AddField(
            "order",
            "open_multiplier",
            models.DecimalField(
                help_text="What its margin was converted at: this by the divisor; empty: not converted.", **RATE
            ),
        ),
        migrations.AddField("order", "open_divisor", models.DecimalField(**RATE)),
        migrations.AddField("deal", "rate_multiplier", models.DecimalField(**RATE)),
        migrations.AddField("deal", "rate_divisor", models.DecimalField(**RATE)),
        migrations.AddField(
            "deal", "rate_path", models.CharField(blank=True, db_default="", default="", max_length=80)
        ),
        migrations.AddField("deal", "rate_at", models.DateTimeField(null=True)),
        migrations.AddField(
            "swaprun",
            "conversions",
            models.JSONField(
                db_default={},
                default=dict,
                help_text="By currency that instruments are counted in: multiplier, divisor and path of its middle rate.",
            ),
        ),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=Q(open_multiplier__isnull=True, open_divisor__isnull=True)
                | Q(open_multiplier__isnull=False, open_divisor__isnull=False, open_price__isnull=False)
                & Q(open_multiplier__gt=0, open_divisor__gt=0),
                name="order_rate_is_whole",
            ),
        ),
        migrations.AddConstraint(
            "deal",
            models.CheckConstraint(
                condition=Q(rate_multiplier__isnull=True, rate_divisor__isnull=True, rate_path="", rate_at__isnull=True)
                | Q(rate_multiplier__isnull=False, rate_divisor__isnull=False, rate_at__isnull=False)
                & Q(rate_multiplier__gt=0, rate_divisor__gt=0)
                & ~Q(rate_path=""),
                name="deal_rate_is_whole",
            ),
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
