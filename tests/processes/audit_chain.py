"""Checks that the stored audit trail is intact, and contains everything that clients received confirmation for."""

from __future__ import annotations

import base64
import json
from typing import Any

from sqlalchemy import select

from manifest_auth import audit
from manifest_auth.store import cross_tenant, open_store
from manifest_auth.store.tables import audit_events, audit_heads
from tests.processes.sign_in_load import Storm

_EVENTS = cross_tenant(
    select(audit_events).order_by(audit_events.c.tenant_id, audit_events.c.sequence),
    because="the test reads all chains",
)
_H = audit_heads.c
_HEADS = cross_tenant(select(_H.tenant_id, _H.sequence, _H.hash), because="the test reads all chains")


async def is_whole_and_holds(told: Storm, url: str) -> None:
    """Check that no event is missing or altered, and that every confirmed sign-in and sign-out has an event."""
    store = open_store(url, 2)
    await store.open()
    try:
        events = [dict(zip(audit_events.c.keys(), e, strict=True)) for e in await store.read(lambda u: u.all(_EVENTS))]
        heads = {tenant: (number, hashed) for tenant, number, hashed in await store.read(lambda u: u.all(_HEADS))}
    finally:
        await store.close()
    last: dict[int, tuple[int, str]] = {}
    for event in events:
        number, before = last.get(event["tenant_id"], (0, "0" * 64))
        assert event["sequence"] == number + 1
        assert event["previous_hash"] == before
        assert audit.digest(event["tenant_id"], event) == event["hash"]
        last[event["tenant_id"]] = event["sequence"], event["hash"]
    assert last == heads
    for kind, clients in (
        ("signed_in", [c for c in told.clients if c.tokens]),
        ("signed_out", [c for c in told.clients if c.signed_out]),
    ):
        recorded = {json.loads(e["detail"]).get("session") for e in events if e["event"] == kind}
        assert {_session_of(c.tokens[0]) for c in clients} <= recorded


def _session_of(token: str) -> Any:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"]
