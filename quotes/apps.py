from django.apps import AppConfig


class QuotesConfig(AppConfig):
    name = "quotes"
    verbose_name = "Markets"

    def ready(self) -> None:
        from accounts import seals, versions

        seals.register("quotes_pricehold", about_others=False)
        seals.register("quotes_quote")
        versions.keep("quotes_instrument", "symbol")
        versions.keep("quotes_instrumentchange", "id")
        versions.keep("quotes_termband", "term")
