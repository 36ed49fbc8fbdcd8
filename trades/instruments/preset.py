"""A preset of retail leverage caps: which class each instrument is of, and which cap the class has.

The data is in `presets/`, a file each: the first class that an instrument fits is its own. An instrument that a file
takes for something else is given its class by name. Nothing is changed here: each cap becomes a change of its
instrument, which another person applies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from accounts.errors import Malformed
from quotes import symbols
from quotes.models import Instrument, InstrumentChange
from trades.instruments import change
from trades.instruments.errors import ChangeWaits

FOLDER: Final = Path(__file__).parent / "presets"
NAMES: Final = tuple(sorted(file.stem for file in FOLDER.glob("*.json")))
TERM: Final = "retail_leverage_cap"


@dataclass(frozen=True, slots=True)
class Capped:
    """What a preset says of an instrument; `now` is its retail cap, None without one."""

    symbol: str
    class_name: str
    cap: int
    now: int | None

    @property
    def changes(self) -> bool:
        return self.now != self.cap


def caps(name: str, classes: Mapping[str, str] | None = None) -> list[Capped]:
    """What the preset says of every instrument, by symbol. `classes`: of these symbols, what class they are of.

    Raises Malformed for a preset, a symbol or a class that there isn't.
    """
    if name not in NAMES:
        raise Malformed(f"There is no preset {name[:40]!r}, only {', '.join(NAMES)}.")
    rules = json.loads((FOLDER / f"{name}.json").read_text())["classes"]
    by_class = {rule["class"]: rule["cap"] for rule in rules}
    known, said = symbols.instruments(), dict(classes or {})
    for symbol, class_name in said.items():
        if symbol not in known:
            raise Malformed(f"There is no instrument {symbol[:40]!r}.")
        if class_name not in by_class:
            raise Malformed(f"There is no class {class_name[:40]!r}, only {', '.join(by_class)}.")
    found = []
    for symbol, instrument in sorted(known.items()):
        class_name = said.get(symbol) or _class_of(instrument, rules)
        found.append(Capped(symbol, class_name, by_class[class_name], instrument.retail_leverage_cap))
    return found


def propose(
    wanted: Iterable[Capped], *, reason: str, by: UUID, at: datetime
) -> tuple[list[InstrumentChange], list[str]]:
    """Propose the caps that instruments haven't got; and the symbols of which another change waits.

    Raises Malformed for no reason.
    """
    made, waiting = [], []
    for one in wanted:
        if one.changes:
            try:
                made.append(change.propose(one.symbol, {TERM: str(one.cap)}, reason=reason, by=by, at=at))
            except ChangeWaits:
                waiting.append(one.symbol)
    return made, waiting


def _class_of(instrument: Instrument, rules: Iterable[Mapping[str, Any]]) -> str:
    base, counter = instrument.base_asset, instrument.counter_asset
    facts = {"base": base.code, "counter": counter.code, "base_type": base.type, "counter_type": counter.type}
    return next(
        str(rule["class"])
        for rule in rules
        if all(value in rule[fact] for fact, value in facts.items() if fact in rule)
    )
