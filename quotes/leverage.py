"""Caps of leverage by exposure: how they are said, and which one counts. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from quotes.models.instrument import TIERS

MOST: Final = 10
_readable = re.compile(TIERS, re.ASCII).fullmatch


class Tier(NamedTuple):
    """From so much exposure, in whole units of the account currency, at most so much leverage."""

    exposure: int
    cap: int


def parsed(said: object) -> tuple[Tier, ...] | None:
    """Tiers as "100000:50, 500000:20", blanks as one likes; "" is none of them.

    None for what can't be read, and where exposures don't rise or leverages don't fall.
    """
    if not isinstance(said, str):
        return None
    text = ", ".join(part.strip(" ") for part in said.split(",")) if said.strip(" ") else ""
    if not _readable(text):
        return None
    tiers = tuple(Tier(*map(int, one.split(":"))) for one in text.split(", ")) if text else ()
    rises = all(a.exposure < b.exposure and a.cap > b.cap for a, b in pairwise(tiers))
    return tiers if rises else None


def written(tiers: Sequence[Tier]) -> str:
    return ", ".join(f"{tier.exposure}:{tier.cap}" for tier in tiers)


@lru_cache(maxsize=1024)
def tiers_of(text: str) -> tuple[Tier, ...]:
    """Of an instrument's column, which a constraint has looked at; in the order in which they stand."""
    return tuple(Tier(*map(int, one.split(":"))) for one in text.split(", ")) if text else ()
