"""Challenges of passkeys that a right answer has used up: of answers to one challenge, on all nodes, one counts.

Only challenges that carry their own end stand here; they are stored with the right answer, not before.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam

from manifest_auth.store import SystemUnit, TenantUnit, global_, upsert
from manifest_auth.store.tables import used_passkey_challenges

_U = used_passkey_challenges
_ADD = global_(
    upsert(_U)
    .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(index_elements=["key"])
)


def use_up(unit: SystemUnit | TenantUnit, challenge: str, expires_at: int) -> bool:
    """Marks it as used: of concurrent calls, one gets True. ``expires_at``: milliseconds."""
    key = hashlib.sha256(challenge.encode("utf-8", "surrogatepass")).hexdigest()
    return unit.change(_ADD, key=key, expires_at=expires_at) == 1
