"""Devices that belong to a client and that people share, the codes with which they are enrolled, and device apps.

Owns ``enrolled_devices`` and ``device_enrolments``. Never opens a session.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import BigInteger, bindparam, delete, func, insert, literal, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting, Request
from manifest_auth.errors import Conflict, NotFound, existing
from manifest_auth.permissions import Permission
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import DAY, MINUTE
from manifest_auth.sessions import device_sessions
from manifest_auth.store import Listing, Store, SystemUnit, TenantUnit, cross_tenant, global_, tenant_scoped
from manifest_auth.store.tables import device_apps, device_enrolments, device_grants, enrolled_devices
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import step_up
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire
from manifest_auth.text.scan_codes import ScanKind

# A token has 256 random bits; the store has its SHA-256. A device that no one used for 90 days is no longer known.

UNUSED_MS: Final = 90 * DAY * 1000
TOUCH_EVERY_MS: Final = 60_000


class SharedDeviceData(Wire, frozen=True):
    # ``enrolled_by``: the actor who made its code.
    id: str
    name: str
    place: str
    enrolled_at: Time
    enrolled_by: str
    seen_at: Time


class FoundDevice(NamedTuple):
    """A device that is known by its token, of a client that is not suspended. ``client``: its identifier."""

    id: str
    tenant_id: int
    client: str
    name: str


_D, _T = enrolled_devices.c, tenants_table.c
_DEVICE = select(*(_D[name] for name in SharedDeviceData.__struct_fields__))
_SEEN_AFTER = bindparam("seen_after", type_=BigInteger())
_KNOWN = (_D.removed_at.is_(None), _D.seen_at > _SEEN_AFTER)
_BY_TOKEN = cross_tenant(
    select(_D.id, _D.tenant_id, _T.identifier.label("client"), _D.name)
    .select_from(enrolled_devices.join(tenants_table, _T.id == _D.tenant_id))
    .where(_D.token == bindparam("token"), *_KNOWN, _T.suspended_at.is_(None)),
    FoundDevice,
    because="a device shows its token and nothing else; the token names the tenant",
)
_LOCK = tenant_scoped(_DEVICE.where(_D.id == bindparam("of_id"), *_KNOWN).with_for_update(), SharedDeviceData)
_COUNT_DEVICES = tenant_scoped(select(func.count()).select_from(enrolled_devices).where(*_KNOWN), int)
_NEW_DEVICE = ("id", "name", "place", "token", "enrolled_at", "enrolled_by", "seen_at")
_ADD_DEVICE = tenant_scoped(insert(enrolled_devices).values({name: bindparam(name) for name in _NEW_DEVICE}))
_REMOVE = tenant_scoped(update(enrolled_devices).where(_D.id == bindparam("of_id")).values(removed_at=bindparam("now")))
_SEEN = tenant_scoped(
    update(enrolled_devices)
    .where(_D.id == bindparam("of_id"), _D.seen_at < bindparam("before"))
    .values(seen_at=bindparam("now"))
)
#: The devices that are known. Filters take ``like``; every read takes ``seen_after`` (:func:`seen_after`).
LISTING = Listing(
    _DEVICE.where(*_KNOWN),
    SharedDeviceData,
    key=_D.id,
    sorts={"ENROLLED": _D.enrolled_at},
    filters={"search": func.lower(_D.name + " " + _D.place).like(bindparam("like"), escape="\\")},
)


def seen_after(now: int) -> int:
    """A device that was not seen after that is no longer known."""
    return now - UNUSED_MS


def find_by_token(unit: SystemUnit, token: str, now: int) -> FoundDevice | None:
    """The device of a token; None for one that is unknown, removed, unused for too long, or of a suspended client."""
    return unit.first(_BY_TOKEN, token=token_hash(token), seen_after=seen_after(now))


def lock_devices(unit: TenantUnit, device_id: str, now: int) -> SharedDeviceData | None:
    """A device that is known, locked until the transaction ends."""
    return unit.first(_LOCK, of_id=device_id, seen_after=seen_after(now))


def seen(unit: TenantUnit, device_id: str, now: int) -> None:
    """Stores that the device showed itself, at most once a minute."""
    unit.change(_SEEN, of_id=device_id, before=now - TOUCH_EVERY_MS, now=now)


def token_hash(token: str) -> str:
    """The stored form of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


LIFE_S: Final = 10 * MINUTE


class EnrolmentData(Wire, frozen=True):
    # ``created_by``: the actor, as in the audit trail.
    id: str
    name: str
    place: str
    created_at: Time
    created_by: str
    expires_at: Time


class NewEnrolment(NamedTuple):
    """``code``: to scan; ``letters``: to type. Neither is stored."""

    enrolment: EnrolmentData
    code: str
    letters: str


