from django.apps import AppConfig


class TradesConfig(AppConfig):
    name = "trades"
    verbose_name = "Trading and settlement"

    def ready(self) -> None:
        from accounts import seals
        from trades import audit
        from trades.orders import audit as orders_audit
        from trades.recount import events, legs, orders, spot, swaps, terms, times
        from trades.settlement import audit as settlement_audit

        audit.register_checks()
        orders_audit.register_checks()
        settlement_audit.register_checks()
        for subject in (events, terms, times, orders, swaps, spot, legs):
            subject.register_checks()
        for table in ("trades_batchevent", "trades_deal", "trades_orderevent", "trades_tradeevent"):
            seals.register(table)
