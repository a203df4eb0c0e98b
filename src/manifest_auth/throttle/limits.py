"""Limits on what callers without an account can write, and on wrong secrets and assertions of machines."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from typing import Any, Final

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.errors import RateLimited
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.metrics import EntryPoint, Limit
from manifest_auth.runtime.settings import HOUR
from manifest_auth.store import Store, TenantUnit
from manifest_auth.text.machine_secrets import hash_of
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Throttle, Wait, steps_of, widened

# Two things are limited: audit events that anonymous callers cause, and sign-ins at providers that they start and don't
# finish (docs/decisions/0030-anonymous-limits.md).
#
# The throttle's counters count both within time spans. Excess events of a class are counted, but not written, which
# blocks no caller. Excess starts must wait, as with passwords, except from a device that signed in before.


class EventClass(enum.Enum):
    """The requirement for a caller to cause an event. Each class has its own budgets, so that events that are easy to
    cause do not hide others."""

    ANYONE = "anyone"  # nothing: invalid input, invented names
    WAITING = "waiting"  # nothing: attempts that must wait
    ACCOUNT = "account"  # the address of an account, or a link to it
    PROVED = "proved"  # something issued by a provider or this server, or the correct password


_PROVED = {Event.SIGN_IN_REFUSED, Event.ASSERTION_REPLAYED, Event.SIGN_IN_CODE_REUSED}
EVENTS_S = HOUR
EVENTS_FROM_ADDRESS = 200
EVENTS_IN_CLIENT = 5000  # of events within the budget of their address
#: The maximum duration of a sign-in at a provider, in seconds: RFC 9700 and ASVS V10 recommend at most ten minutes.
FLOW_LIFE_S = 600
#: Unfinished flows. They are counted for their whole lifetime, so at most twice this number exist, and one for each
#: pause.
STARTED_FLOWS = Policy(free=500, longest_ms=5_000, memory_ms=FLOW_LIFE_S * 1000, ceiling=None)
ENTRY_POINT: EntryPoint = "sso"


class AnonymousLimits:
    """Application of the limits; none if rate limits are off."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def record(
        self, unit: TenantUnit, request: Request, event: Event, subject: str, *, proved: bool = False, **detail: Any
    ) -> None:
        """Records an event that any caller can cause, within the budget of its class. The 1st, 2nd, 4th, 8th … excess
        event is recorded as the number so far in this span. ``proved``: the caller is known, whatever the event is."""
        if self._throttle.is_on:
            what = _class_of(event, subject, proved)
            for of, key, free in _budgets(unit, request, what, subject):
                over = throttle.tally(unit, key, request.now) - free
                if over > 0:
                    if not over & (over - 1):
                        left_out: dict[str, Any] = {"of": of, "class": what.value, "events": over, "last": event.value}
                        audit.record(unit, request, Event.EVENTS_LEFT_OUT, "", **left_out)
                    return
        audit.record(unit, request, event, subject, **detail)

    def count_start(self, unit: TenantUnit, request: Request, devices: tuple[str, ...]) -> Wait | None:
        """Counts the start of a sign-in, until :meth:`finished`. Returns None, or how long to wait, in which case
        nothing was counted. ``devices`` are markers; a known one has its own counter while its address must wait."""
        if not self._throttle.is_on:
            return None
        limit: Limit = "address"
        blocked = throttle.count_each(unit, flow_counters(unit.tenant_id, request.source, request.now), request.now)
        if blocked is not None and devices and (known := throttle.known_device(unit, devices)):
            limit = "origin"
            own = Counter(_key(unit.tenant_id, known, request.now), STARTED_FLOWS)
            blocked = throttle.count_each(unit, [own], request.now)
        return None if blocked is None else Wait(blocked.ms, limit)

    def finished(self, unit: TenantUnit, request: Request) -> None:
        """Reverses the count after a provider identified the person. Runs before any other write."""
        if self._throttle.is_on:
            throttle.decrement(unit, flow_counters(unit.tenant_id, request.source, request.now))


def _class_of(event: Event, subject: str, proved: bool) -> EventClass:
    if proved or event in _PROVED:
        return EventClass.PROVED
    if event is Event.THROTTLED:
        return EventClass.WAITING
    return EventClass.ACCOUNT if subject else EventClass.ANYONE


