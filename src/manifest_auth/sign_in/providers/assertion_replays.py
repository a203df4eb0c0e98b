"""Ids of used SAML assertions, shared by all nodes: an assertion works once (SAML 2.0 profiles, section 4.1.4.5)."""

from __future__ import annotations

import hashlib

from sqlalchemy import bindparam

from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import seen_assertions

_REMEMBER = tenant_scoped(
    upsert(seen_assertions)
    .values(key=bindparam("key"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
)


def remember(unit: TenantUnit, issuer: str, assertion_id: str, until: int) -> bool:
    """Stores an assertion as used until ``until`` (milliseconds). False when it was used before."""
    key = hashlib.sha256(f"{issuer}\0{assertion_id}".encode()).hexdigest()
    return unit.change(_REMEMBER, key=key, expires_at=until) == 1
