"""Throttle: counts attempts in the database before a password hash is computed, by account, address and network."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, get_args

from sqlalchemy import BigInteger, ColumnElement, bindparam, case, delete, func, literal, select, update

from manifest_auth.context import VIA
from manifest_auth.errors import Overloaded, RateLimited
from manifest_auth.runtime.hashing import Hasher, HashProof
from manifest_auth.runtime.metrics import EntryPoint, Limit, Metrics
from manifest_auth.runtime.settings import Settings, plain_address
from manifest_auth.runtime.tracing import spanned
from manifest_auth.store import (
    Global,
    Listing,
    Store,
    SystemUnit,
    TenantUnit,
    among,
    cell,
    global_,
    row_list,
    rows,
    tenant_condition,
    tenant_scoped,
    texts,
    upsert,
)
from manifest_auth.store.tables import known_origins, throttles
from manifest_auth.text.models import Time, Wire

#: IPv6 is counted by each of these prefixes. A subscriber has at least a /64, a private customer usually a /56 and a
#: company a /48 (RIPE-690), so counting only the narrowest would give a company 65,536 budgets.
PREFIXES = (64, 56, 48)


#: The step for all addresses that one service account forwards in an hour, see :func:`widened`.
_FORWARDER = 4


def networks_of(source: str) -> tuple[str, ...]:
    """Returns the networks by which an address is counted, narrowest first: IPv4 as is, IPv6 by the networks around it.
    Text that is not an address is counted unchanged. ``source`` is that of a request; an address that a service account
    forwarded is counted separately, so a stolen key blocks no address for others."""
    address, via, by = source.partition(VIA)
    apart = via + by.partition("/")[0]
    plain = plain_address(address)
    if plain is None or ":" not in plain:
        return ((plain or address) + apart,)
    return tuple(f"{ipaddress.ip_network((plain, prefix), strict=False)}{apart}" for prefix in PREFIXES)


def steps_of(source: str) -> list[tuple[int, str]]:
    """Returns the networks of an address, each with its step for :func:`widened`; then all addresses forwarded with
    it."""
    _, via, by = source.partition(VIA)
    return [*enumerate(networks_of(source)), *([(_FORWARDER, by)] if via else [])]


def network_of(address: str) -> str:
    """Returns the narrowest network of an address, which belongs to one subscriber."""
    return networks_of(address)[0]


def widened(free: int, step: int) -> int:
    """Returns the budget of a network that is ``step`` levels wider than the narrowest: 50 % more for each level. More
    users can share it, but far fewer than its number of addresses suggests. A service account that forwards addresses
    has 20 times as much."""
    return free * 20 if step == _FORWARDER else free * (2 + step) // 2


def is_ip_address(address: str) -> bool:
    """Whether the text is an IP address, and so identifies a caller's network."""
    return plain_address(address.partition(VIA)[0]) is not None


# Attempts are counted before they are checked, so parallel guesses cannot outrun the count. Up to three counters apply,
# each with free attempts and then growing pauses that decay. None locks permanently:
#
# - the address, for all accounts: IPv6 by the networks around it, /64, /56 and /48, each with a counter;
# - the account, for all anonymous callers together;
# - the account from one origin: an address, or a device that signed in to it before.
#
# The account's counter does not apply to an origin that signed in before, and the address's counter not to such a
# device, so the owner of an account under attack can sign in while anonymous callers wait, even behind the same
# address. Keys are hashes of the input, so missing accounts are counted exactly like existing ones.

DAY_MS = 86_400_000
KEPT_MS = 2 * DAY_MS  # after the last change: longer than any counter's memory
HARD_CEILING = 100  # NIST SP 800-63B-4, 3.2.2: at most this many consecutive failures without a long pause


