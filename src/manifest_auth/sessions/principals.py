"""Principals: the callers, read with one statement, and cached when that is safe.

A principal is read by a session, a machine's secret or token, or another system's token. It stays cached while the
store can tell that it is current. Every change to a principal is announced in its transaction. With SQLite, the whole
cache is dropped when another process has committed, which is noticed immediately. With PostgreSQL, this node reads the
database while it cannot prove that it receives announcements (``docs/decisions/0005-revocation.md``).
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Awaitable
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Integer, Select, Text, bindparam, case, cast, func, literal, null, or_, select

from manifest_auth.context import SERVICE, Principal
from manifest_auth.permissions import Role
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.metrics import Metrics
from manifest_auth.store import (
    Announcement,
    LookUps,
    Store,
    SystemUnit,
    TenantUnit,
    among,
    columns,
    cross_tenant,
    tables,
    tenant_scoped,
    upsert,
)
from manifest_auth.text.machine_secrets import SecretKind, hash_of

_S, _U, _T = tables.sessions.c, tables.users.c, tables.tenants.c


class Chain(NamedTuple):
    """The refresh tokens of a session: the current one, the previous one, and when they changed."""

    current: str
    previous: str | None
    changed_at: int


#: The stamp of the signing keys (:mod:`manifest_auth.sessions.tokens.keys`). Reading it here saves a statement.
KEYS = select(tables.installation.c.value).where(tables.installation.c.name == "keys").scalar_subquery().label("keys")
_OF_USER = ("email", "first_name", "last_name", "title", "language", "deactivated_at", "factors")
_WHO = {name: _U[name] for name in _OF_USER} | {
    "held_roles": _U.roles.label("held_roles"),
    "has_password": case((_U.password_hash.is_(None), 0), else_=1).label("has_password"),
    "kind": _U.kind,
    "scopes": null(),
    "addresses": literal(""),
    "role_cap": null(),
    "idle_s": null(),
    "has_parent": literal(0),
    "client": _T.identifier,
    "client_name": _T.name,
    "tenant_settings": _T.settings,
    "suspended_at": _T.suspended_at,
}


def select_principal(**columns: Any) -> Select[Any]:
    """Creates a select of principals. ``columns``: those that don't come from user or tenant, by name."""
    found = {**_WHO, **columns}
    return select(*(found[name] for name in Principal._fields))


_OF_SESSION = columns(
    "tenant_id user_id method created_at ended_at cookie_seen_at amr authenticated_at role_cap idle_s scopes"
)
#: The end of a session. A device's session has its end in its own column, so that programs that don't know the cap of
#: its roles treat it as ended. An app's session has its end in the usual column, and is ended by the other one for
#: programs that don't know the cap of its scopes. Statements never read just one of the two columns.
ENDS_AT = case((_S.app_scopes.is_not(None), _S.ends_at), else_=func.coalesce(_S.device_ends_at, _S.ends_at)).label(
    "ends_at"
)
_HAS_PARENT = case((_S.parent_id.is_(None), 0), else_=1).label("has_parent")
_PRINCIPAL = select_principal(
    session_id=_S.id,
    ends_at=ENDS_AT,
    keys=KEYS,
    claims=literal(0),
    has_parent=_HAS_PARENT,
    **{name: _S[name] for name in _OF_SESSION},
).select_from(
    tables.sessions.join(tables.users, (_U.tenant_id == _S.tenant_id) & (_U.id == _S.user_id)).join(
        tables.tenants, _T.id == _S.tenant_id
    )
)
_WHY = "the credential names the session, and the session names the tenant"
_CHAIN = (_S.refresh_current, _S.refresh_previous, _S.refresh_changed_at)
_BY_ID = cross_tenant(_PRINCIPAL.add_columns(*_CHAIN).where(_S.id == bindparam("id")), because=_WHY)
BY_IDS = cross_tenant(_PRINCIPAL.where(among(_S.id, "keys")), Principal, because=_WHY)
BY_COOKIE = cross_tenant(_PRINCIPAL.where(_S.cookie_hash == bindparam("cookie_hash")), Principal, because=_WHY)


