"""A relying party and its provider, with one clock."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from manifest_auth.protocols import oidc
from manifest_auth.protocols.oidc import Answer, Authorization, Client, OidcRefused, Registration
from manifest_auth.protocols.oidc.messages import Discovered
from manifest_auth.runtime.outgoing import Outgoing
from tests.runtime.outgoing.outgoing_calls import TENANT
from tests.support.application import FrozenClock
from tests.support.oidc_op import Op, b64, half_hash, signed

SHARED = "https://auth.example.com/api/client/auth/oidc/callback"
CALLBACK = f"{SHARED}/acme/company"
VERIFIER = "verifier-" * 6
EMAIL = frozenset({"email"})
NOTHING: frozenset[str] = frozenset()


@dataclass
class RelyingParty:
    """``client`` is the relying party; ``op`` is the provider that a test configures."""

    op: Op
    clock: FrozenClock
    outgoing: Outgoing
    client: Client
    count: int = 0

    def registration(self, **changes: Any) -> Registration:
        usual = Registration(self.op.issuer, self.op.client_id, self.op.client_secret, ("openid", "email"))
        return usual._replace(**changes)

    async def discover(self, issuer: str) -> Discovered:
        """The relying party's information about a provider."""
        return await self.client.discover(issuer, self.outgoing.deadline(TENANT))

    async def redeem(self, answer: Answer, wants: frozenset[str] = NOTHING, **changes: Any) -> dict[str, Any]:
        """The claims for a response."""
        return await self.client.redeem(self.registration(**changes), answer, wants, self.outgoing.deadline(TENANT))

    async def begin(self, **changes: Any) -> Answer:
        """Send the browser to the provider and back; returns the callback's parameters."""
        registration = self.registration(**changes)
        found = await self.discover(registration.issuer)
        self.count += 1
        nonce, challenge = f"nonce-{self.count}", b64(hashlib.sha256(VERIFIER.encode()).digest())
        asked = Authorization(f"state-{self.count}", nonce, challenge, CALLBACK)
        back = self.op.visit(oidc.request_address(found, registration, asked))
        query = dict(parse_qsl(urlsplit(back).query))
        assert query["state"] == asked.state
        return Answer(query["code"], VERIFIER, nonce, CALLBACK)

    async def sign_in(self, wants: frozenset[str] = NOTHING, **changes: Any) -> dict[str, Any]:
        """The claims after a whole sign-in."""
        answer = await self.begin(**changes)
        return await self.redeem(answer, wants, **changes)

    async def refusal(self, wants: frozenset[str] = NOTHING, **changes: Any) -> OidcRefused:
        """The error of a sign-in."""
        with pytest.raises(OidcRefused) as refused:
            await self.sign_in(wants, **changes)
        return refused.value

    def good(self, nonce: str, /, **changes: Any) -> dict[str, Any]:
        """Claims that are accepted unchanged; ``...`` removes one."""
        now = self.clock.now_ms() // 1000
        usual = {"iss": self.op.issuer, "aud": self.op.client_id, "sub": "subject-1", "nonce": nonce}
        claims = {**usual, "iat": now, "exp": now + 300, **changes}
        return {name: value for name, value in claims.items() if value is not ...}

    def header(self, **changes: Any) -> dict[str, Any]:
        """A header that is accepted unchanged."""
        return {"alg": self.op.alg, "kid": self.op.key.kid, **changes}

    async def shown(self, make: Callable[[str], str], wants: frozenset[str] = NOTHING) -> dict[str, Any]:
        """Claims from a token endpoint that returns the ID token that ``make`` creates for a nonce."""
        answer = await self.begin()
        self.op.id_token = make(answer.nonce)
        try:
            return await self.redeem(answer, wants)
        finally:
            self.op.id_token = None

    async def shown_claims(self, **changes: Any) -> dict[str, Any]:
        """The same for a correctly signed token with these claims."""
        return await self.shown(lambda nonce: self.token(self.good(nonce, **changes)))

    async def refused(self, make: Callable[[str], str]) -> str:
        """The reason why such a token is rejected."""
        with pytest.raises(OidcRefused) as refused:
            await self.shown(make)
        assert refused.value.sentence is None  # the same response for all of them
        return refused.value.reason.text

    async def refused_claims(self, **changes: Any) -> str:
        """The reason why a token with these claims is rejected, although it's correctly signed."""
        return await self.refused(lambda nonce: self.token(self.good(nonce, **changes)))

    def token(self, claims: dict[str, Any] | str, header: dict[str, Any] | str | None = None) -> str:
        """A token signed with the provider's own key, which is the worst case."""
        return signed(self.header() if header is None else header, claims, self.op.key, self.op.alg)


__all__ = ["CALLBACK", "EMAIL", "NOTHING", "SHARED", "VERIFIER", "RelyingParty", "half_hash"]
