"""What one subscription is told, in order and one call after the other, on a thread that never asks PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from accounts.models import WebhookSubscription
from accounts.webhooks import signing
from accounts.webhooks.due import Message
from accounts.webhooks.posting import Answer, Line

BATCH_SECONDS: Final = 5.0  # after which none of them is begun any more, so a slow endpoint gives its thread back
GONE: Final = 410
MOST_KEPT: Final = 512  # connections that are kept for a subscription's next turn
_HEADERS: Final = {"content-type": "application/json", "user-agent": "brokerage-webhooks"}


@dataclass(slots=True)
class Batch:
    """Some deliveries of one subscription, in order."""

    subscription: WebhookSubscription
    messages: list[Message]
    sent: list[Sent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    message: Message
    headers: dict[str, str]
    answer: Answer
    at: datetime

    @property
    def is_delivered(self) -> bool:
        return self.answer.status is not None and 200 <= self.answer.status < 300

    @property
    def is_endpoint_down(self) -> bool:
        """No answer, or one that says nothing of this event: the next would fare no better."""
        status = self.answer.status
        return status is None or status >= 500 or status in (408, 425, 429) or 300 <= status < 400

    @property
    def told(self) -> str:
        """What came back, as the client is told of it."""
        answer = self.answer
        return answer.told if answer.status is None else f"{answer.status} {answer.response}".rstrip()

    @property
    def ended_at(self) -> datetime:
        return self.at + timedelta(milliseconds=self.answer.milliseconds)


class Lines:
    """The connections to endpoints, each kept for the next turn of its subscription. One has it at a time."""

    def __init__(self) -> None:
        self._kept: dict[UUID, Line] = {}

    def take(self, subscription: WebhookSubscription) -> Line:
        return self._kept.pop(subscription.pk, None) or Line(subscription.url)

    def give_back(self, subscription: WebhookSubscription, line: Line) -> None:
        if line.is_open and len(self._kept) < MOST_KEPT:
            self._kept[subscription.pk] = line
        else:
            line.close()

    def close_idle(self) -> None:
        """Those that nothing would be sent on any more."""
        for id_, line in [*self._kept.items()]:
            if line.is_stale and self._kept.pop(id_, None) is not None:
                line.close()

    def close(self) -> None:
        for line in self._kept.values():
            line.close()
        self._kept.clear()


def send(batch: Batch, lines: Lines, now: Callable[[], datetime]) -> Batch:
    """In order; after one that failed nothing of its object, and nothing at all where the endpoint is down."""
    line = lines.take(batch.subscription)
    try:
        _send(batch, line, now)
    finally:
        lines.give_back(batch.subscription, line)
    return batch


def _send(batch: Batch, line: Line, now: Callable[[], datetime]) -> None:
    waiting: set[UUID] = set()
    until = time.monotonic() + BATCH_SECONDS
    for message in batch.messages:
        if message.object_id in waiting:
            continue
        if batch.sent and time.monotonic() > until:
            return
        when = now()
        signed = signing.headers(signing.keys(batch.subscription, when), message.guid, when, message.body)
        headers = _HEADERS | signed
        sent = Sent(message, signing.unsigned(headers), line.post(headers, message.body), when)
        batch.sent.append(sent)
        if sent.is_endpoint_down or sent.answer.status == GONE:
            return
        if not sent.is_delivered:
            waiting.add(message.object_id)
