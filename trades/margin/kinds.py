"""Every kind of command, in one table: who may ask for it, what its terms look like, what it is about, what is kept.

A new kind is a member of `CommandKind`. mypy then names the two places that look at all of them, `_row` here and
`decide._by_its_rule`; a kind without a row is taken for none, wherever it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, assert_never

from trades.margin import fits


class Actor(StrEnum):
    """Who asks for something. In the stream, a command that names nobody is a trader's."""

    TRADER = "trader"  # about the account of their own
    CLIENT = "client"  # an API client, for a customer of the firm
    OPERATOR = "operator"  # of the back office, by an action that stands in the database
    ENGINE = "engine"  # itself, because a price moved: such a command never stands in the stream


class CommandKind(StrEnum):
    CREATE = "create"
    CLOSE = "close"
    CHANGE = "change"
    CANCEL = "cancel"
    CLOSE_ALL = "close_all"
    FIRE = "fire"  # a price reached an order's trigger
    JUDGE = "judge"  # a customer's margin level may have crossed a mark


CREATE: Final = CommandKind.CREATE
CLOSE: Final = CommandKind.CLOSE
CHANGE: Final = CommandKind.CHANGE
CANCEL: Final = CommandKind.CANCEL
CLOSE_ALL: Final = CommandKind.CLOSE_ALL
FIRE: Final = CommandKind.FIRE
JUDGE: Final = CommandKind.JUDGE


class About(Enum):
    """What has to be read before a command can be decided, beside the customer's money."""

    A_NEW_ORDER = "whether it was made before, whether its name is taken, what open positions have lost"
    AN_ORDER = "the order that it names"
    A_TRIGGER = "the order that it names, and how far its trailing stop's price has come"
    ALL_ORDERS = "every open and pending order of the customer"


class Kind(NamedTuple):
    """What is true of all commands of a kind.

    `fits` says whether terms read from the stream are what they always are. `shows` is false where no row shows that
    it was done: then its answer is kept without an Idempotency-Key, too.
    """

    asked_by: frozenset[Actor]
    fits: Callable[[Mapping[str, Any]], bool]
    about: About
    shows: bool


_CALLERS: Final = frozenset({Actor.TRADER, Actor.CLIENT})
_ANYBODY: Final = _CALLERS | {Actor.OPERATOR}  # what makes risk less
_OWN: Final = frozenset({Actor.ENGINE})


def _row(kind: CommandKind) -> Kind | None:
    match kind:
        case CommandKind.CREATE:
            return Kind(_CALLERS, fits.create, About.A_NEW_ORDER, shows=True)
        case CommandKind.CLOSE:
            return Kind(_ANYBODY, fits.close, About.AN_ORDER, shows=True)
        case CommandKind.CHANGE:
            return Kind(_CALLERS, fits.change, About.AN_ORDER, shows=False)
        case CommandKind.CANCEL:
            return Kind(_ANYBODY, fits.cancel, About.AN_ORDER, shows=False)
        case CommandKind.CLOSE_ALL:
            return Kind(_ANYBODY, fits.close_all, About.ALL_ORDERS, shows=False)
        case CommandKind.FIRE:
            return Kind(_OWN, fits.nothing, About.A_TRIGGER, shows=True)
        case CommandKind.JUDGE:
            return Kind(_OWN, fits.nothing, About.ALL_ORDERS, shows=True)
        case forgotten:
            if TYPE_CHECKING:  # so mypy names this line; at run time it would stop the import, and mypy with it
                assert_never(forgotten)
            return None


KINDS: Final = {kind: row for kind in CommandKind if (row := _row(kind)) is not None}


def about(*what: About) -> frozenset[CommandKind]:
    """The kinds of commands that are about this."""
    return frozenset(kind for kind, row in KINDS.items() if row.about in what)
