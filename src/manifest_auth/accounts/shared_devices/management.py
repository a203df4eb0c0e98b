"""Operations on shared devices: begin to enrol one, enrol it, remove it."""

from __future__ import annotations

from typing import Final

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.accounts.shared_devices import device_rows, enrolments
from manifest_auth.accounts.shared_devices.device_rows import SharedDevice
from manifest_auth.accounts.shared_devices.enrolments import LIFE_S, Enrolment, NewEnrolment
from manifest_auth.audit import Act, Event
from manifest_auth.context import Acting, Request
from manifest_auth.errors import Conflict, NotFound, existing
from manifest_auth.permissions import Permission
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions import device_sessions
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import step_up
from manifest_auth.text import fields, scan_codes
from manifest_auth.text.languages import marked as _
from manifest_auth.text.scan_codes import ScanKind

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
        raise Conflict(_("The client's rules let no one sign in with a badge"))
    if device_rows.count(unit, now) + enrolments.count_open(unit, now) >= MOST:
        raise Conflict(f"A client has at most {MOST:,} devices: remove one first")
    code = scan_codes.make_scan_code(ScanKind.DEVICE, tenant.identifier, random.bytes(scan_codes.RANDOM_BYTES))
    typed = scan_codes.random_letters(random.bytes, LETTERS)
    made = Enrolment(
        id=random.text(12), name=name, place=place, created_at=now, created_by=who.caller.actor,
        expires_at=now + LIFE_S * 1000,
    )  # fmt: skip
    enrolments.add(unit, made, scan_codes.hash_of_scan_code(code), typed)
    audit.record(unit, who, Event.DEVICE_ENROLMENT_BEGUN, f"enrolment:{made.id}", name=name, place=place)
    return NewEnrolment(made, code, typed)


def list_enrolments(unit: TenantUnit, now: int) -> list[Enrolment]:
    """Codes that still work, oldest first."""
    return enrolments.list_open(unit, now)


def drop_enrolment(unit: TenantUnit, who: Request, enrolment_id: str) -> None:
    """Takes a code back. Raises NotFound."""
    step_up.not_for_machines(who)
    if not enrolments.drop(unit, enrolment_id, who.now):
        raise NotFound()
    audit.record(unit, who, Event.DEVICE_ENROLMENT_DROPPED, f"enrolment:{enrolment_id}")


def enrol(unit: TenantUnit, acting: Acting, random: Random, found: Enrolment, token: str) -> SharedDevice | None:
    """The device that a code was made for, with its new ``token``. None where the code was used meanwhile, or its maker
    may make none any more."""
    now = acting.origin.at
    if not rank.still_may(unit, found.created_by, Permission.SETTINGS_MANAGE):
        return None
    if not enrolments.use(unit, found.id, now):
        return None
    device = SharedDevice(
        id=random.text(12), name=found.name, place=found.place, enrolled_at=now, enrolled_by=found.created_by,
        seen_at=now, removed_at=None,
    )  # fmt: skip
    device_rows.add(unit, device, token)
    detail = {"name": device.name, "place": device.place, "by": found.created_by}
    audit.record(unit, acting, Event.DEVICE_ENROLLED, f"device:{device.id}", **detail)
    return device


def remove(unit: TenantUnit, who: Request, device_id: str) -> None:
    """Removes a device for good: its token and its session end at once. Raises NotFound, Forbidden."""
    step_up.not_for_machines(who)
    device = existing(device_rows.lock(unit, device_id, who.now))
    device_rows.remove(unit, device.id, who.now)
    ended = device_sessions.end_of_device(unit, device.id, "device_removed", who.now)
    detail = {"name": device.name, "place": device.place, "sessions_ended": ended}
    audit.record(unit, who, Event.DEVICE_REMOVED, f"device:{device.id}", **detail)
