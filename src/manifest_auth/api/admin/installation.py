"""``/api/admin/status`` and ``/api/admin/settings``: how the installation is, and what system admins settle for it."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam, func, select

from manifest_auth import __version__, audit
from manifest_auth.accounts.admins import managing, second_factor
from manifest_auth.accounts.admins import networks as addresses
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.http import AUTH_LIMIT, Access, Answer, Call, Route, ok
from manifest_auth.operations import last_backup
from manifest_auth.runtime.settings import is_listed, networks_of, variable
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, crossing, unowned
from manifest_auth.store.migrate import HEAD
from manifest_auth.store.tables import admin_sessions, sessions, system_admins, tenants, users
from manifest_auth.text.canonical import when


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
    """Members that are left out stay as they are. ``adminAddresses``: networks that may reach the admin plane, comma
    separated, your own among them; empty: no limit but the environment's. The environment's settings may be sent as
    they were read, and are not changed here."""

    second_factor_required: bool | UnsetType = UNSET
    admin_addresses: Annotated[str, Meta(max_length=2000)] | UnsetType = UNSET
    environment_admin_addresses: str | UnsetType = UNSET
    client_deletion_days: int | UnsetType = UNSET
    client_deletion_audit: str | UnsetType = UNSET


class InstallationData(msgspec.Struct, frozen=True, rename="camel"):
    """``adminAddresses``: as system admins settled it. ``environmentAdminAddresses``, which holds beside it,
    ``clientDeletionDays`` and ``clientDeletionAudit`` are settings of the environment, shown here."""

    second_factor_required: bool
    admin_addresses: str
    environment_admin_addresses: str
    client_deletion_days: int
    client_deletion_audit: str


_ENVIRONMENT = {
    "environment_admin_addresses": "admin_addresses",
    "client_deletion_days": "client_deletion_days",
    "client_deletion_audit": "client_deletion_audit",
}


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


async def _status(ctx: RequestContext, call: Call[None]) -> Answer:
    services, settings = ctx.services, ctx.services.settings
    standing = await services.licence.standing()
    backup = await last_backup.moment(services.store)
    counts = await services.store.read(lambda unit: _counts(unit, ctx.now))
    services.metrics.backed_up(backup or 0)  # looked at every 20 seconds otherwise
    return ok(
        {
            "version": __version__,
            "schema": HEAD,  # the start brings a store to it, or fails
            "store": "postgresql" if settings.on_postgres else "sqlite",
            "publicUrl": settings.public_url,
            "now": when(ctx.now),
            "startedAt": when(services.started_at),
            "uptime": max(0, ctx.now - services.started_at) // 1000,
            "workers": settings.workers,
            "hashWorkers": services.hasher.workers,
            "deployment": settings.deployment,
            "licenseState": standing.state.value,
            "mail": services.mail.is_set_up,
            "lastBackupAt": None if backup is None else when(backup),
            "counts": counts,
        }
    )


def _settled(unit: SystemUnit, ctx: RequestContext) -> dict[str, Any]:
    settings = ctx.services.settings
    return {
        "secondFactorRequired": second_factor.is_required(unit),
        "adminAddresses": addresses.addresses(unit),
        "environmentAdminAddresses": settings.admin_addresses,
        "clientDeletionDays": settings.client_deletion_days,
        "clientDeletionAudit": settings.client_deletion_audit,
    }


async def _show(ctx: RequestContext, call: Call[None]) -> Answer:
    return ok(await ctx.services.store.read(lambda unit: _settled(unit, ctx)))


async def _change(ctx: RequestContext, call: Call[InstallationBody]) -> Answer:
    required, networks = _asked(ctx, call.body)

    def work(unit: SystemUnit) -> dict[str, Any]:
        managing.acting(unit, ctx)
        before = _settled(unit, ctx)
        if required is not None and required != before["secondFactorRequired"]:
            if required and not second_factor.has_one(unit, ctx.admin.admin_id):
                raise Conflict("Enrol a second factor yourself first")
            second_factor.require(unit, required)
        if networks is not None and networks != before["adminAddresses"]:
            if networks and not is_listed(ctx.address, networks_of(networks)):
                raise Conflict(f"Your own address ({ctx.address}) is not in these networks: you would be shut out")
            addresses.limit(unit, networks)
        after = _settled(unit, ctx)
        changes = {
            name: {"before": before[name], "after": after[name]} for name in after if after[name] != before[name]
        }
        if changes:
            audit.record_installation(unit, ctx, Event.INSTALLATION_CHANGED, "", **changes)
        return after

    return ok(await ctx.services.store.write(work))


def _asked(ctx: RequestContext, body: InstallationBody) -> tuple[bool | None, str | None]:
    """Whether a second factor is required, and the networks as they are stored; None: as it is. Raises ValidationError,
    also for a body by which nothing could change: an answer that all is well would tell somebody that it has."""
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    if not given:
        raise ValidationError("Name something to settle: secondFactorRequired or adminAddresses")
    for name, setting in _ENVIRONMENT.items():
        if name in given and given[name] != getattr(ctx.services.settings, setting):
            wire = InstallationBody.__struct_encode_fields__[InstallationBody.__struct_fields__.index(name)]
            raise ValidationError(details=[(wire, f"Is set in the environment: {variable(setting)}")])
    networks = given.get("admin_addresses")
    try:
        return given.get("second_factor_required"), None if networks is None else addresses.written(networks.strip())
    except ValueError as error:
        raise ValidationError(details=[("adminAddresses", str(error))]) from None


ROUTES = (
    Route("GET", "/api/admin/status", _status, Access.ADMIN, "How the installation is: release, store, licence, counts",
          None, StatusData),
    Route("GET", "/api/admin/settings", _show, Access.ADMIN, "What is settled for the installation", None,
          InstallationData),
    Route("PATCH", "/api/admin/settings", _change, Access.ADMIN,
          "Settle whether system admins need a second factor, and from where they may come", InstallationBody,
          InstallationData, limit=AUTH_LIMIT, refusals=(Conflict,)),
)  # fmt: skip
