"""Identifies the caller of a request.

No other module reads bearer tokens or session cookies.

If a request has a bearer token, only the token identifies the caller. An invalid token is rejected, without falling
back to the cookie. Users and system admins have separate keys, so a token for one API isn't valid for the other.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache

from manifest_auth import sessions, tenants
from manifest_auth.accounts import admins
from manifest_auth.accounts.provisioning import connections
from manifest_auth.accounts.service_accounts import rows
from manifest_auth.audit import INSTALLATION, Event
from manifest_auth.context import ANONYMOUS, AdminCaller, Origin, Principal, ScimCaller
from manifest_auth.errors import Forbidden, InvalidToken, TokenExpired, Unauthenticated, ValidationError
from manifest_auth.http import SESSION, Head, check_same_site
from manifest_auth.http.cookies import beside_cookie, beside_of, session_cookie
from manifest_auth.runtime.settings import is_listed, networks_of, plain_address
from manifest_auth.services import Owner, RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import Purpose
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.store import TenantUnit
from manifest_auth.text import machine_secrets
from manifest_auth.text.machine_secrets import SecretKind


def is_machine_credential(token: str) -> bool:
    """Whether a bearer token belongs to a machine, according to its prefix, which no other token has."""
    return token.startswith(machine_secrets.PREFIX) or tokens.is_service_token(token)


async def identify_machine(ctx: RequestContext, token: str) -> Principal:
    """Returns the service account of a machine's credential. Raises InvalidToken, TokenExpired, RateLimited, or
    Forbidden for an address that isn't allowed."""
    return await (_by_access_token(ctx, token) if tokens.is_service_token(token) else _by_api_key(ctx, token))


async def _by_access_token(ctx: RequestContext, token: str) -> Principal:
    principal, _ = await session_lifecycle.of_service(ctx, token)
    check_address(ctx, principal)
    now = ctx.now
    if now - principal.cookie_seen_at >= rows.RECORD_EVERY_MS:  # when a use of the account was last recorded
        who = Origin(now, principal.actor, ctx.address, ctx.request_id)

        def work(unit: TenantUnit) -> None:
            rows.record_hourly(unit, who, principal.user_id, Event.SERVICE_SIGNED_IN, by=principal.method)

        await ctx.services.store.of(principal.tenant_id).write_quickly(work)
        ctx.services.principals.touched(principal, now)
    return principal


async def _by_api_key(ctx: RequestContext, key: str) -> Principal:
    """Rejects malformed credentials before any query."""
    services, now = ctx.services, ctx.now
    if machine_secrets.kind_of(key) is not SecretKind.API_KEY:
        raise InvalidToken(reason="API key: invalid format, checksum, or kind")
    services.wrong_secrets.check(ctx.address, key)
    principal = await services.principals.by_secret(SecretKind.API_KEY, key)
    if principal is None:
        await services.wrong_secrets.count(ctx.address)
        raise InvalidToken(reason="API key: unknown")
    if not principal.is_alive(now):
        if now >= principal.ends_at and principal.is_alive(principal.ends_at - 1):
            raise TokenExpired(reason="API key")
        raise InvalidToken(reason="API key: the key, account, or client is no longer active")
    services.wrong_secrets.was_right(key)
    check_address(ctx, principal)
    if now - principal.cookie_seen_at >= rows.TOUCH_EVERY_MS:
        await _touch_machine(ctx, principal)
    return principal


def check_address(ctx: RequestContext, principal: Principal) -> None:
    """Raises Forbidden if the service account has a list of networks, and the caller's address isn't in any of them."""
    if principal.addresses and not is_listed(ctx.address, _networks(principal.addresses)):
        ctx.caller = principal  # for recording the rejection
        told = f"The networks of the service account don't include your address, {ctx.address}"
        raise Forbidden(details=[("address", told)])


#: The header in which a backend forwards the address of its own caller.
FORWARDED_FOR = b"manifest-forwarded-for"


