"""Which orders' margins are hedged, fixed as they open, and how much of an account's is; as `drawn` beside it.

What is open by now reserves the full margin, as it did.
"""

from django.db import migrations, models
from django.db.models import Q

GUARDS = """
DROP TRIGGER open_terms_never_change ON public.trades_order;
CREATE TRIGGER open_terms_never_change
    AFTER UPDATE OF price, open_price, opened_at, quantity, margin, open_multiplier, open_divisor, nets_margin
    ON public.trades_order FOR EACH ROW
    WHEN (OLD.status::text = 'OPEN' AND (NEW.open_price IS DISTINCT FROM OLD.open_price
        OR NEW.opened_at IS DISTINCT FROM OLD.opened_at OR NEW.price IS DISTINCT FROM OLD.price
        OR NEW.open_multiplier IS DISTINCT FROM OLD.open_multiplier OR NEW.open_divisor IS DISTINCT FROM OLD.open_divisor
        OR NEW.nets_margin IS DISTINCT FROM OLD.nets_margin
        OR NEW.quantity > OLD.quantity OR NEW.margin > OLD.margin
        OR NEW.margin <> OLD.margin AND NEW.quantity = OLD.quantity))
    EXECUTE FUNCTION public.refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("trades", "0121_what_was_needed"),
        ("accounts", "0098_kinds_of_hedged_margin"),
        ("quotes", "0059_hedged_margin"),
    ]

    operations = [
        migrations.AddField(
            "order",
            "nets_margin",
            models.BooleanField(
                db_default=False,
                default=False,
                help_text="Its margin is hedged by that of positions against it: so the instrument had it when it opened.",
            ),
        ),
        migrations.AddField(
            "marginaccount",
            "hedged",
            models.DecimalField(
                db_default=0,
                decimal_places=0,
                default=0,
                help_text="How much of the open orders' margin isn't reserved, because positions stand against each other.",
                max_digits=38,
            ),
        ),
        migrations.AddConstraint(
            "order",
            models.CheckConstraint(
                condition=Q(nets_margin=False) | Q(open_price__isnull=False), name="order_nets_when_it_has_opened"
            ),
        ),
        migrations.AddConstraint(
            "marginaccount", models.CheckConstraint(condition=Q(hedged__gte=0), name="hedged_not_negative")
        ),
        migrations.RunSQL(GUARDS, migrations.RunSQL.noop),
    ]
