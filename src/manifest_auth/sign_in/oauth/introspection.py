"""Introspection (RFC 7662): what a token of the caller's own client is good for at this moment.

Whatever is not good, is not of this server, or is of another client is answered alike: as not active. So the answer
tells no one whether a token of another client works.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.context import Principal
from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.protocols.oauth import client_id_of
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens.access import AUDIENCE
from manifest_auth.sign_in import bearers
from manifest_auth.sign_in.oauth.clients import OAuthClient
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind


class Active(NamedTuple):
    """A token that is good, and whose it is. ``sub``: of its claim, or the client id of the key's account; times in
    seconds since 1970."""

    principal: Principal
    sub: str
    issuer: str
    audience: str
    issued_at: int
    expires_at: int


async def introspect(ctx: RequestContext, client: OAuthClient, token: str) -> Active | None:
    """What the token is good for; None for every token that the caller is told nothing of."""
    if not client.account.may_introspect:
        return None
    try:
        found = await _active(ctx, token)
    except (InvalidToken, TokenExpired):
        return None
    return found if found is not None and found.principal.tenant_id == client.account.tenant_id else None


async def _active(ctx: RequestContext, token: str) -> Active | None:
    settings = ctx.services.settings
    issuer = settings.oauth_issuer
    if token.startswith(machine_secrets.PREFIX):
        if machine_secrets.kind_of(token) is not SecretKind.API_KEY:
            return None
        principal = await ctx.services.principals.by_secret(SecretKind.API_KEY, token)
        if principal is None or not principal.is_alive(ctx.now):
            return None
        return _of_machine(principal, issuer)
    if tokens.is_service_token(token):
        principal, _ = await bearers.of_service(ctx, token)
        return _of_machine(principal, issuer)
    principal, verified = await bearers.of_user(ctx, token)
    return Active(
        principal=principal, sub=str(principal.user_id), issuer=settings.issuer,
        audience=AUDIENCE[tokens.Purpose.ACCESS], issued_at=verified.iat, expires_at=verified.exp,
    )  # fmt: skip


def _of_machine(principal: Principal, issuer: str) -> Active:
    return Active(
        principal=principal, sub=client_id_of(principal.user_id), issuer=issuer, audience=issuer,
        issued_at=principal.created_at // 1000, expires_at=principal.ends_at // 1000,
    )  # fmt: skip
