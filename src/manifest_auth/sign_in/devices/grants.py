"""Grants of devices that wait for a person, pairings that a person shows, their codes, and limits on guesses."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from sqlalchemy import bindparam, func, insert, or_, select, update

from manifest_auth.errors import RateLimited
from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.runtime.settings import HOUR
from manifest_auth.services import RequestContext, Services
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.store import SystemUnit, TenantUnit, tenant_scoped, upsert
from manifest_auth.store.tables import device_grants, pairings
from manifest_auth.store.tables.devices import APPROVED, DENIED, PENDING, USED
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait, networks_of

# A short code is stored as an HMAC under the form keys, with a label for each use, so that a database dump does not
# reveal it.

USER_CODE, TYPED, SCANNED = 8, 10, 26  # letters; 34.5, 43 and 130 bits


def scanned(random: Random) -> str:
    """Returns a code to scan, in base32."""
    return base64.b32encode(random.bytes(17)).decode()[:SCANNED]


def digits(random: Random) -> str:
    """Returns two digits for a device to show, all equally likely."""
    while (byte := random.bytes(1)[0]) >= 200:
        pass
    return f"{byte % 100:02}"


def hash_of(code: str) -> str:
    """Returns the stored hash of a code with at least 128 random bits, for which plain SHA-256 is enough."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()


def mark(services: Services, use: str, tenant_id: int, code: str) -> str:
    """Returns the stored form of a short code. ``use`` is its purpose."""
    return _mac(services.keys.signing(Purpose.FORMS).raw, use, tenant_id, code)


def marks(services: Services, use: str, tenant_id: int, code: str) -> list[str]:
    """Returns the possible stored forms of a short code, under all valid keys."""
    return [_mac(key.raw, use, tenant_id, code) for key in services.keys.verifying(Purpose.FORMS)]


def _mac(key: bytes, use: str, tenant_id: int, code: str) -> str:
    text = f"device\0{use}\0{tenant_id}\0{code}".encode("utf-8", "surrogatepass")
    return hmac.new(key, text, hashlib.sha256).hexdigest()


# A grant is ``pending``, then ``denied`` or ``approved``, and ``used`` once its device has a session. Each step is one
# conditional statement, so only one of several concurrent steps takes effect.

#: How long an approved grant waits at least for its device, in milliseconds.
_LEFT_MS = 60_000
_C = device_grants.c


class Grant(NamedTuple):
    """A device grant. ``key``: SHA-256 of the device code; ``user_code``: as stored, None for scanning; ``digits``:
    shown by the device, empty for a code; ``interval_s``: seconds between polls. Times are in milliseconds."""

    key: str
    user_code: str | None
    app_id: str
    device_name: str
    address: str
    user_agent: str
    digits: str
    state: str
    user_id: int | None
    role_cap: int | None
    provider_id: int | None
    session_ends_at: int | None
    session_id: str | None
    answered_at: int | None
    interval_s: int
    polled_at: int | None
    created_at: int
    expires_at: int


_ALL = select(*(_C[name] for name in Grant._fields))
_ADD = tenant_scoped(
    upsert(device_grants)
    .values({name: bindparam(name) for name in Grant._fields})
    .on_conflict_do_nothing(index_elements=["tenant_id", "user_code"])
)
_FIND = tenant_scoped(_ALL.where(_C.key == bindparam("key")), Grant)
_BY_USER_CODE = tenant_scoped(
    _ALL.where(_C.user_code == bindparam("user_code"), _C.state == PENDING, _C.expires_at > bindparam("now")), Grant
)
_OF_APP = (_C.app_id == bindparam("of_app"), _C.expires_at > bindparam("now"), _C.state == PENDING)
_OPEN = tenant_scoped(select(func.count()).select_from(device_grants).where(*_OF_APP), int)
_WAITING = tenant_scoped(select(_C.key, _C.address).where(*_OF_APP).order_by(_C.created_at, _C.key))
_THIS = update(device_grants).where(_C.key == bindparam("of_key"))
_LIVING = _THIS.where(_C.expires_at > bindparam("now"))
_APPROVE = tenant_scoped(
    _LIVING.where(_C.state == PENDING).values(
        state=APPROVED,
        user_code=None,
        user_id=bindparam("by"),
        role_cap=bindparam("cap"),
        provider_id=bindparam("provider"),
        approved_at=bindparam("now"),
        session_ends_at=bindparam("ends_at"),
        expires_at=bindparam("until"),
    )
)
_END = tenant_scoped(_LIVING.where(_C.state == PENDING).values(expires_at=bindparam("now")))
_DENY = tenant_scoped(
    _LIVING.where(or_(_C.state == PENDING, _C.state == APPROVED)).values(state=DENIED, user_code=None)
)
_USE = tenant_scoped(_LIVING.where(_C.state == APPROVED).values(state=USED, answered_at=bindparam("now")))
_POLLED = tenant_scoped(
    _THIS.values(polled_at=bindparam("now"), interval_s=bindparam("interval"), expires_at=bindparam("until"))
)
_SESSION = tenant_scoped(_THIS.values(session_id=bindparam("sid")))


