"""``provider test``: what is right and wrong with a provider, in sentences for whoever configures it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from manifest_auth.oidc import discovery, keys
from manifest_auth.oidc.records import Answer, Discovered, Registration
from manifest_auth.oidc.token_endpoint import TokenEndpoint, error_of, is_about_client
from manifest_auth.outgoing import Deadline, Outgoing, Unreachable

#: A code that nobody was given, with a verifier as long as RFC 7636, section 4.1, asks for.
_BOGUS = ("a-code-that-was-never-given", "0123456789-0123456789-0123456789-0123456789")


class Finding(NamedTuple):
    """``ok``: as it should be; ``note``: worth knowing; ``bad``: nobody can sign in like this."""

    level: Literal["ok", "note", "bad"]
    text: str


async def examine(
    outgoing: Outgoing,
    tokens: TokenEndpoint,
    registration: Registration,
    redirect_uri: str,
    address: str,
    tenant_id: int,
) -> list[Finding]:
    """Fetches everything anew and tries to redeem a code that does not exist. Raises nothing. ``address``: where the
    issuer's document is. Each call has the whole budget of a sign-in of the client."""
    try:
        outgoing.check(address)
        document = await discovery.fetch(outgoing, address, outgoing.deadline(tenant_id))
    except ValueError as error:
        return [Finding("bad", f"The issuer {registration.issuer} {error}.")]
    except Unreachable as error:
        hint = "Is the issuer right? It is what stands before /.well-known/openid-configuration."
        return [Finding("bad", f"The provider's description cannot be fetched: {error}. {hint}")]
    findings = [Finding("ok", f"The provider's description is at {address}.")]
    findings += [*_issuer(registration.issuer, document), *_abilities(registration, document)]
    faults = discovery.bad_endpoints(outgoing, document)
    if faults:
        return [*findings, *(Finding("bad", f"In the provider's description {fault}.") for fault in faults)]
    found = discovery.read(outgoing, registration.issuer, {**document, "issuer": registration.issuer})
    findings.append(await _keys(outgoing, found, outgoing.deadline(tenant_id)))
    findings.append(await _authentication(tokens, found, registration, redirect_uri, outgoing.deadline(tenant_id)))
    return findings


def _issuer(configured: str, document: dict[str, Any]) -> Iterator[Finding]:
    named = document.get("issuer")
    if named == configured:
        yield Finding("ok", "The provider names itself exactly as configured.")
    elif isinstance(named, str) and named.rstrip("/") == configured.rstrip("/"):
        yield Finding(
            "bad", f"The issuer is {named} and {configured} is configured: they differ by the slash at the end."
        )
    else:
        yield Finding("bad", f"The provider names itself {str(named)[:200]}, but {configured} is configured as issuer.")


def _abilities(registration: Registration, document: dict[str, Any]) -> Iterator[Finding]:
    """What the description announces: the flow, PKCE, algorithms, scopes. A list that is absent announces nothing."""
    flows = discovery.texts(document, "response_types_supported")
    if flows and "code" not in flows:
        yield Finding("bad", "The provider does not offer the authorization code flow (response type code).")
    if "S256" in discovery.texts(document, "code_challenge_methods_supported"):
        yield Finding("ok", "The provider announces PKCE with S256.")
    else:
        yield Finding(
            "note", "The provider does not announce PKCE (S256). It is sent all the same, and may be ignored."
        )
    announced = discovery.texts(document, "id_token_signing_alg_values_supported")
    usable = discovery.usable_algorithms(document)
    if announced and not set(usable) & set(announced):
        yield Finding("bad", f"The provider signs with {', '.join(announced)[:200]} only; none of these is accepted.")
    else:
        yield Finding("ok", f"Signatures are accepted with {', '.join(usable)}.")
    offered = discovery.texts(document, "scopes_supported")
    if missing := [scope for scope in registration.scopes if offered and scope not in offered]:
        yield Finding("note", f"The provider does not list these scopes: {', '.join(missing)}.")


async def _keys(outgoing: Outgoing, found: Discovered, deadline: Deadline) -> Finding:
    try:
        published = await keys.fetch(outgoing, found.jwks_uri, deadline)
    except Unreachable as error:
        return Finding("bad", f"The provider's keys cannot be read: {error}.")
    usable = sum(any(key.fits(name) for name in found.algorithms) for key in published)
    if not usable:
        return Finding("bad", f"None of the keys at {found.jwks_uri} can verify a signature that is accepted.")
    return Finding("ok", f"The provider publishes {usable} usable {'key' if usable == 1 else 'keys'}.")


async def _authentication(
    tokens: TokenEndpoint, found: Discovered, registration: Registration, redirect_uri: str, deadline: Deadline
) -> Finding:
    """A provider looks at the client before it looks at the code, so its complaint tells whether it knows us."""
    try:
        answer = Answer(*_BOGUS, nonce="", redirect_uri=redirect_uri)
        reply = await tokens.ask(found, registration, answer, deadline)
    except Unreachable as error:
        return Finding("bad", f"The token endpoint cannot be used: {error}.")
    complaint = error_of(reply)
    if complaint == "invalid_grant":
        return Finding("ok", "The provider knows this client and accepts how it authenticates.")
    if is_about_client(reply):
        return Finding("bad", "The client id or the client secret is wrong.")
    if complaint == "unauthorized_client":
        return Finding("bad", "The provider does not let this client use the authorization code flow.")
    said = f"it answered {reply.status}" + (f" {complaint[:80]!r}" if complaint else "")
    return Finding("note", f"Whether the client id and secret are right could not be found out: {said}.")
