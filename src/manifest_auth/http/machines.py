"""Identifies machines: callers with an API key of a service account, or with an access token that it got."""

from __future__ import annotations

from functools import lru_cache

from manifest_auth.accounts.service_accounts import use
from manifest_auth.audit import Event
from manifest_auth.context import Origin, Principal
from manifest_auth.errors import Forbidden, InvalidToken, TokenExpired
from manifest_auth.runtime.settings import Network, is_listed, networks_of
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sign_in import bearers
from manifest_auth.store import TenantUnit
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind


def is_machine_credential(token: str) -> bool:
    """Whether a bearer token is a machine's by its beginning; no other token begins so."""
    return token.startswith(machine_secrets.PREFIX) or tokens.is_service_token(token)


async def identify(ctx: RequestContext, token: str) -> Principal:
    """The service account behind a machine's credential. Raises InvalidToken, TokenExpired, Forbidden for a wrong
    address, RateLimited."""
    return await (_by_token(ctx, token) if tokens.is_service_token(token) else _by_api_key(ctx, token))


async def _by_token(ctx: RequestContext, token: str) -> Principal:
    principal, _ = await bearers.of_service(ctx, token)
    check_address(ctx, principal)
    now = ctx.now
    if now - principal.cookie_seen_at >= use.RECORD_EVERY_MS:  # when a use of the account was recorded last
        who = Origin(now, principal.actor, ctx.address, ctx.request_id)

        def work(unit: TenantUnit) -> None:
            use.record_hourly(unit, who, principal.user_id, Event.SERVICE_SIGNED_IN, by=principal.method)

        await ctx.services.store.of(principal.tenant_id).write_quickly(work)
        ctx.services.principals.touched(principal, now)
    return principal


async def _by_api_key(ctx: RequestContext, key: str) -> Principal:
    """Junk is refused before the store is asked."""
    services, now = ctx.services, ctx.now
    if machine_secrets.kind_of(key) is not SecretKind.API_KEY:
        raise InvalidToken(reason="API key: shape, checksum or kind")
    services.wrong_secrets.check(ctx.address, key)
    principal = await services.principals.by_secret(SecretKind.API_KEY, key)
    if principal is None:
        await services.wrong_secrets.count(ctx.address)
        raise InvalidToken(reason="API key: unknown")
    if not principal.is_alive(now):
        if now >= principal.ends_at and principal.is_alive(principal.ends_at - 1):
            raise TokenExpired(reason="API key")
        raise InvalidToken(reason="API key: key, account or client is not alive")
    services.wrong_secrets.was_right(key)
    check_address(ctx, principal)
    if now - principal.cookie_seen_at >= use.TOUCH_EVERY_MS:
        await _touch(ctx, principal)
    return principal


def check_address(ctx: RequestContext, principal: Principal) -> None:
    """Raises Forbidden where the service account has a list of networks, and the caller's address is in none."""
    if principal.addresses and not is_listed(ctx.address, _networks(principal.addresses)):
        ctx.caller = principal  # for the record of the refusal
        raise Forbidden(reason="the address is not listed for the service account")


async def _touch(ctx: RequestContext, principal: Principal) -> None:
    """Stores the use. ``cookie_seen_at`` of a machine is when its key was used last."""
    secret_id = principal.session_id.removeprefix("key:")
    who = Origin(ctx.now, principal.actor, ctx.address, ctx.request_id)

    def work(unit: TenantUnit) -> None:
        use.touch(unit, who, principal.user_id, secret_id)

    await ctx.services.store.of(principal.tenant_id).write_quickly(work)
    ctx.services.principals.touched(principal, ctx.now)


@lru_cache(maxsize=1024)
def _networks(addresses: str) -> tuple[Network, ...]:
    return networks_of(addresses)
