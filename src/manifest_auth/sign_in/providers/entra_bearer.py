"""Entra ID access tokens as bearer tokens: cached, and rate-limited when they fail."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from manifest_auth import audit, sessions
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.errors import AccountDisabled, InvalidToken, ProviderUnavailable
from manifest_auth.protocols import microsoft
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.providers import entra
from manifest_auth.sign_in.providers.entra import METHOD, EntraVerdict, NoMatchingProvider, NotGenuine
from manifest_auth.sign_in.sign_in_metrics import counted
from manifest_auth.store import TenantUnit
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait

# Failures are counted by address and directory after verification, so the number of valid tokens never delays them.
# Only :data:`AT_ONCE` tokens of one address and directory are verified at a time, which limits the cost of a flood
# before it is counted.

#: No ceiling and short pauses, since many users can share an address, such as that of a cloud that runs their apps.
FAILURES = Policy(free=30, longest_ms=10_000, memory_ms=600_000, ceiling=None)
AT_ONCE = 16
REFUSED_MS = 60_000
MOST_REFUSED = 20_000

#: Key of a cached verdict: the token's SHA-256, and the client that the request names.
Key = tuple[bytes, str | None]


class Failures:
    """The failures of one process. Tokens that are not genuine are remembered, since no setting of this server changes
    that."""

    def __init__(self) -> None:
        self._refused: dict[Key, tuple[int, str]] = {}  # expiry in milliseconds, and the reason
        self._turns: WeakValueDictionary[tuple[str, str | None], asyncio.Semaphore] = WeakValueDictionary()

    async def guarded(
        self, ctx: RequestContext, key: Key, directory: str, verify: Callable[[float], Awaitable[EntraVerdict]]
    ) -> EntraVerdict:
        """Returns the verdict of ``verify``, which gets its deadline in the event loop's time.

        Raises the errors of ``verify``, and InvalidToken, RateLimited and ProviderUnavailable.
        """
        until_ms, why = self._refused.get(key, (0, ""))
        if until_ms > ctx.now:
            raise InvalidToken(reason=f"{why}; found moments ago")
        counters = counters_of(ctx.address, directory)
        until = asyncio.get_running_loop().time() + ctx.services.outgoing.seconds
        turn = self._turns.setdefault((counters[0].key, key[1]), asyncio.Semaphore(AT_ONCE))
        try:
            async with asyncio.timeout_at(until):
                await turn.acquire()
        except TimeoutError:
            raise ProviderUnavailable(reason="entra: too many tokens from this address are being checked") from None
        try:
            await _check_pause(ctx, counters)
            return await verify(until)
        except NoMatchingProvider as failure:
            if isinstance(failure, NotGenuine):
                self._remember(key, failure.reason, ctx.now)
            if ctx.services.throttle.is_on:
                await ctx.services.store.write_quickly(lambda unit: throttle.count_each(unit, counters, ctx.now))
            raise
        finally:
            turn.release()

    def _remember(self, key: Key, reason: str, now: int) -> None:
        self._refused.pop(key, None)
        while len(self._refused) >= MOST_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[key] = now + REFUSED_MS, reason


def counters_of(address: str, directory: str) -> tuple[Counter, ...]:
    """Returns the counters of an address for one directory, narrowest network first."""
    return throttle.by_address(FAILURES, lambda network: throttle.key_of("entra", network, directory), address)


async def _check_pause(ctx: RequestContext, counters: tuple[Counter, ...]) -> None:
    """Checks that the counters require no pause. Raises RateLimited."""
    if not ctx.services.throttle.is_on:
        return
    look = ctx.services.store.read(lambda unit: [throttle.blocked(unit, counter, ctx.now) for counter in counters])
    if waits := [blocked.ms for blocked in await look if blocked is not None]:
        raise ctx.services.throttle.refusal("entra", Wait(max(waits), "origin"))


# A token is verified once (:mod:`.entra`), and the verdict is cached until the token expires, at most five
# minutes. User and permissions are read on every request, as for this server's own tokens.

MOST = 20_000
MOST_TEXTS = 2000
SIGNED_OUT_MS = 2 * 86_400_000  # minimum time that a token stays signed out: a day longer than Microsoft's tokens live


class EntraTokens:
    """The cached verdicts of one process."""

    def __init__(self) -> None:
        self._verdicts: dict[Key, EntraVerdict] = {}
        self._under_way: dict[Key, asyncio.Task[EntraVerdict]] = {}
        self._failures = Failures()
        # SHA-256 of the most recently accepted tokens, because without processor support, hashing takes as long as the
        # rest of the check.
        self._digests: dict[str, bytes] = {}

    def key_of(self, ctx: RequestContext, token: str) -> Key | None:
        """Returns the cache key of a token, with the client that the request names; None if its ``iss`` is not
        Microsoft's. Only ``iss`` decides this, never the failure of another check."""
        key = (self._digests.get(token) or hashlib.sha256(token.encode()).digest(), ctx.client_header)
        if key in self._verdicts:
            return key
        issuer = (microsoft.read(token) or {}).get("iss")
        return key if isinstance(issuer, str) and ctx.services.microsoft.clouds.of_issuer(issuer) is not None else None

    async def principal(self, ctx: RequestContext, token: str, key: Key) -> Principal:
        """Returns the caller of a token.

        Raises InvalidToken, TokenExpired, Forbidden, SsoFailed, AccountDisabled, ProviderUnavailable, RateLimited.
        """
        for _ in range(2):
            verdict = self._verdicts.get(key)
            is_known = verdict is not None and verdict.external.until > ctx.now
            ctx.services.metrics.cache("entra", "hit" if is_known else "miss").inc()
            if verdict is None or not is_known:
                verdict = await self._judge_once(ctx, token, key)
            principal = await ctx.services.principals.by_external_token(verdict.external)
            if principal is not None:
                return _alive(principal, ctx.now)
            self._verdicts.pop(key, None)  # the provider has changed: verify again
        raise InvalidToken(reason="entra: the provider, or the client that verified the directory, keeps changing")

    def end_of(self, session_id: str) -> int:
        """Returns when a token expires, in milliseconds, by the key that replaces its session ID; 0 if it is not
        cached."""
        known = list(self._verdicts.values())
        return max((verdict.ends_at for verdict in known if verdict.external.key == session_id), default=0)

    async def _judge_once(self, ctx: RequestContext, token: str, key: Key) -> EntraVerdict:
        """Verifies a token once: concurrent requests with the same token wait for the first one's verdict."""
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.create_task(counted(ctx, METHOD, self._verify(ctx, token, key)))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        verdict = await asyncio.shield(task)
        while len(self._verdicts) >= MOST:
            del self._verdicts[next(iter(self._verdicts))]
        self._verdicts[key] = verdict
        while len(self._digests) >= MOST_TEXTS:
            del self._digests[next(iter(self._digests))]
        self._digests[token] = key[0]
        return verdict

    async def _verify(self, ctx: RequestContext, token: str, key: Key) -> EntraVerdict:
        directory = microsoft.directory_of(microsoft.read(token) or {})
        return await self._failures.guarded(ctx, key, directory, lambda until: entra.verify(ctx, token, key[1], until))

    def _forget(self, key: Key, done: asyncio.Task[EntraVerdict]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # read it even if all callers are gone


def _alive(principal: Principal, now: int) -> Principal:
    if principal.ended_at is not None:
        raise InvalidToken(reason="entra: the token was signed out")
    if principal.deactivated_at is not None or principal.suspended_at is not None:
        raise AccountDisabled()
    if not principal.is_alive(now):
        raise InvalidToken(reason="entra: the token has expired")
    return principal


def sign_out(unit: TenantUnit, ctx: RequestContext) -> None:
    """Rejects the caller's token until it expires, on every node."""
    key = ctx.user.session_id
    until = max(ctx.services.entra.end_of(key), ctx.now + SIGNED_OUT_MS)
    sessions.refuse_external_token(unit, key, ctx.now, until)
    audit.record(unit, ctx, Event.SIGNED_OUT, f"user:{ctx.user.user_id}", session=key[:22])
