"""What a webhook says: the event as GET /api/events shows it, and which subscription it is for."""

from __future__ import annotations

from uuid import UUID

from accounts import json_codec
from accounts.models import Event


def body_of(event: Event, subscription_id: UUID) -> bytes:
    """The same bytes at every attempt."""
    return json_codec.dumps(
        {
            "guid": event.guid,
            "event_type": event.kind,
            "object_guid": event.object_id,
            "customer_guid": event.customer_id,
            "detail": event.detail,
            "created_at": event.at,
            "subscription_guid": subscription_id,
        }
    )