_E = device_enrolments.c
_ALL = select(*(_E[name] for name in EnrolmentData.__struct_fields__))
_OPEN = (_E.used_at.is_(None), _E.expires_at > bindparam("now", type_=BigInteger))
_LIST = tenant_scoped(_ALL.where(*_OPEN).order_by(_E.created_at, _E.id), EnrolmentData)
_COUNT_OPEN = tenant_scoped(select(func.count()).select_from(device_enrolments).where(*_OPEN), int)
_BY_CODE = tenant_scoped(_ALL.where(_E.code == bindparam("code"), *_OPEN), EnrolmentData)
_BY_LETTERS = tenant_scoped(_ALL.where(_E.typed == bindparam("typed"), *_OPEN), EnrolmentData)
_NEW = (*EnrolmentData.__struct_fields__, "code", "typed")
_ADD = tenant_scoped(insert(device_enrolments).values({name: bindparam(name) for name in _NEW}))
_USE = tenant_scoped(
    update(device_enrolments).where(_E.id == bindparam("of_id"), *_OPEN).values(used_at=bindparam("at"))
)
_DROP = tenant_scoped(delete(device_enrolments).where(_E.id == bindparam("of_id"), *_OPEN))


def find_enrolment(unit: TenantUnit, now: int, *, code_hash: str = "", letters: str = "") -> EnrolmentData | None:
    """The one with this code, or with these letters, where it still works."""
    if code_hash:
        return unit.first(_BY_CODE, code=code_hash, now=now)
    return unit.first(_BY_LETTERS, typed=_mac(unit, letters), now=now)


def _mac(unit: TenantUnit, letters: str) -> str:
    """Ten letters have 43 bits: a plain hash of them could be reversed."""
    return unit.macs.make(f"enrolment\0{unit.tenant_id}\0{letters}".encode("utf-8", "surrogatepass"))


#: Devices of one client, those to come among them.
MOST: Final = 10_000
LETTERS: Final = 10


def begin_enrolment(unit: TenantUnit, who: Request, random: Random, name: str, place: str) -> NewEnrolment:
    """A code that enrols one device within ten minutes. ``place``: where it stands, may be empty. Raises Forbidden,
    ValidationError, ReauthenticationRequired, Conflict where badges are switched off or there are too many devices."""
    step_up.check(who, Act.DEVICES)
    step_up.not_for_machines(who)
    name, place = fields.SHARED_DEVICE_NAME.check(name, "name"), fields.PLACE.check(place, "place")
    tenant, now = tenants.get(unit, unit.tenant_id), who.now
    if not tenants.settings_of(tenant.settings).badge.enabled:
        raise Conflict(_("Badges are turned off in the settings"))
    if unit.one(_COUNT_DEVICES, seen_after=seen_after(now)) + unit.one(_COUNT_OPEN, now=now) >= MOST:
        raise Conflict(f"A client has at most {MOST:,} devices: remove one first")
    code = scan_codes.make_scan_code(ScanKind.DEVICE, tenant.identifier, random.bytes(scan_codes.RANDOM_BYTES))
    typed = scan_codes.random_letters(random.bytes, LETTERS)
    values = {
        "id": random.text(12),
        "name": name,
        "place": place,
        "created_at": now,
        "created_by": who.caller.actor,
        "expires_at": now + LIFE_S * 1000,
    }
    unit.change(_ADD, code=scan_codes.hash_of_scan_code(code), typed=_mac(unit, typed), **values)
    made = EnrolmentData.of_columns(values.values())
    audit.record(unit, who, Event.DEVICE_ENROLMENT_BEGUN, f"enrolment:{made.id}", name=name, place=place)
    return NewEnrolment(made, code, typed)


def list_enrolments(unit: TenantUnit, now: int) -> list[EnrolmentData]:
    """Codes that still work, oldest first."""
    return unit.all(_LIST, now=now)


def drop_enrolment(unit: TenantUnit, who: Request, enrolment_id: str) -> None:
    """Takes a code back. Raises NotFound."""
    step_up.not_for_machines(who)
    if not unit.change(_DROP, of_id=enrolment_id, now=who.now):
        raise NotFound()
    audit.record(unit, who, Event.DEVICE_ENROLMENT_DROPPED, f"enrolment:{enrolment_id}")


def enrol(
    unit: TenantUnit, acting: Acting, random: Random, found: EnrolmentData, token: str
) -> SharedDeviceData | None:
    """The device that a code was made for, with its new ``token``. None where the code was used meanwhile, or its maker
    may make none any more."""
    now = acting.origin.at
    if not rank.still_may(unit, found.created_by, Permission.SETTINGS_MANAGE):
        return None
    if not unit.change(_USE, of_id=found.id, now=now, at=now):
        return None
    values = {
        "id": random.text(12),
        "name": found.name,
        "place": found.place,
        "enrolled_at": now,
        "enrolled_by": found.created_by,
        "seen_at": now,
    }
    unit.change(_ADD_DEVICE, token=token_hash(token), **values)
    device = SharedDeviceData.of_columns(values.values())
    detail = {"name": device.name, "place": device.place, "by": found.created_by}
    audit.record(unit, acting, Event.DEVICE_ENROLLED, f"device:{device.id}", **detail)
    return device