def add(unit: TenantUnit, grant: Grant) -> bool:
    """Adds a grant. False if its user code is taken."""
    return unit.change(_ADD, **grant._asdict()) == 1


def find(unit: TenantUnit, key: str) -> Grant | None:
    return unit.first(_FIND, key=key)


def find_by_user_code(unit: TenantUnit, marks: list[str], now: int) -> Grant | None:
    """Returns the pending grant of a user code. ``marks``: the forms in which the code can be stored."""
    found = (unit.first(_BY_USER_CODE, user_code=mark, now=now) for mark in marks)
    return next((grant for grant in found if grant is not None), None)


def polled(unit: TenantUnit, key: str, interval_s: int, until: int, now: int) -> None:
    """Stores the time of a poll, the next interval, and the end of the grant."""
    unit.change(_POLLED, of_key=key, interval=interval_s, until=until, now=now)


def approve(
    unit: TenantUnit, grant: Grant, by: int, now: int, *, cap: int, ends_at: int, provider_id: int | None
) -> bool:
    """Approves a pending grant, and extends it to at least one more minute. ``by``: the user who approves the device;
    ``cap``: bit mask of the roles that the device gets; ``ends_at``: the end of its session, in milliseconds;
    ``provider_id``: the provider that opened the user's session. Returns False if the grant is no longer pending."""
    until = max(grant.expires_at, now + _LEFT_MS)
    values = {"by": by, "cap": cap, "provider": provider_id, "ends_at": ends_at, "until": until}
    return unit.change(_APPROVE, of_key=grant.key, **values, now=now) == 1


def deny(unit: TenantUnit, key: str, now: int) -> bool:
    """Denies a grant permanently. Returns False if it was used, denied or expired."""
    return unit.change(_DENY, of_key=key, now=now) == 1


def use(unit: TenantUnit, key: str, now: int) -> bool:
    """Uses an approved grant. Only one of several concurrent polls gets True; the others wait for its commit."""
    return unit.change(_USE, of_key=key, now=now) == 1


def opened(unit: TenantUnit, key: str, session_id: str) -> None:
    unit.change(_SESSION, of_key=key, sid=session_id)


# A pairing lives ten minutes, its code one minute. The state of the grant shows what happens to the device.

LIFE_MS, CODE_MS = 10 * 60_000, 60_000
_P = pairings.c


class Pairing(NamedTuple):
    """A pairing. ``session_id``: the session of the person who started it; ``code``, ``typed``: as stored;
    ``grant_key``: the device that claimed it. Times are in milliseconds."""

    id: str
    user_id: int
    session_id: str
    code: str
    typed: str
    grant_key: str | None
    created_at: int
    code_ends_at: int
    expires_at: int


_ALL_OF_PAIRING = select(*(_P[name] for name in Pairing._fields))
_ADD_PAIRING = tenant_scoped(insert(pairings).values({name: bindparam(name) for name in Pairing._fields}))
_OWN = tenant_scoped(_ALL_OF_PAIRING.where(_P.id == bindparam("id"), _P.session_id == bindparam("of_session")), Pairing)
_ALIVE = _P.expires_at > bindparam("now")
_OPEN_PAIRINGS = tenant_scoped(
    _ALL_OF_PAIRING.where(_P.user_id == bindparam("of_user"), _ALIVE).order_by(_P.created_at, _P.id), Pairing
)
_FREE = (_P.grant_key.is_(None), _P.code_ends_at > bindparam("now"), _ALIVE)
_BY_CODE = tenant_scoped(_ALL_OF_PAIRING.where(_P.code == bindparam("code"), *_FREE), Pairing)
_BY_TYPED = tenant_scoped(_ALL_OF_PAIRING.where(_P.typed == bindparam("typed"), *_FREE), Pairing)
_CHANGE = update(pairings).where(_P.id == bindparam("of_id"), _ALIVE)
_CLAIM = tenant_scoped(_CHANGE.where(*_FREE).values(grant_key=bindparam("of_grant")))
_RENEW = tenant_scoped(
    _CHANGE.where(_P.grant_key.is_(None)).values(
        code=bindparam("new_code"), typed=bindparam("new_typed"), code_ends_at=bindparam("until")
    )
)
_CLOSE = tenant_scoped(_CHANGE.values(expires_at=bindparam("now")))


def add_pairing(unit: TenantUnit, pairing: Pairing) -> None:
    unit.change(_ADD_PAIRING, **pairing._asdict())


def find_own_pairing(unit: TenantUnit, pairing_id: str, session_id: str) -> Pairing | None:
    """Returns the pairing that a session started, even if it has ended."""
    return unit.first(_OWN, id=pairing_id, of_session=session_id)


def list_open_pairings(unit: TenantUnit, user_id: int, now: int) -> list[Pairing]:
    """Lists a user's open pairings, oldest first."""
    return unit.all(_OPEN_PAIRINGS, of_user=user_id, now=now)


