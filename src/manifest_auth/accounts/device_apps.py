"""Apps of devices: public OAuth clients of a tenant, whose client ids are no secret.

Every tenant has the app `manifest.IDENTIFIER`, which has no row and is never removed.
"""

from __future__ import annotations

import base64
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, func, insert, literal, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.audit import Act, Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict, existing
from manifest_auth.permissions import Permission
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions import device_sessions
from manifest_auth.store import Store, TenantUnit, cross_tenant, global_, tenant_scoped
from manifest_auth.store.tables import device_apps, device_grants
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import step_up
from manifest_auth.text import fields

MOST = 50
OWN, MADE = "manifest.", "app_"
_NAME_OF_OWN = "Manifest"
_A, _G, _T = device_apps.c, device_grants.c, tenants_table.c


class DeviceApp(NamedTuple):
    """``id``: the client id; ``created_at``: milliseconds, None for the app that every tenant has."""

    id: str
    name: str
    created_at: int | None

    @property
    def subject(self) -> str:
        """As the audit trail names it."""
        return f"device_app:{self.id}"


class OAuthApp(NamedTuple):
    """An app of a tenant that is not suspended. ``client``: the tenant's identifier; ``settings``: its own."""

    id: str
    name: str
    tenant_id: int
    client: str
    settings: str


_ALL = select(*(_A[name] for name in DeviceApp._fields))
_LIST = tenant_scoped(_ALL.order_by(_A.created_at, _A.id), DeviceApp)
_GET = tenant_scoped(_ALL.where(_A.id == bindparam("id")), DeviceApp)
_COUNT = tenant_scoped(select(func.count()).select_from(device_apps), int)
_NEW = ("id", "name", "created_at", "created_by")
_ADD = tenant_scoped(insert(device_apps).values({name: bindparam(name) for name in _NEW}))
_RENAME = tenant_scoped(update(device_apps).where(_A.id == bindparam("of_id")).values(name=bindparam("new_name")))
_DROP = tenant_scoped(delete(device_apps).where(_A.id == bindparam("of_id")))
_DROP_GRANTS = tenant_scoped(delete(device_grants).where(_G.app_id == bindparam("of_id")))
_OF_TENANT: Any = (_T.id.label("tenant_id"), _T.identifier.label("client"), _T.settings)
_FIND_OWN = global_(
    select(literal("").label("id"), literal(_NAME_OF_OWN).label("name"), *_OF_TENANT).where(
        _T.identifier == bindparam("identifier"), _T.suspended_at.is_(None)
    ),
    OAuthApp,
)
_FIND = cross_tenant(
    select(_A.id, _A.name, *_OF_TENANT)
    .join(tenants_table, _T.id == _A.tenant_id)
    .where(_A.id == bindparam("id"), _T.suspended_at.is_(None)),
    OAuthApp,
    because="the client id names the app, and that the tenant",
)


def is_one(client_id: str) -> bool:
    """Whether a client id is that of an app, by its shape."""
    return client_id.startswith((OWN, MADE))


async def find_app(store: Store, client_id: str) -> OAuthApp | None:
    """The app of a client id, in one statement and never from a cache; None where there is none."""
    if client_id.startswith(OWN):
        found = await store.look_up(_FIND_OWN, identifier=client_id.removeprefix(OWN))
        return None if found is None else found._replace(id=client_id)
    if not client_id.startswith(MADE):
        return None
    return await store.look_up(_FIND, id=client_id)


def own_id(client: str) -> str:
    """The client id of the app that a tenant has from the start. ``client``: its identifier."""
    return OWN + client


def list_all(unit: TenantUnit) -> list[DeviceApp]:
    """All apps of the tenant, the oldest first."""
    own = DeviceApp(own_id(tenants.get(unit, unit.tenant_id).identifier), _NAME_OF_OWN, None)
    return [own, *unit.all(_LIST)]


def names(unit: TenantUnit) -> dict[str, str]:
    """The names of all apps by their client ids."""
    return {app.id: app.name for app in list_all(unit)}


def create(unit: TenantUnit, who: Request, random: Random, name: str) -> DeviceApp:
    """Makes an app. Raises Forbidden, ReauthenticationRequired, ValidationError, and Conflict where there are too
    many."""
    _check(unit, who)
    named = fields.APP_NAME.check(name, "name")
    if unit.one(_COUNT) >= MOST:
        raise Conflict(f"There are {MOST} apps already: remove one first")
    made = DeviceApp(MADE + base64.b32encode(random.bytes(10)).decode().lower(), named, who.now)
    unit.change(_ADD, **made._asdict(), created_by=who.caller.actor)
    audit.record(unit, who, Event.DEVICE_APP_CREATED, made.subject, name=made.name)
    return made


def rename(unit: TenantUnit, who: Request, app_id: str, name: str) -> DeviceApp:
    """Gives an app another name. Raises as :func:`create`, and NotFound."""
    _check(unit, who)
    before = _get(unit, app_id)
    after = before._replace(name=fields.APP_NAME.check(name, "name"))
    if after != before:
        unit.change(_RENAME, of_id=app_id, new_name=after.name)
        audit.record(unit, who, Event.DEVICE_APP_CHANGED, after.subject, before=before.name, after=after.name)
    return after


def remove(unit: TenantUnit, who: Request, app_id: str) -> int:
    """Removes an app; its devices are signed out. How many sessions ended. Raises Forbidden, ReauthenticationRequired,
    NotFound."""
    _check(unit, who)
    app = _get(unit, app_id)
    unit.change(_DROP_GRANTS, of_id=app_id)
    unit.change(_DROP, of_id=app_id)
    ended = device_sessions.end_of_app(unit, app_id, "device_app_removed", who.now)
    audit.record(unit, who, Event.DEVICE_APP_REMOVED, app.subject, name=app.name, sessions_ended=ended)
    return ended


def _check(unit: TenantUnit, who: Request) -> None:
    step_up.check(who, Act.DEVICES)
    rank.manager(unit, who, Permission.SETTINGS_MANAGE)


def _get(unit: TenantUnit, app_id: str) -> DeviceApp:
    if app_id == own_id(tenants.get(unit, unit.tenant_id).identifier):
        raise Conflict("Every client has this app: it cannot be changed")
    return existing(unit.first(_GET, id=app_id))
