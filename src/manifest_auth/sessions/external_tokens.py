"""Callers with a token of another system, such as Entra ID.

They have no session row, but user, client and state are read as for a session.

They are read as a :class:`Principal` whose session id is a hash of the token's payload, so that one cache and one set
of announcements serve all callers. Owns ``refused_tokens``: tokens that were signed out.
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


class ExternalCaller(NamedTuple):
    """The identity that a verified token belongs to. ``key``: in place of a session id. ``claims``: the
    :func:`claims_stamp` of its directory; None where the request named the client. Times in milliseconds."""

    key: str
    method: str
    tenant_id: int
    identity_id: int
    provider_changed_at: int
    verified_at: int
    until: int
    claims: int | None


def _text(name: str) -> Any:
    return cast(bindparam(name), Text)


def _stamp(directory: Any) -> Any:
    """A number that changes whenever a claim on the directory starts or stops to count."""
    counting = (_D.directory == directory, _D.state == "proved")
    each = _D.proved_at + _D.tenant_id * _APART  # differs even when two change places in one millisecond
    return select(cast(func.coalesce(func.sum(each), 0), BigInteger)).where(*counting)


_CLAIMS = cross_tenant(
    _stamp(bindparam("directory")),
    int,
    because="a bearer token without a client belongs to the clients whose claim on its directory counts",
)
_REFUSED = (
    select(_R.refused_at).where(_R.tenant_id == bindparam("tenant_id"), _R.key == bindparam("key")).scalar_subquery()
)
_SELECT: Any = (
    select_principal(
        session_id=_text("key"),
        tenant_id=_U.tenant_id,
        user_id=_U.id,
        method=_text("method"),
        created_at=cast(bindparam("verified_at"), BigInteger),
        ends_at=cast(bindparam("until"), BigInteger),
        ended_at=_REFUSED,
        cookie_seen_at=literal(0),
        keys=null(),  # this server's keys, which sign no external token
        claims=_stamp(_P.issuer).scalar_subquery(),
        amr=literal(""),
        authenticated_at=null(),
    )
    .select_from(
        identities.join(users, (_U.tenant_id == _I.tenant_id) & (_U.id == _I.user_id))
        .join(providers, (_P.tenant_id == _I.tenant_id) & (_P.id == _I.provider_id))
        .join(tenants, _T.id == _I.tenant_id)
    )
    .where(
        _I.tenant_id == bindparam("tenant_id"),
        _I.id == bindparam("identity_id"),
        _P.changed_at == bindparam("provider_changed_at"),
        _P.disabled_at.is_(None),
        # There is no session to end when a user becomes an Admin (docs/decisions/0018-providers-and-rank.md).
        or_(_P.reaches_admins != 0, _U.roles.bitwise_and(Role.ADMIN.bit) == 0),
    )
)
BY_EXTERNAL_TOKEN = cross_tenant(
    _SELECT,
    Principal,
    because="the verified token names the identity and its tenant",
)
_REFUSE = tenant_scoped(
    upsert(refused_tokens)
    .values({name: bindparam(name) for name in ("key", "refused_at", "expires_at")})
    .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
)


_IS_REFUSED = tenant_scoped(select(_R.refused_at).where(_R.key == bindparam("key")), int)


def claims_stamp(unit: SystemUnit, directory: str) -> int:
    """A stamp that changes when the claims that count for a directory change."""
    return unit.first(_CLAIMS, directory=directory) or 0


def external_key(method: str, tenant_id: int, token: str) -> str:
    """The key in place of a session id: a hash of the tenant and the payload. The payload is signed and unique; header
    and signature are left out, since the holder of a signed-out token could spell them in another way. The tenant,
    since one token may be valid at several, as a different caller."""
    payload = token.split(".")[1]
    return f"{method}:{hashlib.sha256(f'{tenant_id}:{payload}'.encode()).hexdigest()}"


def is_refused(unit: TenantUnit, key: str) -> bool:
    """Whether the token was signed out."""
    return unit.first(_IS_REFUSED, key=key) is not None


def refuse_external_token(unit: TenantUnit, key: str, now: int, until: int) -> bool:
    """Signs a token out on every node; ``until``: when it expires, milliseconds. False when it was signed out
    before."""
    unit.announce("session", key)
    return unit.change(_REFUSE, key=key, refused_at=now, expires_at=until) == 1
