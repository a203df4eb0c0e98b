"""Access tokens of service accounts (RFC 6749, section 4.4): issue, introspect and revoke them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

from manifest_auth import audit, sessions
from manifest_auth.accounts import service_accounts
from manifest_auth.accounts.apps import App
from manifest_auth.accounts.provisioning import connections
from manifest_auth.accounts.service_accounts import OAuthAccount, rows
from manifest_auth.audit import Event
from manifest_auth.context import Principal, ServiceClient
from manifest_auth.errors import InvalidToken, TokenExpired
from manifest_auth.permissions import permission_names
from manifest_auth.protocols import oauth
from manifest_auth.protocols.oauth import SCIM, ClientAssertion, ClientSecret, InvalidClient, InvalidScope
from manifest_auth.runtime.settings import is_listed, networks_of
from manifest_auth.services import RequestContext
from manifest_auth.sessions import device_sessions, tokens
from manifest_auth.sessions.tokens.access import AUDIENCE
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind

# One error covers every cause; the cause is counted (:mod:`..throttle.limits`) and logged. Only a caller with a valid
# secret or assertion of the account learns which rule rejects it.

#: How long an assertion is remembered after it expires, in milliseconds, since the clocks of nodes might differ.
_KEPT_MS = 10 * 60_000


class OAuthClient(NamedTuple):
    """An authenticated service account. ``by`` is its RFC 7591 authentication method."""

    account: OAuthAccount
    by: str


async def authenticate(ctx: RequestContext, authorization: str | None, fields: Mapping[str, str]) -> OAuthClient:
    """Authenticates the calling account. ``authorization`` is that header; ``fields`` are those of the form. Raises
    InvalidClient, InvalidRequest, RateLimited."""
    shown = oauth.read_authentication(authorization, fields)
    if isinstance(shown, ClientSecret):
        client = OAuthClient(await _by_secret(ctx, shown), shown.by)
    else:
        issuer = ctx.services.settings.oauth_issuer
        client = OAuthClient(await by_assertion(ctx, shown, issuer, partial(_account_of, ctx)), "private_key_jwt")
    account = client.account
    if account.deactivated_at is not None:
        raise InvalidClient("the account is disabled", told="The service account is disabled")
    if account.suspended_at is not None:
        raise InvalidClient("the client is suspended", told="The organization of the service account is suspended")
    if account.addresses and not is_listed(ctx.address, networks_of(account.addresses)):
        told = f"The networks of the service account don't include your address, {ctx.address}"
        raise InvalidClient("the account can't be used from this address", told=told)
    ctx.caller = ServiceClient(account.id)
    return client


async def _by_secret(ctx: RequestContext, shown: ClientSecret) -> OAuthAccount:
    number = oauth.account_of(shown.client_id)
    if number is None or machine_secrets.kind_of(shown.secret) is not SecretKind.CLIENT_SECRET:
        raise InvalidClient("no client ID, or a client secret with an invalid checksum")  # spares a query
    services = ctx.services
    services.wrong_secrets.check(ctx.address, shown.secret)
    found = await services.principals.by_secret(SecretKind.CLIENT_SECRET, shown.secret)
    if found is None or found.user_id != number or found.ended_at is not None:
        await services.wrong_secrets.count(ctx.address, shown.client_id)
        raise InvalidClient("the secret is unknown, revoked, or another account's")
    if found.ends_at <= ctx.now:
        raise InvalidClient("the secret has expired", told="The client secret has expired")
    services.wrong_secrets.was_right(shown.secret)
    if ctx.now - found.cookie_seen_at >= rows.TOUCH_EVERY_MS:
        await _touch(ctx, found)
    return await _account(ctx, number)


async def _touch(ctx: RequestContext, secret: Principal) -> None:
    """Stores when and from where the secret was last used."""

    secret_id = secret.session_id.partition(":")[2]
    await ctx.services.store.of(secret.tenant_id).write_quickly(lambda unit: rows.touch_secret(unit, ctx, secret_id))
    ctx.services.principals.touched(secret, ctx.now)


_O = TypeVar("_O", OAuthAccount, App)


async def by_assertion(
    ctx: RequestContext, shown: ClientAssertion, issuer: str, find: Callable[[str], Awaitable[_O]]
) -> _O:
    """Authenticates a service account or app by ``private_key_jwt``. An assertion works once across all nodes. ``find``
    returns its owner by the client ID. Raises InvalidClient, RateLimited."""
    client_id = shown.client_id
    ctx.services.wrong_secrets.check(ctx.address, "")
    try:
        assertion = oauth.read_assertion(shown.text, client_id, issuer, ctx.now)
        client_id = assertion.client_id
        owner = await find(client_id)
        oauth.verify(assertion, oauth.read_keys(owner.jwks))
        until = assertion.exp * 1000 + _KEPT_MS

        def use(unit: TenantUnit) -> bool:
            return service_accounts.use_assertion(unit, client_id, assertion.jti, until)

        if not await ctx.services.store.of(owner.tenant_id).write_quickly(use):
            raise InvalidClient("assertion: used before")
    except InvalidClient:
        await ctx.services.wrong_secrets.count(ctx.address, client_id if oauth.is_client_id(client_id) else "")
        raise
    return owner


async def _account_of(ctx: RequestContext, client_id: str) -> OAuthAccount:
    return await _account(ctx, oauth.account_of(client_id) or 0)


async def _account(ctx: RequestContext, number: int) -> OAuthAccount:
    found = await service_accounts.find_oauth_account(ctx.services.store, number)
    if found is None:
        raise InvalidClient("unknown account")
    return found


async def issue(
    ctx: RequestContext, client: OAuthClient, asked: frozenset[str] | None
) -> tuple[str, int, tuple[str, ...]]:
    """Issues a token for an authenticated service account. Returns it with its lifetime in seconds and the names of its
    scope. ``asked`` is the scope; None means all permissions of the account. Raises InvalidScope."""
    services, account = ctx.services, client.account
    held = set(permission_names(account.roles, account.scopes))
    wanted = held if asked is None else asked
    if SCIM in wanted:
        of_client = services.store.of(account.tenant_id)
        owned = await of_client.read(lambda unit: connections.find_of_service(unit, account.id))
        held |= {SCIM} if owned is not None else set()
    if not wanted:
        raise InvalidScope("The service account has no permissions", reason="oauth: scope")
    if more := [name for name in oauth.SCOPES if name in wanted - held]:
        raise InvalidScope(f"The service account doesn't have: {', '.join(more)}", reason="oauth: scope")
    await services.keys.ensure_current()
    scope = tuple(name for name in oauth.SCOPES if name in wanted)
    life = services.settings.service_token_ttl
    grant = tokens.Grant(account.id, account.client, scope, services.random.text(16), life)
    token = tokens.mint_service_token(services.keys, services.settings.oauth_issuer, grant, ctx.now)

    def record(unit: TenantUnit) -> None:
        rows.record_hourly(unit, ctx, account.id, Event.SERVICE_TOKEN_ISSUED, scope=list(scope), by=client.by)

    await services.store.of(account.tenant_id).write_quickly(record)
    return token, life, scope


# An invalid token, one of another server, and one of another client all get the same response: not active. So the
# response reveals nothing about another client's token.


class Active(NamedTuple):
    """A valid token and its owner. ``sub``: its claim, or the client ID of the key's account; ``client_id``: the
    account or app that got it, or empty; ``scope``: replaces the permissions that it grants. Times are in seconds since
    1970."""

    principal: Principal
    sub: str
    client_id: str
    issuer: str
    audience: str
    issued_at: int
    expires_at: int
    scope: str = ""


async def introspect(ctx: RequestContext, client: OAuthClient, token: str) -> Active | None:
    """Introspects the token (RFC 7662). None for every token that the caller can't introspect."""
    if not client.account.may_introspect:
        return None
    try:
        found = await _active(ctx, token)
    except (InvalidToken, TokenExpired):
        return None
    return found if found is not None and found.principal.tenant_id == client.account.tenant_id else None


