"""Decides an authorization request: issues a code, or says what is needed first.

A code comes from the session of this browser. That session must belong to a person, not be held by a device, and not
come from another session. The request is checked against that session's own authentication, never against a parameter
that came back from a sign-in.
"""

from __future__ import annotations

import enum

from manifest_auth import audit, sessions
from manifest_auth.accounts import apps
from manifest_auth.accounts.apps import App
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.errors import AccountDisabled, InvalidToken
from manifest_auth.protocols.authorization import MFA, Denied, Wanted
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import exchange_codes
from manifest_auth.sign_in.exchange_codes import CodeForApp
from manifest_auth.store import TenantUnit


class Needs(enum.Enum):
    """A requirement that must be met before a request gets a code. ``FACTOR``: a sign-in with two factors; ``CONSENT``:
    the user's consent."""

    SIGN_IN = "login_required"
    FACTOR = "interaction_required"
    CONSENT = "consent_required"
    PRESS = "interaction required"


class NotForUser(Denied):
    """The user cannot sign in to the app; a page shows the reason. ``why`` goes to the audit trail."""

    def __init__(self, why: str) -> None:
        super().__init__("access_denied", "the user has none of the roles that the app requires")
        self.why = why


_SILENT = {Needs.PRESS: "interaction_required"}


async def decide(
    ctx: RequestContext, app: App, wanted: Wanted, user: Principal | None, trust: str | None, *, approved: bool = False
) -> str | Needs:
    """Returns the code, or what is needed first. ``user`` has this browser's session of the client, and becomes the
    request's caller. ``trust`` is the cookie of a trusted browser. ``approved``: the user just confirmed on the consent
    page. Raises Denied."""
    found = await _decide(ctx, app, wanted, user, trust, approved=approved)
    if isinstance(found, Needs) and wanted.silent:
        raise Denied(_SILENT.get(found, found.value), "prompt is none, but the user must act first")
    return found


async def _decide(
    ctx: RequestContext, app: App, wanted: Wanted, user: Principal | None, trust: str | None, *, approved: bool
) -> str | Needs:
    if user is None or not sessions.may_have_children(user):
        return Needs.SIGN_IN
    if wanted.subs is not None and str(user.user_id) not in wanted.subs:
        raise Denied("login_required", "id_token_hint or claims name a different user")
    if is_too_old(ctx, wanted, user):
        if user.created_at >= wanted.made_at:  # signing in again would change nothing
            raise Denied("login_required", "the identity provider doesn't confirm a recent enough sign-in")
        return Needs.SIGN_IN
    if (wanted.mfa or app.second_factor) and MFA not in user.amr.split():
        return Needs.FACTOR
    if app.roles and not app.roles & user.roles:
        await _refused(ctx, app, user, "role")
        raise NotForUser("role")
    if not approved and (needed := await _consent(ctx, app, wanted, user)) is not None:
        return needed

    def agreed(unit: TenantUnit, account: User) -> None:
        if approved and (app.consent or wanted.consent):
            _agree(unit, ctx, app, account, wanted)

    for_app = CodeForApp(app.id, wanted.redirect_uri, " ".join(wanted.scope), wanted.nonce)
    try:
        code = await exchange_codes.of_session(ctx, trust, wanted.challenge, for_app, agreed)
    except AccountDisabled:
        raise Denied("access_denied", "the account is disabled") from None
    except InvalidToken:  # the session has just ended
        code = None
    return Needs.SIGN_IN if code is None else code


def proved_at(user: Principal) -> int:
    """Returns when the user authenticated, in milliseconds, as the value of ``auth_time``. It never changes for an
    app's session. If a provider doesn't report it, it is the time of the sign-in."""
    return user.created_at if user.authenticated_at is None else user.authenticated_at


def is_too_old(ctx: RequestContext, wanted: Wanted, user: Principal) -> bool:
    """Whether the request requires a more recent authentication than the session has."""
    if user.authenticated_at is None and wanted.asks_anew:  # unknown time
        return True
    at, since = proved_at(user), wanted.made_at
    if user.created_at >= since:  # providers report whole seconds
        since -= since % 1000
    if wanted.anew and at < since:
        return True
    # A sign-in that this request caused is recent enough, however long the pages after it took.
    return wanted.max_age is not None and at < min(ctx.now - wanted.max_age * 1000, since)


async def _consent(ctx: RequestContext, app: App, wanted: Wanted, user: Principal) -> Needs | None:
    if wanted.consent:
        return Needs.CONSENT
    if app.consent:
        grant = await ctx.store.read(lambda unit: apps.find_grant(unit, user.user_id, app.id, ctx.now))
        if not grant.covers(wanted.scope):
            return Needs.CONSENT
    # Any program on the machine can claim a private scheme or a port (RFC 8252, section 8.6). A sign-in doesn't count
    # as confirmation, because the request might have come from another browser.
    is_claimable = app.kind == "native" and not wanted.redirect_uri.startswith("https:")
    return Needs.PRESS if wanted.select or is_claimable else None


def _agree(unit: TenantUnit, ctx: RequestContext, app: App, user: User, wanted: Wanted) -> None:
    """Records that the user agreed to the app's access."""
    before = apps.find_grant(unit, user.id, app.id, ctx.now)
    scopes = apps.in_order({*wanted.scope, *(before.scopes.split() if before.consented_at else ())})
    apps.put_grant(unit, before._replace(scopes=scopes, consented_at=ctx.now, last_used_at=ctx.now))
    audit.record(unit, ctx, Event.CONSENT_GIVEN, f"user:{user.id}", **app.named, scopes=list(wanted.scope))


async def _refused(ctx: RequestContext, app: App, user: Principal, why: str) -> None:
    def work(unit: TenantUnit) -> None:
        subject = f"user:{user.user_id}"
        ctx.services.anonymous_limits.record(unit, ctx, Event.APP_REFUSED, subject, proved=True, **app.named, why=why)

    await ctx.store.write_quickly(work)


async def declined(ctx: RequestContext, app: App, user: Principal) -> Denied:
    """Records that the user declined, and returns the response for the app."""
    await _refused(ctx, app, user, "declined")
    return Denied("access_denied", "the user declined")
