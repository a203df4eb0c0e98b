"""The license gate of on-premise mode, seats, and the audit events of licenses."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import bindparam, case, select, update

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting
from manifest_auth.errors import LicenseExpired, LicenseInvalid, LicenseRequired, NoSeat
from manifest_auth.licence.licence import DAY_MS, BadLicence, Licence, Seats, public_key, verify
from manifest_auth.permissions import Role, roles_of
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import RESET, Announcement, Store, SystemUnit, TenantUnit, global_, installation_values, upsert
from manifest_auth.store.tables import licences, revoked_licences, seats_taken
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Wire

# Every active user with a role takes a seat. All clients share the seats. A type includes the types after it, so a free
# seat of a higher type can also be used for a lower one (docs/decisions/0027-seats.md).

#: The license types, highest first, with the roles that each allows.
ALLOWED: dict[str, frozenset[Role]] = {
    "full": frozenset(Role),
    "operate": frozenset({Role.OPERATOR, Role.VIEWER}),
    "connect": frozenset({Role.VIEWER}),
}
TYPES = tuple(ALLOWED)
_NO_SEAT = len(TYPES)


class SeatCounter:
    """Counts seats when users are added or changed. This class allows every seat; :class:`Gate` is the installation's
    counter."""

    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """Checks for the seat that the roles ``after`` need in place of the roles ``before``. Both are bit masks; 0
        means no user, or a deactivated one. Raises NoSeat, LicenseRequired, or LicenseExpired."""
        self.seats(unit, [(before, after)])

    def seats(self, unit: TenantUnit, changes: Sequence[tuple[int, int]]) -> None:
        """Like :meth:`seat`, for several users at once."""


#: For code that fills an unused store, such as the demo and tests.
UNCOUNTED = SeatCounter()

# A view with numbers of the whole installation, but no rows of any client.
_TAKEN = global_(select(seats_taken.c.roles, seats_taken.c.users))


@lru_cache(maxsize=1 << len(Role))
def type_index(roles: int) -> int:
    """The index in :data:`TYPES` of the lowest type that allows all roles of a mask; ``len(TYPES)`` for no role."""
    current = set(roles_of(roles))
    return max(n for n, allowed in enumerate(ALLOWED.values()) if current <= allowed) if current else _NO_SEAT


def taken(unit: TenantUnit | SystemUnit) -> Seats:
    """The number of users of the installation, by the lowest type that each needs."""
    counts = [0] * (_NO_SEAT + 1)
    for roles, users in unit.all(_TAKEN):
        counts[type_index(roles)] += users
    return Seats(*counts[:_NO_SEAT])


def free(granted: Seats, used: Seats) -> Seats:
    """The number of users of each type that could be added, if no users of other types are. Seats of higher types can
    be used for lower ones."""
    left = [have - need for have, need in zip(_summed(granted), _summed(used), strict=True)]
    return Seats(*(max(0, min(left[n:])) for n in range(len(TYPES))))


def overdrawn(granted: Seats, used: Seats) -> list[str]:
    """The types with more users than seats, including seats of higher types."""
    return [kind for kind, have, need in zip(TYPES, _summed(granted), _summed(used), strict=True) if need > have]


def check(granted: Seats, used: Seats, changes: Sequence[tuple[int, int]]) -> None:
    """Checks whether users can change from one type index to another, where ``len(TYPES)`` is none. Raises NoSeat.

    Checks only types that get more users. If a smaller license has fewer seats than users, existing users can still
    change to a lower type.
    """
    have, need = _summed(granted), _summed(used)
    for n in range(len(TYPES)):
        more = sum((after <= n) - (before <= n) for before, after in changes)
        if more > 0 and need[n] + more > have[n]:
            names = " or ".join(TYPES[: n + 1])
            raise NoSeat(
                f"The license has no free seat for these roles: {need[n]} of {have[n]} seats of type {names} are in use"
            )


def _summed(seats: Seats) -> list[int]:
    """The seats of each type, including the seats of higher types."""
    return list(accumulate((seats.full, seats.operate, seats.connect)))


_NUMBER = "id"  # the installation value to which a license can be bound
_ANNOUNCED = Announcement("installation", "licence")
SKEW_MS = 5 * 60_000
LOOK_EVERY_MS = 1000
SOON_MS = 30 * DAY_MS


class State(enum.Enum):
    NOT_NEEDED = "not-needed"
    MISSING = "missing"
    VALID = "valid"
    GRACE = "grace"
    EXPIRED = "expired"


class _Row(NamedTuple):
    license_key: str
    installed_at: int
    latest_seen_at: int


_L = licences.c
_IN_FORCE = select(_L.license_key, _L.installed_at, _L.latest_seen_at).where(_L.id == 1)
_FIND = global_(_IN_FORCE, _Row)
# Locked until the transaction ends. So each of several concurrent additions counts the ones before it (SQLite has one
# writer).
_LOCK = global_(_IN_FORCE.with_for_update(), _Row)
_PUT = global_(
    upsert(licences)
    .values(id=1, license_key=bindparam("license_key"), installed_at=bindparam("now"), latest_seen_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=["id"],
        set_={
            "license_key": bindparam("license_key"),
            "installed_at": bindparam("now"),
            "latest_seen_at": case((_L.latest_seen_at > bindparam("now"), _L.latest_seen_at), else_=bindparam("now")),
        },
    )
)
_RESET = global_(update(licences).where(_L.id == 1).values(latest_seen_at=bindparam("now")))
_SEEN = global_(
    update(licences).where(_L.id == 1, _L.latest_seen_at < bindparam("now")).values(latest_seen_at=bindparam("now"))
)
_R = revoked_licences.c
_IS_REVOKED = global_(select(_R.revoked_by).where(_R.license_id == bindparam("license_id")), str)
_REVOKE = global_(
    upsert(revoked_licences)
    .values(license_id=bindparam("license_id"), revoked_by=bindparam("revoked_by"), revoked_at=bindparam("now"))
    .on_conflict_do_nothing(index_elements=["license_id"])
)


class LicenceStatus(NamedTuple):
    """The state of the license. ``is_set_back`` means that the clock is behind the newest recorded time."""

    state: State
    licence: Licence | None = None
    is_set_back: bool = False


class Overview(NamedTuple):
    """The overview for system admins. ``used`` is None if no license is needed."""

    status: LicenceStatus
    used: Seats | None
    installation: str

    @property
    def free(self) -> Seats | None:
        """The result of :func:`free`; None if no license is needed, or none is installed."""
        current = self.status.licence
        return free(current.seats, self.used) if current is not None and self.used is not None else None


class SeatsData(Wire, frozen=True):
    """Numbers of users, by license type."""

    full: int
    operate: int
    connect: int


class LicenceData(Wire, frozen=True):
    """``seatsUsed``: active users of all clients, by the smallest license type that covers each; ``seatsFree``: how
    many users of each type could be added if no others are; ``installationId``: the vendor can bind a license to it."""

    state: Literal["not-needed", "missing", "valid", "grace", "expired"]
    customer: str | None
    license_id: str | None
    seats: SeatsData | None
    seats_used: SeatsData | None
    seats_free: SeatsData | None
    features: tuple[str, ...] | None
    issued_at: str | None
    expires_at: str | None
    grace_ends_at: str | None
    installation_id: str
    warning: str | None

    @classmethod
    def at(cls, overview: Overview, now: int) -> LicenceData:
        """Returns the license's state at ``now`` (milliseconds)."""
        status, current = overview.status, overview.status.licence
        warned = warning(status, now)
        if status.is_set_back:
            warned = "; ".join(filter(None, (warned, "the clock is behind the newest time that this server recorded")))
        counted = (current.seats if current else None, overview.used, overview.free)
        seats, seats_used, seats_free = (SeatsData.of(each) if each else None for each in counted)
        return cls(
            state=status.state.value,
            customer=current.customer if current else None,
            license_id=current.id if current else None,
            seats=seats,
            seats_used=seats_used,
            seats_free=seats_free,
            features=current.features if current else None,
            issued_at=when(current.issued_at * 1000) if current else None,
            expires_at=when(current.expires_ms) if current else None,
            grace_ends_at=when(current.ends_ms) if current else None,
            installation_id=overview.installation,
            warning=str(warned) or None,
        )


