"""Second factors at a provider: what is asked for there, and whether the response is accepted.

Only claims of the verified ID token or assertion count. What is not accepted is no refusal: the client's own factor is
due, by its own policy.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from manifest_auth.protocols.oidc import Authorization
from manifest_auth.providers import Provider
from manifest_auth.providers.settings import Rules
from manifest_auth.sessions.sessions import MFA, Way
from manifest_auth.sign_in.identity import Identity
from manifest_auth.sign_in.providers.account_matching import Person
from manifest_auth.sign_in.providers.proof import Proof

FactorVerdict = Literal["trusted", "accepted", "asked"]


def identity_of(provider: Provider, user_id: int, person: Person, now: int) -> Identity:
    """What a sign-in at the provider proves of a user. The time is the provider's own, or not known."""
    at = min(person.proof.at, now) if person.proof.at is not None else None
    ways, asks = ways_of(provider.rules, person.proof), asks_own(provider.rules)
    return Identity(provider.kind, user_id, ways, provider_id=provider.id, authenticated_at=at, needs_factor=asks)


def ways_of(rules: Rules, proof: Proof) -> tuple[Way, ...]:
    """What the answer proves: with ``mfa`` where its claims are accepted as two factors."""
    accepted = rules.second_factor == "claims" and (
        not set(rules.amr).isdisjoint(proof.amr) or not set(rules.acr).isdisjoint((proof.acr, *proof.acrs))
    )
    return ("provider", MFA) if accepted else ("provider",)


def asks_own(rules: Rules) -> bool:
    """Whether the client's own factor is due where nothing else proved two."""
    return rules.second_factor != "trust"


def verdict(rules: Rules, proof: Proof) -> FactorVerdict:
    """Who answers for the second factor of a sign-in with that proof."""
    if not asks_own(rules):
        return "trusted"
    return "accepted" if MFA in ways_of(rules, proof) else "asked"


def contexts_of(rules: Rules) -> tuple[str, ...]:
    """The authentication contexts to ask a SAML provider for (SAML core, section 3.3.2.2.1)."""
    return rules.acr if rules.second_factor == "claims" else ()


def asking(authorization: Authorization, rules: Rules, *, of_microsoft: bool) -> Authorization:
    """The request that asks for the claims that would be accepted, all of them voluntary, so that a provider which
    cannot serve them still answers (OpenID Connect Core, sections 3.1.2.1 and 5.5). ``of_microsoft``: Entra ID takes
    authentication contexts instead of levels, one of them, and only as an essential claim."""
    if rules.second_factor != "claims" or not (rules.amr or rules.acr):
        return authorization
    claims: dict[str, Any] = {"auth_time": {"essential": True}}
    if rules.amr:
        claims["amr"] = None
    if rules.acr and of_microsoft:
        claims["acrs"] = {"essential": True, "value": rules.acr[0]}
    elif rules.acr:
        authorization = authorization._replace(acr_values=" ".join(rules.acr))
    return authorization._replace(claims=msgspec.json.encode({"id_token": claims}).decode())