async def forward(ctx: RequestContext, head: Head, address: str) -> None:
    """Uses ``address`` as the request's address, if a service account that has the right to do so forwards it for users
    of its client. Raises Unauthenticated, InvalidToken, TokenExpired, Forbidden, RateLimited, or ValidationError."""
    if head.authorization is None:
        raise Unauthenticated()
    token = bearer(head.authorization)
    if not is_machine_credential(token):
        raise InvalidToken(reason="a forwarded address without the credential of a service account")
    principal = await identify_machine(ctx, token)
    ctx.caller = principal  # for recording a rejection
    ctx.client_hint.check(principal.client, principal.tenant_id, "credential")
    account = await rows.find_oauth_account(ctx.services.store, principal.user_id)
    found, name = plain_address(address), FORWARDED_FOR.decode().title()
    if account is None or not account.may_forward_address:
        raise Forbidden(details=[(name, "The service account isn't allowed to forward addresses")])
    if found is None:
        raise ValidationError(details=[(name, "Must be a single IP address")])
    ctx.caller, ctx.client_header = ANONYMOUS, principal.client
    ctx.address, ctx.via = found, principal.actor


async def _touch_machine(ctx: RequestContext, principal: Principal) -> None:
    """Stores the use. For a machine, ``cookie_seen_at`` is when its key was last used."""
    secret_id = principal.session_id.removeprefix("key:")
    who = Origin(ctx.now, principal.actor, ctx.address, ctx.request_id)
    await ctx.services.store.of(principal.tenant_id).write_quickly(
        lambda unit: rows.touch(unit, who, principal.user_id, secret_id)
    )
    ctx.services.principals.touched(principal, ctx.now)


async def scim(ctx: RequestContext, head: Head) -> ScimCaller:
    """Returns the SCIM connection of a request, by one of its tokens or by an access token of the service account that
    owns it, and makes it the caller. Raises Unauthenticated, InvalidToken, TokenExpired, Forbidden, or RateLimited."""
    if head.authorization is None:
        raise Unauthenticated()
    token = bearer(head.authorization)
    caller = await (_by_scim_scope(ctx, token) if tokens.is_service_token(token) else _by_scim_token(ctx, token))
    ctx.caller = caller
    return caller


async def _by_scim_token(ctx: RequestContext, token: str) -> ScimCaller:
    """Rejects malformed tokens before any query."""
    services, now = ctx.services, ctx.now
    if machine_secrets.kind_of(token) is not SecretKind.SCIM:
        raise InvalidToken(reason="SCIM token: shape, checksum or kind")
    services.wrong_secrets.check(ctx.address, token)
    found = await connections.find_bearer(services.store, token)
    if found is None:
        await services.wrong_secrets.count(ctx.address)
        raise InvalidToken(reason="SCIM token: unknown")
    if found.ended_at is not None or found.suspended_at is not None:
        raise InvalidToken(reason="SCIM token: token or client is not alive")
    if found.ends_at <= now:
        raise TokenExpired(reason="SCIM token")
    services.wrong_secrets.was_right(token)
    if now - (found.last_used_at or 0) >= connections.TOUCH_EVERY_MS:
        await services.store.of(found.tenant_id).write_quickly(
            lambda unit: connections.called(unit, found.connection_id, found.token_id, now)
        )
    return ScimCaller(found.tenant_id, found.client, found.connection_id, found.name)


async def _by_scim_scope(ctx: RequestContext, token: str) -> ScimCaller:
    principal, verified = await session_lifecycle.of_service(ctx, token)
    check_address(ctx, principal)
    of_client, now = ctx.services.store.of(principal.tenant_id), ctx.now
    found = await of_client.read(lambda unit: connections.find_of_service(unit, principal.user_id))
    if found is None or not verified.is_scim:
        raise InvalidToken(reason="service token: without the scope scim, or owner of no connection")
    if now - (found.last_call_at or 0) >= connections.TOUCH_EVERY_MS:
        await of_client.write_quickly(lambda unit: connections.called(unit, found.id, None, now))
    return ScimCaller(principal.tenant_id, principal.client, found.id, found.name)


