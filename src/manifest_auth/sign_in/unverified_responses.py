"""Counts responses of providers before they are read, since reading one costs time and needs no secret to ask for.

Each is counted as one that is wrong until :meth:`Taken.was_right`, at the address that it comes from. Where an address
has to wait, a browser that began the sign-in itself has a few tries of its own: how many sign-ins may begin is counted
as well, so a stranger behind the same address keeps nobody out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from manifest_auth.providers import sign_in_flows
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.throttle import throttle
from manifest_auth.throttle.anonymous_limits import ENTRY_POINT, FLOW_LIFE_S
from manifest_auth.throttle.throttle import Counter, Held, Policy, Wait

#: From an address, at whatever client.
RESPONSES = Policy(free=200, longest_ms=5_000, memory_ms=60 * 60_000, ceiling=None)
#: To one sign-in that was begun here, beyond those of its address.
ANSWERS = Policy(free=3, longest_ms=60_000, memory_ms=FLOW_LIFE_S * 1000, ceiling=None)


class Taken(NamedTuple):
    """A response that may be read, and by which counters."""

    counters: list[Counter]

    def was_right(self, unit: TenantUnit) -> None:
        """It was verified, and used for the first time."""
        for counter in self.counters:
            throttle.forgive(unit, counter.key)


async def take(ctx: RequestContext, state: str, cookie_of: Callable[[str], str | None]) -> Taken:
    """Counts a response. ``state``: what it says of the sign-in that it answers. Raises RateLimited."""
    if not ctx.services.throttle.is_on:
        return Taken([])
    taken = await ctx.services.store.write_quickly(lambda unit: _count(unit, ctx, state, cookie_of))
    if isinstance(taken, Taken):
        return taken
    raise ctx.services.throttle.refusal(ENTRY_POINT, Wait(taken.ms, "address"))


def _count(unit: SystemUnit, ctx: RequestContext, state: str, cookie_of: Callable[[str], str | None]) -> Taken | Held:
    counters = throttle.in_order(throttle.by_address(RESPONSES, lambda network: _key("from", network), ctx.address))
    held = throttle.count_each(unit, counters, ctx.now)
    if held is None:
        return Taken(counters)
    flow = sign_in_flows.find_by_state(unit, state, ctx.now) if state else None
    if flow is None or flow.is_used or not flow.is_from(cookie_of(flow.cookie)):
        return held
    own = [Counter(_key("to", flow.key), ANSWERS)]
    return throttle.count_each(unit, own, ctx.now) or Taken(own)


def _key(*parts: str) -> str:
    return throttle.key_of("responses", *parts)
