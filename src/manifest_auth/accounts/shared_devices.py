"""Shared devices that belong to a client, and the codes that enroll them.

Owns ``enrolled_devices`` and ``device_enrolments``. Never opens a session.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, bindparam, delete, func, insert, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting, Request
from manifest_auth.errors import Conflict, NotFound, existing
from manifest_auth.permissions import Permission
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.settings import DAY, MINUTE
from manifest_auth.sessions import device_sessions
from manifest_auth.store import Listing, SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import device_enrolments, enrolled_devices
from manifest_auth.store.tables import tenants as tenants_table
from manifest_auth.tenants import step_up
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire
from manifest_auth.text.scan_codes import ScanKind

# A token has 256 random bits, and the store has its SHA-256. A device that nobody has used for 90 days is no longer
# known.

UNUSED_MS: Final = 90 * DAY * 1000
TOUCH_EVERY_MS: Final = 60_000


class SharedDeviceData(Wire, frozen=True):
    # ``enrolled_by`` is the actor who created its code.
    id: str
    name: str
    place: str
    enrolled_at: Time
    enrolled_by: str
    seen_at: Time


class FoundDevice(NamedTuple):
    """A device that was identified by its token, of a client that isn't suspended. ``client`` is its identifier."""

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
    because="a device sends only its token, and the token names the tenant",
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
#: The known devices. Filters take ``like``, and every read takes ``seen_after`` (:func:`seen_after`).
LISTING = Listing(
    _DEVICE.where(*_KNOWN),
    SharedDeviceData,
    key=_D.id,
    sorts={"ENROLLED": _D.enrolled_at},
    filters={"search": func.lower(_D.name + " " + _D.place).like(bindparam("like"), escape="\\")},
)


def seen_after(now: int) -> int:
    """The time before which unused devices are no longer known."""
    return now - UNUSED_MS


def find_by_token(unit: SystemUnit, token: str, now: int) -> FoundDevice | None:
    """Returns the device with this token. None if it is unknown, removed, unused for too long, or of a suspended
    client."""
    return unit.first(_BY_TOKEN, token=token_hash(token), seen_after=seen_after(now))


def lock_devices(unit: TenantUnit, device_id: str, now: int) -> SharedDeviceData | None:
    """Returns a known device, locked until the transaction ends."""
    return unit.first(_LOCK, of_id=device_id, seen_after=seen_after(now))


def seen(unit: TenantUnit, device_id: str, now: int) -> None:
    """Stores that the device was seen, at most once a minute."""
    unit.change(_SEEN, of_id=device_id, before=now - TOUCH_EVERY_MS, now=now)


def token_hash(token: str) -> str:
    """The stored form of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


LIFE_S: Final = 10 * MINUTE


class EnrolmentData(Wire, frozen=True):
    # ``created_by`` is the actor, as in the audit trail.
    id: str
    name: str
    place: str
    created_at: Time
    created_by: str
    expires_at: Time


class NewEnrolment(NamedTuple):
    """A new enrollment. Devices scan ``code`` or people type ``letters``. Neither is stored."""

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
    """Returns the enrollment with this code or these letters, if it is still valid."""
    if code_hash:
        return unit.first(_BY_CODE, code=code_hash, now=now)
    return unit.first(_BY_LETTERS, typed=_mac(unit, letters), now=now)


def _mac(unit: TenantUnit, letters: str) -> str:
    """The stored form of the letters. Ten letters have 43 bits, so a plain hash of them could be reversed."""
    return unit.macs.make(f"enrolment\0{unit.tenant_id}\0{letters}".encode("utf-8", "surrogatepass"))


#: The maximum number of devices per client, including pending enrollments.
MOST: Final = 10_000
LETTERS: Final = 10


def begin_enrolment(unit: TenantUnit, who: Request, random: Random, name: str, place: str) -> NewEnrolment:
    """Creates a code that enrolls one device within ten minutes. ``place`` is its location, which can be empty. Raises
    Forbidden, ValidationError, ReauthenticationRequired, or Conflict if badges are turned off or there are too many
    devices."""
    step_up.check(who, Act.DEVICES)
    step_up.not_for_machines(who)
    name, place = fields.SHARED_DEVICE_NAME.check(name, "name"), fields.PLACE.check(place, "place")
    tenant, now = tenants.get(unit, unit.tenant_id), who.now
    if not tenants.settings_of(tenant.settings).badge.enabled:
        raise Conflict(_("Badges are turned off in the settings"))
    if unit.one(_COUNT_DEVICES, seen_after=seen_after(now)) + unit.one(_COUNT_OPEN, now=now) >= MOST:
        raise Conflict(_("A client can have at most %(number)s devices. Remove one first", number=f"{MOST:,}"))
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
    """The codes that are still valid, oldest first."""
    return unit.all(_LIST, now=now)


def drop_enrolment(unit: TenantUnit, who: Request, enrolment_id: str) -> None:
    """Revokes a code. Raises NotFound."""
    step_up.not_for_machines(who)
    if not unit.change(_DROP, of_id=enrolment_id, now=who.now):
        raise NotFound()
    audit.record(unit, who, Event.DEVICE_ENROLMENT_DROPPED, f"enrolment:{enrolment_id}")


def enrol(
    unit: TenantUnit, acting: Acting, random: Random, found: EnrolmentData, token: str
) -> SharedDeviceData | None:
    """Returns the device that a code was created for, with its new ``token``. None if the code was used in the
    meantime, or if its creator is no longer allowed to create codes."""
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
    """Permanently removes a device. Its token and session end immediately. Raises NotFound or Forbidden."""
    step_up.not_for_machines(who)
    device = existing(lock_devices(unit, device_id, who.now))
    unit.change(_REMOVE, of_id=device.id, now=who.now)
    ended = device_sessions.end_of_device(unit, device.id, "device_removed", who.now)
    detail = {"name": device.name, "place": device.place, "sessions_ended": ended}
    audit.record(unit, who, Event.DEVICE_REMOVED, f"device:{device.id}", **detail)
