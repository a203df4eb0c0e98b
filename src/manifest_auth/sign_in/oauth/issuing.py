"""Issues access tokens to service accounts: the scope that was asked for, within what the account may do now."""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth.accounts.service_accounts import use
from manifest_auth.audit import Event
from manifest_auth.permissions import Permission, allowed
from manifest_auth.protocols.oauth import InvalidScope, TokenRequest
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sign_in.oauth.clients import OAuthClient
from manifest_auth.store import TenantUnit


class Issued(NamedTuple):
    """A new token. ``expires_in``: seconds; ``scope``: names of permissions."""

    token: str
    expires_in: int
    scope: tuple[str, ...]


async def issue(ctx: RequestContext, client: OAuthClient, request: TokenRequest) -> Issued:
    """A token for an authenticated service account. Raises InvalidScope."""
    services, account = ctx.services, client.account
    held = allowed(account.roles, account.scopes)
    wanted = held if request.scope is None else request.scope
    if not wanted or not wanted <= held:
        raise InvalidScope("scope asks for more than the account may do", reason="oauth: scope")
    await services.keys.ensure_current()
    scope = tuple(permission.value for permission in Permission if permission in wanted)
    life = services.settings.service_token_ttl
    grant = tokens.Grant(account.id, account.client, scope, services.random.text(16), life)
    token = tokens.mint_service_token(services.keys, services.settings.oauth_issuer, grant, ctx.now)

    def record(unit: TenantUnit) -> None:
        use.record_hourly(unit, ctx, account.id, Event.SERVICE_TOKEN_ISSUED, scope=list(scope), by=client.by)

    await services.store.of(account.tenant_id).write_quickly(record)
    return Issued(token, life, scope)