class Gate(SeatCounter):
    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        #: Whether the installation needs a license.
        self.is_needed = settings.deployment == "on-premise"
        self._store, self._clock = store, clock
        self._keys: list[Ed25519PublicKey] = []
        self._known: tuple[int, LicenceStatus] | None = None
        self.reported_set_back = False
        store.on_announcement(self._forget)
        for text in filter(None, (k.strip() for k in settings.license_public_key.split(","))):
            try:
                self._keys.append(public_key(text))
            except ValueError:
                raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: must be 32 bytes in base64") from None
        if self.is_needed and not self._keys:
            raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: required when MANIFEST_DEPLOYMENT is on-premise")

    async def check(self) -> str:
        """Checks the license for a user's request. Returns the warning for its response; empty if there is none. Raises
        LicenseRequired or LicenseExpired."""
        status = await self.status()
        _require(status)
        return warning(status, self._clock.now_ms()) if status.state is State.GRACE else ""

    async def warning(self) -> str:
        """Returns the warning for system admins, who also get one before the license ends."""
        return warning(await self.status(), self._clock.now_ms())

    def seats(self, unit: TenantUnit, changes: Sequence[tuple[int, int]]) -> None:
        """See the base class. Reads nothing if no license is needed, or if no user needs a higher seat than before."""
        if not self.is_needed:
            return
        types = [(type_index(before), type_index(after)) for before, after in changes]
        if all(new >= old for old, new in types):
            return
        status = self._status_of(unit.first(_LOCK), self._clock.now_ms())
        _require(status)
        assert status.licence is not None
        check(status.licence.seats, taken(unit), types)

    async def status(self, *, fresh: bool = False) -> LicenceStatus:
        """Returns the state of the installed license, at most a second old."""
        if not self.is_needed:
            return LicenceStatus(State.NOT_NEEDED)
        now = self._clock.now_ms()
        if self._known is not None and not fresh and 0 <= now - self._known[0] < LOOK_EVERY_MS:
            return self._known[1]
        row = await self._store.look_up(_FIND)
        status = self._status_of(row, now)
        self._known = (now, status)
        return status

    async def overview(self) -> Overview:
        """Returns the license's state, the used seats, and the installation's ID."""
        return await self._store.read(self.overview_in)

    def overview_in(self, unit: SystemUnit) -> Overview:
        """Returns :meth:`overview` in a unit."""
        number = installation_values.get(unit, _NUMBER) or ""
        if not self.is_needed:
            return Overview(LicenceStatus(State.NOT_NEEDED), None, number)
        return Overview(self._status_of(unit.first(_FIND), self._clock.now_ms()), taken(unit), number)

    async def record_time(self) -> None:
        """Records the current time, so that setting the clock back does not revive a license."""
        if self.is_needed:
            now = self._clock.now_ms()
            await self._store.write(lambda unit: unit.change(_SEEN, now=now))

    def install(self, unit: SystemUnit, text: str, now: int) -> tuple[Licence, str | None]:
        """Checks a key, and installs it in place of any other. Returns the license, and the ID of the previous one.
        Raises LicenseInvalid, which changes nothing.

        The newest recorded time counts, so setting the clock back can't make an expired key valid. A key that resets
        the clock is for a clock that was once ahead. It replaces the recorded time, and works once.
        """
        try:
            licence = verify(text, self._keys)
        except BadLicence as error:
            raise LicenseInvalid(reason=str(error)) from None
        # Concurrent license installations wait for each other, even if there is no license yet, so that each sees what
        # the others revoked.
        number = installation_values.lock(unit, _NUMBER)
        current = unit.first(_FIND)
        latest = now if current is None or licence.resets_clock else max(now, current.latest_seen_at)
        if licence.issued_at * 1000 > latest + SKEW_MS or licence.expires_ms <= latest:
            raise LicenseInvalid(reason="not valid at this time")
        if licence.installation is not None and number != licence.installation:
            raise LicenseInvalid(reason="bound to another installation")
        revoked_by = unit.first(_IS_REVOKED, license_id=licence.id)
        if licence.id in licence.revokes or revoked_by is not None:
            used = licence.resets_clock and revoked_by == licence.id
            raise LicenseInvalid(reason="it already reset the clock, and works only once" if used else "revoked")
        for revoked in licence.revokes:
            unit.change(_REVOKE, license_id=revoked, revoked_by=licence.id, now=now)
        unit.change(_PUT, license_key=text, now=now)
        if licence.resets_clock:
            unit.change(_RESET, now=now)
            unit.change(_REVOKE, license_id=licence.id, revoked_by=licence.id, now=now)
        unit.announce("installation", _ANNOUNCED.key)
        before = self._status_of(current, now).licence
        return licence, before.id if before is not None else None

    def _forget(self, announcement: Announcement) -> None:
        if announcement in (_ANNOUNCED, RESET):
            self._known = None

    def _status_of(self, row: _Row | None, now: int) -> LicenceStatus:
        if row is None:
            return LicenceStatus(State.MISSING)
        try:
            licence = verify(row.license_key, self._keys)
        except BadLicence:  # the public key was changed
            return LicenceStatus(State.MISSING)
        latest = max(now, row.latest_seen_at)
        is_set_back = row.latest_seen_at > now + SKEW_MS
        if latest < licence.expires_ms:
            return LicenceStatus(State.VALID, licence, is_set_back)
        return LicenceStatus(State.GRACE if latest < licence.ends_ms else State.EXPIRED, licence, is_set_back)


