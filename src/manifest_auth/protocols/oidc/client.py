"""The OpenID Connect relying party: one object per process, for all providers of all tenants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from manifest_auth.protocols.oidc import authorization_code, diagnose, discovery, person_claims
from manifest_auth.protocols.oidc.cache import TtlCache
from manifest_auth.protocols.oidc.diagnose import CallbackState, Finding, callback_state
from manifest_auth.protocols.oidc.messages import (
    Answer,
    Authorization,
    Callback,
    CallbackAddresses,
    Discovered,
    OidcRefused,
    Redeemed,
    Registration,
)
from manifest_auth.runtime.clock import Clock, Random
from manifest_auth.runtime.outgoing import Deadline, Outgoing

_STALE_MS = 24 * 60 * 60 * 1000


class Client:
    """Every method that calls a provider raises :class:`.outgoing.Unreachable` and :class:`OidcRefused`. ``deadline``:
    for all its calls together; it names the client."""

    def __init__(self, outgoing: Outgoing, clock: Clock, at: Callable[[str], str] = discovery.address_of) -> None:
        """``at``: the discovery address of an issuer, if it differs from the standard's."""
        self._outgoing, self._clock, self._at = outgoing, clock, at
        self._documents = TtlCache(self._discovered, clock, outgoing.metrics, "discovery", _STALE_MS)
        self._keys = TtlCache(
            self._published, clock, outgoing.metrics, "provider_keys"
        )  # no stale keys: a revoked key must stop verifying
        self._tokens = authorization_code.TokenEndpoint(outgoing)

    async def discover(self, issuer: str, deadline: Deadline) -> Discovered:
        """A provider's discovery document, at most an hour old; up to a day while it cannot be fetched."""
        return await self._documents.get(issuer, deadline)

    def authorization_address(self, found: Discovered, registration: Registration, asked: Authorization) -> str:
        """The address of the authorization request."""
        return authorization_code.request_address(found, registration, asked)

    async def redeem(
        self, registration: Registration, answer: Answer, wants: frozenset[str], deadline: Deadline
    ) -> dict[str, Any]:
        """The verified claims of the user. Userinfo is called if the ID token lacks one of the claims ``wants``; the ID
        token's claims win."""
        return (await self.redeem_tokens(registration, answer, wants, deadline)).claims

    async def redeem_tokens(
        self, registration: Registration, answer: Answer, wants: frozenset[str], deadline: Deadline
    ) -> Redeemed:
        """As :meth:`redeem`, with the provider's tokens, for calls to its other services."""
        found = await self.discover(registration.issuer, deadline)
        tokens = await self._tokens.redeem(found, registration, answer, deadline)
        signed = person_claims.read_token(tokens.id_token, found.algorithms)
        key = await self._key_of(signed, found, deadline)
        now = self._clock.now_ms()
        expected = person_claims.Expected(
            found.issuer, registration.client_id, answer.nonce, now, registration.audiences
        )
        claims = person_claims.claims_of(signed, expected)
        person_claims.check_access_token(claims, signed.algorithm, key, tokens.access_token)
        told = {name: value for name, value in claims.items() if value is not None}
        if found.userinfo_endpoint and wants - told.keys():
            info = await self._userinfo(found, registration, tokens.access_token, deadline)
            person_claims.check_userinfo(info, claims["sub"])
            told = person_claims.merged(told, info)
        return Redeemed(told, tokens.access_token, tokens.refresh_token)

    def examine(
        self,
        registration: Registration,
        addresses: CallbackAddresses,
        random: Random,
        tenant_id: int,
        outgoing: Outgoing | None = None,
    ) -> AsyncIterator[Finding]:
        """Findings about a provider for the user who configures it, one by one. Raises only errors of ``outgoing``."""
        address = self._at(registration.issuer)
        return diagnose.examine(outgoing or self._outgoing, random, registration, addresses, address, tenant_id)

    async def callback(
        self, registration: Registration, addresses: CallbackAddresses, random: Random, tenant_id: int
    ) -> tuple[Callback, CallbackState]:
        """The callback address of a sign-in now, and whether the provider has it registered."""
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