def remove(unit: TenantUnit, who: Request, device_id: str) -> None:
    """Removes a device for good: its token and its session end at once. Raises NotFound, Forbidden."""
    step_up.not_for_machines(who)
    device = existing(lock_devices(unit, device_id, who.now))
    unit.change(_REMOVE, of_id=device.id, now=who.now)
    ended = device_sessions.end_of_device(unit, device.id, "device_removed", who.now)
    detail = {"name": device.name, "place": device.place, "sessions_ended": ended}
    audit.record(unit, who, Event.DEVICE_REMOVED, f"device:{device.id}", **detail)


# Every tenant has the app `manifest.IDENTIFIER`, which has no row and is never removed.

MOST_APPS = 50
OWN, MADE = "manifest.", "app_"
_NAME_OF_OWN = "Manifest"
_A, _G = device_apps.c, device_grants.c


class DeviceAppData(Wire, frozen=True):
    """``id``: the client id; ``createdAt``: null for the app that every client has."""

    id: str
    name: str
    created_at: Time | None

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


_APP = select(*(_A[name] for name in DeviceAppData.__struct_fields__))
_LIST_APPS = tenant_scoped(_APP.order_by(_A.created_at, _A.id), DeviceAppData)
_GET_APP = tenant_scoped(_APP.where(_A.id == bindparam("id")), DeviceAppData)
_COUNT_APPS = tenant_scoped(select(func.count()).select_from(device_apps), int)
_NEW_APP = ("id", "name", "created_at", "created_by")
_ADD_APP = tenant_scoped(insert(device_apps).values({name: bindparam(name) for name in _NEW_APP}))
_RENAME_APP = tenant_scoped(update(device_apps).where(_A.id == bindparam("of_id")).values(name=bindparam("new_name")))
_DROP_APP = tenant_scoped(delete(device_apps).where(_A.id == bindparam("of_id")))
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


def is_device_app(client_id: str) -> bool:
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


def own_app_id(client: str) -> str:
    """The client id of the app that a tenant has from the start. ``client``: its identifier."""
    return OWN + client


def list_apps(unit: TenantUnit) -> list[DeviceAppData]:
    """All apps of the tenant, the oldest first."""
    own = DeviceAppData(own_app_id(tenants.get(unit, unit.tenant_id).identifier), _NAME_OF_OWN, None)
    return [own, *unit.all(_LIST_APPS)]


def app_names(unit: TenantUnit) -> dict[str, str]:
    """The names of all apps by their client ids."""
    return {app.id: app.name for app in list_apps(unit)}


def create_app(unit: TenantUnit, who: Request, random: Random, name: str) -> DeviceAppData:
    """Makes an app. Raises Forbidden, ReauthenticationRequired, ValidationError, and Conflict where there are too
    many."""
    _check_app(unit, who)
    named = fields.APP_NAME.check(name, "name")
    if unit.one(_COUNT_APPS) >= MOST_APPS:
        raise Conflict(f"There are {MOST_APPS} apps already: remove one first")
    app_id = MADE + base64.b32encode(random.bytes(10)).decode().lower()
    unit.change(_ADD_APP, id=app_id, name=named, created_at=who.now, created_by=who.caller.actor)
    made = DeviceAppData(app_id, named, when(who.now))
    audit.record(unit, who, Event.DEVICE_APP_CREATED, made.subject, name=made.name)
    return made


def rename_app(unit: TenantUnit, who: Request, app_id: str, name: str) -> DeviceAppData:
    """Gives an app another name. Raises as :func:`create_app`, and NotFound."""
    _check_app(unit, who)
    before = _get_app(unit, app_id)
    after = msgspec.structs.replace(before, name=fields.APP_NAME.check(name, "name"))
    if after != before:
        unit.change(_RENAME_APP, of_id=app_id, new_name=after.name)
        audit.record(unit, who, Event.DEVICE_APP_CHANGED, after.subject, before=before.name, after=after.name)
    return after


def remove_app(unit: TenantUnit, who: Request, app_id: str) -> int:
    """Removes an app; its devices are signed out. How many sessions ended. Raises Forbidden, ReauthenticationRequired,
    NotFound."""
    _check_app(unit, who)
    app = _get_app(unit, app_id)
    unit.change(_DROP_GRANTS, of_id=app_id)
    unit.change(_DROP_APP, of_id=app_id)
    ended = device_sessions.end_of_app(unit, app_id, "device_app_removed", who.now)
    audit.record(unit, who, Event.DEVICE_APP_REMOVED, app.subject, name=app.name, sessions_ended=ended)
    return ended


def _check_app(unit: TenantUnit, who: Request) -> None:
    step_up.check(who, Act.DEVICES)
    rank.manager(unit, who, Permission.SETTINGS_MANAGE)


def _get_app(unit: TenantUnit, app_id: str) -> DeviceAppData:
    if app_id == own_app_id(tenants.get(unit, unit.tenant_id).identifier):
        raise Conflict("Every client has this app: it cannot be changed")
    return existing(unit.first(_GET_APP, id=app_id))
