"""Authenticates the service account that calls ``/oauth2``, by a client secret or by a signed assertion.

One refusal covers every cause; what was wrong is counted (:mod:`...throttle.limits`) and stands in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import OAuthAccount, use
from manifest_auth.context import Principal, ServiceClient
from manifest_auth.protocols import oauth
from manifest_auth.protocols.oauth import BasicSecret, ClientAssertion, InvalidClient
from manifest_auth.runtime.settings import is_listed, networks_of
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind

#: How long an assertion is remembered after its end, milliseconds: clocks of nodes may differ.
_KEPT_MS = 10 * 60_000


class OAuthClient(NamedTuple):
    """An authenticated service account. ``by``: the method of RFC 7591 that it proved itself with."""

    account: OAuthAccount
    by: str


async def authenticate(ctx: RequestContext, authorization: str | None, fields: Mapping[str, str]) -> OAuthClient:
    """The account that calls. ``authorization``: that header; ``fields``: of the form. Raises InvalidClient,
    InvalidRequest, RateLimited."""
    shown = oauth.read_authentication(authorization, fields)
    if isinstance(shown, BasicSecret):
        client = OAuthClient(await _by_secret(ctx, shown), "client_secret_basic")
    else:
        client = OAuthClient(await _by_assertion(ctx, shown), "private_key_jwt")
    networks = client.account.addresses
    if networks and not is_listed(ctx.address, networks_of(networks)):
        raise InvalidClient("the account is not for that address")
    ctx.caller = ServiceClient(client.account.id)
    return client


async def _by_secret(ctx: RequestContext, shown: BasicSecret) -> OAuthAccount:
    number = oauth.account_of(shown.client_id)
    if number is None or machine_secrets.kind_of(shown.secret) is not SecretKind.CLIENT_SECRET:
        raise InvalidClient("no client id, or no client secret by its checksum")  # so the store is not asked
    services = ctx.services
    services.wrong_secrets.check(ctx.address, shown.secret)
    found = await services.principals.by_secret(SecretKind.CLIENT_SECRET, shown.secret)
    if found is None or found.user_id != number or not found.is_alive(ctx.now):
        await services.wrong_secrets.count(ctx.address, shown.client_id)
        raise InvalidClient("the secret is unknown, over or another's, or the account is disabled")
    services.wrong_secrets.was_right(shown.secret)
    if ctx.now - found.cookie_seen_at >= use.TOUCH_EVERY_MS:
        await _touch(ctx, found)
    return await _account(ctx, number)


async def _touch(ctx: RequestContext, secret: Principal) -> None:
    """Stores when the secret was used last, and from where."""

    def work(unit: TenantUnit) -> None:
        use.touch_secret(unit, ctx, secret.session_id.partition(":")[2])

    await ctx.services.store.of(secret.tenant_id).write_quickly(work)
    ctx.services.principals.touched(secret, ctx.now)


async def _by_assertion(ctx: RequestContext, shown: ClientAssertion) -> OAuthAccount:
    client_id, now = shown.client_id, ctx.now
    ctx.services.wrong_secrets.check(ctx.address, "")
    try:
        assertion = oauth.read_assertion(shown.text, client_id, ctx.services.settings.oauth_issuer, now)
        client_id = oauth.client_id_of(assertion.account)
        account = await _account(ctx, assertion.account)
        oauth.verify(assertion, oauth.read_keys(account.jwks))
        until = assertion.exp * 1000 + _KEPT_MS

        def use(unit: TenantUnit) -> bool:
            return service_accounts.use_assertion(unit, account.id, assertion.jti, until)

        if not await ctx.services.store.of(account.tenant_id).write_quickly(use):
            raise InvalidClient("assertion: used before")
    except InvalidClient:
        named = client_id if oauth.account_of(client_id) is not None else ""
        await ctx.services.wrong_secrets.count(ctx.address, named)
        raise
    return account


async def _account(ctx: RequestContext, number: int) -> OAuthAccount:
    found = await service_accounts.find_oauth_account(ctx.services.store, number)
    if found is None:
        raise InvalidClient("no such account, or it is disabled, or its client is suspended")
    return found
