"""Counts attempts in the store before the hash is computed, so that parallel guesses cannot race the count.

Three counters can be asked, each with free attempts and then growing pauses that decay; none ever locks for good:

* the address, whatever accounts it tries: IPv6 by the networks around it, /64, /56 and /48, each with a counter;
* the account as strangers try it, from everywhere together;
* the account from this one origin: a stranger's address, or a device or address that signed in to it before.

An origin that signed in before is not asked for the account's counter, and a device not for the address's either, so
the owner of an account under attack gets in while strangers wait, be they behind the same address. Keys are hashes of
what was typed, so accounts that do not exist are counted exactly like those that do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, case, delete, select, update

from manifest_auth.errors import Overloaded, RateLimited
from manifest_auth.runtime.hashing import Hasher, Proof
from manifest_auth.runtime.metrics import EntryPoint, Limit, Metrics
from manifest_auth.runtime.settings import Settings
from manifest_auth.store import Store, SystemUnit, TenantUnit, global_, upsert
from manifest_auth.store.tables import throttles
from manifest_auth.throttle.networks import is_somewhere, network_of, networks_of, widened

DAY_MS = 86_400_000
KEPT_MS = 2 * DAY_MS  # without a touch: longer than any counter remembers
HARD_CEILING = 100  # NIST SP 800-63B-4, 3.2.2: no more consecutive failures than that without a long pause


class Policy(NamedTuple):
    """``free`` attempts, then pauses of 1, 2, 4 … seconds up to ``longest``; forgotten after ``memory`` of silence."""

    free: int
    longest_ms: int
    memory_ms: int
    ceiling: int | None = HARD_CEILING

    def pause_ms(self, failures: int) -> int:
        """How long after the latest of ``failures`` attempts the next one may come."""
        if failures < self.free:
            return 0
        if self.ceiling is not None and failures >= self.ceiling:
            return DAY_MS
        return min(self.longest_ms, 1000 << min(failures - self.free, 20))


ORIGIN = Policy(free=5, longest_ms=15 * 60_000, memory_ms=DAY_MS)
ACCOUNT = Policy(free=10, longest_ms=15 * 60_000, memory_ms=DAY_MS)
# No ceiling: many people may share an address, and one of them must not shut the others out.
ADDRESS = Policy(free=50, longest_ms=60_000, memory_ms=60 * 60_000, ceiling=None)


class Counter(NamedTuple):
    key: str
    policy: Policy


class Counters(NamedTuple):
    """The counters of one attempt; ``account`` is absent for an origin that signed in before, ``address``, which are
    those of the networks around it, for a device that did."""

    address: tuple[Counter, ...]
    origin: Counter
    account: Counter | None

    def all(self) -> list[Counter]:
        """In their one order, see :func:`in_order`."""
        return in_order((*self.address, self.origin, *([self.account] if self.account else [])))


class Held(NamedTuple):
    """For how long a counter holds an attempt back, in milliseconds."""

    ms: int
    by: Counter


class Wait(NamedTuple):
    """How long an attempt has to wait, and by which counter: the one that holds longest."""

    ms: int
    limit: Limit


class Throttle:
    """Whether attempts are limited in this installation, and the refusal of one that has to wait."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.is_on = settings.rate_limits == "on"
        self._metrics = metrics

    def count(self, unit: SystemUnit, counters: Counters, now: int) -> Wait | None:
        """As :func:`count`; None where attempts are not limited."""
        return count(unit, counters, now) if self.is_on else None

    def refusal(self, entry: EntryPoint, wait: Wait) -> RateLimited:
        """For an attempt at ``entry`` that has to wait; counts it."""
        self._metrics.throttled(entry, wait.limit)
        return RateLimited(retry_after=-(-wait.ms // 1000))


class _Row(NamedTuple):
    failures: int
    allowed_at: int
    updated_at: int


_T = throttles.c
_FIND = global_(
    select(_T.failures, _T.allowed_at, _T.updated_at).where(_T.key == bindparam("key")).with_for_update(), _Row
)
_LOOK = global_(select(_T.failures, _T.allowed_at, _T.updated_at).where(_T.key == bindparam("key")), _Row)
# A counter that does not exist cannot be locked: it is made first, or parallel guesses would find none and all pass.
_START = global_(
    upsert(throttles)
    .values(key=bindparam("key"), failures=0, allowed_at=0, updated_at=bindparam("now"))
    .on_conflict_do_update(index_elements=["key"], set_={"key": bindparam("key")})
    .returning(_T.failures, _T.allowed_at, _T.updated_at),
    _Row,
)
_COUNT = global_(
    upsert(throttles)
    .values(key=bindparam("key"), failures=1, allowed_at=bindparam("first_allowed"), updated_at=bindparam("now"))
    .on_conflict_do_update(
        index_elements=["key"],
        set_={
            "failures": case((_T.updated_at < bindparam("forget_before"), 1), else_=_T.failures + 1),
            "updated_at": bindparam("now"),
        },
    )
    .returning(_T.failures, _T.allowed_at, _T.updated_at),
    _Row,
)
_PAUSE = global_(update(throttles).where(_T.key == bindparam("of_key")).values(allowed_at=bindparam("until")))
_CLEAR = global_(delete(throttles).where(_T.key == bindparam("key")))
_FORGIVE = global_(
    update(throttles).where(_T.key == bindparam("of_key"), _T.failures > 0).values(failures=_T.failures - 1)
)


def key_of(*parts: object) -> str:
    """A counter's key: a hash of what it counts."""
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "surrogatepass")).hexdigest()


