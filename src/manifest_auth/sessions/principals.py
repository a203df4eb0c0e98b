"""The cache of principals: who calls with a session, without reading the store on every request where that is safe.

A principal is cached while the store can tell that it is current. Every change to a principal is announced in its
transaction. SQLite: all is dropped when another process has committed, which is noticed at once. PostgreSQL: while this
node cannot prove that it receives announcements, it reads the store (``docs/decisions/0005-revocation.md``).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable
from functools import lru_cache
from operator import attrgetter
from typing import Any

from manifest_auth.context import Principal
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.sessions.external_tokens import BY_EXTERNAL_TOKEN, ExternalCaller
from manifest_auth.sessions.principal import BY_COOKIE, BY_IDS, cookie_hash
from manifest_auth.sessions.service_tokens import BY_SECRET, BY_SERVICE_TOKEN, TokenOfService
from manifest_auth.store import Announcement, LookUps, Store
from manifest_auth.text.machine_secrets import SecretKind, hash_of

MOST = 100_000
_OWN = Principal._fields.index("tenant_id")  # so many columns are a session's own


@lru_cache(maxsize=1024)
def _kept_once(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same columns, in memory once for all sessions that have them alike."""
    return columns


class Principals:
    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_ids = LookUps(store, BY_IDS, attrgetter("session_id"))
        self._by_id: dict[str, Principal] = {}
        self._by_cookie: dict[str, str] = {}  # session ids by cookie values, and the reverse
        self._cookie_of: dict[str, str] = {}
        self._by_secret: dict[str, str] = {}  # as the two above, by hashes of API keys
        self._secret_of: dict[str, str] = {}
        self._of_user: dict[int, str | set[str]] = {}  # the session, or several
        self._generation = 0
        self._version: object | None = None
        self._asked = metrics.cache("principals", "miss")
        self._remembered = metrics.cache("principals", "hit")
        store.on_announcement(self.forget)

    async def by_session(self, session_id: str) -> Principal | None:
        """The principal of a session id, alive or not; None when there is no such session."""
        if self._is_current():
            found = self._by_id.get(session_id)
            if found is not None:
                self._remembered.inc()
                return found
        return await self._asked_for(self._by_ids.look_up(session_id))

    async def fresh_by_session(self, session_id: str) -> Principal | None:
        """As :meth:`by_session`, from the store."""
        return await self._asked_for(self._by_ids.look_up(session_id))

    async def by_external_token(self, external: ExternalCaller) -> Principal | None:
        """The principal of another system's token; None when provider, identity or claims have changed since its
        verification."""
        if self._is_current():
            found = self._by_id.get(external.key)
            if found is not None and found.ends_at >= external.until:  # of this verification, or of a later one
                self._remembered.inc()
                return _with_same_claims(found, external)
        return _with_same_claims(await self._ask(BY_EXTERNAL_TOKEN, **external._asdict()), external)

    async def by_secret(self, kind: SecretKind, secret: str) -> Principal | None:
        """The principal of an API key or a client secret, alive or not; None when there is no such secret."""
        hashed = hash_of(secret)
        if self._is_current():
            found = self._by_id.get(self._by_secret.get(hashed, ""))
            if found is not None and found.method == kind.value:
                self._remembered.inc()
                return found
        found = await self._ask(BY_SECRET, hash=hashed, kind=kind.value)
        if found is not None and found.session_id in self._by_id:
            self._by_secret[hashed] = found.session_id
            self._secret_of[found.session_id] = hashed
        return found

    async def by_service_token(self, token: TokenOfService) -> Principal | None:
        """The principal of a service account's verified token, revoked or not; None where there is no such account."""
        if self._is_current():
            found = self._by_id.get(token.key)
            if found is not None:
                self._remembered.inc()
                return found
        return await self._ask(BY_SERVICE_TOKEN, **token._asdict())

    async def by_cookie(self, value: str) -> Principal | None:
        """As :meth:`by_session`, by the value of a session cookie."""
        if self._is_current():
            found = self._by_id.get(self._by_cookie.get(value, ""))
            if found is not None:
                self._remembered.inc()
                return found
        return await self.fresh_by_cookie(value)

    async def fresh_by_cookie(self, value: str) -> Principal | None:
        """As :meth:`by_cookie`, from the store: another node may have renewed the cookie later."""
        found = await self._ask(BY_COOKIE, cookie_hash=cookie_hash(value))
        if found is not None and found.session_id in self._by_id:
            self._by_cookie[value] = found.session_id
            self._cookie_of[found.session_id] = value
        return found

    def touched(self, principal: Principal, now: int) -> None:
        """Updates the cache after this node stored that the cookie was used."""
        cached = self._by_id.get(principal.session_id)
        if cached is not None:
            self._by_id[principal.session_id] = cached._replace(cookie_seen_at=now)

    def _is_current(self) -> bool:
        """Whether the cache may be used; clears it where it is outdated."""
        version = self._store.version()
        if version is None:
            return False
        if version != self._version:
            self._forget_all()
            self._version = version
        return True

    async def _ask(self, statement: Any, **values: Any) -> Principal | None:
        return await self._asked_for(self._store.look_up(statement, **values))

    async def _asked_for(self, read: Awaitable[Principal | None]) -> Principal | None:
        """What the store is about to be asked for, which is cached where it may be."""
        self._asked.inc()
        holds, version, generation = self._is_current(), self._version, self._generation
        found = await read
        # A principal that was read during a change is not cached: it may be the old one.
        unchanged = holds and generation == self._generation and version == self._store.version()
        if found is not None and unchanged and found.is_alive(self._clock.now_ms()):
            return self._remember(found)
        return found

    def _remember(self, found: Principal) -> Principal:
        principal = Principal._make(found[:_OWN] + _kept_once(found[_OWN:]))
        session_id, user_id = principal.session_id, principal.user_id
        while len(self._by_id) >= MOST:  # many at once: finding the oldest takes longer with each that was deleted
            for oldest in list(itertools.islice(self._by_id, max(1, MOST // 8))):
                self._drop(oldest)
        self._by_id[session_id] = principal
        others = self._of_user.setdefault(user_id, session_id)
        if isinstance(others, set):
            others.add(session_id)
        elif others != session_id:
            self._of_user[user_id] = {others, session_id}
        return principal

    def _drop(self, session_id: str) -> None:
        principal = self._by_id.pop(session_id, None)
        if principal is not None:
            self._by_cookie.pop(self._cookie_of.pop(session_id, ""), None)
            self._by_secret.pop(self._secret_of.pop(session_id, ""), None)
            of_user = self._of_user.get(principal.user_id)
            if isinstance(of_user, set):
                of_user.discard(session_id)
            if of_user == session_id or not of_user:
                self._of_user.pop(principal.user_id, None)

    def forget(self, announcement: Announcement) -> None:
        """Drops from the cache what an announcement names: a session, a user's sessions, or everything."""
        self._generation += 1
        if announcement.kind == "session":
            self._drop(announcement.key)
        elif announcement.kind == "user":
            of_user = self._of_user.get(int(announcement.key), "")
            for session_id in list(of_user) if isinstance(of_user, set) else [of_user]:
                self._drop(session_id)
        elif announcement.kind != "installation" or announcement.key == "keys":
            self._forget_all()

    def _forget_all(self) -> None:
        self._by_id.clear()
        self._by_cookie.clear()
        self._cookie_of.clear()
        self._by_secret.clear()
        self._secret_of.clear()
        self._of_user.clear()


def _with_same_claims(found: Principal | None, external: ExternalCaller) -> Principal | None:
    """The principal, unless the claims changed. A token may be used with a named client and without: the cache serves
    both."""
    return found if found is not None and external.claims in (None, found.claims) else None
