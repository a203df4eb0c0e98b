"""Tokens of apps: redeem a code, renew, introspect and revoke tokens, and return the claims about the user."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from manifest_auth import audit, sessions
from manifest_auth.accounts import apps, users
from manifest_auth.accounts.apps import App
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.errors import Forbidden, InvalidToken, NotFound, Replay, SsoFailed, TokenExpired
from manifest_auth.permissions import permissions_mask, role_names
from manifest_auth.protocols import oauth
from manifest_auth.protocols.oauth import InvalidScope, TokenRefused
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.sessions import OFFLINE, AppHold, app_sessions, tokens
from manifest_auth.sessions.sessions import MFA
from manifest_auth.sessions.tokens import ForApp, Purpose, Subject, TokenPair
from manifest_auth.sign_in import completion, exchange_codes, oauth_tokens, session_lifecycle
from manifest_auth.sign_in.apps import logout
from manifest_auth.sign_in.apps.authentication import Issuer
from manifest_auth.sign_in.apps.authorizing import proved_at
from manifest_auth.sign_in.exchange_codes import Code
from manifest_auth.sign_in.oauth_tokens import Active
from manifest_auth.sign_in.session_lifecycle import AppRefresh
from manifest_auth.store import StoreUnavailable, SystemUnit, TenantUnit
from manifest_auth.tenants import claims
from manifest_auth.text import base64url
from manifest_auth.text.canonical import email_domain

ID_TOKEN_S: Final = 300
_HOUR_MS: Final = 3_600_000
_REFUSED = "The code is unknown, used, or expired, or belongs to a different app, redirect URI, or verifier"
#: RFC 8176 names of a session's methods. Methods without a name are left out.
_AMR = {"pwd": "pwd", "otp": "otp", "passkey": "pop", "pin": "pin", "mfa": "mfa"}


class Granted(NamedTuple):
    """The response of the token endpoint. ``refresh_token`` and ``id_token`` are empty if there is none."""

    access_token: str
    expires_in: int
    scope: str
    refresh_token: str = ""
    id_token: str = ""


class _Opened(NamedTuple):
    """An app's session and its user, as of one transaction. ``scope`` belongs to the access token. ``own`` and
    ``parent`` belong to the refresh token to issue, if the session ``is_offline``. ``told``: claims about the user."""

    session: Principal
    scope: str
    told: dict[str, Any]
    own: str
    parent: str | None = None
    is_offline: bool = True
    nonce: str | None = None


async def redeem(ctx: RequestContext, issuer: Issuer, app: App, fields: Mapping[str, str]) -> Granted:
    """Returns the tokens for a code (RFC 6749, section 4.1.3). Raises InvalidRequest, TokenRefused."""
    code, verifier = oauth.required(fields, "code"), oauth.required(fields, "code_verifier")
    address = oauth.required(fields, "redirect_uri")
    await ctx.services.keys.ensure_current()
    try:
        opened = await ctx.services.store.write_quickly(
            lambda unit: _redeemed(unit, ctx, app, exchange_codes.key_of(code, of_app=True), verifier, address)
        )
    except NotFound:
        raise TokenRefused("invalid_grant", _REFUSED, reason="the app was removed in the meantime") from None
    except SsoFailed as refusal:
        raise TokenRefused("invalid_grant", _REFUSED, reason=refusal.reason) from None
    await _touch(ctx, app)
    return await _granted(ctx, issuer, app, opened)


async def _touch(ctx: RequestContext, app: App) -> None:
    """Records the app's last use in its own transaction, since transactions that hold the app's row would otherwise
    wait for each other. The opened session is valid without it."""
    if ctx.now - (app.last_used_at or 0) >= apps.TOUCH_EVERY_MS:
        store = ctx.services.store.of(app.tenant_id)
        with contextlib.suppress(StoreUnavailable):
            await store.write_quickly(lambda unit: apps.touch(unit, app.id, ctx.now))


def _redeemed(unit: SystemUnit, ctx: RequestContext, app: App, key: str, verifier: str, address: str) -> _Opened:
    """Opens the app's session, in the transaction that uses up the code."""
    apps.get_app(unit.of(app.tenant_id), app.id, shared=True)  # a deletion of the app waits, then ends this session
    bound, user, found = exchange_codes.take(unit, ctx, key)
    subject, asking = f"user:{found.user_id}", app.named if found.app_id == app.id else {"app": found.app_id}
    if found.used_at is not None:
        if found.session_id and found.app_id == app.id:
            sessions.end(bound, found.session_id, "app_code_reused", ctx.now)
        detail = {**asking, "session": found.session_id or ""}
        ctx.services.anonymous_limits.record(bound, ctx, Event.APP_CODE_REUSED, subject, proved=True, **detail)
        raise _refused("used a second time", replay="one_time_code")
    why = _refusal(bound, app, found, verifier, address)
    parent = None if why else sessions.hold(unit, found.tenant_id, found.user_id, found.parent_id or "", ctx.now)
    why = _lacks(app, parent) if parent is not None else why or "the session that issued it has ended"
    if parent is None or why:
        detail = {**asking, "why": why}
        ctx.services.anonymous_limits.record(bound, ctx, Event.APP_REFUSED, subject, proved=True, **detail)
        raise _refused(why)
    scope = found.scopes or ""
    is_offline = OFFLINE in scope.split()
    ends_at = ctx.now + app.refresh_days * DAY * 1000 if is_offline else parent.ends_at
    held = AppHold(app.id, scope, permissions_mask(scope), ends_at)
    opened = completion.open_child(unit, ctx, parent, held)
    exchange_codes.note_session(bound, found, opened.session_id)
    _note_use(bound, ctx, app, user, scope, opened.session_id)
    if app.backchannel_uri is not None:
        logout.expect(bound, opened.session_id, parent, app.id, min(ends_at, parent.ends_at))
    session = parent._replace(session_id=opened.session_id, ends_at=ends_at, scopes=held.scopes, has_parent=1)
    told, own = _claims_of(bound, user, session, scope), opened.refresh_id
    return _Opened(session=session, scope=scope, told=told, own=own, is_offline=is_offline, nonce=found.nonce)


