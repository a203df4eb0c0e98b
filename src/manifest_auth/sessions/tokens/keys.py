"""Signing keys: sealed in the store, one purpose and one algorithm each, rotated without signing any user out.

A key signs until it is retired, and verifies until everything it signed has expired. Every change of keys changes their
stamp in the same transaction. A request reads the stamp with its session, and everything else calls
:meth:`KeyRing.ensure_current` first, so no process uses old keys, even if it misses announcements.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, or_, select, update

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.sealing import Sealer
from manifest_auth.runtime.settings import DAY, HOUR, Settings
from manifest_auth.sessions.tokens.key import Key, KeyRow, Purpose
from manifest_auth.store import RESET, Announcement, Store, SystemUnit, global_, installation_values
from manifest_auth.store.tables import sealed_for, signing_keys


class _Snapshot(NamedTuple):
    """All keys and their stamp, from one read."""

    rows: list[KeyRow]
    stamp: str


_K = signing_keys.c
_ALL = global_(select(*(_K[name] for name in KeyRow._fields)).order_by(_K.created_at, _K.id), KeyRow)
_ADD = global_(
    insert(signing_keys).values(
        {name: bindparam(name) for name in ("id", "purpose", "algorithm", "secret", "created_at")}
    )
)
_RETIRE = global_(
    update(signing_keys)
    .where(_K.purpose == bindparam("of_purpose"), _K.retired_at.is_(None))
    .values(retired_at=bindparam("now"), expires_at=bindparam("until"))
)
_EXPIRE = global_(
    update(signing_keys)
    .where(_K.id == bindparam("of_id"), or_(_K.expires_at.is_(None), _K.expires_at > bindparam("now")))
    .values(expires_at=bindparam("now"))
)
_LOCKED = global_(
    select(*(_K[name] for name in KeyRow._fields)).where(_K.id == bindparam("id")).with_for_update(), KeyRow
)
_KEPT_MS = DAY * 1000  # after its end: the clock of the node where keys change may be ahead of the others
_SWEEP = global_(delete(signing_keys).where(_K.expires_at < bindparam("now")))
_STAMP = "keys"
_CHANGED = Announcement("installation", _STAMP)


def find_key(unit: SystemUnit, key_id: str) -> KeyRow | None:
    """A key's row, locked."""
    return unit.first(_LOCKED, id=key_id)


def _read(unit: SystemUnit) -> _Snapshot:
    return _Snapshot(unit.all(_ALL), installation_values.get(unit, _STAMP) or "")