async def _active(ctx: RequestContext, token: str) -> Active | None:
    settings = ctx.services.settings
    if token.startswith(machine_secrets.PREFIX):
        if machine_secrets.kind_of(token) is not SecretKind.API_KEY:
            return None
        principal = await ctx.services.principals.by_secret(SecretKind.API_KEY, token)
        if principal is None or not principal.is_alive(ctx.now):
            return None
        return _of_machine(principal, settings.oauth_issuer)
    if tokens.is_service_token(token):
        principal, verified = await session_lifecycle.of_service(ctx, token)
        names = permission_names(principal.roles, principal.scopes)
        scope = " ".join((*names, SCIM) if verified.is_scim else names)
        return _of_machine(principal, settings.oauth_issuer)._replace(scope=scope)
    found = await of_user(ctx, token)
    if found.principal.is_app and not found.principal.permissions:
        return None  # it gives access only to claims about the user
    return found


async def of_user(ctx: RequestContext, token: str) -> Active:
    """Returns the user's access token, including one of an app. Raises InvalidToken, TokenExpired."""
    settings = ctx.services.settings
    principal, verified = await session_lifecycle.of_user(ctx, token)
    of_app = tokens.app_issuer(settings.oauth_issuer, principal.client)
    return Active(
        principal=principal,
        sub=str(principal.user_id),
        client_id=verified.client_id,
        issuer=settings.issuer,
        audience=of_app if principal.is_app else AUDIENCE[tokens.Purpose.ACCESS],
        issued_at=verified.iat,
        expires_at=verified.exp,
    )


