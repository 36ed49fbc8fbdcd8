from quotes.admin import markets, quotes

__all__ = ["markets", "quotes"]