def cookie_hash(value: str) -> str:
    """Returns the stored hash of a cookie's value. The value has 256 random bits, so plain SHA-256 is enough."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def read(unit: SystemUnit, session_id: str) -> Principal | None:
    """Returns the session with its user and tenant, as of this transaction."""
    return read_with_chain(unit, session_id)[0]


def read_with_chain(unit: SystemUnit, session_id: str) -> tuple[Principal | None, Chain]:
    """Returns the session like :func:`read`, with the state of its refresh tokens."""
    return _with_chain(unit.first(_BY_ID, id=session_id))


def read_by_cookie(unit: SystemUnit, value: str) -> Principal | None:
    """Returns the session like :func:`read`, by the value of a session cookie."""
    return unit.first(BY_COOKIE, cookie_hash=cookie_hash(value))


async def look_up_with_chain(store: Store, session_id: str) -> tuple[Principal | None, Chain]:
    """Returns the session like :func:`read_with_chain`, in one statement without a transaction, and never from a
    cache."""
    return _with_chain(await store.look_up(_BY_ID, id=session_id))


def _with_chain(row: tuple[Any, ...] | None) -> tuple[Principal | None, Chain]:
    if row is None:
        return None, Chain("", None, 0)
    return Principal._make(row[: -len(_CHAIN)]), Chain._make(row[-len(_CHAIN) :])


_A, _SECRET, _R = tables.service_accounts.c, tables.service_secrets.c, tables.refused_tokens.c


def select_machine(**columns: Any) -> Select[Any]:
    """Creates a select of service accounts as principals. ``columns``: the credential's columns, by name; the
    credential replaces a session. The caller adds the condition that names the account."""
    of_credential = {
        "claims": literal(0),
        "amr": literal(""),
        "authenticated_at": null(),
        "keys": null(),
        "scopes": _A.scopes,
        "addresses": _A.addresses,
        **columns,
    }
    return (
        select_principal(tenant_id=_U.tenant_id, user_id=_U.id, **of_credential)
        .select_from(
            tables.users.join(tables.service_accounts, (_A.tenant_id == _U.tenant_id) & (_A.user_id == _U.id)).join(
                tables.tenants, _T.id == _U.tenant_id
            )
        )
        .where(_U.kind == SERVICE)
    )


_OF_SECRET = select_machine(
    session_id=cast(literal("key:"), Text) + _SECRET.id,
    method=_SECRET.kind,
    created_at=_SECRET.created_at,
    ends_at=_SECRET.ends_at,
    ended_at=_SECRET.ended_at,
    cookie_seen_at=func.coalesce(_SECRET.last_used_at, 0),
).join(tables.service_secrets, (_SECRET.tenant_id == _A.tenant_id) & (_SECRET.user_id == _A.user_id))
BY_SECRET = cross_tenant(
    _OF_SECRET.where(_SECRET.hash == bindparam("hash"), _SECRET.kind == bindparam("kind")),
    Principal,
    because="the secret's hash identifies the service account, which belongs to a tenant",
    every_kind=True,
)


# A token's permissions are its scope within the account's current scope; a revoked token is a rejected one.

SERVICE_METHOD = "service-token"
_SCOPES = cast(bindparam("scopes"), Integer)


class TokenOfService(NamedTuple):
    """A verified token. ``key``: replaces a session ID; ``client``: its client's identifier; ``scopes``: a bit mask;
    ``is_scim``: it also acts as the SCIM connection of the account. Times are in milliseconds."""

    key: str
    account: int
    client: str
    scopes: int
    issued_at: int
    until: int
    is_scim: bool = False


def _refused(tenant_id: Any) -> Any:
    return select(_R.refused_at).where(_R.tenant_id == tenant_id, _R.key == bindparam("key")).scalar_subquery()


BY_SERVICE_TOKEN = cross_tenant(
    select_machine(
        session_id=cast(bindparam("key"), Text),
        method=literal(SERVICE_METHOD),
        created_at=cast(bindparam("issued_at"), BigInteger),
        ends_at=cast(bindparam("until"), BigInteger),
        ended_at=_refused(_A.tenant_id),
        cookie_seen_at=func.coalesce(_A.use_recorded_at, 0),
        keys=KEYS,
        scopes=case((_A.scopes.is_(None), _SCOPES), else_=_A.scopes.bitwise_and(_SCOPES)),
    ).where(_A.user_id == bindparam("account")),
    Principal,
    because="the verified token names the service account, which belongs to a tenant",
    every_kind=True,
)


# Callers with a token of another system, such as Entra ID, have no session row. They are read as a :class:`Principal`
# with a hash of the token's payload as session ID, so that one cache and one set of announcements serve all callers.

_D, _I, _P = tables.directory_claims.c, tables.identities.c, tables.providers.c
_APART = 1_000_003


class ExternalCaller(NamedTuple):
    """The identity that a verified token belongs to. ``key``: replaces a session ID; ``claims``: the
    :func:`claims_stamp` of its directory, None if the request named the client. Times are in milliseconds."""

    key: str
    method: str
    tenant_id: int
    identity_id: int
    provider_changed_at: int
    verified_at: int
    until: int
    claims: int | None


def _text(name: str) -> Any:
    return cast(bindparam(name), Text)


def _stamp(directory: Any) -> Any:
    """Returns a number that changes whenever a claim on the directory starts or stops counting."""
    counting = (_D.directory == directory, _D.state == "proved")
    each = _D.proved_at + _D.tenant_id * _APART  # differs even if two change places in one millisecond
    return select(cast(func.coalesce(func.sum(each), 0), BigInteger)).where(*counting)


_CLAIMS = cross_tenant(
    _stamp(bindparam("directory")),
    int,
    because="a bearer token without a client belongs to the clients with a valid claim on its directory",
)
_SELECT: Any = (
    select_principal(
        session_id=_text("key"),
        tenant_id=_U.tenant_id,
        user_id=_U.id,
        method=_text("method"),
        created_at=cast(bindparam("verified_at"), BigInteger),
        ends_at=cast(bindparam("until"), BigInteger),
        ended_at=_refused(bindparam("tenant_id")),
        cookie_seen_at=literal(0),
        keys=null(),  # none of this server's keys signs an external token
        claims=_stamp(_P.issuer).scalar_subquery(),
        amr=literal(""),
        authenticated_at=null(),
    )
    .select_from(
        tables.identities.join(tables.users, (_U.tenant_id == _I.tenant_id) & (_U.id == _I.user_id))
        .join(tables.providers, (_P.tenant_id == _I.tenant_id) & (_P.id == _I.provider_id))
        .join(tables.tenants, _T.id == _I.tenant_id)
    )
    .where(
        _I.tenant_id == bindparam("tenant_id"),
        _I.id == bindparam("identity_id"),
        _P.changed_at == bindparam("provider_changed_at"),
        _P.disabled_at.is_(None),
        # There is no session to end when a user becomes an Admin (docs/decisions/0018-providers-and-rank.md).
        or_(_P.reaches_admins != 0, _U.roles.bitwise_and(Role.ADMIN.bit) == 0),
    )
)
BY_EXTERNAL_TOKEN = cross_tenant(_SELECT, Principal, because="the verified token names the identity and its tenant")
_REFUSE = tenant_scoped(
    upsert(tables.refused_tokens)
    .values({name: bindparam(name) for name in ("key", "refused_at", "expires_at")})
    .on_conflict_do_nothing(index_elements=["tenant_id", "key"])
)
_IS_REFUSED = tenant_scoped(select(_R.refused_at).where(_R.key == bindparam("key")), int)


def claims_stamp(unit: SystemUnit, directory: str) -> int:
    """Returns a stamp that changes when the claims that count for a directory change."""
    return unit.first(_CLAIMS, directory=directory) or 0


def external_key(method: str, tenant_id: int, token: str) -> str:
    """Returns the key that replaces a session ID: a hash of the tenant and the payload. The payload is signed and
    unique. Header and signature are left out, because the holder of a signed-out token could spell them differently.
    The tenant is included, because one token can be valid at several tenants, as a different caller."""
    payload = token.split(".")[1]
    return f"{method}:{hashlib.sha256(f'{tenant_id}:{payload}'.encode()).hexdigest()}"


def is_refused(unit: TenantUnit, key: str) -> bool:
    """Whether the token was signed out."""
    return unit.first(_IS_REFUSED, key=key) is not None


def refuse_external_token(unit: TenantUnit, key: str, now: int, until: int) -> bool:
    """Signs out a token on every node. ``until`` is when it expires, in milliseconds. Returns False if it was already
    signed out."""
    unit.announce("session", key)
    return unit.change(_REFUSE, key=key, refused_at=now, expires_at=until) == 1


MOST = 100_000
_OWN = Principal._fields.index("tenant_id")  # number of columns that belong to the session itself


@lru_cache(maxsize=1024)
def _kept_once(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns the same columns, stored once in memory for all sessions that share them."""
    return columns


