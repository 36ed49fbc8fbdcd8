"""Reading the outbox: what has changed, in an order that no later commit can get in before.

An event's place is the number of its transaction, then its own (`accounts.models.Event`). Transactions commit in
another order than they began, so a reader goes only as far as the oldest one that still runs: below it everything has
been committed or undone, and nothing is added any more. A transaction that runs for long holds events back for as long;
it never makes one be missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.models import Q

from accounts.identity import READ_ORDERS, Caller
from accounts.models import Event
from accounts.models.event import LARGEST

Place = tuple[int, int]
"""The number of a transaction, and an event's own."""

FIRST: Final[Place] = (0, 0)

KINDS: Final[Mapping[str, tuple[str, Sequence[str]]]] = {
    "customer": ("customers:read", ("storing", "unverified", "verified", "rejected", "frozen", "updated")),
    "account": ("accounts:read", ("created", "updated")),
    "quote": ("quotes:read", ("executed",)),
    "trade": ("trades:read", ("storing", "settling", "completed", "failed", "reversed")),
    "transfer": ("transfers:read", ("storing", "pending", "settling", "completed", "failed", "returned")),
    "external_bank_account": ("external_bank_accounts:read", ("completed", "deleted")),
    "order": (READ_ORDERS, ("placed", "opened", "changed", "cancelled", "reduced", "closed", "swapped")),
    "margin_account": (READ_ORDERS, ("margin_call", "margin_call_over", "stop_out")),
    "settlement_batch": (
        "settlements:read",
        ("cut", "confirmed", "settling", "partially_settled", "completed", "cancelled"),
    ),
    "settlement_leg": ("settlements:read", ("pending", "partially_settled", "settled", "failed")),
    "price": ("prices:read", ("held", "released")),
    "market": ("prices:read", ("halted", "close_only", "resumed")),
}
"""By kind of object: the scope that its events ask for, and what may become of it."""

EVERY_KIND: Final = tuple(f"{what}.{became}" for what, (_, moves) in KINDS.items() for became in moves)
OF_EVERYBODY: Final = ("price.held", "price.released", "market.halted", "market.close_only", "market.resumed")
"""Of no customer, and told to each."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events in their order, and where to go on; `has_more`: there are further ones already."""

    events: list[Event]
    following: Place
    has_more: bool


def kinds_seen_by(caller: Caller) -> list[str]:
    """The kinds of events that a caller's scopes let it read."""
    return [kind for kind in EVERY_KIND if caller.may(KINDS[kind.partition(".")[0]][0])]


def place_of(guid: UUID) -> Place:
    """The place that an event's guid says."""
    return guid.int >> 64, guid.int & LARGEST


def is_place(guid: UUID) -> bool:
    """Whether it can be an event's: neither half reaches 2^63."""
    return guid.int >> 127 == 0 and guid_of(place_of(guid)) == guid


def guid_of(place: Place) -> UUID:
    return UUID(int=(place[0] << 64) | place[1])


def horizon() -> Place:
    """The place below which nothing is added any more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT event_horizon()")
        (transaction,) = cursor.fetchone()
    return int(transaction) - 1, LARGEST


def note_horizon() -> None:
    """Write down which transaction is the oldest that runs now; `ChangedSince` of lists asks for it later."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT note_event_horizon()")


