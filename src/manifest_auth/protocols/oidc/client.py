"""The OpenID Connect relying party: one object per process, for all providers of all tenants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, get_args

from manifest_auth.protocols.oidc import diagnose, discovery, messages, person_claims
from manifest_auth.protocols.oidc.diagnose import CallbackState, Finding, callback_state
from manifest_auth.protocols.oidc.messages import (
    Answer,
    Callback,
    CallbackAddresses,
    Discovered,
    OidcRefused,
    Redeemed,
    Registration,
)
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.metrics import Cache, CacheResult, Metrics
from manifest_auth.runtime.outgoing import Deadline, Outgoing
from manifest_auth.runtime.outgoing_guard import Unreachable
from manifest_auth.runtime.tracing import spanned

FRESH_MS = 60 * 60 * 1000
RENEW_MS = 60 * 1000
MOST = 1000
Thing = TypeVar("Thing")


@dataclass(slots=True)
class _Entry(Generic[Thing]):
    thing: Thing
    fetched_at: int
    renewed_at: int | None = None
    failed_at: dict[int, int] = field(default_factory=dict)  # per client, because one client's calls might fail


class TtlCache(Generic[Thing]):
    """Caches provider documents. They are fetched again after an hour, and used longer only while fetching fails. Each
    client fetches a document only once at a time, and all clients share the documents.

    ``fetch`` maps a key and a client to the value, within its own time limit. It raises Unreachable, or another error
    for an invalid value.

    ``stale_ms`` is the maximum age of a copy that is used while fetching fails; 0 for none. No client waits for another
    client's fetch, which might have used up its share.
    """

    def __init__(
        self,
        fetch: Callable[[str, int], Awaitable[Thing]],
        clock: Clock,
        metrics: Metrics,
        cache: Cache,
        stale_ms: int = 0,
    ) -> None:
        self._fetch, self._clock, self._stale_ms = fetch, clock, stale_ms
        self._hit, self._miss, self._stale = (metrics.cache(cache, result) for result in get_args(CacheResult))
        self._entries: dict[str, _Entry[Thing]] = {}
        self._under_way: dict[tuple[str, int], asyncio.Task[Thing]] = {}

    async def get(self, key: str, deadline: Deadline) -> Thing:
        """Returns the cached value, at most an hour old if its source can be reached before the deadline."""
        entry = self._entries.get(key)
        if entry is None or not self._is_younger(entry.fetched_at, max(FRESH_MS, self._stale_ms)):
            self._miss.inc()
            return await self._fetch_once(key, deadline)
        if self._is_younger(entry.fetched_at, FRESH_MS):
            self._hit.inc()
            return entry.thing
        if self._is_younger(entry.failed_at.get(deadline.tenant_id), RENEW_MS):
            self._stale.inc()
            return entry.thing
        try:  # the remaining time is for using the value
            now = asyncio.get_running_loop().time()
            thing = await self._fetch_once(key, deadline._replace(at=now + (deadline.at - now) / 2))
        except Unreachable:
            self._stale.inc()
            entry.failed_at[deadline.tenant_id] = self._clock.now_ms()
            return entry.thing
        self._miss.inc()
        return thing

    async def renew(self, key: str, outdated: Thing, deadline: Deadline) -> Thing | None:
        """Returns a newer value than ``outdated``, which wasn't sufficient. None if the last renewal was less than a
        minute ago.

        This limit prevents an attacker with tokens of unknown keys from causing a fetch for each of them.
        """
        entry, tenant_id = self._entries.get(key), deadline.tenant_id
        if entry is not None and entry.thing is not outdated:
            return entry.thing
        is_new = entry is not None and self._is_younger(entry.renewed_at, RENEW_MS)
        if is_new and (key, tenant_id) not in self._under_way:
            return None
        return await self._fetch_once(key, deadline, is_renewal=True)

    def _is_younger(self, at: int | None, age_ms: int) -> bool:
        return at is not None and 0 <= self._clock.now_ms() - at < age_ms

    async def _fetch_once(self, key: str, deadline: Deadline, *, is_renewal: bool = False) -> Thing:
        asked = (key, deadline.tenant_id)
        task = self._under_way.get(asked)
        if task is None:
            task = self._under_way[asked] = asyncio.ensure_future(self._fetch_and_store(*asked, is_renewal))
            task.add_done_callback(lambda done: self._forget(asked, done))
        try:
            async with asyncio.timeout_at(deadline.at):
                return await asyncio.shield(task)
        except TimeoutError:
            raise Unreachable(f"{key}: no response in time") from None

    async def _fetch_and_store(self, key: str, tenant_id: int, is_renewal: bool) -> Thing:
        thing = await self._fetch(key, tenant_id)
        now = self._clock.now_ms()
        self._entries.pop(key, None)
        while len(self._entries) >= MOST:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = _Entry(thing, now, now if is_renewal else None)
        return thing

    def _forget(self, asked: tuple[str, int], done: asyncio.Task[Thing]) -> None:
        del self._under_way[asked]
        if not done.cancelled():
            done.exception()  # marks the error as handled, because the callers might be gone


_STALE_MS = 24 * 60 * 60 * 1000


class Client:
    """Calls providers. Methods that do so raise :class:`.outgoing.Unreachable` and :class:`OidcRefused`. ``deadline``
    applies to all of a method's calls together, and names the client."""

    def __init__(self, outgoing: Outgoing, clock: Clock, at: Callable[[str], str] = discovery.address_of) -> None:
        """Creates the client. ``at`` returns the discovery address of an issuer, by default the standard one."""
        self._outgoing, self._clock, self._at = outgoing, clock, at
        self._documents = TtlCache(self._discovered, clock, outgoing.metrics, "discovery", _STALE_MS)
        self._keys = TtlCache(
            self._published, clock, outgoing.metrics, "provider_keys"
        )  # no stale keys, because a revoked key must stop verifying
        self._tokens = messages.TokenEndpoint(outgoing)

    async def discover(self, issuer: str, deadline: Deadline) -> Discovered:
        """Returns a provider's discovery document, at most an hour old, or up to a day if it can't be fetched."""
        return await self._documents.get(issuer, deadline)

    async def redeem(
        self, registration: Registration, answer: Answer, wants: frozenset[str], deadline: Deadline
    ) -> dict[str, Any]:
        """Returns the verified claims of the user. Calls userinfo if the ID token lacks one of the claims in ``wants``.
        Claims of the ID token take precedence."""
        return (await self.redeem_tokens(registration, answer, wants, deadline)).claims

    @spanned("oidc.verify")
    async def redeem_tokens(
        self, registration: Registration, answer: Answer, wants: frozenset[str], deadline: Deadline
    ) -> Redeemed:
        """Like :meth:`redeem`, but with the provider's tokens, for calls to its other services."""
        found = await self.discover(registration.issuer, deadline)
        id_token, access_token, refresh_token = await self._tokens.redeem(found, registration, answer, deadline)
        signed = person_claims.read_token(id_token, found.algorithms)
        key = await self._key_of(signed, found, deadline)
        now = self._clock.now_ms()
        expected = person_claims.Expected(
            found.issuer, registration.client_id, answer.nonce, now, registration.audiences
        )
        claims = person_claims.claims_of(signed, expected)
        person_claims.check_access_token(claims, signed.algorithm, key, access_token)
        told = {name: value for name, value in claims.items() if value is not None}
        if found.userinfo_endpoint and wants - told.keys():
            info = await self._userinfo(found, registration, access_token, deadline)
            person_claims.check_userinfo(info, claims["sub"])
            told = person_claims.merged(told, info)
        return Redeemed(told, access_token, refresh_token)

    def examine(
        self,
        registration: Registration,
        addresses: CallbackAddresses,
        random: Random,
        tenant_id: int,
        outgoing: Outgoing | None = None,
        *,
        is_quiet: bool = False,
    ) -> AsyncIterator[Finding]:
        """Yields findings about a provider, for the user who configures it. Raises only errors of ``outgoing``.
        ``is_quiet`` limits the test to what the provider publishes."""
        address, asks = self._at(registration.issuer), outgoing or self._outgoing
        return diagnose.examine(asks, random, registration, addresses, address, tenant_id, is_quiet=is_quiet)

    async def callback(
        self, registration: Registration, addresses: CallbackAddresses, random: Random, tenant_id: int
    ) -> tuple[Callback, CallbackState]:
        """Returns the callback address that a sign-in would use now, and whether it is registered with the provider."""
        found = await self.discover(registration.issuer, self._outgoing.deadline(tenant_id))
        chosen = addresses.chosen(found)
        deadline = self._outgoing.deadline(tenant_id)
        state = await callback_state(self._outgoing, random, found, registration, chosen.redirect_uri, deadline)
        return chosen, state

    async def _discovered(self, issuer: str, tenant_id: int) -> Discovered:
        document = await discovery.fetch_document(self._outgoing, self._at(issuer), self._outgoing.deadline(tenant_id))
        return discovery.read_document(self._outgoing, issuer, document)

    async def _published(self, address: str, tenant_id: int) -> tuple[discovery.Key, ...]:
        return await discovery.fetch_keys(self._outgoing, address, self._outgoing.deadline(tenant_id))

    async def _key_of(self, signed: person_claims.Signed, found: Discovered, deadline: Deadline) -> discovery.Key:
        address, issuer = found.jwks_uri, found.issuer
        at_hand = await self._keys.get(address, deadline)
        try:
            return person_claims.verifying_key(signed, discovery.keys_of_issuer(at_hand, issuer))
        except person_claims.NoKey:
            newer = await self._keys.renew(address, at_hand, deadline)
            if newer is None:
                raise
            return person_claims.verifying_key(signed, discovery.keys_of_issuer(newer, issuer))

    async def _userinfo(
        self, found: Discovered, registration: Registration, access_token: str, deadline: Deadline
    ) -> dict[str, Any]:
        assert found.userinfo_endpoint is not None
        reply = await person_claims.fetch_userinfo(self._outgoing, found.userinfo_endpoint, access_token, deadline)
        if not person_claims.is_signed(reply):
            return person_claims.read_userinfo(reply.body)
        try:
            signed = person_claims.signed(reply, found.algorithms)
            await self._key_of(signed, found, deadline)
        except OidcRefused as error:
            raise OidcRefused(person_claims.USERINFO.with_(error.reason.text.removeprefix("ID token: "))) from None
        claims = person_claims.read_userinfo(signed.payload)
        person_claims.check_signed(claims, found.issuer, registration.client_id, registration.audiences)
        return claims
