"""State and usage of a client, for its managers."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, bindparam, func, select

from manifest_auth import licence, providers, tenants
from manifest_auth.accounts import users
from manifest_auth.clients.providers import daily_checks
from manifest_auth.clients.providers.daily_checks import ProviderCheck
from manifest_auth.licence import Overview, Seats, State, gate
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.runtime.sealing import CannotOpen
from manifest_auth.runtime.settings import DAY, MINUTE
from manifest_auth.services import RequestContext
from manifest_auth.sessions.principals import ENDS_AT
from manifest_auth.store import Filters, Store, TenantUnit, tenant_scoped
from manifest_auth.store.tables import sessions
from manifest_auth.store.tables import users as users_table
from manifest_auth.tenants.claims import Claim, directories, domains


class ProviderStanding(NamedTuple):
    """The state of a provider. ``title`` is its name on pages. ``opens`` means that the secret keys open its secrets.
    ``reaches_admins`` means that an Admin saved it last. ``check`` is the server's last check of its current settings.
    """

    id: int
    name: str
    title: str
    is_on: bool
    opens: bool
    reaches_admins: bool
    check: ProviderCheck | None


class ClientStanding(NamedTuple):
    """The state of a client. ``claims`` are all its claims on domains. ``waiting_directories`` aren't verified yet.
    ``unconfirmed`` is the number of addresses that don't count for an Admin yet. ``admins`` is how many can act, where
    two means two or more. ``only_password`` means that they can sign in with just a password."""

    claims: list[Claim]
    waiting_directories: list[str]
    providers: list[ProviderStanding]
    unconfirmed: int
    admins: int
    only_password: bool
    sends_mail: bool
    licence: Overview
    licence_warning: str

    @property
    def is_licence_over(self) -> bool:
        return self.licence.status.state in (State.MISSING, State.GRACE, State.EXPIRED)


async def read(ctx: RequestContext) -> ClientStanding:
    """Returns the state of the caller's client."""
    overview_in, tenant_id = ctx.services.licence.overview_in, ctx.user.tenant_id
    return await ctx.services.store.read(lambda unit: _read(unit.of(tenant_id), ctx, overview_in(unit)))


def _read(unit: TenantUnit, ctx: RequestContext, overview: Overview) -> ClientStanding:
    settings, checks = tenants.settings_of(tenants.get(unit, unit.tenant_id).settings), daily_checks.read(unit)
    every_claim, _ = domains.LISTING.read(unit, 100, "", "ID", Filters())
    waiting, _ = directories.LISTING.read(unit, 100, "", "DIRECTORY", Filters("state", of_state=directories.PENDING))
    admins, _ = users.LISTING.read(unit, 2, "", "ID", Filters("role", "active", role=Role.ADMIN.bit))
    return ClientStanding(
        claims=every_claim,
        waiting_directories=[one.directory for one in waiting],
        providers=[_provider(ctx, one, checks.get(one.id)) for one in providers.list_all(unit)],
        unconfirmed=len(settings.unconfirmed.allowed_origins) + len(settings.unconfirmed.return_addresses),
        admins=len(admins),
        only_password=settings.password_sign_in and not tenants.is_required(settings, Role.ADMIN.bit),
        sends_mail=ctx.services.mail_queue.is_set_up,
        licence=overview,
        licence_warning=licence.warning(overview.status, ctx.now),
    )


def _provider(ctx: RequestContext, provider: Provider, check: ProviderCheck | None) -> ProviderStanding:
    try:
        providers.open_secrets(ctx.services.sealer, provider)
        opens = True
    except CannotOpen:
        opens = False
    is_on, reaches = provider.disabled_at is None, bool(provider.reaches_admins)
    title = provider.display_name or provider.name
    return ProviderStanding(
        id=provider.id,
        name=provider.name,
        title=title,
        is_on=is_on,
        opens=opens,
        reaches_admins=reaches,
        check=check if check is not None and check.checked_at >= provider.changed_at else None,
    )


FRESH_MS, ACTIVE_MS = 5 * MINUTE * 1000, 30 * DAY * 1000
_MOST = 1000  # the number of clients that a process remembers


class Usage(NamedTuple):
    """The usage of a client. ``seats`` are its active users by the license type that each needs. ``free`` are the
    installation's free seats of each type, None if no license is needed. ``active_users`` is how many of the ``users``
    signed in within 30 days. ``counted_at`` is in milliseconds."""

    users: int
    active_users: int
    open_sessions: int
    seats: Seats
    free: Seats | None
    counted_at: int


class _Counted:
    """The counts of one process, by client. Only one count runs at a time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.by_client: dict[int, Usage] = {}


_COUNTED: WeakKeyDictionary[Store, _Counted] = WeakKeyDictionary()
_U, _S = users_table.c, sessions.c
_SINCE = bindparam("since", type_=BigInteger())
_USERS = tenant_scoped(
    select(_U.roles, func.count(), func.count().filter(_U.last_sign_in_at >= _SINCE))
    .where(_U.deactivated_at.is_(None))
    .group_by(_U.roles)
)
_SESSIONS = tenant_scoped(
    select(func.count()).select_from(sessions).where(_S.ended_at.is_(None), bindparam("now") < ENDS_AT), int
)


async def of_client(ctx: RequestContext) -> Usage:
    """Returns the usage of the caller's client. Each process counts at most once in five minutes."""
    counted = _COUNTED.setdefault(ctx.services.store, _Counted())
    tenant_id, now = ctx.user.tenant_id, ctx.now
    async with counted.lock:
        found = counted.by_client.get(tenant_id)
        if found is None or not 0 <= now - found.counted_at < FRESH_MS:
            granted = await _granted(ctx)
            found = await ctx.store.read(lambda unit: _count(unit, granted, now))
            counted.by_client.pop(tenant_id, None)
            counted.by_client[tenant_id] = found
            if len(counted.by_client) > _MOST:
                counted.by_client.pop(next(iter(counted.by_client)))
    return found


async def _granted(ctx: RequestContext) -> Seats | None:
    """Returns the seats of the current license. None if no license is needed."""
    licence_gate = ctx.services.licence
    if not licence_gate.is_needed:
        return None
    licence = (await licence_gate.status()).licence
    return licence.seats if licence is not None else Seats(0, 0, 0)


def _count(unit: TenantUnit, granted: Seats | None, now: int) -> Usage:
    groups = unit.all(_USERS, since=now - ACTIVE_MS)  # roles, users, active users
    counts = [0] * (len(gate.TYPES) + 1)
    for roles, number, _active in groups:
        counts[gate.type_index(roles)] += number
    return Usage(
        users=sum(number for _, number, _ in groups),
        active_users=sum(active for *_, active in groups),
        open_sessions=unit.one(_SESSIONS, now=now),
        seats=Seats(*counts[: len(gate.TYPES)]),
        free=None if granted is None else gate.free(granted, gate.taken(unit)),
        counted_at=now,
    )
