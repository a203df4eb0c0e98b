"""What one read says of a session: its row, its user and its client. It is all that a request needs of its caller."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, literal, select

from manifest_auth.store import Store, SystemUnit, crossing
from manifest_auth.store.tables import installation, sessions, tenants, users

_S, _U, _T = sessions.c, users.c, tenants.c


class Chain(NamedTuple):
    """What a session's row says of its refresh tokens: the one in force, the one before, and since when."""

    current: str
    previous: str | None
    changed_at: int


class Principal(NamedTuple):
    """A session with its user and tenant, dead or alive."""

    session_id: str
    tenant_id: int
    user_id: int
    method: str
    created_at: int
    ends_at: int
    ended_at: int | None
    cookie_hash: str
    cookie_seen_at: int
    refresh_current: str
    refresh_previous: str | None
    refresh_changed_at: int
    email: str
    first_name: str
    last_name: str
    title: str
    roles: int
    deactivated_at: int | None
    client: str
    client_name: str
    tenant_settings: str
    suspended_at: int | None
    keys: str | None  # the stamp of the signing keys, as of this read
    claims: int  # on whose standing the judgement of a foreign token rests, see external_tokens.py; 0 for all others

    @property
    def chain(self) -> Chain:
        """The state of its refresh tokens. Only as fresh as the read: rotation reads it inside its unit of work."""
        return Chain(self.refresh_current, self.refresh_previous, self.refresh_changed_at)

    def is_alive(self, now: int) -> bool:
        """Whether session, user and tenant all let it in."""
        return (
            self.ended_at is None and self.ends_at > now and self.deactivated_at is None and self.suspended_at is None
        )


#: The signing keys' stamp (:mod:`manifest_auth.sessions.tokens.keys`): read here, it costs no statement of its own.
KEYS = select(installation.c.value).where(installation.c.name == "keys").scalar_subquery().label("keys")
_PRINCIPAL = select(
    _S.id,
    _S.tenant_id,
    _S.user_id,
    _S.method,
    _S.created_at,
    _S.ends_at,
    _S.ended_at,
    _S.cookie_hash,
    _S.cookie_seen_at,
    _S.refresh_current,
    _S.refresh_previous,
    _S.refresh_changed_at,
    _U.email,
    _U.first_name,
    _U.last_name,
    _U.title,
    _U.roles,
    _U.deactivated_at,
    _T.identifier,
    _T.name,
    _T.settings,
    _T.suspended_at,
    KEYS,
    literal(0),
).select_from(sessions.join(users, _U.id == _S.user_id).join(tenants, _T.id == _S.tenant_id))

_WHY = "the credential names the session, and the session names the tenant"
BY_ID = crossing(_PRINCIPAL.where(_S.id == bindparam("id")), Principal, because=_WHY)
BY_COOKIE = crossing(_PRINCIPAL.where(_S.cookie_hash == bindparam("cookie_hash")), Principal, because=_WHY)


def cookie_hash(value: str) -> str:
    """What is stored of a cookie's value: it has 256 random bits, so a plain SHA-256 keeps it."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def read(unit: SystemUnit, session_id: str) -> Principal | None:
    """The session with its user and tenant, as of this transaction."""
    return unit.first(BY_ID, id=session_id)


async def look_up(store: Store, session_id: str) -> Principal | None:
    """As :func:`read`, on the shortest way and never from memory."""
    return await store.look_up(BY_ID, id=session_id)
