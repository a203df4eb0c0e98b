"""One-time codes for apps: an app gets a code at its redirect URI and exchanges it for tokens.

A code lives 60 seconds and works once. A second use ends the session of the first one, since one of the two senders
stole the code (RFC 6749, section 4.1.2). An app that started with a PKCE challenge (RFC 7636), which a redirect URI
with a private scheme requires, must send the verifier, so a code that another app intercepts is useless. A verifier for
a code that was issued without a challenge is rejected, since an attacker might have injected the code (RFC 9700,
section 2.1.1).

A code comes from a sign-in, or from a session when the user selects "Continue as …". The second kind ends with its
session, and a session that it opens inherits from that session (:mod:`manifest_auth.sessions.sessions`).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import bindparam, insert, or_, select, update

from manifest_auth import audit, providers, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import InvalidToken, Marked, Reason, SsoFailed, ValidationError
from manifest_auth.permissions import Role
from manifest_auth.runtime.metrics import Method
from manifest_auth.runtime.tracing import spanned
from manifest_auth.services import RequestContext
from manifest_auth.sessions.sessions import SessionProof, ways_of
from manifest_auth.sign_in import completion
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.completion import Account
from manifest_auth.sign_in.providers import provider_proofs
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import sign_in_codes
from manifest_auth.text import base64url
from manifest_auth.throttle.throttle import Counters

METHOD: Method = "code"
LIFE_MS = 60_000
_WAIT_MS = 30 * 60_000
_OVER = Marked("The code is no longer valid")  # in English: only programs get it
_REFUSED = Reason(
    "one-time code: …",
    cause="The code was used twice, after 60 seconds, without its verifier, or after the session that issued it ended",
    cure="The app must exchange the code immediately and once; see also `sign_in_code_reused` in the audit trail",
)
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}\Z")  # SHA-256 in base64url


class Code(NamedTuple):
    key: str
    tenant_id: int
    provider_id: int | None  # None for a sign-in on our own pages
    user_id: int
    method: str
    challenge: str
    used_at: int | None
    session_id: str | None
    parent_id: str | None  # the session that issued it; None for a sign-in
    amr: str
    authenticated_at: int | None
    app_id: str | None  # the only app that can redeem it (:mod:`.apps.redeeming`), and what it is bound to
    redirect_uri: str | None
    scopes: str | None
    nonce: str | None


class CodeForApp(NamedTuple):
    """The app of a code, and its bindings. ``scopes`` are separated by spaces."""

    app_id: str
    redirect_uri: str
    scopes: str
    nonce: str | None


_NO_APP = dict.fromkeys(CodeForApp._fields)
_C = sign_in_codes.c
_ALIVE = select(*(_C[name] for name in Code._fields)).where(
    _C.key == bindparam("key"), or_(_C.expires_at > bindparam("now"), _C.used_at.is_not(None))
)
_FIND = cross_tenant(_ALIVE, Code, because="an app sends only a code, and the code names the tenant")
_LOOK_AGAIN = tenant_scoped(_ALIVE, Code)
_NEW = ("key", "provider_id", "user_id", "method", "challenge", "expires_at", "parent_id", "amr", "authenticated_at")
_ADD = tenant_scoped(insert(sign_in_codes).values({name: bindparam(name) for name in (*_NEW, *CodeForApp._fields)}))
_THIS = update(sign_in_codes).where(_C.key == bindparam("of_key"))
_UNUSED = _THIS.where(_C.used_at.is_(None))
_TAKE = tenant_scoped(_UNUSED.values(used_at=bindparam("now")))
_OPENED = tenant_scoped(_THIS.values(session_id=bindparam("session")))
_HAND_OUT = tenant_scoped(_UNUSED.where(_C.expires_at > bindparam("until")).values(expires_at=bindparam("until")))


def check_challenge(challenge: str, *, is_needed: bool) -> str:
    """Returns the challenge, which can be empty. ``is_needed``: the redirect URI has a private scheme, which every app
    on the device can register (RFC 8252, section 8.1). Raises ValidationError for a challenge that is not S256."""
    if is_needed and not challenge:
        raise ValidationError(
            details=[("codeChallenge", "Required, because an app's own redirect URI requires PKCE (S256)")]
        )
    if challenge and not _CHALLENGE.match(challenge):
        raise ValidationError(details=[("codeChallenge", "Must be BASE64URL(SHA256(verifier)), 43 characters")])
    return challenge


def issue(
    unit: TenantUnit,
    ctx: RequestContext,
    identity: Identity,
    proof: SessionProof,
    challenge: str,
    *,
    waits: bool = False,
    parent_id: str | None = None,
    app: CodeForApp | None = None,
) -> str:
    """Creates a code for a checked account; only its hash is stored. ``proof`` belongs to the session that it will
    open. ``waits``: a page keeps it, sealed, until :func:`hand_out`. ``parent_id`` is the session that issues it.
    ``app`` is the only app that can redeem it."""
    code = ctx.services.random.text(32)
    unit.change(
        _ADD,
        key=key_of(code, of_app=app is not None),
        provider_id=identity.provider_id,
        user_id=identity.user_id,
        method=identity.method,
        challenge=challenge,
        expires_at=ctx.now + (_WAIT_MS if waits else LIFE_MS),
        parent_id=parent_id,
        amr=proof.text,
        authenticated_at=proof.at,
        **(_NO_APP if app is None else app._asdict()),
    )
    return code


@spanned("finish")
def complete_for_code(
    unit: SystemUnit,
    ctx: RequestContext,
    tenant_id: int,
    identity: Identity,
    browser: BrowserCookies,
    pending: Pending,
    counters: Counters | None = None,
) -> tuple[Account, str]:
    """Checks the account, as :func:`.completion.complete_sign_in` does, but instead of a session issues a code with the
    app's challenge (RFC 7636). Returns both. Raises AccountDisabled, MfaRequired, PasswordReplaced."""
    account = completion.check(unit, ctx, tenant_id, identity, browser, pending, counters)
    return account, issue(unit.of(tenant_id), ctx, identity, account.proof, pending.code_challenge)