class Principals:
    def __init__(self, store: Store, metrics: Metrics, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_ids = LookUps(store, BY_IDS, attrgetter("session_id"))
        self._by_id: dict[str, Principal] = {}
        self._by_cookie: dict[str, str] = {}  # session IDs by cookie values, and the reverse
        self._cookie_of: dict[str, str] = {}
        self._by_secret: dict[str, str] = {}  # like the two above, by hashes of API keys
        self._secret_of: dict[str, str] = {}
        self._of_user: dict[int, str | set[str]] = {}  # one session, or several
        self._generation = 0
        self._version: object | None = None
        self._asked = metrics.cache("principals", "miss")
        self._remembered = metrics.cache("principals", "hit")
        store.on_announcement(self.forget)

    async def by_session(self, session_id: str) -> Principal | None:
        """Returns the principal of a session ID, active or not; None if there is no such session."""
        if self._is_current():
            found = self._by_id.get(session_id)
            if found is not None:
                self._remembered.inc()
                return found
        return await self._asked_for(self._by_ids.look_up(session_id))

    async def fresh_by_session(self, session_id: str) -> Principal | None:
        """Returns the principal like :meth:`by_session`, from the database."""
        return await self._asked_for(self._by_ids.look_up(session_id))

    async def by_external_token(self, external: ExternalCaller) -> Principal | None:
        """Returns the principal of another system's token; None if provider, identity or claims have changed since its
        verification."""
        if self._is_current():
            found = self._by_id.get(external.key)
            if found is not None and found.ends_at >= external.until:  # from this verification, or a later one
                self._remembered.inc()
                return _with_same_claims(found, external)
        return _with_same_claims(await self._ask(BY_EXTERNAL_TOKEN, **external._asdict()), external)

    async def by_secret(self, kind: SecretKind, secret: str) -> Principal | None:
        """Returns the principal of an API key or a client secret, active or not; None if there is no such secret."""
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
        """Returns the principal of a service account's verified token, revoked or not; None if there is no such
        account."""
        if self._is_current():
            found = self._by_id.get(token.key)
            if found is not None:
                self._remembered.inc()
                return found
        return await self._ask(BY_SERVICE_TOKEN, **token._asdict())

    async def by_cookie(self, value: str) -> Principal | None:
        """Returns the principal like :meth:`by_session`, by the value of a session cookie."""
        if self._is_current():
            found = self._by_id.get(self._by_cookie.get(value, ""))
            if found is not None:
                self._remembered.inc()
                return found
        return await self.fresh_by_cookie(value)

    async def fresh_by_cookie(self, value: str) -> Principal | None:
        """Returns the principal like :meth:`by_cookie`, from the database, since another node might have renewed the
        cookie later."""
        found = await self._ask(BY_COOKIE, cookie_hash=cookie_hash(value))
        if found is not None and found.session_id in self._by_id:
            self._by_cookie[value] = found.session_id
            self._cookie_of[found.session_id] = value
        return found

    def touched(self, principal: Principal, now: int) -> None:
        """Updates the cache after this node stored a use of the cookie."""
        cached = self._by_id.get(principal.session_id)
        if cached is not None:
            self._by_id[principal.session_id] = cached._replace(cookie_seen_at=now)

    def _is_current(self) -> bool:
        """Whether the cache can be used; clears it if it is outdated."""
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
        """Returns the result of the next query, which is cached if possible."""
        self._asked.inc()
        holds, version, generation = self._is_current(), self._version, self._generation
        found = await read
        # A principal that was read during a change is not cached, because it might be outdated.
        unchanged = holds and generation == self._generation and version == self._store.version()
        if found is not None and unchanged and found.is_alive(self._clock.now_ms()):
            return self._remember(found)
        return found

    def _remember(self, found: Principal) -> Principal:
        principal = Principal._make(found[:_OWN] + _kept_once(found[_OWN:]))
        session_id, user_id = principal.session_id, principal.user_id
        # many at a time, because finding the oldest takes longer with each deletion
        while len(self._by_id) >= MOST:
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
    """Returns the principal, unless the claims have changed. A token can be used with and without a named client; the
    cache serves both."""
    return found if found is not None and external.claims in (None, found.claims) else None