def claim_pairing(unit: TenantUnit, code: str, marks: list[str], grant_key: str, now: int) -> Pairing | None:
    """Claims a pairing for a grant by its code. ``code``: hash of the scanned code; ``marks``: the forms in which the
    typed code can be stored. Of several concurrent calls only one gets the pairing; the others get None, as for an
    unknown code."""
    typed = (unit.first(_BY_TYPED, typed=mark, now=now) for mark in marks)
    pairing = unit.first(_BY_CODE, code=code, now=now) or next((one for one in typed if one is not None), None)
    if pairing is None or unit.change(_CLAIM, of_id=pairing.id, of_grant=grant_key, now=now) != 1:
        return None
    return pairing


def renew_pairing(unit: TenantUnit, pairing: Pairing, code: str, typed: str, until: int, now: int) -> bool:
    """Replaces the code of a pairing. Returns False if a device has claimed it, or it has ended."""
    return unit.change(_RENEW, of_id=pairing.id, new_code=code, new_typed=typed, until=until, now=now) == 1


def close_pairing(unit: TenantUnit, pairing_id: str, now: int) -> bool:
    """Ends a pairing. Returns False if it had already ended."""
    return unit.change(_CLOSE, of_id=pairing_id, now=now) == 1


ENTRY_POINT: Final[EntryPoint] = "device"
PAUSE_MS: Final = 10 * 60_000
#: Limits: open requests of one app, and devices and pairings of one person.
OPEN_OF_APP, DEVICES, PAIRINGS = 200, 10, 3  # approval.py spells out the ten


class _Fixed(Policy):
    """A fixed number of attempts, then one pause."""

    def pause_ms(self, failures: int) -> int:
        return 0 if failures < self.free else self.longest_ms


_ASKED = _Fixed(free=30, longest_ms=PAUSE_MS, memory_ms=PAUSE_MS, ceiling=None)
_CLAIMED = _Fixed(free=10, longest_ms=PAUSE_MS, memory_ms=PAUSE_MS, ceiling=None)
_OF_USER = _Fixed(free=5, longest_ms=PAUSE_MS, memory_ms=HOUR * 1000, ceiling=None)
_IN_CLIENT = _Fixed(free=50, longest_ms=PAUSE_MS, memory_ms=HOUR * 1000, ceiling=None)


class TooMany(RateLimited):
    """The RFC 8628 error that tells a device to poll later."""

    error = "slow_down"


def count_asked(address: str) -> tuple[Counter, ...]:
    """Returns the counters of new requests from an address."""
    return throttle.by_address(_ASKED, lambda network: throttle.key_of(ENTRY_POINT, "asked", network), address)


def count_claimed(address: str) -> tuple[Counter, ...]:
    """Returns the counters of wrong pairing codes from an address."""
    return throttle.by_address(_CLAIMED, lambda network: throttle.key_of(ENTRY_POINT, "claimed", network), address)


def count_typed(tenant_id: int, user_id: int) -> tuple[Counter, ...]:
    """Returns the counters of wrong user codes. One counts the user across all sessions, so that nobody can use up the
    client's limit alone; the other counts the client."""
    return (
        Counter(throttle.key_of(ENTRY_POINT, "typed", tenant_id, user_id), _OF_USER),
        Counter(throttle.key_of(ENTRY_POINT, "typed in", tenant_id), _IN_CLIENT),
    )


def make_place(unit: TenantUnit, app_id: str, now: int) -> None:
    """Frees a place if the app has reached its limit of waiting devices. The first device of the network with the most
    waiting devices is removed, so that strangers cannot block others by filling all places."""
    if unit.one(_OPEN, of_app=app_id, now=now) < OPEN_OF_APP:
        return
    by_network: dict[str, list[str]] = {}
    for key, address in unit.all(_WAITING, of_app=app_id, now=now):  # longest waiting first
        by_network.setdefault(networks_of(address)[-1], []).append(key)
    unit.change(_END, of_key=max(by_network.values(), key=len)[0], now=now)


async def count(ctx: RequestContext, counters: Sequence[Counter]) -> None:
    """Counts an attempt before it is checked. Raises TooMany, in which case nothing was counted."""
    if not ctx.services.throttle.is_on:
        return
    pause = await ctx.services.store.write_quickly(lambda unit: throttle.count_each(unit, counters, ctx.now))
    if pause is not None:
        raise refusal(ctx, pause.ms)


def refusal(ctx: RequestContext, wait_ms: int) -> TooMany:
    """Returns the error for a caller who must wait this many milliseconds."""
    usual = ctx.services.throttle.refusal(ENTRY_POINT, Wait(wait_ms, "address"))
    return TooMany(usual.message, retry_after=usual.retry_after, reason=usual.reason)


def was_right(unit: SystemUnit, ctx: RequestContext, counters: Iterable[Counter]) -> None:
    """Reverses the count of a correct attempt, and the waiting time that it started."""
    if ctx.services.throttle.is_on:
        throttle.undo(unit, counters)
