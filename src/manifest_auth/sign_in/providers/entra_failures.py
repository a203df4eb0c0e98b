"""Limits for failing Entra ID bearer tokens: each is verified once, a few at a time, and with growing pauses.

Failures are counted by address and directory after verification, so valid tokens are never delayed by their number.
Only :data:`AT_ONCE` tokens of one address and directory are verified at a time, which limits what a flood costs before
it is counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

from manifest_auth.errors import InvalidToken, ProviderUnavailable
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers.entra_verify import NoMatchingProvider, NotGenuine, Verdict
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait

#: No ceiling, and short pauses: many users may share an address, such as that of a cloud that runs their apps.
FAILURES = Policy(free=30, longest_ms=10_000, memory_ms=600_000, ceiling=None)
AT_ONCE = 16
REFUSED_MS = 60_000
MOST_REFUSED = 20_000

#: Key of a cached verdict: the token's SHA-256, and the client that the request names.
Key = tuple[bytes, str | None]


class _Refused(NamedTuple):
    until: int
    reason: str


class Failures:
    """The failures of one process. A token that is not genuine is remembered: no setting of this server changes
    that."""

    def __init__(self) -> None:
        self._refused: dict[Key, _Refused] = {}
        self._turns: WeakValueDictionary[tuple[str, str | None], asyncio.Semaphore] = WeakValueDictionary()

    async def guarded(
        self, ctx: RequestContext, key: Key, directory: str, verify: Callable[[float], Awaitable[Verdict]]
    ) -> Verdict:
        """The verdict of ``verify``, which gets its deadline as time of the event loop.

        Raises as that does, InvalidToken, RateLimited and ProviderUnavailable.
        """
        self._check(key, ctx.now)
        counters = counters_of(ctx.address, directory)
        until = asyncio.get_running_loop().time() + ctx.services.settings.provider_timeout
        turn = self._turns.setdefault((counters[0].key, key[1]), asyncio.Semaphore(AT_ONCE))
        try:
            async with asyncio.timeout_at(until):
                await turn.acquire()
        except TimeoutError:
            raise ProviderUnavailable(reason="entra: no turn in time among the tokens of this address") from None
        try:
            await _check_pause(ctx, counters)
            return await verify(until)
        except NoMatchingProvider as failure:
            if isinstance(failure, NotGenuine):
                self._remember(key, failure.reason, ctx.now)
            await _count(ctx, counters)
            raise
        finally:
            turn.release()

    def _check(self, key: Key, now: int) -> None:
        refused = self._refused.get(key)
        if refused is not None and refused.until > now:
            raise InvalidToken(reason=f"{refused.reason}; found a moment ago")

    def _remember(self, key: Key, reason: str, now: int) -> None:
        self._refused.pop(key, None)
        while len(self._refused) >= MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = _Refused(now + REFUSED_MS, reason)


def counters_of(address: str, directory: str) -> tuple[Counter, ...]:
    """The counters of an address for one directory, the one of its narrowest network first."""
    return throttle.by_address(FAILURES, lambda network: throttle.key_of("entra", network, directory), address)


async def _check_pause(ctx: RequestContext, counters: tuple[Counter, ...]) -> None:
    """Raises RateLimited."""
    if not ctx.services.throttle.is_on:
        return
    look = ctx.services.store.read(lambda unit: [throttle.blocked(unit, counter, ctx.now) for counter in counters])
    if waits := [blocked.ms for blocked in await look if blocked is not None]:
        raise ctx.services.throttle.refusal("entra", Wait(max(waits), "origin"))


async def _count(ctx: RequestContext, counters: tuple[Counter, ...]) -> None:
    if ctx.services.throttle.is_on:
        ordered = throttle.in_order(counters)
        await ctx.services.store.write_quickly(lambda unit: throttle.count_each(unit, ordered, ctx.now))
