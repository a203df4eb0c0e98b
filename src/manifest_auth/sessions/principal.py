"""Reads a principal: a session with its user and client.

One statement reads all that a request needs of its caller.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, case, func, literal, null, select

from manifest_auth.context import Principal
from manifest_auth.store import Store, SystemUnit, among, columns, cross_tenant
from manifest_auth.store.tables import installation, sessions, tenants, users

_S, _U, _T = sessions.c, users.c, tenants.c


class Chain(NamedTuple):
    """The refresh tokens of a session: the current one, the previous one, and when that changed."""

    current: str
    previous: str | None
    changed_at: int


#: The signing keys' stamp (:mod:`manifest_auth.sessions.tokens.keys`): read here, so that it costs no statement of its
#: own.
KEYS = select(installation.c.value).where(installation.c.name == "keys").scalar_subquery().label("keys")
_OF_USER = ("email", "first_name", "last_name", "title", "language", "deactivated_at", "factors")
_WHO = {name: _U[name] for name in _OF_USER} | {
    "held_roles": _U.roles.label("held_roles"),
    "has_password": case((_U.password_hash.is_(None), 0), else_=1).label("has_password"),
    "kind": _U.kind,
    "scopes": null(),
    "addresses": literal(""),
    "role_cap": null(),
    "idle_s": null(),
    "has_parent": literal(0),
    "client": _T.identifier,
    "client_name": _T.name,
    "tenant_settings": _T.settings,
    "suspended_at": _T.suspended_at,
}


def select_principal(**columns: Any) -> Select[Any]:
    """A select of principals. ``columns``: by name, those that user and tenant do not have."""
    found = {**_WHO, **columns}
    return select(*(found[name] for name in Principal._fields))


_OF_SESSION = columns(
    "tenant_id user_id method created_at ended_at cookie_seen_at amr authenticated_at role_cap idle_s"
)
#: When a session ends. A device's has its end in a column of its own, so that programs which do not know the cap of its
#: roles take it for over; no statement reads the other column alone.
ENDS_AT = func.coalesce(_S.device_ends_at, _S.ends_at).label("ends_at")
_HAS_PARENT = case((_S.parent_id.is_(None), 0), else_=1).label("has_parent")
_PRINCIPAL = select_principal(
    session_id=_S.id,
    ends_at=ENDS_AT,
    keys=KEYS,
    claims=literal(0),
    has_parent=_HAS_PARENT,
    **{name: _S[name] for name in _OF_SESSION},
).select_from(
    sessions.join(users, (_U.tenant_id == _S.tenant_id) & (_U.id == _S.user_id)).join(tenants, _T.id == _S.tenant_id)
)
_WHY = "the credential names the session, and the session names the tenant"
_CHAIN = (_S.refresh_current, _S.refresh_previous, _S.refresh_changed_at)
_BY_ID = cross_tenant(_PRINCIPAL.add_columns(*_CHAIN).where(_S.id == bindparam("id")), because=_WHY)
BY_IDS = cross_tenant(_PRINCIPAL.where(among(_S.id, "keys")), Principal, because=_WHY)
BY_COOKIE = cross_tenant(_PRINCIPAL.where(_S.cookie_hash == bindparam("cookie_hash")), Principal, because=_WHY)


def cookie_hash(value: str) -> str:
    """The stored hash of a cookie's value, which has 256 random bits, so a plain SHA-256 is enough."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def read(unit: SystemUnit, session_id: str) -> Principal | None:
    """The session with its user and tenant, as of this transaction."""
    return read_with_chain(unit, session_id)[0]


def read_with_chain(unit: SystemUnit, session_id: str) -> tuple[Principal | None, Chain]:
    """As :func:`read`, with the state of the session's refresh tokens."""
    return _with_chain(unit.first(_BY_ID, id=session_id))


def read_by_cookie(unit: SystemUnit, value: str) -> Principal | None:
    """As :func:`read`, by the value of a session cookie."""
    return unit.first(BY_COOKIE, cookie_hash=cookie_hash(value))


async def look_up_with_chain(store: Store, session_id: str) -> tuple[Principal | None, Chain]:
    """As :func:`read_with_chain`, in one statement without a transaction, and never from a cache."""
    return _with_chain(await store.look_up(_BY_ID, id=session_id))


def _with_chain(row: tuple[Any, ...] | None) -> tuple[Principal | None, Chain]:
    if row is None:
        return None, Chain("", None, 0)
    return Principal._make(row[: -len(_CHAIN)]), Chain._make(row[-len(_CHAIN) :])
