"""Settings, state, and counts of the installation, for its system admins."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, func, select

from manifest_auth import audit
from manifest_auth.accounts import mail_queue
from manifest_auth.accounts.admins import management, second_factor
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, ValidationError
from manifest_auth.licence import Overview
from manifest_auth.maintenance import last_backup
from manifest_auth.runtime.settings import Settings, is_listed, networks_of
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions.principals import ENDS_AT
from manifest_auth.store import SystemUnit, cross_tenant, global_
from manifest_auth.store.tables import admin_sessions, sessions, system_admins, tenants, users
from manifest_auth.tenants import step_up
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Wire

if TYPE_CHECKING:
    from manifest_auth.maintenance.doctor import Finding


#: The settings that can be changed: the name in the audit trail, and the member of :class:`InstallationData`.
_NAMES = {"secondFactorRequired": "second_factor_required", "adminAddresses": "admin_addresses"}


#: The settings of the environment, by member of :class:`InstallationData`.
ENVIRONMENT = {
    "environment_admin_addresses": "admin_addresses",
    "client_deletion_days": "client_deletion_days",
    "client_deletion_audit": "client_deletion_audit",
}


class InstallationData(Wire, frozen=True):
    """``adminAddresses``: networks that can call the admin routes, separated by commas. System admins set it; empty
    means all. ``environmentAdminAddresses`` applies as well. It, ``clientDeletionDays``, and ``clientDeletionAudit``
    are settings of the environment."""

    second_factor_required: bool
    admin_addresses: str
    environment_admin_addresses: str
    client_deletion_days: int
    client_deletion_audit: str

    @classmethod
    def with_environment(cls, required: bool, addresses: str, settings: Settings) -> InstallationData:
        return cls(required, addresses, **{name: getattr(settings, setting) for name, setting in ENVIRONMENT.items()})


def read_settings(unit: SystemUnit, settings: Settings) -> InstallationData:
    return InstallationData.with_environment(second_factor.is_required(unit), management.addresses(unit), settings)


def stored_form(addresses: str) -> str:
    """Returns networks in the form that :func:`change_settings` accepts. Raises ValidationError."""
    try:
        return management.normalised(addresses.strip())
    except ValueError as error:
        raise ValidationError(details=[("adminAddresses", str(error))]) from None


def change_settings(
    unit: SystemUnit, ctx: RequestContext, required: bool | None, addresses: str | None
) -> InstallationData:
    """Changes the settings; None leaves a value unchanged. Raises InvalidToken, ReauthenticationRequired, or Conflict
    for a change that would lock out the acting admin."""
    step_up.check(ctx, Act.INSTALLATION)
    management.lock_active_admins(unit, ctx)
    settings = ctx.services.settings
    before = read_settings(unit, settings)
    if required is not None and required != before.second_factor_required:
        if required and not second_factor.has_one(unit, ctx.admin.admin_id):
            raise Conflict(_("Set up your own second factor first"))
        second_factor.require(unit, required)
    if addresses is not None and addresses != before.admin_addresses:
        if addresses and not is_listed(ctx.address, networks_of(addresses)):
            told = _(
                "Your own address (%(address)s) isn't in these networks, so you would lock yourself out",
                address=ctx.address,
            )
            raise Conflict(told)
        management.set_addresses(unit, addresses)
    after = read_settings(unit, settings)
    pairs = [(name, getattr(before, member), getattr(after, member)) for name, member in _NAMES.items()]
    if changes := {name: {"before": was, "after": now} for name, was, now in pairs if was != now}:
        audit.record_installation(unit, ctx, Event.INSTALLATION_CHANGED, "", **changes)
    return after


class CountsData(msgspec.Struct, frozen=True, rename="camel"):
    clients: int
    suspended_clients: int
    clients_to_delete: int
    users: int
    active_users: int
    open_sessions: int
    system_admins: int
    admin_sessions: int


def _where(condition: Any) -> Any:
    return func.count().filter(condition)


_WHY = "system admins see the numbers of the whole installation"
_SUSPENDED, _TO_DELETE = _where(tenants.c.suspended_at.is_not(None)), _where(tenants.c.delete_at.is_not(None))
_CLIENTS = global_(select(func.count(), _SUSPENDED, _TO_DELETE).select_from(tenants))
_USERS = cross_tenant(select(func.count(), _where(users.c.deactivated_at.is_(None))).select_from(users), because=_WHY)
_SESSIONS = cross_tenant(
    select(func.count()).select_from(sessions).where(sessions.c.ended_at.is_(None), bindparam("now") < ENDS_AT),
    int,
    because=_WHY,
)
_ADMINS = global_(select(_where(system_admins.c.disabled_at.is_(None))).select_from(system_admins), int)
_ADMIN_SESSIONS = global_(
    select(func.count())
    .select_from(admin_sessions)
    .where(admin_sessions.c.ended_at.is_(None), admin_sessions.c.ends_at > bindparam("now")),
    int,
)


def read_counts(unit: SystemUnit, now: int) -> CountsData:
    """Returns the numbers as of ``now`` (milliseconds)."""
    clients, suspended, to_delete = unit.one(_CLIENTS)
    people, active = unit.one(_USERS)
    return CountsData(
        clients=clients,
        suspended_clients=suspended,
        clients_to_delete=to_delete,
        users=people,
        active_users=active,
        open_sessions=unit.one(_SESSIONS, now=now),
        system_admins=unit.one(_ADMINS),
        admin_sessions=unit.one(_ADMIN_SESSIONS, now=now),
    )


class InstallationStanding(NamedTuple):
    """The state of the installation. ``findings`` are notes and problems from the quick checks. ``backup_at`` is in
    milliseconds, or None if there is none. ``has_factor`` means that the caller has a second factor. ``mails_waiting``
    are emails that the mail server didn't accept at first."""

    findings: tuple[Finding, ...]
    licence: Overview
    backup_at: int | None
    counts: CountsData
    has_factor: bool
    mails_waiting: int


async def read_standing(ctx: RequestContext) -> InstallationStanding:
    """Returns the state of the installation, for the calling system admin."""
    services, me = ctx.services, ctx.admin.admin_id

    counted, has_factor, waiting = await services.store.read(
        lambda unit: (read_counts(unit, ctx.now), second_factor.is_enrolled(unit, me), mail_queue.not_accepted(unit))
    )
    return InstallationStanding(
        findings=await _quick_findings(services),
        licence=await services.licence.overview(),
        backup_at=await last_backup.read_time(services.store),
        counts=counted,
        has_factor=has_factor,
        mails_waiting=waiting,
    )


async def _quick_findings(services: Services) -> tuple[Finding, ...]:
    """Runs the quick checks of ``doctor``. Its modules are loaded on first use, so that they don't delay the start."""
    await asyncio.to_thread(import_module, "manifest_auth.maintenance.doctor")
    from manifest_auth.maintenance.doctor import environment, storage
    from manifest_auth.maintenance.doctor.environment import bad

    settings, store, now = services.settings, services.store, services.clock.now_ms()
    found = [
        environment.plausible(now),
        *await environment.compared(store, now),
        *await asyncio.to_thread(storage.storage_findings, settings),
        *await environment.claim_findings(settings, store),
    ]
    if settings.rate_limits == "off":
        found.append(bad("rate limits: MANIFEST_RATE_LIMITS is off; remove it"))
    return tuple(one for one in found if one.level != "ok")