def go_on_behind() -> None:
    """Raise the shift where this server's transactions have lower numbers than what was told and noted, as after a
    restore into another one. As the tables' owner."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('accounts_event') IS NOT NULL")
        if cursor.fetchone()[0]:
            cursor.execute(_RAISE)


# What was noted before says nothing of this server's numbers: 0 stands for "whatever was written".
_RAISE = """
WITH raised AS (
UPDATE accounts_eventshift SET shift = shift + (last.transaction - event_transaction() + 1)
FROM (
    SELECT greatest(
        (SELECT max(transaction) FROM accounts_event),
        (SELECT transaction FROM accounts_eventhorizon ORDER BY at DESC LIMIT 1)
    ) AS transaction
) last
WHERE last.transaction > event_transaction()
RETURNING shift
)
UPDATE accounts_eventhorizon SET transaction = 0 WHERE EXISTS (SELECT FROM raised)
"""


def after(place: Place, caller: Caller, kinds: Collection[str], customers: Collection[UUID], limit: int) -> Page:
    """At most `limit` events of these kinds after a place that a caller may see; of these customers, if any is named.

    A page that isn't full goes on at the horizon, so a reader of few events never looks at the others twice.
    """
    until = horizon()  # before the events are read: what lies below it then stays as it is
    within = Event.objects.filter(pk__gt=place, pk__lte=until, kind__in=[*kinds]).order_by("transaction", "number")
    found = [event for rows in _whose(caller, customers) for event in within.filter(rows)[: limit + 1]]
    found.sort(key=lambda event: (event.transaction, event.number))
    return _page(place, found, until, limit)


def after_for_each(readers: Sequence[tuple[Place, UUID]], limit: int) -> list[Page]:
    """What `after` says of all kinds to the token of a customer, for many places and customers, in two queries."""
    until = horizon()  # before the events are read
    with connection.cursor() as cursor:
        cursor.execute(
            _AFTER_FOR_EACH,
            {
                "transactions": [place[0] for place, _ in readers],
                "numbers": [place[1] for place, _ in readers],
                "customers": [customer_id for _, customer_id in readers],
                "until": until[0],
                "until_number": until[1],
                "of_everybody": [*OF_EVERYBODY],
                "limit": limit + 1,
            },
        )
        rows = cursor.fetchall()
    known: dict[Place, Event] = {}  # one for all who are told it
    found: list[list[Event]] = [[] for _ in readers]
    for number, *columns in rows:
        place = (columns[0], columns[1])
        event = known.get(place)
        if event is None:
            event = known[place] = Event(**dict(zip(_COLUMNS, columns, strict=True)))
        found[number - 1].append(event)
    return [_page(place, its, until, limit) for (place, _), its in zip(readers, found, strict=True)]


_COLUMNS: Final = ("transaction", "number", "kind", "object_id", "customer_id", "detail", "at")

# As `_whose` has it: what is the customer's, and what is of nobody and everybody's.
_AFTER_FOR_EACH = """
SELECT r.reader, e.transaction, e.number, e.kind, e.object_id, e.customer_id, e.detail, e.at
FROM unnest(%(transactions)s::bigint[], %(numbers)s::bigint[], %(customers)s::uuid[])
    WITH ORDINALITY AS r (transaction, number, customer_id, reader)
CROSS JOIN LATERAL (
    (SELECT * FROM accounts_event e
     WHERE e.customer_id = r.customer_id AND (e.transaction, e.number) > (r.transaction, r.number)
       AND (e.transaction, e.number) <= (%(until)s, %(until_number)s)
     ORDER BY e.transaction, e.number LIMIT %(limit)s)
    UNION ALL
    (SELECT * FROM accounts_event e
     WHERE e.customer_id IS NULL AND e.kind = ANY (%(of_everybody)s)
       AND (e.transaction, e.number) > (r.transaction, r.number)
       AND (e.transaction, e.number) <= (%(until)s, %(until_number)s)
     ORDER BY e.transaction, e.number LIMIT %(limit)s)
) e
ORDER BY r.reader, e.transaction, e.number
"""


def _page(place: Place, found: list[Event], until: Place, limit: int) -> Page:
    """Of the events after a place, in order and up to one more than the page has."""
    has_more = len(found) > limit
    events = found[:limit]
    following = (events[-1].transaction, events[-1].number) if has_more else max(place, until)
    return Page(events, following, has_more)


def _whose(caller: Caller, customers: Collection[UUID]) -> list[Q]:
    """Conditions that no event meets two of, each of which an index answers."""
    if caller.customer_id is None:
        return [Q(customer_id__in=[*customers])] if customers else [Q()]
    own = Q(customer_id=caller.customer_id)
    if customers:
        return [own] if caller.customer_id in customers else []
    return [own, Q(customer_id__isnull=True, kind__in=OF_EVERYBODY)]