async def hand_out(ctx: RequestContext, tenant_id: int, code: str) -> None:
    """Starts the lifetime of a waiting code when its app gets it. This never extends the lifetime."""
    until = ctx.now + LIFE_MS
    await ctx.services.store.of(tenant_id).write(lambda unit: unit.change(_HAND_OUT, of_key=key_of(code), until=until))


async def of_session(
    ctx: RequestContext,
    trust: str | None,
    challenge: str,
    app: CodeForApp | None = None,
    also: Callable[[TenantUnit, User], None] = lambda _unit, _user: None,
) -> str | None:
    """Returns a code of the caller's session, for the app of this PKCE ``challenge``. ``trust`` is the cookie of a
    trusted browser. ``also`` is further work on the locked user in the same unit. None if only a sign-in can issue one:
    a device holds the session, or a factor is due, which a session can neither answer nor enroll. Raises InvalidToken
    when the session has ended, and AccountDisabled."""
    user = ctx.user

    def work(unit: SystemUnit) -> str | None:
        session, bound = sessions.read(unit, user.session_id), unit.of(user.tenant_id)
        if session is None or not session.is_alive(ctx.now):
            raise InvalidToken(reason="the session that requested a code has ended")
        if not sessions.may_have_children(session):
            return None
        through = sessions.provider_of(bound, user.session_id)
        provider = providers.find_by_id(bound, through) if through is not None else None
        # Trust in the browser is checked again.
        amr = tuple(way for way in ways_of(session.amr) if way != "trusted")
        asks, at = provider is None or provider_proofs.asks_own(provider.rules), session.authenticated_at
        identity = Identity(
            session.method, session.user_id, amr, provider_id=through, authenticated_at=at, needs_factor=asks
        )
        tenant, account = completion.active_account(unit, ctx, session.tenant_id, session.user_id, session.method)
        verdict = gate.judge(bound, ctx, tenants.settings_of(tenant.settings), account, identity, trust)
        if verdict.proof is None:
            return None
        also(bound, account)
        return issue(bound, ctx, identity, verdict.proof, challenge, parent_id=session.session_id, app=app)

    return await ctx.services.store.write_quickly(work)


@counts(METHOD)
async def exchange(ctx: RequestContext, code: str, verifier: str, browser: BrowserCookies) -> completion.SignedIn:
    """Opens the session for a code. Raises SsoFailed, AccountDisabled, Forbidden."""
    return await completion.run(ctx, METHOD, lambda unit: _exchange(unit, ctx, code, verifier, browser))


