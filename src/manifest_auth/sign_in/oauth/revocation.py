"""Revocation (RFC 7009): of the caller's own tokens, and of an API key or client secret by anyone who has it."""

from __future__ import annotations

from collections.abc import Mapping

from manifest_auth import sessions
from manifest_auth.accounts import service_accounts
from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sign_in.oauth import clients
from manifest_auth.store import TenantUnit
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind

_SHOWN = (SecretKind.API_KEY, SecretKind.CLIENT_SECRET)


async def revoke(ctx: RequestContext, authorization: str | None, fields: Mapping[str, str], token: str) -> None:
    """Ends the token; one that is unknown, over or another's changes nothing. A key or secret needs no authentication:
    who has it could use it. Raises InvalidClient, RateLimited."""
    if token.startswith(machine_secrets.PREFIX):
        await _end_secret(ctx, token)
        return
    client = await clients.authenticate(ctx, authorization, fields)
    if not tokens.is_service_token(token):
        return
    try:
        verified = await ctx.services.service_tokens.verify(token, ctx.now)
    except (InvalidToken, TokenExpired):
        return
    if verified.account != client.account.id:
        return

    def work(unit: TenantUnit) -> None:
        sessions.refuse_external_token(unit, verified.key, ctx.now, verified.expires_at * 1000)

    await ctx.services.store.of(client.account.tenant_id).write_quickly(work)


async def _end_secret(ctx: RequestContext, secret: str) -> None:
    kind = machine_secrets.kind_of(secret)
    if kind not in _SHOWN:
        return
    ctx.services.wrong_secrets.check(ctx.address, secret)
    found = await ctx.services.principals.by_secret(kind, secret)
    if found is None:
        await ctx.services.wrong_secrets.count(ctx.address)
        return
    secret_id = found.session_id.partition(":")[2]
    await ctx.services.store.of(found.tenant_id).write_quickly(
        lambda unit: service_accounts.end_leaked(unit, ctx, secret_id)
    )
