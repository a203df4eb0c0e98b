"""What people whom nobody knows may leave in the store, from an address in a client (docs/decisions/0030-strangers.md):
audit events that they cause, and sign-ins at providers that they begin and do not finish.

The throttle's counters count both, each for a span of time. Too many events are not written, and counted; nobody is
kept out by that. Too many beginnings wait, as at a password; a device from which somebody signed in before does not.
"""

from __future__ import annotations

from typing import Any

from manifest_auth import audit
from manifest_auth.audit import Event
from manifest_auth.context import Context
from manifest_auth.metrics import Door, Limit
from manifest_auth.settings import HOUR
from manifest_auth.sign_in import throttle
from manifest_auth.sign_in.flows import LIFE_S
from manifest_auth.sign_in.throttle import Counter, Policy, Wait
from manifest_auth.store import TenantUnit

EVENTS_S = HOUR
EVENTS_FROM_ADDRESS = 200
EVENTS_IN_CLIENT = 5000  # of those that are within their address's
#: Beginnings that were not finished. As long as they live, so no more are there than twice as many, and one for each
#: pause.
BEGINNINGS = Policy(free=500, longest_ms=5_000, memory_ms=LIFE_S * 1000, ceiling=None)
DOOR: Door = "sso"


def record(unit: TenantUnit, ctx: Context, event: Event, subject: str, **detail: Any) -> None:
    """Records an event that anybody may cause, as long as there are not too many of them. Of those that are left out
    the first, the second, the fourth, the eighth … is told as how many there were so far in this span."""
    if ctx.house.settings.rate_limits == "on":
        budgets = (("address", throttle.network_of(ctx.address), EVENTS_FROM_ADDRESS), ("client", "", EVENTS_IN_CLIENT))
        for of, whence, free in budgets:
            key = throttle.span_key("events", unit.tenant_id, whence, now=ctx.now, span_s=EVENTS_S)
            over = throttle.tally(unit, key, ctx.now) - free
            if over > 0:
                if not over & (over - 1):
                    audit.record(unit, ctx, Event.EVENTS_LEFT_OUT, "", of=of, events=over, last=event.value)
                return
    audit.record(unit, ctx, event, subject, **detail)


def begins(unit: TenantUnit, ctx: Context, device: str | None) -> Wait | None:
    """Counts a sign-in that begins until :func:`came_back`. None, or how long to wait, in which case nothing was
    counted. ``device``: one that is known counts by itself where its address has to wait."""
    if ctx.house.settings.rate_limits == "off":
        return None
    limit: Limit = "address"
    held = throttle.count_each(unit, [beginnings(unit.tenant_id, ctx.address, ctx.now)], ctx.now)
    if held is not None and device and throttle.is_known_device(unit, device):
        limit = "origin"
        held = throttle.count_each(unit, [_counter(unit.tenant_id, throttle.device_origin(device), ctx.now)], ctx.now)
    return None if held is None else Wait(held.ms, limit)


def came_back(unit: TenantUnit, ctx: Context) -> None:
    """A provider said who somebody is: no stranger. Comes before anything else is written."""
    if ctx.house.settings.rate_limits == "on":
        throttle.forgive(unit, beginnings(unit.tenant_id, ctx.address, ctx.now).key)


def beginnings(tenant_id: int, address: str, now: int) -> Counter:
    """The counter of an address in a client."""
    return _counter(tenant_id, throttle.network_of(address), now)


def _counter(tenant_id: int, whence: str, now: int) -> Counter:
    return Counter(throttle.span_key(DOOR, tenant_id, whence, now=now, span_s=LIFE_S), BEGINNINGS)
