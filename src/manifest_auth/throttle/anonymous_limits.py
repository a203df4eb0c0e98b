"""What anonymous callers may leave in the store, from an address in a client: audit events that they cause, and
sign-ins at providers that they begin and do not finish (docs/decisions/0030-anonymous-limits.md).

The throttle's counters count both, each for a span of time. Too many events of a class are not written, and counted;
nobody is kept out by that. Too many beginnings wait, as at a password; a device from which somebody signed in before
does not.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import Any

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.runtime.metrics import EntryPoint, Limit
from manifest_auth.runtime.settings import HOUR
from manifest_auth.store import TenantUnit
from manifest_auth.throttle import networks, origins, throttle
from manifest_auth.throttle.throttle import Counter, Policy, Throttle, Wait


class EventClass(enum.Enum):
    """What somebody must have to cause an event. Each class has budgets of its own, so that what is easy to cause
    does not hide what is hard to."""

    ANYONE = "anyone"  # nothing: junk, made-up names
    WAITING = "waiting"  # nothing: attempts that have to wait
    ACCOUNT = "account"  # the address of an account, or a link to it
    PROVED = "proved"  # what a provider or this server gave out, or the right password


_PROVED = {Event.SIGN_IN_REFUSED, Event.ASSERTION_REPLAYED, Event.SIGN_IN_CODE_REUSED}
EVENTS_S = HOUR
EVENTS_FROM_ADDRESS = 200
EVENTS_IN_CLIENT = 5000  # of those that are within their address's
#: How long a sign-in at a provider may take, in seconds: RFC 9700 and ASVS V10 ask for ten minutes at most.
FLOW_LIFE_S = 600
#: Beginnings that were not finished. As long as they live, so no more are there than twice as many, and one for each
#: pause.
BEGINNINGS = Policy(free=500, longest_ms=5_000, memory_ms=FLOW_LIFE_S * 1000, ceiling=None)
ENTRY_POINT: EntryPoint = "sso"


class AnonymousLimits:
    """The limits as one process applies them; none where attempts are not limited."""

    def __init__(self, throttle: Throttle) -> None:
        self._throttle = throttle

    def record(
        self, unit: TenantUnit, request: Request, event: Event, subject: str, *, proved: bool = False, **detail: Any
    ) -> None:
        """Records an event that any caller may cause, as long as there are not too many of its class. Of those that are
        left out the first, the second, the fourth, the eighth … is recorded as how many there were so far in this span.
        ``proved``: the caller is known, whatever the event is."""
        if self._throttle.is_on:
            what = _class_of(event, subject, proved)
            for of, key, free in _budgets(unit, request, what, subject):
                over = throttle.tally(unit, key, request.now) - free
                if over > 0:
                    if not over & (over - 1):
                        told: dict[str, Any] = {"of": of, "class": what.value, "events": over, "last": event.value}
                        audit.record(unit, request, Event.EVENTS_LEFT_OUT, "", **told)
                    return
        audit.record(unit, request, event, subject, **detail)

    def begins(self, unit: TenantUnit, request: Request, device: str | None) -> Wait | None:
        """Counts a sign-in that begins until :func:`came_back`. None, or how long to wait, in which case nothing was
        counted. ``device``: one that is known counts by itself where its address has to wait."""
        if not self._throttle.is_on:
            return None
        limit: Limit = "address"
        held = throttle.count_each(
            unit, throttle.in_order(beginnings(unit.tenant_id, request.address, request.now)), request.now
        )
        if held is not None and device and origins.is_known_device(unit, device):
            limit = "origin"
            own = Counter(_key(unit.tenant_id, throttle.device_origin(device), request.now), BEGINNINGS)
            held = throttle.count_each(unit, [own], request.now)
        return None if held is None else Wait(held.ms, limit)

    def came_back(self, unit: TenantUnit, request: Request) -> None:
        """A provider said who somebody is: no stranger. Comes before anything else is written."""
        if self._throttle.is_on:
            for counter in throttle.in_order(beginnings(unit.tenant_id, request.address, request.now)):
                throttle.forgive(unit, counter.key)


def _class_of(event: Event, subject: str, proved: bool) -> EventClass:
    if proved or event in _PROVED:
        return EventClass.PROVED
    if event is Event.THROTTLED:
        return EventClass.WAITING
    return EventClass.ACCOUNT if subject else EventClass.ANYONE


def _budgets(unit: TenantUnit, request: Request, what: EventClass, subject: str) -> Iterator[tuple[str, str, int]]:
    """Whose budget, the key of its counter, and how much it holds. The narrowest comes first: what is over it uses up
    none of the wider ones. What needs a proof is counted for each account alone, so that no account hides another."""
    whose = subject if what is EventClass.PROVED else ""

    def key(network: str) -> str:
        return throttle.span_key("events", unit.tenant_id, what.value, whose, network, now=request.now, span_s=EVENTS_S)

    for step, network in enumerate(networks.networks_of(request.address)):
        yield "address", key(network), networks.widened(EVENTS_FROM_ADDRESS, step)
    yield ("account" if whose else "client"), key(""), EVENTS_IN_CLIENT


def beginnings(tenant_id: int, address: str, now: int) -> tuple[Counter, ...]:
    """The counters of an address in a client."""
    return throttle.by_address(BEGINNINGS, lambda network: _key(tenant_id, network, now), address)


def _key(tenant_id: int, whence: str, now: int) -> str:
    return throttle.span_key(ENTRY_POINT, tenant_id, whence, now=now, span_s=FLOW_LIFE_S)
