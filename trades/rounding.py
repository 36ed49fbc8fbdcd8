"""How money is rounded, said in SQL."""

from __future__ import annotations


def nearest(amount: str) -> str:
    """SQL: rounded half-even. PostgreSQL's own round() takes a half away from zero."""
    return f"(CASE WHEN abs({amount}) % 1 = 0.5 THEN 2 * round({amount} * 0.5) ELSE round({amount}) END)"