_MAX_COOKIE = 256
_networks = lru_cache(maxsize=1024)(networks_of)


async def user(ctx: RequestContext, method: str, head: Head) -> Principal:
    """Returns the user or machine behind a request. Raises Unauthenticated, InvalidToken, TokenExpired, Forbidden, or
    RateLimited."""
    services, now = ctx.services, ctx.now
    if head.authorization is not None:
        token = bearer(head.authorization)
        if services.verified.is_ours(token):
            principal = await _by_token(ctx, token, now)
        elif is_machine_credential(token):
            principal = await identify_machine(ctx, token)
        elif (microsoft_key := services.entra.key_of(ctx, token)) is not None:
            principal = await services.entra.principal(ctx, token, microsoft_key)
        else:
            principal = await _by_token(ctx, token, now)
    else:
        principal = await by_cookie(ctx, head, now)
        if head.origin is not None or head.fetch_site is not None:  # from a browser
            listed = tenants.origins_for(tenants.settings_of(principal.tenant_settings), principal.roles)
            check_same_site(method, head, services.settings, principal.client, listed)
        ctx.by_cookie = True
    if head.client_id is not None:
        ctx.caller = principal  # for recording the rejection
        ctx.client_hint.check(principal.client, principal.tenant_id, "credential")
    return principal


async def _by_token(ctx: RequestContext, token: str, now: int) -> Principal:
    try:
        principal, verified = await session_lifecycle.of_user(ctx, token)
        ctx.by_app = verified.client_id if principal.is_app else ""
        if principal.idle_s is not None:
            await session_lifecycle.note_use(ctx, principal)
    except InvalidToken:
        await _record_admin_token(ctx, token, now)
        raise
    return principal


async def admin(ctx: RequestContext, head: Head) -> AdminCaller:
    """Returns the system admin of a request, by bearer token only. Raises Unauthenticated, InvalidToken, or
    TokenExpired."""
    if head.authorization is None:
        raise Unauthenticated()
    token, now = bearer(head.authorization), ctx.now
    await ctx.services.keys.ensure_current()
    try:
        verified = await ctx.services.verified.verify(Purpose.ADMIN_ACCESS, token, now)
    except InvalidToken:
        await _record_user_token(ctx, token, now)
        raise
    session = await ctx.services.store.look_up(admins.BY_SESSION, id=verified.session_id)
    if session is None or not session.is_alive(ctx.now) or session.admin_id != verified.subject_id:
        raise InvalidToken(reason="the session or admin is no longer active")
    return AdminCaller(session.session_id, session.admin_id, session.username, bool(session.limited), session.proved_at)


async def _record_user_token(ctx: RequestContext, token: str, now: int) -> None:
    """Records that a valid user token was used on the admin API."""
    found = ctx.services.verified.signed_for(Purpose.ACCESS, token, now)
    principal = None if found is None else await ctx.services.principals.by_session(found.session_id)
    if principal is not None and principal.is_alive(now):
        actor, why = f"user:{principal.user_id}", "a user's token on the admin API"
        await ctx.services.refusals.put(ctx, principal.tenant_id, actor, Event.ACCESS_REFUSED, why, "/api/admin")


async def _record_admin_token(ctx: RequestContext, token: str, now: int) -> None:
    """Records that a valid token of a system admin was used on the client API."""
    found = ctx.services.verified.signed_for(Purpose.ADMIN_ACCESS, token, now)
    if found is None:
        return
    session = await ctx.services.store.look_up(admins.BY_SESSION, id=found.session_id)
    if session is not None and session.is_alive(now):
        actor, why = f"admin:{session.admin_id}", "a system admin's token on the client API"
        await ctx.services.refusals.put(ctx, INSTALLATION, actor, Event.ACCESS_REFUSED, why, "/api/client")


