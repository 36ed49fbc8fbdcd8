"""The instruments by symbol, and the other names by which people call them.

Every request and every price asks here, so the rows are kept for up to a second per process: a change
in the admin is seen everywhere one second later.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.conf import settings

from accounts.kept import Kept
from quotes import references
from quotes.errors import UnknownSymbol
from quotes.models import Instrument

KEPT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    by_symbol: Mapping[str, Instrument]
    by_alias: Mapping[str, str]


def canonical(text: object) -> str | None:
    """The symbol meant by `btc`, `BTC`, `BTCUSD`, `BTCUSDT` or `BTC-USD`: `BTC-USD`. None where there is none."""
    return _kept.get(KEPT_SECONDS).by_alias.get(text.upper()) if isinstance(text, str) and len(text) <= 32 else None


def instruments() -> dict[str, Instrument]:
    """All instruments by canonical symbol, the inactive too, with their two assets; as of a second ago at most."""
    return dict(_kept.get(KEPT_SECONDS).by_symbol)


def instrument(text: object) -> Instrument:
    """The instrument that a name from the outside means. Raises UnknownSymbol."""
    symbol = canonical(text)
    if symbol is None:
        raise UnknownSymbol
    return _kept.get(KEPT_SECONDS).by_symbol[symbol]


def forget() -> None:
    """Read the rows again at the next question, e.g. right after this process changed one; prices' limits, too."""
    _kept.forget()
    references.forget()


def aliases(symbols: Collection[str], home_currency: str) -> dict[str, str]:
    """Every accepted name, in capitals, to its canonical symbol.

    A base asset alone means the instrument priced in the home currency; dollars are also called USDT.
    """
    names: dict[str, str] = {}
    for symbol in symbols:
        base, _, counter = symbol.partition("-")
        others = (f"{counter}T",) if counter == "USD" else ()
        for priced_in in (counter, *others):
            names[f"{base}-{priced_in}"] = names[f"{base}{priced_in}"] = symbol
        if counter == home_currency:
            names[base] = symbol
    return names | {symbol: symbol for symbol in symbols}


def _read() -> _Known:
    rows = {row.symbol: row for row in Instrument.objects.select_related("base_asset", "counter_asset")}
    return _Known(rows, aliases(rows.keys(), settings.ACCOUNT_CURRENCY))


_kept = Kept(_read)
