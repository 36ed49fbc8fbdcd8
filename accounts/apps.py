from django.apps import AppConfig
from django.db.backends.signals import connection_created
from django.db.models.signals import pre_delete


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = "Customers and ledger"

    def ready(self) -> None:
        from accounts import admin_log, clock, host_clock

        connection_created.connect(clock.read_at_connection, dispatch_uid="clock")
        connection_created.connect(host_clock.look, dispatch_uid="host_clock")  # after it was read
        pre_delete.connect(admin_log.refuse_deletion, sender="admin.LogEntry", dispatch_uid="who did what")