def bearer(authorization: str) -> str:
    """Returns the token of an ``Authorization`` header (RFC 6750, section 2.1). Raises InvalidToken for any other
    scheme."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip(" ")
    if scheme.lower() != "bearer" or not token:
        raise InvalidToken(reason="not a bearer")
    return token


async def of_client(ctx: RequestContext, head: Head, client: str) -> Principal | None:
    """Returns the user of this browser's session at a client, who becomes the request's caller, or None. If the browser
    is signed in to another client, the session for apps is in a separate cookie, and ``ctx.by_cookie`` stays False."""
    for beside in (None, *beside_of(head, ctx.services.settings)):
        with contextlib.suppress(Unauthenticated, InvalidToken, TokenExpired):
            user = await by_cookie(ctx, head, ctx.now, beside)
            if user.client == client:
                ctx.caller, ctx.by_cookie = user, beside is None
                return user
    return None


async def by_cookie(ctx: RequestContext, head: Head, now: int, beside: str | None = None) -> Principal:
    """Returns the user of the session cookie, and renews its idle time. ``beside`` is the cookie of a session for apps,
    to use instead. Raises Unauthenticated, InvalidToken, or TokenExpired."""
    services = ctx.services
    value = head.cookie(SESSION) if beside is None else beside
    if value is None:
        raise Unauthenticated()
    if not value or len(value) > _MAX_COOKIE:
        raise InvalidToken(reason="cookie: shape")
    principal = await services.principals.by_cookie(value)
    idle_ms, touch_ms = (0, 0) if principal is None else _idle_and_touch_ms(ctx, principal)
    if principal is not None and now - principal.cookie_seen_at >= touch_ms:
        # The cached time might be older than the last use on another node, or the use is due to be stored.
        principal = await services.principals.fresh_by_cookie(value)
        idle_ms, touch_ms = (0, 0) if principal is None else _idle_and_touch_ms(ctx, principal)
    if principal is None or not (principal.is_alive(now) or principal.is_alive(principal.ends_at - 1)):
        raise InvalidToken(reason="cookie: the session, user, or client is no longer active")
    if now >= principal.ends_at or now - principal.cookie_seen_at >= idle_ms:
        raise TokenExpired(reason="cookie: too old, or idle for too long")
    if now - principal.cookie_seen_at >= touch_ms:
        session_id = principal.session_id
        await services.store.of(principal.tenant_id).write_quickly(lambda unit: sessions.touch(unit, session_id, now))
        services.principals.touched(principal, now)
        settings = services.settings
        main, apps = (
            session_cookie(value, idle_ms // 1000, settings),
            beside_cookie(beside_of(head, settings), settings),
        )
        ctx.renewed_cookies += (main if beside is None else apps,)
    return principal


def shows_machine(head: Head) -> bool:
    """Whether the request has a machine's credential, valid or not."""
    if head.authorization is None:
        return False
    try:
        return is_machine_credential(bearer(head.authorization))
    except InvalidToken:
        return False


async def holder(ctx: RequestContext, head: Head) -> Owner | str | None:
    """Returns the owner of a rejected request's credential: the user of its session, even an ended one, or only the
    client if the session no longer exists. None if the request has no credential of this server."""
    if head.authorization is None:
        value = head.cookie(SESSION)
        found = await ctx.services.principals.by_cookie(value) if value and len(value) <= _MAX_COOKIE else None
        return None if found is None else Owner(found.tenant_settings, found.roles)
    try:
        issued = ctx.services.verified.issued(bearer(head.authorization), ctx.now)
    except InvalidToken:
        return None
    if issued is None:
        return None
    found = await ctx.services.principals.by_session(issued.session_id)
    return issued.client if found is None else Owner(found.tenant_settings, found.roles)


def _idle_and_touch_ms(ctx: RequestContext, principal: Principal) -> tuple[int, int]:
    """The maximum idle time of the cookie, and the interval at which its use is stored, in milliseconds."""
    idle_ms = (
        tenants.lengths_of(tenants.settings_of(principal.tenant_settings), ctx.services.settings).idle_seconds * 1000
    )
    if principal.idle_s is not None:
        idle_ms = min(idle_ms, principal.idle_s * 1000)
    return idle_ms, session_lifecycle.touch_ms(idle_ms)