def _of_machine(principal: Principal, issuer: str) -> Active:
    return Active(
        principal=principal,
        sub=oauth.client_id_of(principal.user_id),
        client_id=oauth.client_id_of(principal.user_id),
        issuer=issuer,
        audience=issuer,
        issued_at=principal.created_at // 1000,
        expires_at=principal.ends_at // 1000,
    )


_SHOWN = (SecretKind.API_KEY, SecretKind.CLIENT_SECRET)


async def revoke(ctx: RequestContext, authorization: str | None, fields: Mapping[str, str], token: str) -> None:
    """Ends the token (RFC 7009). An unknown or expired token, or one of another account, changes nothing. A key or
    secret needs no authentication, because anyone who has it could use it. Raises InvalidClient, RateLimited."""
    if token.startswith(machine_secrets.PREFIX):
        await _end_secret(ctx, token)
        return
    client = await authenticate(ctx, authorization, fields)
    if not tokens.is_service_token(token):
        return
    try:
        verified = await ctx.services.service_tokens.verify(token, ctx.now)
    except (InvalidToken, TokenExpired):
        return
    if verified.account != client.account.id:
        return

    await ctx.services.store.of(client.account.tenant_id).write_quickly(
        lambda unit: sessions.refuse_external_token(unit, verified.key, ctx.now, verified.until)
    )


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


async def revoke_of_app(ctx: RequestContext, app: App, token: str) -> None:
    """Ends the session of the app's own access or refresh token. Any other token changes nothing (RFC 7009)."""
    try:
        session_id = await session_lifecycle.session_of(ctx, token)
    except (InvalidToken, TokenExpired):
        return

    def work(unit: SystemUnit) -> None:
        found, bound = sessions.read(unit, session_id), unit.of(app.tenant_id)
        if found is None or device_sessions.app_of(bound, session_id) != app.id:
            return
        if sessions.end(bound, session_id, "signed_out", ctx.now):
            audit.record(bound, ctx, Event.SIGNED_OUT, f"user:{found.user_id}", session=session_id, app=app.id)

    await ctx.services.store.write_quickly(work)
