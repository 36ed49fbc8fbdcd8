"""What may stand in the header `Idempotency-Key`, in both halves of the API and in the order engine's stream."""

from __future__ import annotations

from typing import Final

LONGEST: Final = 128
NEEDED: Final = f"Idempotency-Key must have 1 to {LONGEST} printable characters"


def is_key(text: str) -> bool:
    return 0 < len(text) <= LONGEST and text.isprintable()
