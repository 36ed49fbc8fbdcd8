from quotes.admin import hours, markets, quotes

__all__ = ["hours", "markets", "quotes"]