def _lacks(app: App, session: Principal) -> str:
    """Returns the current requirement of the app that the session doesn't meet; empty if it meets all."""
    if app.roles and not app.roles & session.roles:
        return "the user lost the required role"
    return "the app requires two factors now" if app.second_factor and MFA not in session.amr.split() else ""


def _refused(why: str, replay: Replay | None = None) -> TokenRefused:
    return TokenRefused("invalid_grant", _REFUSED, reason=f"app's code: {why}", replay=replay, keeps_writes=True)


def _refusal(unit: TenantUnit, app: App, found: Code, verifier: str, address: str) -> str:
    """Returns why the code is rejected; empty if it is accepted."""
    if found.app_id != app.id or found.tenant_id != app.tenant_id:
        return "another app's"
    if found.redirect_uri != address:
        return "a different redirect URI"
    if not set((found.scopes or "").split()) <= set(app.scopes.split()):
        return "the app can no longer request all of its scopes"
    return exchange_codes.refusal_reason(unit, found, verifier)


def _note_use(unit: TenantUnit, ctx: RequestContext, app: App, user: User, scope: str, session_id: str) -> None:
    """Stores that the app was used, for the user's list; the user's row is locked. The audit trail records it once an
    hour, and after each consent."""
    before, now = apps.find_grant(unit, user.id, app.id, ctx.now), ctx.now
    recorded_at, scopes = before.recorded_at or 0, before.scopes
    is_due = (before.consented_at or 0) > recorded_at or now - recorded_at >= _HOUR_MS
    if before.consented_at is None:  # otherwise exactly the scopes that the user agreed to
        scopes = apps.in_order({*scopes.split(), *scope.split()})
    recorded_at = now if is_due else recorded_at
    if is_due or scopes != before.scopes or now - before.last_used_at >= apps.TOUCH_EVERY_MS:
        apps.put_grant(unit, before._replace(scopes=scopes, last_used_at=now, recorded_at=recorded_at))
    if is_due:
        detail = {**app.named, "scopes": scope.split(), "session": session_id}
        audit.record(unit, ctx, Event.APP_AUTHORIZED, f"user:{user.id}", **detail)


async def renew(ctx: RequestContext, issuer: Issuer, app: App, fields: Mapping[str, str]) -> Granted:
    """Returns new tokens for a refresh token (RFC 6749, section 6), under the rules of all refresh tokens. A ``scope``
    limits only this access token. Raises InvalidRequest, InvalidScope, TokenRefused."""
    by, shown = AppRefresh(app.id, app.tenant_id, strict=app.kind == "browser"), oauth.required(fields, "refresh_token")

    def work(unit: TenantUnit) -> tuple[str, dict[str, Any]]:
        held = (app_sessions.scopes_of(unit, session.session_id) or "").split()
        if why := _lacks(app, session) if OFFLINE in held else "offline_access was not granted":
            raise InvalidToken(reason=f"app's refresh token: {why}")
        asked = set(fields["scope"].split() if "scope" in fields else held)
        if not asked or not asked <= set(held):
            raise InvalidScope("scope contains more than the user allowed")
        scope = " ".join(each for each in held if each in asked)
        return scope, _claims_of(unit, users.get(unit, session.user_id), session, scope)

    with session_lifecycle.told_to_apps():
        session, own, parent = await session_lifecycle.renew(ctx, shown, by)
        scope, told = await ctx.services.store.of(app.tenant_id).read(work)
    await _touch(ctx, app)
    return await _granted(ctx, issuer, app, _Opened(session, scope, told, own, parent))