def _budgets(unit: TenantUnit, request: Request, what: EventClass, subject: str) -> Iterator[tuple[str, str, int]]:
    """Returns the budgets of an event: label, counter key, and size. The narrowest comes first: events above it do not
    use up the wider ones. Events that need a proof are counted for each account, so that no account hides another."""
    account = subject if what is EventClass.PROVED else ""

    def key(network: str) -> str:
        parts = ("events", unit.tenant_id, what.value, account, network)
        return throttle.span_key(*parts, now=request.now, span_s=EVENTS_S)

    for step, network in steps_of(request.source):
        yield "address", key(network), widened(EVENTS_FROM_ADDRESS, step)
    yield ("account" if account else "client"), key(""), EVENTS_IN_CLIENT


def flow_counters(tenant_id: int, address: str, now: int) -> tuple[Counter, ...]:
    """Returns the counters of started flows of an address in a client."""
    return throttle.by_address(STARTED_FLOWS, lambda network: _key(tenant_id, network, now), address)


def _key(tenant_id: int, source: str, now: int) -> str:
    return throttle.span_key(ENTRY_POINT, tenant_id, source, now=now, span_s=FLOW_LIFE_S)


# Nobody guesses the secret of a machine, which has 256 random bits. The pauses limit the work that junk causes. While
# an address waits, this process rejects its requests without a query, except for secrets that it knows to be correct.

MACHINE_ENTRY_POINT: Final[EntryPoint] = "machine"
POLICY: Final = Policy(free=30, longest_ms=60_000, memory_ms=60 * 60_000, ceiling=None)
_MOST = 10_000  # remembered counters, secrets, and callers
PER_S, BURST = 50, 200


class WrongSecrets:
    """The counters of wrong secrets, and the secrets that this process knows to be correct."""

    def __init__(self, throttle: Throttle, store: Store, clock: Clock) -> None:
        self._throttle, self._store, self._clock = throttle, store, clock
        self._until: dict[str, int] = {}  # when a counter allows the next attempt, in milliseconds
        self._right: dict[str, None] = {}  # hashes of correct secrets, newest last

    def check(self, address: str, secret: str, client_id: str = "") -> None:
        """Raises RateLimited while address or client ID must wait, as far as this process knows, unless the secret was
        correct before. Never runs a query. ``secret`` is empty for an assertion."""
        if not self._until or not self._throttle.is_on:
            return
        now = self._clock.now_ms()
        wait = max((self._until.get(counter.key, 0) - now for counter in _counters(address, client_id)), default=0)
        if wait > 0 and (not secret or hash_of(secret) not in self._right):
            raise self._throttle.refusal(MACHINE_ENTRY_POINT, Wait(wait, "address"))

    def was_right(self, secret: str) -> None:
        """Remembers that the secret was correct."""
        hashed = hash_of(secret)
        if hashed not in self._right:
            _make_place(self._right)
            self._right[hashed] = None

    async def count(self, address: str, client_id: str = "") -> None:
        """Counts a wrong secret. Raises RateLimited if address or client ID must wait."""
        if not self._throttle.is_on:
            return
        counters, now = _counters(address, client_id), self._clock.now_ms()
        pause = await self._store.write(lambda unit: throttle.count_each(unit, counters, now))
        if pause is not None:
            _make_place(self._until)
            self._until[pause.by.key] = now + pause.ms
            raise self._throttle.refusal(MACHINE_ENTRY_POINT, Wait(pause.ms, "address"))


def _counters(address: str, client_id: str) -> tuple[Counter, ...]:
    found = throttle.by_address(POLICY, lambda network: throttle.key_of(MACHINE_ENTRY_POINT, "from", network), address)
    return (*found, Counter(throttle.key_of(MACHINE_ENTRY_POINT, "account", client_id), POLICY)) if client_id else found


class Bursts:
    """Requests of machine callers, counted by this process: :data:`PER_S` a second, and :data:`BURST` at once."""

    def __init__(self, throttle: Throttle, clock: Clock) -> None:
        self._throttle, self._clock = throttle, clock
        #: How many requests a caller has left, and when that was so, in milliseconds.
        self._left: dict[tuple[int, ...], tuple[float, int]] = {}

    def take(self, *caller: int, number: int = 1) -> None:
        """Counts requests. Raises RateLimited, and counts none, if the caller must wait."""
        now = self._clock.now_ms()
        left, at = self._left.pop(caller, (BURST, now))
        left = min(BURST, left + max(0, now - at) * PER_S / 1000)
        if left < number and self._throttle.is_on:
            self._left[caller] = left, now
            raise RateLimited(retry_after=math.ceil((number - left) / PER_S))
        while len(self._left) >= _MOST:
            del self._left[next(iter(self._left))]
        self._left[caller] = max(0, left - number), now


def _make_place(remembered: dict[str, int] | dict[str, None]) -> None:
    """Drops the oldest entries of a full dictionary."""
    while len(remembered) >= _MOST:
        del remembered[next(iter(remembered))]
