"""New signing keys, and old ones that sign or verify nothing more, as the installation's audit trail has it."""

from __future__ import annotations

from collections.abc import Sequence

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Acting, require_recent
from manifest_auth.errors import Conflict, NotFound
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import KeyRing, KeySeen, Purpose
from manifest_auth.store import SystemUnit

_TIMES = ("retired_at", "expires_at")


def rotate(unit: SystemUnit, by: Acting, ring: KeyRing, purposes: Sequence[Purpose] = tuple(Purpose)) -> None:
    """New keys sign for these purposes; the old ones verify what they signed."""
    require_recent(by)
    keys = ring.rotate(unit, purposes)
    audit.record_installation(unit, by, Event.KEYS_ROTATED, purposes=[p.value for p in purposes], keys=keys)


def retire(unit: SystemUnit, by: Acting, ring: KeyRing, key_id: str, *, at_once: bool) -> KeySeen:
    """Lets a key sign nothing more; ``at_once``: nor verify. The key as it is then. Raises NotFound, Conflict."""
    require_recent(by)
    before = tokens.find_key(unit, key_id)
    if before is None:
        raise NotFound()
    if not ring.retire(unit, before, at_once=at_once):
        raise Conflict("The key has expired" if at_once else "The key is retired already")
    after = tokens.seen_key(unit, key_id)
    assert after is not None  # what was retired just now is not swept yet
    detail = {"before": {t: getattr(before, t) for t in _TIMES}, "after": {t: getattr(after, t) for t in _TIMES}}
    audit.record_installation(unit, by, Event.KEY_RETIRED, f"key:{key_id}", purpose=before.purpose, **detail)
    return after
