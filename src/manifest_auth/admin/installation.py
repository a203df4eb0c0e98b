"""``/api/admin/status`` and ``/api/admin/settings``: how the installation is, and what system admins settle for it."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam, func, select

from manifest_auth import __version__, audit, last_backup
from manifest_auth.admins import managing, second_factor
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.errors import Conflict
from manifest_auth.store import SystemUnit, crossing, unowned
from manifest_auth.store.migrate import HEAD
from manifest_auth.store.tables import admin_sessions, sessions, system_admins, tenants, users
from manifest_auth.text import when
from manifest_auth.web import AUTH_LIMIT, Answer, Call, Door, Route, ok


class CountsData(msgspec.Struct, frozen=True, rename="camel"):
    clients: int
    suspended_clients: int
    clients_to_delete: int
    users: int
    active_users: int
    open_sessions: int
    system_admins: int
    admin_sessions: int


class StatusData(msgspec.Struct, frozen=True, rename="camel"):
    """``uptime``: seconds of the process that answers; ``lastBackupAt``: of which moment the last backup is that was
    noted, null when none was."""

    version: str
    schema: str
    store: str
    public_url: str
    now: str
    started_at: str
    uptime: int
    workers: int
    hash_workers: int
    deployment: str
    license_state: str
    mail: bool
    last_backup_at: str | None
    counts: CountsData


class InstallationBody(msgspec.Struct, frozen=True, rename="camel"):
    """Members that are left out stay as they are."""

    second_factor_required: bool | UnsetType = UNSET


class InstallationData(msgspec.Struct, frozen=True, rename="camel"):
    """``adminAddresses``, ``clientDeletionDays`` and ``clientDeletionAudit`` are settings of the environment, shown
    here."""

    second_factor_required: bool
    admin_addresses: str
    client_deletion_days: int
    client_deletion_audit: str


class _Count(NamedTuple):
    rows: int


class _Pair(NamedTuple):
    rows: int
    some: int


class _Three(NamedTuple):
    rows: int
    some: int
    others: int


def _when(condition: Any) -> Any:
    return func.count().filter(condition)


_WHY = "a system admin is told how many there are in the whole installation"
_CLIENTS = unowned(
    select(
        func.count(), _when(tenants.c.suspended_at.is_not(None)), _when(tenants.c.delete_at.is_not(None))
    ).select_from(tenants),
    _Three,
)
_USERS = crossing(select(func.count(), _when(users.c.deactivated_at.is_(None))).select_from(users), _Pair, because=_WHY)
_SESSIONS = crossing(
    select(func.count())
    .select_from(sessions)
    .where(sessions.c.ended_at.is_(None), sessions.c.ends_at > bindparam("now")),
    _Count,
    because=_WHY,
)
_ADMINS = unowned(select(func.count(), _when(system_admins.c.disabled_at.is_(None))).select_from(system_admins), _Pair)
_ADMIN_SESSIONS = unowned(
    select(func.count())
    .select_from(admin_sessions)
    .where(admin_sessions.c.ended_at.is_(None), admin_sessions.c.ends_at > bindparam("now")),
    _Count,
)


def _counts(unit: SystemUnit, now: int) -> dict[str, int]:
    [clients], [people], [admins] = unit.all(_CLIENTS), unit.all(_USERS), unit.all(_ADMINS)
    [opened], [of_admins] = unit.all(_SESSIONS, now=now), unit.all(_ADMIN_SESSIONS, now=now)
    return {
        "clients": clients.rows,
        "suspendedClients": clients.some,
        "clientsToDelete": clients.others,
        "users": people.rows,
        "activeUsers": people.some,
        "openSessions": opened.rows,
        "systemAdmins": admins.some,
        "adminSessions": of_admins.rows,
    }


async def _status(ctx: Context, call: Call[None]) -> Answer:
    house, settings = ctx.house, ctx.house.settings
    standing = await house.licence.standing()
    noted, counts = await house.store.read(lambda unit: (unit.first(last_backup.FIND), _counts(unit, ctx.now)))
    house.metrics.backed_up(noted.at if noted is not None else 0)  # looked at every 20 seconds otherwise
    return ok(
        {
            "version": __version__,
            "schema": HEAD,  # the start brings a store to it, or fails
            "store": "postgresql" if settings.on_postgres else "sqlite",
            "publicUrl": settings.public_url,
            "now": when(ctx.now),
            "startedAt": when(house.started_at),
            "uptime": max(0, ctx.now - house.started_at) // 1000,
            "workers": settings.workers,
            "hashWorkers": house.hasher.workers,
            "deployment": settings.deployment,
            "licenseState": standing.state.value,
            "mail": house.mail.is_set_up,
            "lastBackupAt": when(noted.at) if noted is not None else None,
            "counts": counts,
        }
    )


def _settled(unit: SystemUnit, ctx: Context) -> dict[str, Any]:
    settings = ctx.house.settings
    return {
        "secondFactorRequired": second_factor.is_required(unit),
        "adminAddresses": settings.admin_addresses,
        "clientDeletionDays": settings.client_deletion_days,
        "clientDeletionAudit": settings.client_deletion_audit,
    }


async def _show(ctx: Context, call: Call[None]) -> Answer:
    return ok(await ctx.house.store.read(lambda unit: _settled(unit, ctx)))


async def _change(ctx: Context, call: Call[InstallationBody]) -> Answer:
    required = call.body.second_factor_required

    def work(unit: SystemUnit) -> dict[str, Any]:
        managing.acting(unit, ctx)
        before = second_factor.is_required(unit)
        if isinstance(required, bool) and required != before:
            if required and not second_factor.has_one(unit, ctx.admin.admin_id):
                raise Conflict("Enrol a second factor yourself first")
            second_factor.require(unit, required)
            change = {"before": before, "after": required}
            audit.record_installation(unit, ctx, Event.INSTALLATION_CHANGED, "", secondFactorRequired=change)
        return _settled(unit, ctx)

    return ok(await ctx.house.store.write(work))


ROUTES = (
    Route("GET", "/api/admin/status", _status, Door.ADMIN, "How the installation is: release, store, licence, counts",
          None, StatusData),
    Route("GET", "/api/admin/settings", _show, Door.ADMIN, "What is settled for the installation", None,
          InstallationData),
    Route("PATCH", "/api/admin/settings", _change, Door.ADMIN,
          "Settle something for the installation: whether system admins need a second factor", InstallationBody,
          InstallationData, limit=AUTH_LIMIT, refusals=(Conflict,)),
)  # fmt: skip