def _exchange(
    unit: SystemUnit, ctx: RequestContext, code: str, verifier: str, browser: BrowserCookies
) -> completion.SignedIn:
    tenant, _user, found = take(unit, ctx, key_of(code))
    if found.app_id is not None:
        raise SsoFailed(_OVER, reason=_REFUSED.with_("belongs to an app that redeems it at its issuer"))
    if found.used_at is not None:
        if found.session_id:
            sessions.end(tenant, found.session_id, "sign_in_code_reused", ctx.now)
        session_id = found.session_id or ""
        ctx.services.anonymous_limits.record(
            tenant, ctx, Event.SIGN_IN_CODE_REUSED, f"user:{found.user_id}", session=session_id
        )
        raise SsoFailed(_OVER, reason=_REFUSED.with_("used a second time"), replay="one_time_code")
    ctx.client_hint.check(tenants.get(unit, found.tenant_id).identifier, found.tenant_id, "one-time code")
    parent, why = None, refusal_reason(tenant, found, verifier)
    if not why and found.parent_id is not None:
        parent = sessions.hold(unit, found.tenant_id, found.user_id, found.parent_id, ctx.now)
        why = "" if parent is not None else "the session that issued it has ended"
    if why:
        refusal = SsoFailed(_OVER, reason=_REFUSED.with_(why))
        detail = {"method": found.method, "provider": found.provider_id, "why": refusal.reason}
        audit.record(tenant, ctx, Event.SIGN_IN_FAILED, f"user:{found.user_id}", **detail)
        raise refusal
    if parent is not None:
        signed_in = completion.continue_session(unit, ctx, parent)
    else:  # the browser already passed the second factor
        amr, at = ways_of(found.amr), found.authenticated_at
        identity = Identity(
            found.method, found.user_id, amr, provider_id=found.provider_id, authenticated_at=at, needs_factor=False
        )
        signed_in = completion.complete_sign_in(unit, ctx, found.tenant_id, identity, browser)
    note_session(tenant, found, signed_in.session_id)
    return signed_in


def note_session(unit: TenantUnit, found: Code, session_id: str) -> None:
    """Stores which session a code opened, so that a second use can end it."""
    unit.change_later(_OPENED, of_key=found.key, session=session_id)


def take(unit: SystemUnit, ctx: RequestContext, key: str) -> tuple[TenantUnit, User, Code]:
    """Takes the code of a stored ``key``, and first locks the row of its user, in the same order as code revocation
    does. The code counts as used from here on, before any check, because a rejected sender is not the app that
    requested it. ``used_at`` of the code is when it was taken before, or None for never. Raises SsoFailed."""
    found = unit.first(_FIND, key=key, now=ctx.now)
    if found is not None:
        tenant = unit.of(found.tenant_id)
        user = users.get(tenant, found.user_id, lock=True)
        if found.used_at is None and tenant.change(_TAKE, of_key=key, now=ctx.now):
            return tenant, user, found
        found = tenant.first(_LOOK_AGAIN, key=key, now=ctx.now)
    if found is None:
        raise SsoFailed(_OVER, reason=_REFUSED.with_("unknown or expired"))
    return tenant, user, found


def refusal_reason(tenant: TenantUnit, found: Code, verifier: str) -> str:
    """Returns why the code is rejected; empty if it is accepted."""
    challenge = base64url.encode(hashlib.sha256(verifier.encode("utf-8", "surrogatepass")).digest())
    if not hmac.compare_digest(challenge if verifier else "", found.challenge):
        return "the verifier doesn't match its challenge"
    return provider_refusal(tenant, found.provider_id, found.user_id)


def provider_refusal(tenant: TenantUnit, provider_id: int | None, user_id: int) -> str:
    """Returns why a provider no longer vouches for an earlier sign-in; empty if it does, or there was no provider."""
    if provider_id is None:
        return ""
    provider = providers.find_by_id(tenant, provider_id, shared=True)
    if provider is None or provider.disabled_at is not None:
        return "the provider was turned off in the meantime"
    if users.get(tenant, user_id).roles & Role.ADMIN.bit and not provider.reaches_admins:
        return "the account belongs to an Admin now, and a User Admin changed the provider"
    return ""


def key_of(code: str, *, of_app: bool = False) -> str:
    """Returns the stored form of a code. An app's code has a different form, so that no other exchange ever finds
    it."""
    start = b"app\0" if of_app else b""
    return hashlib.sha256(start + code.encode("utf-8", "surrogatepass")).hexdigest()
