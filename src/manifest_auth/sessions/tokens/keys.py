"""Signing keys: sealed in the database, one purpose and one algorithm each, rotated without signing any user out."""

from __future__ import annotations

import asyncio
import enum
import json
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

from sqlalchemy import BigInteger, Table, and_, bindparam, delete, insert, or_, select, union_all, update

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.sealing import CannotOpen, Sealer
from manifest_auth.runtime.settings import DAY, HOUR, Settings
from manifest_auth.sessions.tokens import signatures
from manifest_auth.store import RESET, Announcement, Listing, Store, SystemUnit, global_, installation_values
from manifest_auth.store.statements import Global, Source
from manifest_auth.store.tables import id_token_keys, sealed_for, signing_keys
from manifest_auth.text.languages import marked as _
from manifest_auth.text.models import Time, Wire

#: Algorithms of users' access tokens. The key determines which one is used, never a token.
Algorithm = Literal["HS256", "ES256"]
#: The default for a new database, unless its first server names another.
DEFAULT_ALGORITHM: Algorithm = "ES256"


_NEW_TOKEN = _("Apps must request new access tokens with their refresh tokens. Nobody is signed out.")
_NEW_SESSION = _("Everyone whose app uses refresh tokens must sign in again when their access token expires.")
_OLD_HINTS = _("Apps can't verify the ID tokens and sign-out notices that they already have. Nobody is signed out.")


class Purpose(enum.Enum):
    """The purpose of a key. Each has its own keys, so that a token of one purpose is invalid for the others. ``title``:
    its name in the console; ``voids``: what happens when such a key is revoked immediately."""

    _value_: str
    title: str
    voids: str

    def __new__(cls, name: str, *texts: str) -> Purpose:
        made = object.__new__(cls)
        made._value_, (made.title, made.voids) = name, texts
        return made

    ACCESS = "access", _("Access tokens of users"), _NEW_TOKEN
    REFRESH = "refresh", _("Refresh tokens of users"), _NEW_SESSION
    ADMIN_ACCESS = "admin-access", _("Access tokens of system admins"), _NEW_TOKEN
    ADMIN_REFRESH = "admin-refresh", _("Refresh tokens of system admins"), _NEW_SESSION
    SERVICE = (  # always ES256
        "service",
        _("Access tokens of service accounts"),
        _("Access tokens of all service accounts stop working. Programs must request new ones."),
    )
    FORMS = (  # for marks of forms
        "forms",
        _("Page forms"),
        _("Pages that are open now expire, and forms that wait for a sign-in are lost. Nobody is signed out."),
    )
    PAGE_STATE = (  # encrypted state of a sign-in in progress on pages
        "page-state",
        _("Sign-ins in progress"),
        _("Sign-ins in progress must start again. Nobody is signed out."),
    )
    ID_RS256 = "id-rs256", _("ID tokens for apps (RS256)"), _OLD_HINTS
    ID_ES256 = "id-es256", _("ID tokens for apps (ES256)"), _OLD_HINTS


PurposeName = Literal[
    "access", "refresh", "admin-access", "admin-refresh", "service", "forms", "page-state", "id-rs256", "id-es256"
]
#: Purposes for apps, by algorithm. Their keys are created when the first app needs one.
OF_APPS = {"RS256": Purpose.ID_RS256, "ES256": Purpose.ID_ES256}
#: The algorithm of a purpose's first key, if not HS256; later keys keep it.
_FIRST_ALGORITHM = {
    Purpose.ACCESS: DEFAULT_ALGORITHM,
    Purpose.SERVICE: "ES256",
    **{purpose: algorithm for algorithm, purpose in OF_APPS.items()},
}
REFRESH_ALGORITHM = "BLAKE2b"  # the MAC of refresh tokens, whatever the key's row says
#: Algorithms of keys that sign no JWT.
_NO_JWT = {
    "refresh": REFRESH_ALGORITHM,
    "admin-refresh": REFRESH_ALGORITHM,
    "forms": "HMAC-SHA-256",
    "page-state": "AES-256-GCM",
}


class KeyRow(NamedTuple):
    id: str
    purpose: str
    algorithm: str
    secret: bytes
    created_at: int
    retired_at: int | None
    expires_at: int | None


