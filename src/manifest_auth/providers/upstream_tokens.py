"""Microsoft's tokens of a user, encrypted for one provider and user.

They are stored only where the provider's settings ask for it.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete

from manifest_auth.providers.providers import Provider
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.store import TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import kept_tokens, sealed_for

_C = kept_tokens.c
_KEEP = tenant_scoped(
    upsert(kept_tokens)
    .values({name: bindparam(name) for name in ("provider_id", "user_id", "tokens", "kept_at")})
    .on_conflict_do_update(
        index_elements=["tenant_id", "provider_id", "user_id"],
        set_={"tokens": bindparam("tokens"), "kept_at": bindparam("kept_at")},
    )
)
_DROP = tenant_scoped(delete(kept_tokens).where(_C.user_id == bindparam("of_user")))
_DROP_ONE = tenant_scoped(
    delete(kept_tokens).where(_C.user_id == bindparam("of_user"), _C.provider_id == bindparam("of_provider"))
)


def store_tokens(unit: TenantUnit, sealer: Sealer, provider: Provider, user_id: int, tokens: bytes, now: int) -> None:
    """Stores the tokens, replacing the user's earlier ones."""
    row = sealed_for(_C.tokens, provider_id=provider.id, user_id=user_id)
    unit.change(_KEEP, provider_id=provider.id, user_id=user_id, tokens=sealer.seal(tokens, row), kept_at=now)


def drop_tokens(unit: TenantUnit, user_id: int, provider_id: int | None = None) -> None:
    """Deletes all tokens of the user, or those of one provider."""
    if provider_id is None:
        unit.change(_DROP, of_user=user_id)
    else:
        unit.change(_DROP_ONE, of_user=user_id, of_provider=provider_id)
