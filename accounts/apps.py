from django.apps import AppConfig
from django.db.backends.signals import connection_created


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Customers and ledger"

    def ready(self) -> None:
        from accounts import clock, host_clock

        connection_created.connect(clock.read_at_connection, dispatch_uid="clock")
        connection_created.connect(host_clock.look, dispatch_uid="host_clock")  # after it was read