class Key(NamedTuple):
    """An opened key. ``raw``: the secret of HS256 and of refresh tokens, or a key pair (:mod:`.signatures`)."""

    id: str
    purpose: Purpose
    algorithm: str
    raw: bytes
    created_at: int
    retired_at: int | None
    expires_at: int | None


# The database keeps the longest lifetime that any server has given to what a key signed, because the process that
# rotates can have other settings than those that sign.

_NAME = "key_lifetimes"


def _by(settings: Settings) -> dict[str, int]:
    """Returns seconds by purpose, from these settings."""
    return {
        Purpose.ACCESS.value: settings.access_token_ttl,
        Purpose.REFRESH.value: settings.refresh_token_ttl,
        Purpose.ADMIN_ACCESS.value: settings.admin_access_token_ttl,
        Purpose.ADMIN_REFRESH.value: settings.admin_session_ttl,
        Purpose.SERVICE.value: settings.service_token_ttl,
        Purpose.FORMS.value: DAY,
        Purpose.PAGE_STATE.value: HOUR,
        **dict.fromkeys((purpose.value for purpose in OF_APPS.values()), DAY),  # apps send old ID tokens as hints
    }


def _kept(unit: SystemUnit) -> dict[str, int]:
    found: dict[str, int] = json.loads(installation_values.get(unit, _NAME) or "{}")
    return found


def longest(unit: SystemUnit, settings: Settings) -> dict[str, int]:
    """Returns seconds by purpose, from ``settings`` if no server has run yet."""
    return _by(settings) | _kept(unit)


def keep(unit: SystemUnit, settings: Settings) -> bool:
    """Stores longer lifetimes from the settings of a process that signs. Returns True for the first process of this
    database."""
    kept = _kept(unit)
    now = {purpose: max(seconds, kept.get(purpose, 0)) for purpose, seconds in _by(settings).items()}
    if now != kept:
        installation_values.put(unit, _NAME, json.dumps(now))
    return not kept


# A key signs until it is retired, and verifies until everything it signed has expired. The result of a rotation depends
# only on the database, not on the settings of the process that rotates. The new key has the algorithm of the previous
# key, and the old key verifies for the longest lifetime that any server has given to what it signs. Every change of
# keys changes their stamp in the same transaction. A request reads the stamp with its session, and everything else
# calls :meth:`KeyRing.ensure_current` first, so no process uses old keys, even if it misses announcements.


# Keys for apps have their own table, because programs that don't know their purposes read all rows of the other one.


def _table_of(purpose: str) -> Table:
    return id_token_keys if purpose.startswith("id-") else signing_keys


_TABLES = (signing_keys, id_token_keys)
_BOTH = union_all(*(select(*(table.c[name] for name in KeyRow._fields)) for table in _TABLES)).subquery("keys")
_K: Any = _BOTH.c


def _each(made: Callable[[Table], Source], row: Any = None) -> dict[Table, Global[Any]]:
    return {table: global_(made(table), row) if row else global_(made(table)) for table in _TABLES}


_ALL = global_(select(_BOTH).order_by(_K.created_at, _K.id), KeyRow)
_NEW = ("id", "purpose", "algorithm", "secret", "created_at")
_ADD = _each(lambda table: insert(table).values({name: bindparam(name) for name in _NEW}))
_RETIRE = _each(
    lambda table: (
        update(table)
        .where(table.c.purpose == bindparam("of_purpose"), table.c.retired_at.is_(None))
        .values(retired_at=bindparam("now"), expires_at=bindparam("until"))
    )
)
_EXPIRE = _each(
    lambda table: (
        update(table)
        .where(
            table.c.id == bindparam("of_id"), or_(table.c.expires_at.is_(None), table.c.expires_at > bindparam("now"))
        )
        .values(expires_at=bindparam("now"))
    )
)
_LOCKED = _each(
    lambda table: (
        select(*(table.c[name] for name in KeyRow._fields)).where(table.c.id == bindparam("id")).with_for_update()
    ),
    KeyRow,
)
_MORE_S = 120  # seconds that a retired key still verifies, since clocks differ
_KEPT_MS = DAY * 1000  # after its end, since the clock of the node that changes keys might be ahead
_SWEEP = _each(lambda table: delete(table).where(table.c.expires_at < bindparam("now")))
_DELETE = _each(lambda table: delete(table).where(table.c.id == bindparam("of_id")))
_STAMP = "keys"
_MOST_UNREAD = 4096  # about 4 MB
_CHANGED = Announcement("installation", _STAMP)


