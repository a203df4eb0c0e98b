"""Numbers of clients, users, sessions and admins of the installation, for system admins."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from manifest_auth.sessions.principal import ENDS_AT
from manifest_auth.store import SystemUnit, cross_tenant, global_
from manifest_auth.store.tables import admin_sessions, sessions, system_admins, tenants, users


class CountsData(msgspec.Struct, frozen=True, rename="camel"):
    clients: int
    suspended_clients: int
    clients_to_delete: int
    users: int
    active_users: int
    open_sessions: int
    system_admins: int
    admin_sessions: int


class _One(NamedTuple):
    rows: int


class _Two(NamedTuple):
    rows: int
    active: int


class _Clients(NamedTuple):
    rows: int
    suspended: int
    to_delete: int


def _where(condition: Any) -> Any:
    return func.count().filter(condition)


_WHY = "system admins see the numbers of the whole installation"
_SUSPENDED, _TO_DELETE = _where(tenants.c.suspended_at.is_not(None)), _where(tenants.c.delete_at.is_not(None))
_CLIENTS = global_(select(func.count(), _SUSPENDED, _TO_DELETE).select_from(tenants), _Clients)
_USERS = cross_tenant(
    select(func.count(), _where(users.c.deactivated_at.is_(None))).select_from(users), _Two, because=_WHY
)
_SESSIONS = cross_tenant(
    select(func.count()).select_from(sessions).where(sessions.c.ended_at.is_(None), bindparam("now") < ENDS_AT),
    _One,
    because=_WHY,
)
_ADMINS = global_(select(_where(system_admins.c.disabled_at.is_(None))).select_from(system_admins), _One)
_ADMIN_SESSIONS = global_(
    select(func.count())
    .select_from(admin_sessions)
    .where(admin_sessions.c.ended_at.is_(None), admin_sessions.c.ends_at > bindparam("now")),
    _One,
)


def read(unit: SystemUnit, now: int) -> CountsData:
    """The numbers as of ``now``, milliseconds."""
    [clients], [people], [admins] = unit.all(_CLIENTS), unit.all(_USERS), unit.all(_ADMINS)
    [opened], [of_admins] = unit.all(_SESSIONS, now=now), unit.all(_ADMIN_SESSIONS, now=now)
    return CountsData(
        clients=clients.rows,
        suspended_clients=clients.suspended,
        clients_to_delete=clients.to_delete,
        users=people.rows,
        active_users=people.active,
        open_sessions=opened.rows,
        system_admins=admins.rows,
        admin_sessions=of_admins.rows,
    )