class Policy(NamedTuple):
    """Limits of a counter: ``free`` attempts, then pauses of 1, 2, 4 … seconds up to ``longest``, or ``pauses_ms``,
    with the last one repeated. Resets after ``memory`` without an attempt."""

    free: int
    longest_ms: int
    memory_ms: int
    ceiling: int | None = HARD_CEILING
    pauses_ms: tuple[int, ...] = ()

    def pause_ms(self, failures: int) -> int:
        """Returns the pause after the last of ``failures`` attempts."""
        if failures < self.free:
            return 0
        if self.ceiling is not None and failures >= self.ceiling:
            return DAY_MS
        if self.pauses_ms:
            return self.pauses_ms[min(failures - self.free, len(self.pauses_ms) - 1)]
        return min(self.longest_ms, 1000 << min(failures - self.free, 20))


ORIGIN = Policy(free=5, longest_ms=15 * 60_000, memory_ms=DAY_MS)
ACCOUNT = Policy(free=10, longest_ms=15 * 60_000, memory_ms=DAY_MS)
# No ceiling, since many users can share an address, and one must not block the others.
ADDRESS = Policy(free=50, longest_ms=60_000, memory_ms=60 * 60_000, ceiling=None)


class Counter(NamedTuple):
    key: str
    policy: Policy


class Counters(NamedTuple):
    """The counters of one attempt. ``address``: one for each network, empty for a device that signed in before;
    ``account``: None for an origin that signed in before."""

    address: tuple[Counter, ...]
    origin: Counter
    account: Counter | None

    def all(self) -> list[Counter]:
        """All counters, in the order of :func:`in_order`."""
        return in_order((*self.address, self.origin, *([self.account] if self.account else [])))


class Pause(NamedTuple):
    """The time during which a counter blocks an attempt, in milliseconds."""

    ms: int
    by: Counter


class Wait(NamedTuple):
    """The time that an attempt must wait, in milliseconds, and the counter that causes it: the longest."""

    ms: int
    limit: Limit


class Throttle:
    """The state of rate limits, on or off, and the refusals of blocked attempts."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.is_on = settings.rate_limits == "on"
        self._metrics = metrics

    def count(self, unit: SystemUnit, counters: Counters, now: int) -> Wait | None:
        """Counts an attempt like :func:`count`; None if rate limits are off."""
        return count(unit, counters, now) if self.is_on else None

    def refusal(self, entry: EntryPoint, wait: Wait) -> RateLimited:
        """Returns the refusal of an attempt at ``entry`` that must wait; it is counted in the metrics."""
        self._metrics.throttled(entry, wait.limit)
        return RateLimited(retry_after=-(-wait.ms // 1000))


class _Row(NamedTuple):
    key: str
    failures: int
    allowed_at: int
    updated_at: int


_T = throttles.c
_GIVEN = row_list("counters")
_KEY = cell(_GIVEN, 0, _T.key)
_THESE = _T.key.in_(select(_KEY))
_COLUMNS = [_T[name] for name in _Row._fields]
_LOOK = global_(select(*_COLUMNS).where(_THESE), _Row)
_HOLD = global_(select(_T.key).where(_THESE).order_by(_T.key).with_for_update(), str)
# Counters are updated one after another in the order of their keys, so that two transactions never deadlock. A missing
# row cannot be locked: it is created, and a parallel attempt waits for that. ``allowed_at`` of a new row is its memory,
# negative.
_NOW = bindparam("now", type_=_T.updated_at.type)
_NEW = upsert(throttles).from_select(
    list(_Row._fields), select(_KEY.label("key"), literal(1), cell(_GIVEN, 1, _T.allowed_at), _NOW).order_by("key")
)
_IS_FORGOTTEN = _T.updated_at < _NOW + _NEW.excluded.allowed_at
_COUNT = global_(
    _NEW.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "failures": case((_IS_FORGOTTEN, 1), else_=_T.failures + 1),
            "allowed_at": case((_IS_FORGOTTEN, 0), else_=_T.allowed_at),
            "updated_at": _NOW,
        },
    ).returning(*_COLUMNS),
    _Row,
)
_PAUSE = global_(update(throttles).where(_T.key == bindparam("of_key")).values(allowed_at=bindparam("until")))
CLEAR = global_(delete(throttles).where(_T.key == bindparam("of_key")))
_COUNTED = update(throttles).where(_T.key == bindparam("of_key"), _T.failures > 0)
_UNDO = global_(_COUNTED.values(failures=_T.failures - 1, allowed_at=0))
_FORGIVE = global_(_COUNTED.values(failures=_T.failures - 1))


def key_of(*parts: object) -> str:
    """Returns the key of a counter: a hash of what it counts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def by_address(policy: Policy, key_of: Callable[[str], str], address: str) -> tuple[Counter, ...]:
    """Returns the counters of an address, one for each of its networks. ``key_of`` creates the keys. A wider network
    has more free attempts and shorter pauses, since more innocent users share it."""
    return tuple(
        Counter(key_of(network), policy._replace(free=widened(policy.free, step), longest_ms=policy.longest_ms >> step))
        for step, network in steps_of(address)
    )