def _require(status: LicenceStatus) -> None:
    if status.state is State.MISSING:
        raise LicenseRequired()
    if status.state is State.EXPIRED:
        raise LicenseExpired()


def warning(status: LicenceStatus, now: int) -> str:
    """Returns the warning for pages, and for programs in the header ``X-License-Warning``. Empty if there is none."""
    licence = status.licence
    if status.state is State.MISSING:
        return _("No license is installed", wire="no license is installed")
    if licence is None or (status.state is State.VALID and licence.expires_ms > now + SOON_MS):
        return ""
    at, end = when(licence.expires_ms), when(licence.ends_ms)
    if status.state is State.VALID:
        return _("The license expires at %(time)s", time=at, wire=f"license expires at {at}")
    wire = f"license expired at {at}; access {'ended' if status.state is State.EXPIRED else 'ends'} at {end}"
    if status.state is State.EXPIRED:
        return _("The license expired at %(time)s. Access ended at %(end)s.", time=at, end=end, wire=wire)
    return _("The license expired at %(time)s. Access ends at %(end)s.", time=at, end=end, wire=wire)


_NAME = "license_state"
_QUIET = (State.VALID.value, State.MISSING.value)  # initial states aren't recorded


async def record_change(store: Store, status: LicenceStatus, now: int) -> None:
    """Records a change of the license's state since the last recorded one, once for all nodes: grace, expiry, or a
    clock that was set back."""
    text = f"{status.state.value}{' set-back' if status.is_set_back else ''}"
    recorded = await installation_values.look_up(store, _NAME)
    if text != (recorded or "") and (recorded is not None or text not in _QUIET):
        await store.write(lambda unit: _record_change(unit, status, text, now))


