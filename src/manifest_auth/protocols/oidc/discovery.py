"""Discovery: what a provider publishes about itself (OpenID Connect Discovery 1.0, sections 3 and 4)."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc.errors import SET_UP, Refused
from manifest_auth.protocols.oidc.keys import ALGORITHMS
from manifest_auth.protocols.oidc.messages import Discovered
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Unreachable, split

WELL_KNOWN = "/.well-known/openid-configuration"


def address_of(issuer: str) -> str:
    """Where an issuer's document is: a slash at its end is taken away first, a path stays (section 4.1)."""
    return issuer.removesuffix("/") + WELL_KNOWN


async def fetch(outgoing: Outgoing, address: str, deadline: Deadline) -> dict[str, Any]:
    """The document as it is. Raises Unreachable, also when it is no document."""
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
    """The members that we use. Raises Refused: another issuer's (section 4.3), or an address that may not be used."""
    if document.get("issuer") != issuer:
        reason = f"discovery: the issuer is {str(document.get('issuer'))[:200]}, configured is {issuer}"
        raise Refused(reason, SET_UP)
    if faults := bad_endpoints(outgoing, document):
        raise Refused(f"discovery: {'; '.join(faults)}", SET_UP)
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
    """What is wrong with the addresses that no sign-in can do without, each in a phrase."""
    faults = []
    for name, check in (
        ("authorization_endpoint", split),  # only the browser goes there, perhaps to where we may not
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
    """Ours among those that the provider signs with. RS256 is everybody's (OpenID Connect Core, section 15.1); ``none``
    and HMAC, which many documents list, are nobody's."""
    announced = {"RS256", *texts(document, "id_token_signing_alg_values_supported")}
    return tuple(name for name in ALGORITHMS if name in announced)


def texts(document: dict[str, Any], name: str) -> tuple[str, ...]:
    """A member that is a list of texts; empty when it is absent or something else."""
    found = document.get(name)
    return tuple(entry for entry in found if isinstance(entry, str)) if isinstance(found, list) else ()


def _usable(outgoing: Outgoing, address: object) -> str | None:
    try:
        outgoing.check(str(address))
    except ValueError:
        return None
    return str(address)
