"""The licence gate of on-premise mode: which state the installed licence is in, asked before every client route."""

from __future__ import annotations

import enum
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import bindparam, case, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from manifest_auth.clock import Clock
from manifest_auth.errors import LicenseExpired, LicenseInvalid, LicenseRequired
from manifest_auth.licence.licence import BadLicence, Licence, public_key, verify
from manifest_auth.settings import Settings, SettingsError
from manifest_auth.store import Store, SystemUnit, unowned
from manifest_auth.store.tables import installation, licences

SKEW_MS = 5 * 60_000
LOOK_EVERY_MS = 1000
DAY_MS = 86_400_000


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


class _Value(NamedTuple):
    value: str


_L = licences.c
_FIND = unowned(select(_L.license_key, _L.installed_at, _L.latest_seen_at).where(_L.id == 1), _Row)
_PUT = unowned(
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
_SEEN = unowned(
    update(licences).where(_L.id == 1, _L.latest_seen_at < bindparam("now")).values(latest_seen_at=bindparam("now"))
)
_INSTALLATION = unowned(select(installation.c.value).where(installation.c.name == "id"), _Value)


class Standing(NamedTuple):
    state: State
    licence: Licence | None = None


class Gate:
    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self._needed = settings.deployment == "on-premise"
        self._store, self._clock = store, clock
        self._keys: list[Ed25519PublicKey] = []
        self._known: tuple[int, Standing] | None = None
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

    async def check(self) -> None:
        """Lets a client's request pass, or raises LicenseRequired, LicenseExpired."""
        standing = await self.standing()
        if standing.state is State.MISSING:
            raise LicenseRequired()
        if standing.state is State.EXPIRED:
            raise LicenseExpired()

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

    async def note_time(self) -> None:
        """Remembers how late it is, so that a clock set back does not revive a licence."""
        if self._needed:
            now = self._clock.now_ms()
            await self._store.write(lambda unit: unit.change(_SEEN, now=now))

    def install(self, unit: SystemUnit, text: str, now: int) -> Licence:
        """Checks a key and puts it in force in place of any other. Raises LicenseInvalid and changes nothing."""
        try:
            licence = verify(text, self._keys)
        except BadLicence as error:
            raise LicenseInvalid(reason=str(error)) from None
        if licence.issued_at * 1000 > now + SKEW_MS or licence.expires_at * 1000 <= now:
            raise LicenseInvalid(reason="not valid at this time")
        row = unit.first(_INSTALLATION)
        if licence.installation is not None and (row is None or row.value != licence.installation):
            raise LicenseInvalid(reason="bound to another installation")
        unit.change(_PUT, license_key=text, now=now)
        self._known = None
        return licence

    def _judge(self, row: _Row, now: int) -> Standing:
        try:
            licence = verify(row.license_key, self._keys)
        except BadLicence:  # the public key was changed
            return Standing(State.MISSING)
        latest = max(now, row.latest_seen_at)
        if latest < licence.expires_at * 1000:
            return Standing(State.VALID, licence)
        in_grace = latest < licence.expires_at * 1000 + licence.grace_days * DAY_MS
        return Standing(State.GRACE if in_grace else State.EXPIRED, licence)
