"""Callers with a token that another system issued: no session of ours, but the same look at user, client and state.

They are read as a :class:`Principal` whose session id is made of a hash of what the token says, so that one memory and
one set of announcements serves all callers. Owns ``refused_tokens``: the tokens that were signed out.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Text, bindparam, cast, func, literal, null, or_, select

from manifest_auth.context import Principal
from manifest_auth.permissions import Role
from manifest_auth.sessions.principal import select_principal
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped, upsert
from manifest_auth.store.tables import directory_claims, identities, providers, refused_tokens, tenants, users

_D, _I, _P, _R, _T, _U = directory_claims.c, identities.c, providers.c, refused_tokens.c, tenants.c, users.c


_APART = 1_000_003


class Foreign(NamedTuple):
    """Whose token it was found to be. ``key``: in place of a session id. ``claims``: what :func:`claims_stamp` said of
    its directory; None where the request named the client, which is judged alone. Times in milliseconds."""

    key: str
    method: str
    identity_id: int
    provider_changed_at: int
    judged_at: int
    until: int
    claims: int | None


def _text(name: str) -> Any:
    return cast(bindparam(name), Text)


def _stamp(directory: Any) -> Any:
    """Another number whenever a claim on the directory begins or stops to count."""
    counting = (_D.directory == directory, _D.state == "proved")
    each = _D.proved_at + _D.tenant_id * _APART  # of two that change places in one millisecond, too
    return select(cast(func.coalesce(func.sum(each), 0), BigInteger)).where(*counting)


_CLAIMS = cross_tenant(
    _stamp(bindparam("directory")),
    int,
    because="a bearer token that names no client is anybody's whose claim on its directory counts",
)
_REFUSED = select(_R.refused_at).where(_R.key == bindparam("key")).scalar_subquery()
_SELECT: Any = (
    select_principal(
        session_id=_text("key"),
        tenant_id=_U.tenant_id,
        user_id=_U.id,
        method=_text("method"),
        created_at=cast(bindparam("judged_at"), BigInteger),
        ends_at=cast(bindparam("until"), BigInteger),
        ended_at=_REFUSED,
        cookie_hash=literal(""),
        cookie_seen_at=literal(0),
        refresh_current=literal(""),
        refresh_previous=null(),
        refresh_changed_at=literal(0),
        keys=null(),  # of ours, which sign nothing of others
        claims=_stamp(_P.issuer).scalar_subquery(),
    )
    .select_from(
        identities.join(users, _U.id == _I.user_id)
        .join(providers, _P.id == _I.provider_id)
        .join(tenants, _T.id == _I.tenant_id)
    )
    .where(
        _I.id == bindparam("identity_id"),
        _P.changed_at == bindparam("provider_changed_at"),
        _P.disabled_at.is_(None),
        # No session can be ended when somebody becomes an Admin (docs/decisions/0018-providers-and-rank.md).
        or_(_P.reaches_admins != 0, _U.roles.bitwise_and(Role.ADMIN.bit) == 0),
    )
)
BY_FOREIGN = cross_tenant(
    _SELECT,
    Principal,
    because="the token names the identity that it was found to be, and the identity the tenant",
)
_REFUSE = tenant_scoped(
    upsert(refused_tokens)
    .values({name: bindparam(name) for name in ("key", "refused_at", "expires_at")})
    .on_conflict_do_nothing(index_elements=["key"])
)


_IS_REFUSED = tenant_scoped(select(_R.refused_at).where(_R.key == bindparam("key")), int)


def claims_stamp(unit: SystemUnit, directory: str) -> int:
    """What tells whether the claims on a directory that count are still the same ones."""
    return unit.first(_CLAIMS, directory=directory) or 0


def foreign_key(method: str, tenant_id: int, token: str) -> str:
    """What stands in place of a session id: made of the payload alone, which is signed as it stands and which no two
    tokens share. A header or a signature may be written in another way by whoever signed the token out. And of the
    tenant: one token may be good at several, and is another caller at each."""
    payload = token.split(".")[1]
    return f"{method}:{hashlib.sha256(f'{tenant_id}:{payload}'.encode()).hexdigest()}"


def is_refused(unit: TenantUnit, key: str) -> bool:
    """Whether the token was signed out."""
    return unit.first(_IS_REFUSED, key=key) is not None


def refuse_foreign(unit: TenantUnit, key: str, now: int, until: int) -> bool:
    """Signs a token out on every node; ``until``: when it ends by itself, milliseconds. False when it was already."""
    unit.announce("session", key)
    return unit.change(_REFUSE, key=key, refused_at=now, expires_at=until) == 1
