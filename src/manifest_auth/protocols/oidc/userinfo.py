"""Userinfo (OpenID Connect Core, section 5.3): what the ID token leaves out, as JSON or as a JWT that is signed."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc import id_token
from manifest_auth.protocols.oidc.errors import Refused
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Reply, Unreachable, parse


async def fetch(outgoing: Outgoing, address: str, access_token: str, deadline: Deadline) -> Reply:
    """The answer as it is. Raises Unreachable where the provider has a fault, Refused where it gives none."""
    sent = {"Authorization": f"Bearer {access_token}"}
    reply = await outgoing.get(address, headers=sent, deadline=deadline, call="userinfo")
    if reply.status >= 500:
        raise Unreachable(f"userinfo answered {reply.status}")
    if reply.status != 200:
        raise Refused(f"userinfo answered {reply.status}")
    return reply


def is_signed(reply: Reply) -> bool:
    """Whether it came as a JWT, which the type of the answer says (section 5.3.2)."""
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/jwt"


def signed(reply: Reply, algorithms: tuple[str, ...]) -> id_token.Signed:
    """The JWT in its parts; an encrypted one has no such parts. Raises Refused."""
    return id_token.read(reply.body.decode("ascii", "replace").strip(), algorithms)


def read(body: bytes) -> dict[str, Any]:
    """The claims. Raises Refused for what is no JSON object."""
    try:
        found = parse(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise Refused(f"userinfo: {error}") from None
    if not isinstance(found, dict):
        raise Refused("userinfo is no object")
    return found


def check(claims: dict[str, Any], sub: str) -> None:
    """Raises Refused for what is about somebody else (section 5.3.2)."""
    if claims.get("sub") != sub:
        raise Refused("userinfo is about somebody else")


def check_signed(claims: dict[str, Any], issuer: str, client_id: str, trusted: tuple[str, ...]) -> None:
    """A signed answer names issuer and audience, which must be the right ones (section 5.3.2)."""
    audience = claims.get("aud")
    if claims.get("iss") != issuer or not id_token.is_for(audience, client_id):
        raise Refused("userinfo: signed by or for somebody else")
    if id_token.foreign_audiences(claims["aud"], client_id, trusted):
        raise Refused("userinfo: signed by or for somebody else")


def together(told: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """The claims of both. What the ID token says wins; an address comes with its own mark and not with the other's."""
    both = {**info, **told}
    marks = (info, told) if "email" not in told else (told, info if info.get("email") == told["email"] else {})
    both.pop("email_verified", None)
    found = [source["email_verified"] for source in marks if "email_verified" in source]
    return {**both, **({"email_verified": found[0]} if found else {})}
