"""Userinfo (OpenID Connect Core, section 5.3): claims that the ID token lacks, as JSON or as a signed JWT."""

from __future__ import annotations

from typing import Any

from manifest_auth.protocols.oidc import id_token
from manifest_auth.protocols.oidc.errors import Refused
from manifest_auth.runtime.outgoing import Deadline, Outgoing, Reply, Unreachable, parse

#: How and when the user authenticated: the ID token alone says so, since it alone is about this authentication.
_OF_AUTHENTICATION = frozenset({"amr", "acr", "acrs", "auth_time"})


async def fetch(outgoing: Outgoing, address: str, access_token: str, deadline: Deadline) -> Reply:
    """The unchecked answer. Raises Unreachable for a broken provider, Refused for another error."""
    sent = {"Authorization": f"Bearer {access_token}"}
    reply = await outgoing.get(address, headers=sent, deadline=deadline, call="userinfo")
    if reply.status >= 500:
        raise Unreachable(f"userinfo answered {reply.status}")
    if reply.status != 200:
        raise Refused(f"userinfo answered {reply.status}")
    return reply


def is_signed(reply: Reply) -> bool:
    """Whether the answer is a JWT, by its media type (section 5.3.2)."""
    return reply.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/jwt"


def signed(reply: Reply, algorithms: tuple[str, ...]) -> id_token.Signed:
    """The parts of the JWT. Raises Refused, also for an encrypted one."""
    return id_token.read(reply.body.decode("ascii", "replace").strip(), algorithms)


def read(body: bytes) -> dict[str, Any]:
    """The claims of a userinfo answer. Raises Refused unless the body is a JSON object."""
    try:
        found = parse(body.removeprefix(b"\xef\xbb\xbf"))
    except ValueError as error:
        raise Refused(f"userinfo: {error}") from None
    if not isinstance(found, dict):
        raise Refused("userinfo is no object")
    return found


def check(claims: dict[str, Any], sub: str) -> None:
    """Raises Refused for the claims of another user (section 5.3.2)."""
    if claims.get("sub") != sub:
        raise Refused("userinfo is about another user")


def check_signed(claims: dict[str, Any], issuer: str, client_id: str, trusted: tuple[str, ...]) -> None:
    """Checks issuer and audience of a signed answer (section 5.3.2). Raises Refused."""
    audience = claims.get("aud")
    if claims.get("iss") != issuer or not id_token.is_for(audience, client_id):
        raise Refused("userinfo: signed by or for another party")
    if id_token.foreign_audiences(claims["aud"], client_id, trusted):
        raise Refused("userinfo: signed by or for another party")


def merged(token_claims: dict[str, Any], info: dict[str, Any]) -> dict[str, Any]:
    """The claims of both. The ID token's claims win, and it alone says how the user authenticated; ``email_verified``
    comes from the source of the e-mail address."""
    both = {name: value for name, value in info.items() if name not in _OF_AUTHENTICATION} | token_claims
    marks = (
        (info, token_claims)
        if "email" not in token_claims
        else (token_claims, info if info.get("email") == token_claims["email"] else {})
    )
    both.pop("email_verified", None)
    found = [source["email_verified"] for source in marks if "email_verified" in source]
    return {**both, **({"email_verified": found[0]} if found else {})}