def in_order(counters: Iterable[Counter]) -> list[Counter]:
    """Returns the counters in one global order, so that two transactions never deadlock."""
    return sorted(counters, key=lambda c: c.key)


def is_among(address: str, addresses: Iterable[str]) -> bool:
    """Whether the address belongs to the network of one of those addresses."""
    return is_ip_address(address) and network_of(address) in map(network_of, addresses)


def device_origin(device: str) -> str:
    return key_of("device", device)


def address_origin(address: str) -> str:
    return key_of("address", network_of(address))


def counters(entry_point: EntryPoint, account: str, address: str, known: str | None) -> Counters:
    """Returns the counters of an attempt. ``account``: the input in canonical form; ``known``: an origin that signed in
    before."""
    here = address_origin(address)
    source = known or here
    return Counters(
        address_counters(entry_point, address) if source == here else (),
        Counter(key_of(entry_point, "pair", account, source), ORIGIN),
        None if known else Counter(key_of(entry_point, "account", account), ACCOUNT),
    )


def address_counters(entry_point: EntryPoint, address: str) -> tuple[Counter, ...]:
    """Returns the counters of an address at an entry point, for all accounts."""
    return by_address(ADDRESS, lambda network: key_of(entry_point, "from", network), address)


def count(unit: SystemUnit, counters: Counters, now: int) -> Wait | None:
    """Counts an attempt as failed, until :func:`succeeded`.

    Returns None, or how long to wait, in which case nothing was counted.
    """
    blocked = count_each(unit, counters.all(), now)
    if blocked is None:
        unit.expect(_HOLD, *((counter.key,) for counter in counters.all()), counters=_keys(counters.all()))
        return None
    limit: Limit = "origin"
    if blocked.by == counters.account:
        limit = "account"
    elif blocked.by in counters.address:
        limit = "address"
    return Wait(blocked.ms, limit)


@spanned("throttle")
def count_each(unit: SystemUnit | TenantUnit, counters: Iterable[Counter], now: int) -> Pause | None:
    """Counts an attempt like :func:`count`, with each of these counters."""
    counters = in_order(counters)
    if pause := _longest(_rows(unit, _LOOK, _keys(counters)), counters, now):
        return pause
    given = rows((counter.key, -max(counter.policy.memory_ms, 0)) for counter in counters)
    counted = _rows(unit, _COUNT, given, now)
    if pause := _longest(counted, counters, now):  # a parallel attempt started it in the meantime
        decrement(unit, counters)
        return pause
    for counter in counters:
        if pause_ms := counter.policy.pause_ms(counted[counter.key].failures):
            unit.change(_PAUSE, of_key=counter.key, until=now + pause_ms)
    return None


def blocked(unit: SystemUnit | TenantUnit, counter: Counter, now: int) -> Pause | None:
    """Returns the pause if the counter blocks attempts at ``now`` (milliseconds), or None; counts nothing."""
    return _longest(_rows(unit, _LOOK, _keys([counter])), [counter], now)


def _keys(counters: Iterable[Counter]) -> str:
    return rows((counter.key,) for counter in counters)


def _rows(unit: SystemUnit | TenantUnit, statement: Global[_Row], given: str, now: int = 0) -> dict[str, _Row]:
    return {row.key: row for row in unit.all(statement, counters=given, now=now)}


