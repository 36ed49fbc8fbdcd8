from django.apps import AppConfig


class QuotesConfig(AppConfig):
    name = "quotes"
    verbose_name = "Markets"

    def ready(self) -> None:
        from accounts import seals

        seals.register("quotes_pricehold")
