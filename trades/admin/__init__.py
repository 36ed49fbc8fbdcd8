from trades.admin import (
    batches,
    breaks,
    corrections,
    customers,
    engine,
    left_out,
    legs,
    orders,
    schedule,
    trades,
    windows,
)

__all__ = [
    "batches",
    "breaks",
    "corrections",
    "customers",
    "engine",
    "left_out",
    "legs",
    "orders",
    "schedule",
    "trades",
    "windows",
]
