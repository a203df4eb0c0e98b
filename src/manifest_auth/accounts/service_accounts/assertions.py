"""Assertions of service accounts (RFC 7523) that were used: each ``jti`` is good once, on all nodes."""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam

from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import used_assertions

_ADD = tenant_scoped(
    upsert(used_assertions)
    .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
)


def use_assertion(unit: TenantUnit, account_id: int, jti: str, expires_at: int) -> bool:
    """Marks an assertion as used until it expires (milliseconds). False when it was used before."""
    key = hashlib.sha256(f"{account_id}:{jti}".encode("utf-8", "surrogatepass")).hexdigest()
    return unit.change(_ADD, key=key, expires_at=expires_at) == 1
