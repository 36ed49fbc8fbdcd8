from django.apps import AppConfig, apps
from django.core import checks
from django.db.models.signals import post_migrate


class BrokerageConfig(AppConfig):
    name = "brokerage"

    def ready(self) -> None:
        from accounts import versions
        from accounts.services import logins
        from brokerage import grants, left_behind, pooled
        from brokerage.http.limits import forget_failures
        from trades.payments.unknown_assets import rails_of_unknown_assets

        # Of the last app that has tables: when its signal comes, all of them are there.
        post_migrate.connect(grants.after_migrating, sender=apps.get_app_config("trades"))
        logins.let_in.connect(forget_failures, dispatch_uid="let in")
        post_migrate.connect(versions.after_migrating, sender=apps.get_app_config("trades"))
        for check in (
            grants.the_application_cannot_rewrite_history,
            grants.the_application_stores_nothing_aside,
            pooled.the_pooler_has_the_settings,
            rails_of_unknown_assets,
        ):
            checks.register(check, checks.Tags.database, deploy=True)
        checks.register(left_behind.a_clock_that_was_moved, checks.Tags.database)
