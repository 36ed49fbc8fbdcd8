from django.apps import AppConfig


class TradesConfig(AppConfig):
    name = "trades"
    verbose_name = "Trading and settlement"

    def ready(self) -> None:
        from trades import audit
        from trades.orders import audit as orders_audit

        audit.register_checks()
        orders_audit.register_checks()