def find_key(unit: SystemUnit, key_id: str) -> KeyRow | None:
    """Returns a key's row, locked."""
    return next(filter(None, (unit.first(locked, id=key_id) for locked in _LOCKED.values())), None)


def _read(unit: SystemUnit) -> tuple[list[KeyRow], str]:
    """Returns all keys and their stamp."""
    return unit.all(_ALL), installation_values.get(unit, _STAMP) or ""


class KeyRing:
    """The keys of this process."""

    def __init__(self, store: Store, sealer: Sealer, settings: Settings, clock: Clock, random: Random) -> None:
        self._store, self._sealer, self._settings = store, sealer, settings
        self._clock, self._random = clock, random
        self._keys: list[Key] = []
        self._rows: list[KeyRow] = []
        self._signing: dict[Purpose, Key] = {}
        self._stale = False
        self._announced = 0  # number of announced changes
        self._version: object | None = None
        self._reading: asyncio.Future[None] | None = None
        #: Increases whenever the keys change.
        self.generation = 0
        #: The stamp of the keys in memory.
        self.stamp = ""
        self._unread: dict[str, str] = {}  # key IDs by tokens; units of work sign in other threads, too
        store.on_announcement(self._on_announcement)

    async def load(self, *, serves: bool = False) -> None:
        """Reads all keys, and creates missing ones. ``serves``: this process signs for callers, so its tokens can live
        as long as its settings allow. Raises CannotOpen with a wrong secret key."""

        def work(unit: SystemUnit) -> tuple[list[KeyRow], str]:
            # A second node waits for the commit and then finds the first node's keys.
            installation_values.lock(unit, _STAMP)
            rows = unit.all(_ALL)
            for row in rows:  # writes nothing with a wrong secret key
                self._open(row)
            # A key that a command created before the first server started has signed nothing, and doesn't determine the
            # algorithm.
            is_first = serves and keep(unit, self._settings)
            chosen = (self._settings.token_algorithm or DEFAULT_ALGORITHM) if is_first else ""
            signing = {row.purpose: row.algorithm for row in rows if row.retired_at is None}
            made = [one.value for one in Purpose if one.value not in signing and one not in OF_APPS.values()]
            if chosen and signing.get(Purpose.ACCESS.value, chosen) != chosen:
                made.append(Purpose.ACCESS.value)
            if made:
                self._replace(unit, map(Purpose, made), chosen or None)
                self._changed(unit)
                origin = Origin(self._clock.now_ms(), "system", "", "start")
                audit.record_installation(unit, origin, Event.KEYS_MADE, purposes=made)
            return _read(unit)

        announced = self._announced
        self._take(*await self._store.write(work), announced)

    async def refresh(self) -> bool:
        """Reads the keys again. Returns True if they changed."""
        before = self.generation
        # Concurrent callers, for example with forged tokens, share one read. It is not the one in progress, which can
        # have started before the wanted key was stored, but the next one.
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
        self._take(*await self._store.read(_read), announced)

    async def ensure_current(self) -> None:
        """Ensures that the keys in memory are those of the database. Reads one value if the store cannot tell that
        nothing changed."""
        version = self._store.version()
        if version is None or version != self._version or self._stale:
            stamp = await installation_values.look_up(self._store, _STAMP)
            if self._stale or stamp != self.stamp:
                await self.refresh()
            self._version = version

    def rotate(
        self, unit: SystemUnit, purposes: Iterable[Purpose] = Purpose, algorithm: Algorithm | None = None
    ) -> dict[str, dict[str, Any]]:
        """Creates new keys; the old ones verify until everything they signed has expired. ``algorithm``: a new one for
        users' access tokens from now on. Returns the IDs before and after by purpose, for the audit trail."""
        changes = self._replace(unit, purposes, algorithm)
        for sweep in _SWEEP.values():
            unit.change(sweep, now=self._clock.now_ms() - _KEPT_MS)
        self._changed(unit)
        return changes

    def retire(self, unit: SystemUnit, row: KeyRow, *, at_once: bool) -> bool:
        """Retires a key: it no longer signs, and with ``at_once`` no longer verifies. A new key replaces a signing key.
        Returns False if nothing changed."""
        now = self._clock.now_ms()
        if row.retired_at is None:
            self.rotate(unit, (Purpose(row.purpose),))
        elif not at_once:
            return False
        self._changed(unit)
        return not at_once or unit.change(_EXPIRE[_table_of(row.purpose)], of_id=row.id, now=now) == 1

    def replace_lost(self, unit: SystemUnit) -> list[str]:
        """Deletes the keys that no secret key can open, and creates new ones for those that signed. Returns their IDs.
        Works on keys that :meth:`load` rejects."""
        lost = [row for row in unit.all(_ALL) if not self._opens(row)]
        for row in lost:
            unit.change(_DELETE[_table_of(row.purpose)], of_id=row.id)
            if row.retired_at is None:
                self._add(unit, Purpose(row.purpose), row.algorithm, self._clock.now_ms())
        if lost:
            self._changed(unit)
        return [row.id for row in lost]

    def signing(self, purpose: Purpose) -> Key:
        """Returns the key that signs for a purpose: the newest one."""
        found = self._signing.get(purpose)
        if found is None:
            usable = (key for key in reversed(self._keys) if key.purpose is purpose and key.retired_at is None)
            found = self._signing[purpose] = next(usable)
        return found

    def has_signed(self, key: Key, token: str) -> str:
        """Remembers that this process signed the token with the key pair. Returns the token. If too many are never
        asked for, they are forgotten."""
        if len(self._unread) >= _MOST_UNREAD:
            self._unread.clear()
        self._unread[token] = key.id
        return token

    def signer_of(self, token: str) -> str | None:
        """Returns the ID of the key with which this process signed the token, on the first call for that token. Such a
        signature needs no check, which takes longer than the rest of a request. The caller must check whether the key
        is still valid."""
        return self._unread.pop(token, None)

    def verifying(self, purpose: Purpose) -> list[Key]:
        """Returns all keys whose signatures are still accepted, newest first."""
        now = self._clock.now_ms()
        return [
            k for k in reversed(self._keys) if k.purpose is purpose and (k.expires_at is None or k.expires_at > now)
        ]

    async def of_apps(self, algorithm: str) -> Key:
        """Returns the key that signs for apps with this algorithm, and creates it if there is none yet."""
        await self.ensure_current()
        purpose = OF_APPS[algorithm]
        if not any(key.purpose is purpose and key.retired_at is None for key in self._keys):
            secret = await asyncio.to_thread(signatures.make, algorithm)

            def work(unit: SystemUnit) -> None:
                installation_values.lock(unit, _STAMP)
                if any(row.purpose == purpose.value and row.retired_at is None for row in unit.all(_ALL)):
                    return  # another process was first
                self._add(unit, purpose, algorithm, self._clock.now_ms(), secret)
                self._changed(unit)
                origin = Origin(self._clock.now_ms(), "system", "", "apps")
                audit.record_installation(unit, origin, Event.KEYS_MADE, purposes=[purpose.value])

            await self._store.write(work)
            await self.refresh()
        return self.signing(purpose)

    def published(self, *purposes: Purpose) -> list[dict[str, Any]]:
        """Returns the public keys of these purposes, as members of a JWK set (RFC 7517); HS256 has none."""
        return [
            {**signatures.public_half(k.raw), "kid": k.id, "use": "sig", "alg": k.algorithm}
            for purpose in purposes
            for k in self.verifying(purpose)
            if k.algorithm != "HS256"
        ]

    @property
    def is_stale(self) -> bool:
        """Whether another node announced new keys since the last read."""
        return self._stale

    def _on_announcement(self, announcement: Announcement) -> None:
        if announcement in (_CHANGED, RESET):
            self._stale = True
            self._announced += 1

    def _changed(self, unit: SystemUnit) -> None:
        """Notifies all nodes with an announcement and the stamp."""
        installation_values.put(unit, _STAMP, self._random.text(9))
        unit.announce("installation", _STAMP)

    def _replace(
        self, unit: SystemUnit, purposes: Iterable[Purpose], algorithm: Algorithm | None = None
    ) -> dict[str, dict[str, Any]]:
        """Creates keys that replace the current ones. Returns the IDs before and after, by purpose."""
        now, lives = self._clock.now_ms(), longest(unit, self._settings)
        signing = [row for row in unit.all(_ALL) if row.retired_at is None]
        changes = {}
        for purpose in purposes:
            before = [row for row in signing if row.purpose == purpose.value]
            if not before and purpose in OF_APPS.values():
                continue
            until = now + (lives[purpose.value] + _MORE_S) * 1000
            unit.change(_RETIRE[_table_of(purpose.value)], of_purpose=purpose.value, now=now, until=until)
            used = before[-1].algorithm if before else _FIRST_ALGORITHM.get(purpose, "HS256")
            made = self._add(unit, purpose, (purpose is Purpose.ACCESS and algorithm) or used, now)
            changes[purpose.value] = {"before": [row.id for row in before], "after": made}
        return changes

    def _add(self, unit: SystemUnit, purpose: Purpose, algorithm: str, now: int, secret: bytes | None = None) -> str:
        """Creates a key, and returns its ID. ``secret`` is an existing one to use."""
        key_id, table = self._random.text(9), _table_of(purpose.value)
        if secret is None:
            secret = self._random.bytes(32) if algorithm == "HS256" else signatures.make(algorithm)
        unit.change(
            _ADD[table],
            id=key_id,
            purpose=purpose.value,
            algorithm=algorithm,
            secret=self._sealer.seal(secret, sealed_for(table.c.secret, id=key_id)),
            created_at=now,
        )
        return key_id

    def _take(self, rows: list[KeyRow], stamp: str, announced: int) -> None:
        # Keys that were read while a change was announced might be outdated.
        self._stale, self.stamp = announced != self._announced, stamp
        if rows == self._rows:
            return
        self._rows = rows
        self.generation += 1
        self._signing.clear()
        self._keys = [self._open(row) for row in rows]

    def _opens(self, row: KeyRow) -> bool:
        try:
            self._open(row)
        except CannotOpen:
            return False
        return True

    def _open(self, row: KeyRow) -> Key:
        raw = self._sealer.open(row.secret, sealed_for(_table_of(row.purpose).c.secret, id=row.id))
        return Key(
            id=row.id,
            purpose=Purpose(row.purpose),
            algorithm=row.algorithm,
            raw=raw,
            created_at=row.created_at,
            retired_at=row.retired_at,
            expires_at=row.expires_at,
        )