class KeyRing:
    """The keys of this process."""

    def __init__(self, store: Store, sealer: Sealer, settings: Settings, clock: Clock, random: Random) -> None:
        self._store, self._sealer, self._settings = store, sealer, settings
        self._clock, self._random = clock, random
        self._keys: list[Key] = []
        self._rows: list[KeyRow] = []
        self._signing: dict[Purpose, Key] = {}
        self._stale = False
        self._announced = 0  # how many changes were
        self._version: object | None = None
        self._reading: asyncio.Future[None] | None = None
        #: Increases whenever the keys change.
        self.generation = 0
        #: The stamp of the keys in memory.
        self.stamp = ""
        store.on_announcement(self._on_announcement)

    async def load(self) -> None:
        """Reads all keys, and makes missing ones. Raises CannotOpen with a wrong secret key."""

        def work(unit: SystemUnit) -> _Snapshot:
            # A second node waits for the commit and then finds the first node's keys.
            installation_values.lock(unit, _STAMP)
            made: list[str] = []
            for purpose in Purpose:
                rows = [r for r in unit.all(_ALL) if r.purpose == purpose.value and r.retired_at is None]
                if not any(r.algorithm == self._algorithm(purpose) for r in rows):
                    self._rotate(unit, purpose)
                    made.append(purpose.value)
            if made:
                self._changed(unit)
                origin = Origin(self._clock.now_ms(), "system", "", "start")
                audit.record_installation(unit, origin, Event.KEYS_MADE, purposes=made)
            return _read(unit)

        announced = self._announced
        self._take(await self._store.write(work), announced)

    async def refresh(self) -> bool:
        """Reads the keys again. True when they changed."""
        before = self.generation
        # Concurrent callers, for instance with forged tokens, share one read: not the one in progress, which may have
        # started before the wanted key was stored, but the next one.
        if self._reading is not None:
            await asyncio.wait([self._reading])
        if self._reading is None:
            self._reading = asyncio.ensure_future(self._read_again())
        reading = self._reading
        try:
            await asyncio.shield(reading)
        finally:
            if self._reading is reading:
                self._reading = None
        return self.generation != before

    async def _read_again(self) -> None:
        announced = self._announced
        self._take(await self._store.read(_read), announced)

    async def ensure_current(self) -> None:
        """Makes sure that the keys in memory are those of the store. Reads one value where the store cannot tell that
        nothing changed."""
        version = self._store.version()
        if version is None or version != self._version or self._stale:
            stamp = await installation_values.look_up(self._store, _STAMP)
            if self._stale or stamp != self.stamp:
                await self.refresh()
            self._version = version

    def rotate(self, unit: SystemUnit, purposes: Iterable[Purpose] = Purpose) -> dict[str, dict[str, Any]]:
        """Makes new keys; the old ones verify until everything they signed has expired. Returns the ids before and
        after by purpose, for the audit trail."""
        signing = [row for row in unit.all(_ALL) if row.retired_at is None]
        changes = {}
        for purpose in purposes:
            before = [row.id for row in signing if row.purpose == purpose.value]
            changes[purpose.value] = {"before": before, "after": self._rotate(unit, purpose)}
        unit.change(_SWEEP, now=self._clock.now_ms() - _KEPT_MS)
        self._changed(unit)
        return changes

    def retire(self, unit: SystemUnit, row: KeyRow, *, at_once: bool) -> bool:
        """Retires a key: it signs no more, and with ``at_once`` verifies no more; a new one replaces a signing key.
        False when nothing changed."""
        now = self._clock.now_ms()
        if row.retired_at is None:
            self.rotate(unit, (Purpose(row.purpose),))
        elif not at_once:
            return False
        self._changed(unit)
        return not at_once or unit.change(_EXPIRE, of_id=row.id, now=now) == 1

    def signing(self, purpose: Purpose) -> Key:
        """The newest key of a purpose with the configured algorithm; with another one while nodes switch to it."""
        found = self._signing.get(purpose)
        if found is None:
            usable = [key for key in reversed(self._keys) if key.purpose is purpose and key.retired_at is None]
            algorithm = self._algorithm(purpose)
            found = next((key for key in usable if key.algorithm == algorithm), usable[0])
            self._signing[purpose] = found
        return found

    def verifying(self, purpose: Purpose) -> list[Key]:
        """All keys whose signatures are still accepted, newest first."""
        now = self._clock.now_ms()
        return [
            k for k in reversed(self._keys) if k.purpose is purpose and (k.expires_at is None or k.expires_at > now)
        ]

    def published(self) -> list[dict[str, Any]]:
        """The public keys, as members of a JWK set (RFC 7517); HS256 has none."""
        return [
            {**k.jose.as_dict(private=False), "kid": k.id, "use": "sig", "alg": k.algorithm}
            for k in (*self.verifying(Purpose.ACCESS), *self.verifying(Purpose.SERVICE))
            if k.jose is not None
        ]

    @property
    def is_stale(self) -> bool:
        """Whether another node announced new keys since the last read."""
        return self._stale

    def _on_announcement(self, announcement: Announcement) -> None:
        if announcement in (_CHANGED, RESET):
            self._stale = True
            self._announced += 1

    def _algorithm(self, purpose: Purpose) -> str:
        if purpose is Purpose.SERVICE:
            return "ES256"
        return self._settings.token_algorithm if purpose is Purpose.ACCESS else "HS256"

    def _lifetime_ms(self, purpose: Purpose) -> int:
        s = self._settings
        seconds = {
            Purpose.ACCESS: s.access_token_ttl,
            Purpose.REFRESH: s.refresh_token_ttl,
            Purpose.ADMIN_ACCESS: s.admin_access_token_ttl,
            Purpose.ADMIN_REFRESH: s.admin_session_ttl,
            Purpose.SERVICE: s.service_token_ttl,
            Purpose.FORMS: DAY,
            Purpose.PAGE_STATE: HOUR,
        }
        return (seconds[purpose] + 120) * 1000

    def _changed(self, unit: SystemUnit) -> None:
        """Tells all nodes: by an announcement, and by the stamp."""
        installation_values.put(unit, _STAMP, self._random.text(9))
        unit.announce("installation", _STAMP)

    def _rotate(self, unit: SystemUnit, purpose: Purpose) -> str:
        """Makes a new key in place of the current one; its id."""
        now = self._clock.now_ms()
        unit.change(_RETIRE, of_purpose=purpose.value, now=now, until=now + self._lifetime_ms(purpose))
        key_id, algorithm = self._random.text(9), self._algorithm(purpose)
        if algorithm == "ES256":
            from joserfc.jwk import ECKey

            made = ECKey.generate_key("P-256", private=True).as_dict(private=True)
            secret = json.dumps(made).encode()
        else:
            secret = self._random.bytes(32)
        unit.change(
            _ADD,
            id=key_id,
            purpose=purpose.value,
            algorithm=algorithm,
            secret=self._sealer.seal(secret, sealed_for(_K.secret, id=key_id)),
            created_at=now,
        )
        return key_id

    def _take(self, snapshot: _Snapshot, announced: int) -> None:
        # What was read while a change was announced may be from before it.
        self._stale, self.stamp = announced != self._announced, snapshot.stamp
        if snapshot.rows == self._rows:
            return
        self._rows = snapshot.rows
        self.generation += 1
        self._signing.clear()
        self._keys = [self._open(row) for row in snapshot.rows]

    def _open(self, row: KeyRow) -> Key:
        raw = self._sealer.open(row.secret, sealed_for(_K.secret, id=row.id))
        return Key(
            id=row.id,
            purpose=Purpose(row.purpose),
            algorithm=row.algorithm,
            raw=raw,
            created_at=row.created_at,
            retired_at=row.retired_at,
            expires_at=row.expires_at,
        )
