from trades.admin import batches, engine, orders, schedule, trades, windows

__all__ = ["batches", "engine", "orders", "schedule", "trades", "windows"]