class ListedKey(NamedTuple):
    """A key without its secret."""

    id: str
    purpose: str
    algorithm: str
    created_at: int
    retired_at: int | None
    expires_at: int | None


class KeyData(Wire, frozen=True):
    """``state``: `signing`; `verifying`, which only verifies what it signed before; or `expired`."""

    id: str
    purpose: PurposeName
    algorithm: str
    state: Literal["signing", "verifying", "expired"]
    created_at: Time
    retired_at: Time | None
    expires_at: Time | None

    @classmethod
    def at(cls, key: ListedKey, now: int) -> KeyData:
        """Returns the key as of ``now``, in milliseconds."""
        over = key.expires_at is not None and key.expires_at <= now
        state = "expired" if over else "signing" if key.retired_at is None else "verifying"
        return cls.of(key, algorithm=_NO_JWT.get(key.purpose, key.algorithm), state=state)


_ALL_LISTED = select(*(_K[name] for name in ListedKey._fields))
_SIGNS_ACCESS = global_(
    select(_K.algorithm)
    .where(_K.purpose == Purpose.ACCESS.value, _K.retired_at.is_(None))
    .order_by(_K.created_at.desc(), _K.id.desc()),
    str,
)
_LISTED = global_(_ALL_LISTED.where(_K.id == bindparam("id")), ListedKey)
LISTING = Listing(
    _ALL_LISTED,
    ListedKey,
    key=_K.id,
    sorts={"ID": _K.id, "CREATED": _K.created_at},
    filters={
        "purpose": _K.purpose == bindparam("of_purpose"),
        "signing": _K.retired_at.is_(None),
        "verifying": and_(_K.retired_at.is_not(None), _K.expires_at > bindparam("now", type_=BigInteger())),
        "expired": _K.expires_at <= bindparam("now", type_=BigInteger()),
    },
    owned=False,
)


def access_algorithm(unit: SystemUnit) -> str | None:
    """Returns the algorithm for users' access tokens; None before the first key."""
    return unit.first(_SIGNS_ACCESS)


def find_listed_key(unit: SystemUnit, key_id: str) -> ListedKey | None:
    """Returns a key without its secret."""
    return unit.first(_LISTED, id=key_id)
