"""Rate limits for SAML responses, which anyone can send and which cost time to verify.

Each counts as a failure of its address until :meth:`CountedResponse.succeeded`. While an address has to wait, a browser
that started the sign-in here has a few attempts of its own, so that an attacker behind the same address does not block
it; the number of sign-ins that may start is limited as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from manifest_auth.providers import sign_in_flows
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.throttle import throttle
from manifest_auth.throttle.limits import ENTRY_POINT, FLOW_LIFE_S
from manifest_auth.throttle.throttle import Counter, Pause, Policy, Wait

#: Responses from one address, at all clients.
RESPONSES = Policy(free=200, longest_ms=5_000, memory_ms=60 * 60_000, ceiling=None)
#: Responses to one sign-in that started here, beyond those of its address.
ANSWERS = Policy(free=3, longest_ms=60_000, memory_ms=FLOW_LIFE_S * 1000, ceiling=None)


class CountedResponse(NamedTuple):
    """A response that may be verified, and the counters that counted it."""

    counters: list[Counter]

    def succeeded(self, unit: TenantUnit) -> None:
        """Takes the failure back, once the response was verified and used for the first time."""
        for counter in self.counters:
            throttle.decrement(unit, counter.key)


async def take(ctx: RequestContext, state: str, cookie_of: Callable[[str], str | None]) -> CountedResponse:
    """Counts a response before it is read. ``state``: of the sign-in that it claims to answer; ``cookie_of``: a
    cookie's value by its name. Raises RateLimited."""
    if not ctx.services.throttle.is_on:
        return CountedResponse([])
    taken = await ctx.services.store.write_quickly(lambda unit: _count(unit, ctx, state, cookie_of))
    if isinstance(taken, CountedResponse):
        return taken
    raise ctx.services.throttle.refusal(ENTRY_POINT, Wait(taken.ms, "address"))


def _count(
    unit: SystemUnit, ctx: RequestContext, state: str, cookie_of: Callable[[str], str | None]
) -> CountedResponse | Pause:
    counters = throttle.in_order(throttle.by_address(RESPONSES, lambda network: _key("from", network), ctx.address))
    blocked = throttle.count_each(unit, counters, ctx.now)
    if blocked is None:
        return CountedResponse(counters)
    flow = sign_in_flows.find_by_state(unit, state, ctx.now) if state else None
    if flow is None or flow.is_used or not flow.is_from(cookie_of(flow.cookie)):
        return blocked
    own = [Counter(_key("to", flow.key), ANSWERS)]
    return throttle.count_each(unit, own, ctx.now) or CountedResponse(own)


def _key(*parts: str) -> str:
    return throttle.key_of("responses", *parts)
