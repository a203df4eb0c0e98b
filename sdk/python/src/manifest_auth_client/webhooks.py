"""``verify_webhook``: shows that an event came from the server and is new, by Standard Webhooks 1.0."""

from __future__ import annotations

import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

TOLERANCE_S = 300


class InvalidWebhook(ValueError):
    """The request is not an event that the server sent within the last five minutes.

    >>> verify_webhook(webhook_secret, {}, body)
    Traceback (most recent call last):
    manifest_auth_client.webhooks.InvalidWebhook: headers are missing, or the event is older or newer than five minutes
    """


def verify_webhook(secrets: str | Iterable[str], headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The event of a request. ``secrets``: ``whsec_…``, during a rotation the old one and the new one; ``headers``: the
    request's, in any case; ``body``: its bytes as they came, since the signature is over them.

    Raises :class:`InvalidWebhook`. One event may come several times: ``webhook-id`` is the same each time.

    >>> event = verify_webhook(webhook_secret, headers, body)
    >>> event["type"]
    'user.deactivated'
    """
    named = {name.lower(): value for name, value in headers.items()}
    event_id, at, signatures = (named.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not event_id or not (at.isascii() and at.isdigit()) or abs(time.time() - int(at)) > TOLERANCE_S:
        raise InvalidWebhook("headers are missing, or the event is older or newer than five minutes")
    signed = f"{event_id}.{at}.".encode() + body
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    expected = [b"v1," + b64encode(hmac.digest(key, signed, sha256)) for key in keys]
    shown = [each.encode() for each in signatures.split(" ")]
    if not any([hmac.compare_digest(one, other) for one in expected for other in shown]):  # noqa: C419 - all compared
        raise InvalidWebhook("no signature is right")
    try:
        event = json.loads(body)
    except ValueError:
        event = None
    if not isinstance(event, dict):
        raise InvalidWebhook("the body is no JSON object")
    return event


def _key(secret: str) -> bytes:
    """Raises ValueError for what is no secret of a webhook."""
    return b64decode(secret.removeprefix("whsec_"), validate=True)
