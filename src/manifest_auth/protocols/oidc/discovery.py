"""Discovery documents of providers (OpenID Connect Discovery 1.0, sections 3 and 4)."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc.errors import SETUP_ERROR, Refused
from manifest_auth.protocols.oidc.keys import ALGORITHMS
from manifest_auth.protocols.oidc.messages import Discovered
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Unreachable, split

WELL_KNOWN = "/.well-known/openid-configuration"


def address_of(issuer: str) -> str:
    """The discovery address of an issuer: without a slash at its end, with its path (section 4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


async def fetch(outgoing: Outgoing, address: str, deadline: Deadline) -> dict[str, Any]:
    """The unchecked document. Raises Unreachable, also when it is not a JSON object."""
    reply = await outgoing.get(address, deadline=deadline, call="discovery")
    if reply.status != 200:
        raise Unreachable(f"{address}: answered {reply.status}")
    try:
        document = reply.json()
    except ValueError as error:
        raise Unreachable(f"{address}: no JSON: {error}") from None
    if not isinstance(document, dict):
        raise Unreachable(f"{address}: no JSON object")
    return document


def read(outgoing: Outgoing, issuer: str, document: dict[str, Any]) -> Discovered:
    """The used members. Raises Refused for another issuer (section 4.3), or an address that may not be used."""
    if document.get("issuer") != issuer:
        reason = f"discovery: the issuer is {str(document.get('issuer'))[:200]}, configured is {issuer}"
        raise Refused(reason, SETUP_ERROR)
    if faults := bad_endpoints(outgoing, document):
        raise Refused(f"discovery: {'; '.join(faults)}", SETUP_ERROR)
    return Discovered(
        issuer=issuer,
        authorization_endpoint=document["authorization_endpoint"],
        token_endpoint=document["token_endpoint"],
        jwks_uri=document["jwks_uri"],
        userinfo_endpoint=_usable(outgoing, document.get("userinfo_endpoint")),
        algorithms=usable_algorithms(document),
        token_auth_methods=texts(document, "token_endpoint_auth_methods_supported") or ("client_secret_basic",),
        returns_iss=document.get("authorization_response_iss_parameter_supported") is True,
        end_session_endpoint=_usable(outgoing, document.get("end_session_endpoint")),
    )


def bad_endpoints(outgoing: Outgoing, document: dict[str, Any]) -> list[str]:
    """Faults of the required endpoint addresses, each as a phrase."""
    faults = []
    for name, check in (
        ("authorization_endpoint", split),  # only the browser goes there, perhaps to a private address
        ("token_endpoint", outgoing.check),
        ("jwks_uri", outgoing.check),
    ):
        address = document.get(name)
        try:
            check(address if isinstance(address, str) else "")
        except ValueError as error:
            faults.append(f"{name} {error}" if address else f"{name} is missing")
    return faults


def usable_algorithms(document: dict[str, Any]) -> tuple[str, ...]:
    """The supported ones among the provider's signing algorithms. Every provider has RS256 (OpenID Connect Core,
    section 15.1); ``none`` and HMAC are never accepted."""
    announced = {"RS256", *texts(document, "id_token_signing_alg_values_supported")}
    return tuple(name for name in ALGORITHMS if name in announced)


def texts(document: dict[str, Any], name: str) -> tuple[str, ...]:
    """A member that is a list of texts; empty when it is absent or of another type."""
    found = document.get(name)
    return tuple(entry for entry in found if isinstance(entry, str)) if isinstance(found, list) else ()


def _usable(outgoing: Outgoing, address: object) -> str | None:
    try:
        outgoing.check(str(address))
    except ValueError:
        return None
    return str(address)
