"""The licence gate of on-premise mode: which state the installed licence is in, asked before every client route, and
whether a seat is left, asked in the transaction in which somebody appears."""

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
from manifest_auth.store import Store, SystemUnit, TenantUnit, global_, installation_values, upsert
from manifest_auth.store.tables import licences, revoked_licences
from manifest_auth.text.canonical import when

_NUMBER = "id"  # the value of the installation that a licence may be bound to
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
# Held until the transaction ends: of those who appear at once, each counts those before it (SQLite has one writer).
_HOLD = global_(_IN_FORCE.with_for_update(), _Row)
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


class Standing(NamedTuple):
    """``is_set_back``: the clock is behind the newest time that was ever seen."""

    state: State
    licence: Licence | None = None
    is_set_back: bool = False


class Installed(NamedTuple):
    """``replaced``: the id of the licence that was in force before."""

    licence: Licence
    replaced: str | None


class Overview(NamedTuple):
    """What system admins see. ``used`` None: nobody counts, since no licence is asked for."""

    standing: Standing
    used: Seats | None
    installation: str


class Gate:
    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._needed = settings.deployment == "on-premise"
        self._store, self._clock = store, clock
        self._keys: list[Ed25519PublicKey] = []
        self._known: tuple[int, Standing] | None = None
        self.said_set_back = False
        for text in filter(None, (k.strip() for k in settings.license_public_key.split(","))):
            try:
                self._keys.append(public_key(text))
            except ValueError:
                raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: must be 32 bytes in base64") from None
        if self._needed and not self._keys:
            raise SettingsError("MANIFEST_LICENSE_PUBLIC_KEY: required when MANIFEST_DEPLOYMENT is on-premise")

    @property
    def is_needed(self) -> bool:
        return self._needed

    async def check(self) -> str:
        """Lets a client's request pass, with the warning that its answer carries (empty: none). Raises LicenseRequired,
        LicenseExpired."""
        standing = await self.standing()
        _require(standing)
        return warning(standing, self._clock.now_ms()) if standing.state is State.GRACE else ""

    async def warning(self) -> str:
        """What system admins are told of beforehand, and when nothing works any more."""
        return warning(await self.standing(), self._clock.now_ms())

    def seat(self, unit: TenantUnit, before: int, after: int) -> None:
        """See :class:`seats.Counter`. Costs nothing where no licence is needed, or no greater seat than before."""
        if not self._needed:
            return
        old, new = seats.place(before), seats.place(after)
        if new >= old:
            return
        row = unit.first(_HOLD)
        standing = Standing(State.MISSING) if row is None else self._judge(row, self._clock.now_ms())
        _require(standing)
        assert standing.licence is not None
        seats.check(standing.licence.seats, seats.taken(unit), old, new)

    async def standing(self, *, fresh: bool = False) -> Standing:
        """The state of the installed licence, at most a second old."""
        if not self._needed:
            return Standing(State.NOT_NEEDED)
        now = self._clock.now_ms()
        if self._known is not None and not fresh and 0 <= now - self._known[0] < LOOK_EVERY_MS:
            return self._known[1]
        row = await self._store.look_up(_FIND)
        standing = Standing(State.MISSING) if row is None else self._judge(row, now)
        self._known = (now, standing)
        return standing

    async def overview(self) -> Overview:
        """The state, who takes seats, and the number of the installation that a licence may be bound to."""

        def work(unit: SystemUnit) -> Overview:
            number = installation_values.get(unit, _NUMBER) or ""
            if not self._needed:
                return Overview(Standing(State.NOT_NEEDED), None, number)
            row = unit.first(_FIND)
            standing = Standing(State.MISSING) if row is None else self._judge(row, self._clock.now_ms())
            return Overview(standing, seats.taken(unit), number)

        return await self._store.read(work)

    async def note_time(self) -> None:
        """Remembers how late it is, so that a clock set back does not revive a licence."""
        if self._needed:
            now = self._clock.now_ms()
            await self._store.write(lambda unit: unit.change(_SEEN, now=now))

    def install(self, unit: SystemUnit, text: str, now: int) -> Installed:
        """Checks a key and puts it in force in place of any other. Raises LicenseInvalid and changes nothing.

        What counts is the newest time that was ever seen, so that a clock set back lets no expired key in. A key that
        resets the clock is for a clock that once ran ahead: it counts from now, and is taken once."""
        try:
            licence = verify(text, self._keys)
        except BadLicence as error:
            raise LicenseInvalid(reason=str(error)) from None
        # Installs wait for one another, be it that no licence is there yet: what one revokes, the other sees.
        number = installation_values.lock(unit, _NUMBER)
        held = unit.first(_FIND)
        latest = now if held is None or licence.resets_clock else max(now, held.latest_seen_at)
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
        self._known = None
        before = self._judge(held, now).licence if held is not None else None
        return Installed(licence, before.id if before is not None else None)

    def _judge(self, row: _Row, now: int) -> Standing:
        try:
            licence = verify(row.license_key, self._keys)
        except BadLicence:  # the public key was changed
            return Standing(State.MISSING)
        latest = max(now, row.latest_seen_at)
        is_set_back = row.latest_seen_at > now + SKEW_MS
        if latest < licence.expires_ms:
            return Standing(State.VALID, licence, is_set_back)
        return Standing(State.GRACE if latest < licence.ends_ms else State.EXPIRED, licence, is_set_back)


def _require(standing: Standing) -> None:
    if standing.state is State.MISSING:
        raise LicenseRequired()
    if standing.state is State.EXPIRED:
        raise LicenseExpired()


def warning(standing: Standing, now: int) -> str:
    """One line for the header ``X-License-Warning``; empty when there is nothing to say."""
    licence = standing.licence
    if standing.state is State.MISSING:
        return "no license is installed"
    if licence is None or (standing.state is State.VALID and licence.expires_ms > now + SOON_MS):
        return ""
    if standing.state is State.VALID:
        return f"license expires at {when(licence.expires_ms)}"
    ended = "ended" if standing.state is State.EXPIRED else "ends"
    return f"license expired at {when(licence.expires_ms)}; access {ended} at {when(licence.ends_ms)}"