def _record_change(unit: SystemUnit, status: LicenceStatus, text: str, now: int) -> None:
    before = installation_values.lock(unit, _NAME) or State.VALID.value  # another node already recorded it
    if before == text:
        return
    installation_values.put(unit, _NAME, text)
    detail: dict[str, Any] = {
        "license": status.licence.id if status.licence else None,
        "before": {"state": before.partition(" ")[0], "clockSetBack": before.endswith("set-back")},
        "after": {"state": status.state.value, "clockSetBack": status.is_set_back},
    }
    audit.record_installation(unit, Origin(now, "system", "", "licence"), Event.LICENSE_STATE_CHANGED, **detail)


def install_licence(unit: SystemUnit, gate: Gate, by: Acting, text: str) -> None:
    """Installs a key, and records success or rejection. Raises LicenseInvalid."""
    try:
        made, replaced = gate.install(unit, text, by.origin.at)
    except LicenseInvalid as refusal:
        audit.record_installation(unit, by, Event.LICENSE_REFUSED, why=refusal.reason)
        refusal.keeps_writes = True  # only the audit event was written
        raise
    detail = {
        "license": made.id,
        "replaces": replaced,
        "customer": made.customer,
        "seats": msgspec.to_builtins(made.seats),
        "features": made.features,
        "issued": when(made.issued_at * 1000),
        "expires": when(made.expires_ms),
        "graceDays": made.grace_days,
        "installation": made.installation,
        "revokes": made.revokes,
        "resetsClock": made.resets_clock,
    }
    audit.record_installation(unit, by, Event.LICENSE_INSTALLED, **detail)
