"""How money is rounded and converted, said in SQL."""

from __future__ import annotations


def nearest(amount: str) -> str:
    """SQL: rounded half-even. PostgreSQL's own round() takes a half away from zero."""
    return f"(CASE WHEN abs({amount}) % 1 = 0.5 THEN 2 * round({amount} * 0.5) ELSE round({amount}) END)"


def converted(amount: str, multiplier: str, divisor: str) -> str:
    """SQL: an amount at a rate, to 36 decimals, half-even; as it is where there is no divisor.

    PostgreSQL's quotient has as many decimals as what is divided: 100, which no tie between 36 decimals outlasts.
    """
    scaled = f"(round(({amount}) * {multiplier}, 100) / {divisor} * 1e36)"
    return f"CASE WHEN {divisor} IS NULL THEN {amount} ELSE {nearest(scaled)} * 1e-36 END"
