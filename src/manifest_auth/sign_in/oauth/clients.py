"""Authenticates the service account that calls ``/oauth2``, by a client secret or by a signed assertion.

One refusal covers every cause; what was wrong is counted (:mod:`...throttle.machines`) and stands in the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.service_accounts import OAuthAccount
from manifest_auth.context import ServiceClient
from manifest_auth.protocols import oauth
from manifest_auth.protocols.oauth import BasicSecret, ClientAssertion, InvalidClient
from manifest_auth.runtime.settings import is_listed, networks_of
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind
from manifest_auth.throttle import machines

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
    found = await ctx.services.principals.by_secret(SecretKind.CLIENT_SECRET, shown.secret)
    if found is None or found.user_id != number or not found.is_alive(ctx.now):
        await count_wrong(ctx, shown.client_id)
        raise InvalidClient("the secret is unknown, over or another's, or the account is disabled")
    return await _account(ctx, number)


async def _by_assertion(ctx: RequestContext, shown: ClientAssertion) -> OAuthAccount:
    client_id, now = shown.client_id, ctx.now
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
        await count_wrong(ctx, client_id)
        raise
    return account


async def _account(ctx: RequestContext, number: int) -> OAuthAccount:
    found = await service_accounts.find_oauth_account(ctx.services.store, number)
    if found is None:
        raise InvalidClient("no such account, or it is disabled, or its client is suspended")
    return found


async def count_wrong(ctx: RequestContext, client_id: str) -> None:
    """Counts a wrong credential. Raises RateLimited where further ones have to wait."""
    named = client_id if oauth.account_of(client_id) is not None else ""
    services = ctx.services
    limited = await machines.count_wrong(services.throttle, services.store, ctx.address, named, ctx.now)
    if limited is not None:
        raise limited