async def _granted(ctx: RequestContext, issuer: Issuer, app: App, opened: _Opened) -> Granted:
    services, session = ctx.services, opened.session
    subject = Subject(session.session_id, session.user_id, session.client, session.ends_at)
    kind = tokens.users_kind(services.tokens, app.refresh_days * DAY)
    for_app = ForApp(app.id, opened.scope, app.access_s)
    pair: TokenPair = tokens.pair(services.tokens, kind, subject, opened.own, opened.parent, ctx.now, for_app)
    scopes = opened.scope.split()
    id_token = ""
    if "openid" in scopes:
        now = ctx.now // 1000
        at_hash = base64url.encode(hashlib.sha256(pair.token.encode()).digest()[:16])
        content: dict[str, Any] = {
            "iss": issuer.url,
            "sub": str(session.user_id),
            "aud": app.id,
            "azp": app.id,
            "exp": now + ID_TOKEN_S,
            "iat": now,
            "auth_time": proved_at(session) // 1000,
            "amr": [_AMR[way] for way in session.amr.split() if way in _AMR],
            "acr": "mfa" if MFA in session.amr.split() else "pwd",
            "sid": session.session_id,
            "at_hash": at_hash,
            **({} if opened.nonce is None else {"nonce": opened.nonce}),
            **opened.told,
        }
        id_token = await tokens.mint_for_app(services.keys, app.id_token_alg, content)
    return Granted(
        access_token=pair.token,
        expires_in=pair.expires_in,
        scope=opened.scope,
        refresh_token=pair.refresh_token if opened.is_offline else "",
        id_token=id_token,
    )


# Claims about users that apps get, by scope.


def _claims_of(unit: TenantUnit, user: User, session: Principal, scope: str) -> dict[str, Any]:
    """Returns all claims about the user that the scope grants."""
    scopes, found = scope.split(), dict[str, Any]()
    if "openid" in scopes:
        found["client"] = session.client
    if "profile" in scopes:
        named = {"name": user.full_name, "given_name": user.first_name, "family_name": user.last_name}
        told = {name: text for name, text in {**named, "locale": user.language}.items() if text}
        found |= told | {"updated_at": (user.profile_changed_at or user.created_at) // 1000}
    if "email" in scopes:
        found |= {"email": user.email, "email_verified": _is_verified(unit, user)}
    if "roles" in scopes:
        found["roles"] = list(role_names(session.capped(user.roles)))
    return found


def _is_verified(unit: TenantUnit, user: User) -> bool:
    """Whether the address was verified by email or belongs to a verified domain. A provider cannot vouch for any other
    domain, and an Admin who confirms an identity does not verify its address."""
    return user.email_proved_at is not None or claims.domain_counts(unit, email_domain(user.email))


async def userinfo(ctx: RequestContext, issuer: Issuer, token: str) -> dict[str, Any]:
    """Returns the claims of the granted scopes, for an access token of an app of this issuer. Raises InvalidToken,
    TokenExpired, Forbidden for a token without the scope ``openid``."""
    session, verified = await session_lifecycle.of_user(ctx, token)
    if session.client != issuer.client or not verified.scope:
        raise InvalidToken(reason="userinfo: not a token of an app of this issuer")
    if "openid" not in verified.scope.split():
        raise Forbidden(reason="userinfo: the scope openid is missing")
    told = await ctx.services.store.of(session.tenant_id).read(
        lambda unit: _claims_of(unit, users.get(unit, session.user_id), session, verified.scope)
    )
    return {"sub": str(session.user_id), **told}


# A token of another app, or of none, gets the same response as an invalid token.


async def introspect(ctx: RequestContext, issuer: Issuer, app: App, token: str) -> Active | None:
    """Introspects the app's own access token (RFC 7662), with its whole scope. None for any other token."""
    try:
        found = await oauth_tokens.of_user(ctx, token)
    except (InvalidToken, TokenExpired):
        return None
    if found.client_id != app.id or found.principal.client != issuer.client:
        return None
    return found._replace(scope=(await ctx.services.verified.verify(Purpose.ACCESS, token, ctx.now)).scope)
