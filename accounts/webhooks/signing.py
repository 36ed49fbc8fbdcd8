"""The key of a subscription, and what proves that a message is ours.

A key is made of a seed in the database and of SECRET_KEY, which isn't there: who reads the tables can't sign.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime

from django.conf import settings

from accounts.models import WebhookSubscription

PREFIX = "whsec_"


def key_of(seed: str) -> bytes:
    return hmac.digest(settings.SECRET_KEY.encode(), f"webhook:{seed}".encode(), "sha256")


def shown(seed: str) -> str:
    """The key as Standard Webhooks write it."""
    return PREFIX + base64.b64encode(key_of(seed)).decode()


def keys(subscription: WebhookSubscription, at: datetime) -> list[bytes]:
    """Those that sign now: the current one, and the one before for a day after it was replaced."""
    until = subscription.previous_until
    is_previous_valid = until is not None and at < until
    return [
        key_of(subscription.seed),
        *([key_of(subscription.previous_seed)] if subscription.previous_seed and is_previous_valid else []),
    ]


def headers(of: list[bytes], guid: str, at: datetime, body: bytes) -> dict[str, str]:
    """Those of Standard Webhooks, with a signature by each key, and the API family's own, by the current key."""
    timestamp = str(int(at.timestamp()))
    said = f"{guid}.{timestamp}.".encode() + body
    return {
        "webhook-id": guid,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(_signature(key, said) for key in of),
        "x-cybrid-signature": hmac.new(_text_of(of[0]), body, hashlib.sha256).hexdigest(),
    }


def unsigned(of: Mapping[str, str]) -> dict[str, str]:
    """Headers without what proves that they are ours: what is kept of a call lets nobody make it."""
    return {name: text for name, text in of.items() if not name.endswith("-signature")}


def _signature(key: bytes, said: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key, said, "sha256")).decode()


def _text_of(key: bytes) -> bytes:
    """The family's own signature takes the key as it is shown, prefix and all."""
    return (PREFIX + base64.b64encode(key).decode()).encode()
