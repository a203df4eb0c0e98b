"""The licence gate of on-premise mode.

It checks the state of the licence before every route for users, and free seats in the transaction that adds or
changes a user.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import bindparam, case, select, update

from manifest_auth.errors import LicenseExpired, LicenseInvalid, LicenseRequired
from manifest_auth.licence import seats
from manifest_auth.licence.licence import DAY_MS, BadLicence, Licence, Seats, public_key, verify
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import RESET, Announcement, Store, SystemUnit, TenantUnit, global_, installation_values, upsert
from manifest_auth.store.tables import licences, revoked_licences
from manifest_auth.text.canonical import when

_NUMBER = "id"  # the installation value that a licence may be bound to
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
# Locked until the transaction ends: of concurrent additions, each one counts those before it (SQLite has one writer).
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
    """The state of the licence. ``is_set_back``: the clock is behind the newest recorded time."""

    state: State
    licence: Licence | None = None
    is_set_back: bool = False


class Installed(NamedTuple):
    """``replaced``: the id of the previous licence."""

    licence: Licence
    replaced: str | None


class Overview(NamedTuple):
    """The overview for system admins. ``used``: None where no licence is needed."""

    status: LicenceStatus
    used: Seats | None
    installation: str


class Gate:
    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._needed = settings.deployment == "on-premise"
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
        if self._needed and not self._keys:
            raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: required when MANIFEST_DEPLOYMENT is on-premise")

    @property
    def is_needed(self) -> bool:
        """Whether the installation needs a licence: in on-premise mode."""
        return self._needed

    async def check(self) -> str:
        """Checks the licence for a user's request; the warning for its answer (empty: none). Raises LicenseRequired,
        LicenseExpired."""
        status = await self.status()
        _require(status)
        return warning(status, self._clock.now_ms()) if status.state is State.GRACE else ""

    async def warning(self) -> str:
        """The warning for system admins, also before the licence ends."""
        return warning(await self.status(), self._clock.now_ms())

    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """See :class:`.seats.SeatCounter`. Reads nothing where no licence is needed, or no greater seat than before."""
        if not self._needed:
            return
        old, new = seats.type_index(before), seats.type_index(after)
        if new >= old:
            return
        row = unit.first(_LOCK)
        status = LicenceStatus(State.MISSING) if row is None else self._status_of(row, self._clock.now_ms())
        _require(status)
        assert status.licence is not None
        seats.check(status.licence.seats, seats.taken(unit), old, new)

    async def status(self, *, fresh: bool = False) -> LicenceStatus:
        """The state of the installed licence, at most a second old."""
        if not self._needed:
            return LicenceStatus(State.NOT_NEEDED)
        now = self._clock.now_ms()
        if self._known is not None and not fresh and 0 <= now - self._known[0] < LOOK_EVERY_MS:
            return self._known[1]
        row = await self._store.look_up(_FIND)
        status = LicenceStatus(State.MISSING) if row is None else self._status_of(row, now)
        self._known = (now, status)
        return status

    async def overview(self) -> Overview:
        """The licence's state, the used seats, and the installation's id."""

        def work(unit: SystemUnit) -> Overview:
            number = installation_values.get(unit, _NUMBER) or ""
            if not self._needed:
                return Overview(LicenceStatus(State.NOT_NEEDED), None, number)
            row = unit.first(_FIND)
            status = LicenceStatus(State.MISSING) if row is None else self._status_of(row, self._clock.now_ms())
            return Overview(status, seats.taken(unit), number)

        return await self._store.read(work)

    async def record_time(self) -> None:
        """Records the current time, so that setting the clock back does not revive a licence."""
        if self._needed:
            now = self._clock.now_ms()
            await self._store.write(lambda unit: unit.change(_SEEN, now=now))

    def install(self, unit: SystemUnit, text: str, now: int) -> Installed:
        """Checks a key and installs it in place of any other. Raises LicenseInvalid and changes nothing.

        The newest recorded time counts, so that setting the clock back makes no expired key valid. A key that resets
        the clock is for a clock that once ran ahead: it counts from now, and works once.
        """
        try:
            licence = verify(text, self._keys)
        except BadLicence as error:
            raise LicenseInvalid(reason=str(error)) from None
        # Concurrent installations wait for one another, even where there is no licence yet, so that each sees what the
        # other revoked.
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
            raise LicenseInvalid(reason="it reset the clock before, and works once" if used else "revoked")
        for revoked in licence.revokes:
            unit.change(_REVOKE, license_id=revoked, revoked_by=licence.id, now=now)
        unit.change(_PUT, license_key=text, now=now)
        if licence.resets_clock:
            unit.change(_RESET, now=now)
            unit.change(_REVOKE, license_id=licence.id, revoked_by=licence.id, now=now)
        unit.announce("installation", _ANNOUNCED.key)
        before = self._status_of(current, now).licence if current is not None else None
        return Installed(licence, before.id if before is not None else None)

    def _forget(self, announcement: Announcement) -> None:
        if announcement in (_ANNOUNCED, RESET):
            self._known = None

    def _status_of(self, row: _Row, now: int) -> LicenceStatus:
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
    """The line for the header ``X-License-Warning``; empty when there is no warning."""
    licence = status.licence
    if status.state is State.MISSING:
        return "no licence is installed"
    if licence is None or (status.state is State.VALID and licence.expires_ms > now + SOON_MS):
        return ""
    if status.state is State.VALID:
        return f"license expires at {when(licence.expires_ms)}"
    ended = "ended" if status.state is State.EXPIRED else "ends"
    return f"license expired at {when(licence.expires_ms)}; access {ended} at {when(licence.ends_ms)}"