def _longest(found: Mapping[str, _Row], counters: Iterable[Counter], now: int) -> Pause | None:
    pairs = ((row, counter) for counter in counters if (row := found.get(counter.key)))
    pauses = (Pause(row.allowed_at - now, by) for row, by in pairs if row.updated_at >= now - by.policy.memory_ms)
    return max((pause for pause in pauses if pause.ms > 0), key=lambda pause: pause.ms, default=None)


def tally(unit: SystemUnit | TenantUnit, key: str, now: int, memory_ms: int = KEPT_MS) -> int:
    """Increments a counter, without a pause. Returns the new number."""
    return _rows(unit, _COUNT, rows([(key, -memory_ms)]), now)[key].failures


def decrement(unit: SystemUnit | TenantUnit, counters: Iterable[Counter]) -> None:
    """Subtracts one attempt from each counter."""
    for counter in in_order(counters):
        unit.change(_FORGIVE, of_key=counter.key)


def undo(unit: SystemUnit | TenantUnit, counters: Iterable[Counter]) -> None:
    """Subtracts one attempt and removes the pause that it started; no other attempt passed in the meantime."""
    for counter in in_order(counters):
        unit.change(_UNDO, of_key=counter.key)


def span_key(*parts: object, now: int, span_s: int) -> str:
    """Returns the key of a counter that restarts with each span of time."""
    return key_of(*parts, "span", now // (span_s * 1000))


def succeeded(unit: SystemUnit, counters: Counters) -> None:
    """Resets the counters after a successful attempt; the address's counters lose only this attempt."""
    held = set(unit.all(_HOLD, counters=_keys(counters.all())))
    for counter in counters.all():
        if counter.key in held:  # a missing one can belong to another attempt by now
            unit.change_later(_FORGIVE if counter in counters.address else CLEAR, of_key=counter.key)


async def prove(
    hasher: Hasher, store: Store, counters: Counters, stored: str | None, password: str, decoy: str | None = None
) -> HashProof:
    """Verifies the password of a counted attempt. If the hasher's queue is full, the attempt is not counted. ``decoy``:
    see :meth:`.hasher.Hasher.verify`.

    Raises Overloaded.
    """
    try:
        return await hasher.verify(stored, password, decoy)
    except Overloaded:
        await store.write(lambda unit: decrement(unit, counters.all()))
        raise


ADMIN_ENTRY_POINT: EntryPoint = "admin"
_ACCOUNT_ENTRY_POINTS: tuple[EntryPoint, ...] = ("client", "forgot")
_O = known_origins.c


class ThrottleData(Wire, frozen=True):
    """A rate limit that currently blocks attempts. ``id`` is a hash, because account and address aren't stored."""

    id: str
    failures: int
    allowed_at: Time
    updated_at: Time


#: The counters that block attempts at ``now``.
LISTING = Listing(
    select(*_COLUMNS).where(_T.allowed_at > bindparam("now", type_=BigInteger())),
    ThrottleData,
    key=_T.key,
    sorts={"ID": _T.key, "ALLOWED": _T.allowed_at, "FAILURES": _T.failures},
    filters={},
    owned=False,
)
_CLEAR_ALL = global_(delete(throttles))
_ORIGINS = tenant_scoped(select(_O.origin).where(_O.user_id == bindparam("user_id")), str)


def clear_all(unit: SystemUnit) -> int:
    """Clears every counter. Returns how many there were."""
    return unit.change(_CLEAR_ALL)


def clear_account(unit: SystemUnit, tenant_id: int, email_key: str, origins: Iterable[str], address: str | None) -> int:
    """Clears the counters of an account of a client: for anonymous callers, for its known ``origins``, and for
    ``address`` if given. Returns how many there were."""
    names = (f"{tenant_id}:{email_key}", f"0:{email_key}")
    return sum(_clear_names(unit, entry_point, names, origins, address) for entry_point in _ACCOUNT_ENTRY_POINTS)


def clear_admin(unit: SystemUnit, username: str, addresses: Iterable[str], address: str | None) -> int:
    """Clears the counters like :func:`clear_account`, for a system admin who signed in from ``addresses`` before."""
    origins = {address_origin(known) for known in addresses}
    return _clear_names(unit, ADMIN_ENTRY_POINT, (username.casefold(),), origins, address)


def clear_address(unit: SystemUnit, address: str) -> int:
    """Clears the counters of an address and the networks around it, for all accounts. Returns how many there were."""
    entry_points: tuple[EntryPoint, ...] = get_args(EntryPoint)
    return _clear(unit, {c.key for point in entry_points for c in address_counters(point, address)})


def origins_of(unit: TenantUnit, user_id: int) -> list[str]:
    """Lists the origins from which the user signed in before."""
    return unit.all(_ORIGINS, user_id=user_id)


def _clear_names(
    unit: SystemUnit, entry_point: EntryPoint, names: Iterable[str], origins: Iterable[str], address: str | None
) -> int:
    keys = set()
    for name in names:
        account = counters(entry_point, name, "", None).account
        assert account is not None  # always set without a known origin
        keys.add(account.key)
        source = [*origins, *([address_origin(address)] if address else [])]
        keys |= {counters(entry_point, name, "", origin).origin.key for origin in source}
    return _clear(unit, keys)


def _clear(unit: SystemUnit, keys: Iterable[str]) -> int:
    return sum(unit.change(CLEAR, of_key=key) for key in sorted(keys))


# Origins: devices and networks from which a user signed in before, and can sign in while anonymous callers wait.


def _seen(origin: str) -> ColumnElement[str]:
    same = _O.user_id == bindparam("user_id"), _O.origin == bindparam(origin)
    return select(_O.origin).where(tenant_condition(known_origins), *same).correlate(None).scalar_subquery()


#: The origin from which the user signed in before, for a statement of the tenant; takes :func:`looked_for`.
KNOWN_ORIGIN = func.coalesce(_seen("device"), _seen("address"))
_KNOWN_OF_USER = tenant_scoped(select(KNOWN_ORIGIN).where(_O.user_id == bindparam("user_id")).limit(1), str)
_KNOWN_DEVICE = tenant_scoped(select(_O.origin).where(among(_O.origin, "origins")).order_by(_O.origin).limit(1), str)
_REMEMBER = tenant_scoped(
    upsert(known_origins)
    .values(user_id=bindparam("user_id"), origin=bindparam("origin"), seen_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=["tenant_id", "user_id", "origin"],
        set_={"seen_at": bindparam("now")},
        where=_O.seen_at <= bindparam("stale"),
    )
)
#: Precision of an address's last use, which decides only when the row is deleted, after more than a year.
_ADDRESS_MS = DAY_MS
_FORGET = tenant_scoped(delete(known_origins).where(_O.user_id == bindparam("user_id")))


def looked_for(user_id: int, device: str | None, address: str) -> dict[str, Any]:
    """Returns the parameters for device and address of a request, the device first. ``user_id`` is 0 for a missing
    account, which takes as long."""
    here = address_origin(address)
    return {"user_id": user_id, "device": device_origin(device) if device else here, "address": here}


def known_origin(unit: TenantUnit, user_id: int, device: str | None, address: str) -> str | None:
    """Returns the origin of a request, if the user signed in from it before."""
    return unit.first(_KNOWN_OF_USER, **looked_for(user_id, device, address))


def known_device(unit: TenantUnit, devices: Iterable[str]) -> str | None:
    """Returns the origin of one of those devices, if any user of the client signed in from it before."""
    return unit.first(_KNOWN_DEVICE, origins=texts(map(device_origin, devices)))


def remember_origins(unit: TenantUnit, user_id: int, device: str, address: str, now: int) -> None:
    """Stores that the user signed in from that device, and from that address if it is valid."""
    unit.change_later(_REMEMBER, user_id=user_id, origin=device_origin(device), now=now, stale=now)
    if is_ip_address(address):
        origin, stale = address_origin(address), now - _ADDRESS_MS
        unit.change_later(_REMEMBER, user_id=user_id, origin=origin, now=now, stale=stale)


def forget_origins(unit: TenantUnit, user_id: int) -> int:
    """Deletes the user's origins. Returns how many there were."""
    return unit.change(_FORGET, user_id=user_id)
