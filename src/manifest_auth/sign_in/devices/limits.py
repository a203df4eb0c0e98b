"""Limits on devices that ask to be let in, and on guesses of short codes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from manifest_auth.errors import RateLimited
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.runtime.settings import HOUR
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.devices import grants
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait, networks_of

ENTRY_POINT: Final[EntryPoint] = "device"
PAUSE_MS: Final = 10 * 60_000
#: Open requests of one app, and devices and pairings of one person.
OPEN_OF_APP, DEVICES, PAIRINGS = 200, 10, 3  # approving.py says the ten in words


class _Fixed(Policy):
    """So many attempts, then one pause."""

    def pause_ms(self, failures: int) -> int:
        return 0 if failures < self.free else self.longest_ms


_ASKED = _Fixed(free=30, longest_ms=PAUSE_MS, memory_ms=PAUSE_MS, ceiling=None)
_CLAIMED = _Fixed(free=10, longest_ms=PAUSE_MS, memory_ms=PAUSE_MS, ceiling=None)
_OF_USER = _Fixed(free=5, longest_ms=PAUSE_MS, memory_ms=HOUR * 1000, ceiling=None)
_IN_CLIENT = _Fixed(free=50, longest_ms=PAUSE_MS, memory_ms=HOUR * 1000, ceiling=None)


class TooMany(RateLimited):
    """As RFC 8628 names it: ask later."""

    error = "slow_down"


def asked(address: str) -> tuple[Counter, ...]:
    """The counters of new requests from an address."""
    return throttle.by_address(_ASKED, lambda network: throttle.key_of(ENTRY_POINT, "asked", network), address)


def claimed(address: str) -> tuple[Counter, ...]:
    """The counters of wrong pairing codes from an address."""
    return throttle.by_address(_CLAIMED, lambda network: throttle.key_of(ENTRY_POINT, "claimed", network), address)


def typed(tenant_id: int, user_id: int) -> tuple[Counter, ...]:
    """The counters of wrong user codes: of the user, whatever the session, so that no one uses up the client's alone;
    and of the client."""
    return (
        Counter(throttle.key_of(ENTRY_POINT, "typed", tenant_id, user_id), _OF_USER),
        Counter(throttle.key_of(ENTRY_POINT, "typed in", tenant_id), _IN_CLIENT),
    )


def make_place(unit: TenantUnit, app_id: str, now: int) -> None:
    """Where as many devices of an app wait as may, the first of the network from which most wait gives way: strangers
    who fill all places keep no one out."""
    if grants.count_open(unit, app_id, now) < OPEN_OF_APP:
        return
    by_network: dict[str, list[str]] = {}
    for waiting in grants.list_open(unit, app_id, now):
        by_network.setdefault(networks_of(waiting.address)[-1], []).append(waiting.key)
    grants.end(unit, max(by_network.values(), key=len)[0], now)


async def count(ctx: RequestContext, counters: Iterable[Counter]) -> None:
    """Counts one more, before it is judged. Raises TooMany, in which case nothing was counted."""
    if not ctx.services.throttle.is_on:
        return
    ordered = throttle.in_order(counters)
    pause = await ctx.services.store.write_quickly(lambda unit: throttle.count_each(unit, ordered, ctx.now))
    if pause is not None:
        raise refusal(ctx, pause.ms)


def refusal(ctx: RequestContext, wait_ms: int) -> TooMany:
    """The refusal of who has to wait so many milliseconds."""
    usual = ctx.services.throttle.refusal(ENTRY_POINT, Wait(wait_ms, "address"))
    return TooMany(usual.message, retry_after=usual.retry_after, reason=usual.reason)


def was_right(unit: SystemUnit, ctx: RequestContext, counters: Iterable[Counter]) -> None:
    """Takes back the count of one that was right, and the pause that it began."""
    if ctx.services.throttle.is_on:
        for counter in throttle.in_order(counters):
            throttle.undo(unit, counter.key)