def by_address(policy: Policy, key_of: Callable[[str], str], address: str) -> tuple[Counter, ...]:
    """The counters of an address, one for each of its networks: ``key_of`` gives each its key. A wider one has more
    free attempts and shorter pauses, since more people who did nothing wait for it."""
    return tuple(
        Counter(
            key_of(network),
            policy._replace(free=widened(policy.free, step), longest_ms=policy.longest_ms >> step),
        )
        for step, network in enumerate(networks_of(address))
    )


def in_order(counters: Iterable[Counter]) -> list[Counter]:
    """In one order everywhere, so that two transactions never wait for each other."""
    return sorted(counters, key=lambda c: c.key)


def is_among(address: str, addresses: Iterable[str]) -> bool:
    """Whether the address counts as one of those."""
    return is_somewhere(address) and network_of(address) in map(network_of, addresses)


def device_origin(device: str) -> str:
    return key_of("device", device)


def address_origin(address: str) -> str:
    return key_of("address", network_of(address))


def counters(entry_point: EntryPoint, account: str, address: str, known: str | None) -> Counters:
    """``account``: what was typed, in canonical form; ``known``: an origin seen before."""
    here = address_origin(address)
    whence = known or here
    return Counters(
        address_counters(entry_point, address) if whence == here else (),
        Counter(key_of(entry_point, "pair", account, whence), ORIGIN),
        None if known else Counter(key_of(entry_point, "account", account), ACCOUNT),
    )


def address_counters(entry_point: EntryPoint, address: str, policy: Policy = ADDRESS) -> tuple[Counter, ...]:
    """Those of an address at an entry point, whatever accounts it tries."""
    return by_address(policy, lambda network: key_of(entry_point, "from", network), address)


def count(unit: SystemUnit, counters: Counters, now: int) -> Wait | None:
    """Counts an attempt as failed until :func:`succeeded` says otherwise.

    None, or how long to wait, in which case nothing was counted.
    """
    held = count_each(unit, counters.all(), now)
    if held is None:
        return None
    limit: Limit = "origin"
    if held.by == counters.account:
        limit = "account"
    elif held.by in counters.address:
        limit = "address"
    return Wait(held.ms, limit)


def count_each(unit: SystemUnit | TenantUnit, counters: Sequence[Counter], now: int) -> Held | None:
    """As :func:`count`; the counters are :func:`in_order`."""
    held: Held | None = None
    for counter in counters:
        row = unit.first(_FIND, key=counter.key) or unit.first(_START, key=counter.key, now=now)
        if row is not None and row.updated_at >= now - counter.policy.memory_ms:
            wait = row.allowed_at - now
            if wait > (held.ms if held is not None else 0):
                held = Held(wait, counter)
    if held is not None:
        return held
    for counter in counters:
        failures = tally(unit, counter.key, now, forget_before=now - max(counter.policy.memory_ms, 0))
        if pause := counter.policy.pause_ms(failures):
            unit.change(_PAUSE, of_key=counter.key, until=now + pause)
    return None


def held(unit: SystemUnit | TenantUnit, counter: Counter, now: int) -> Held | None:
    """Whether a counter holds attempts back now; counts nothing."""
    row = unit.first(_LOOK, key=counter.key)
    if row is None or row.updated_at < now - counter.policy.memory_ms or row.allowed_at <= now:
        return None
    return Held(row.allowed_at - now, counter)


def tally(unit: SystemUnit | TenantUnit, key: str, now: int, *, forget_before: int = 0) -> int:
    """Counts one more, and asks for no pause. How many there are now."""
    row = unit.one(_COUNT, key=key, first_allowed=0, now=now, forget_before=forget_before)
    return row.failures


def forgive(unit: SystemUnit | TenantUnit, key: str) -> None:
    """Takes one back."""
    unit.change(_FORGIVE, of_key=key)


def span_key(*parts: object, now: int, span_s: int) -> str:
    """The key of a counter that begins anew with each span of time. Swept like all others."""
    return key_of(*parts, "span", now // (span_s * 1000))


def succeeded(unit: SystemUnit, counters: Counters) -> None:
    """The attempt was right: its counters start anew; the address keeps what it owes for other accounts."""
    for counter in counters.all():
        if counter in counters.address:
            forgive(unit, counter.key)
        else:
            unit.change(_CLEAR, key=counter.key)


async def prove(
    hasher: Hasher, store: Store, counters: Counters, stored: str | None, password: str, decoy: str | None = None
) -> Proof:
    """The verdict of the hash on a counted attempt. One that found the queue full was never tried, and is no failure.
    ``decoy``: see :meth:`.hasher.Hasher.verify`.

    Raises Overloaded.
    """
    try:
        return await hasher.verify(stored, password, decoy)
    except Overloaded:
        await store.write(lambda unit: _uncount(unit, counters))
        raise


def _uncount(unit: SystemUnit, counters: Counters) -> None:
    for counter in counters.all():
        forgive(unit, counter.key)
