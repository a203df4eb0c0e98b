"""Completion of every kind of sign-in: check user and client, open the session, issue its tokens, record it.

A sign-in method verifies who the user is and passes in an :class:`Identity`. Only this module opens sessions of users.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.factors.challenges import OPENS_SESSION, Pending
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.errors import AccountDisabled
from manifest_auth.runtime.tracing import note, spanned
from manifest_auth.services import RequestContext
from manifest_auth.sessions import AppHold, Hold, Opened, device_sessions, tokens
from manifest_auth.sessions.sessions import SessionProof, Way
from manifest_auth.sessions.tokens import TokenPair
from manifest_auth.sign_in import browser_identity, return_addresses
from manifest_auth.sign_in.browser_identity import MOST_BESIDE, BrowserCookies, Identity
from manifest_auth.sign_in.refusal_reasons import SUSPENDED
from manifest_auth.sign_in.second_factor import gate
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters


class PasswordReplaced(Exception):
    """The stored hash is no longer the one that matched: the password was changed, or the same one was hashed again.
    ``stored`` is the current hash."""

    def __init__(self, stored: str | None) -> None:
        super().__init__()
        self.stored = stored


class SignedIn(NamedTuple):
    user: User
    tenant: Tenant
    pair: TokenPair
    cookie: str  # empty if the session has none
    device: str | None  # a new device cookie to set; None keeps the current one
    password_due: bool
    session_id: str
    factor_due_at: int | None = None  # when sign-in requires enrollment of a second factor
    trust: str | None = None  # a cookie to set for a newly trusted browser
    recovery_codes: tuple[str, ...] = ()  # if this sign-in enrolled a first factor; shown only once
    beside: tuple[str, ...] | None = (
        None  # cookies of app sessions, including this one, if the browser keeps its session
    )
    # with another client; empty: the previous ones have ended


class Account(NamedTuple):
    """Client and user of a sign-in that can continue, and the proof for its session."""

    tenant: Tenant
    user: User
    proof: SessionProof
    factor_due_at: int | None


def complete_sign_in(
    unit: SystemUnit,
    ctx: RequestContext,
    tenant_id: int,
    identity: Identity,
    browser: BrowserCookies,
    pending: Pending = OPENS_SESSION,
    counters: Counters | None = None,
) -> SignedIn:
    """Checks the account and opens the session, as :func:`check` and :func:`open_session` do. Runs in the unit of work
    of the sign-in. Raises AccountDisabled, MfaRequired, PasswordReplaced."""
    account = check(unit, ctx, tenant_id, identity, browser, pending, counters)
    return open_session(unit, ctx, account, identity, browser, pending.return_to)


def check(
    unit: SystemUnit,
    ctx: RequestContext,
    tenant_id: int,
    identity: Identity,
    browser: BrowserCookies,
    pending: Pending,
    counters: Counters | None = None,
    link_id: int | None = None,
) -> Account:
    """Returns the account of a verified sign-in, if it is active and no second factor is due. ``pending``: what happens
    after a second factor; ``counters``: the attempt's counters, reversed if no factor is due; ``link_id``: the link
    that was used.

    Raises AccountDisabled, MfaRequired, PasswordReplaced.
    """
    bound = unit.of(tenant_id)
    # The lock makes this sign-in see a deactivation or new password that commits first. One that commits later ends the
    # session.
    user, tenant = users.get_with_tenant(bound, identity.user_id)
    if identity.proof is not None and user.password_hash != identity.proof:
        raise PasswordReplaced(user.password_hash)
    settings, is_off = tenants.settings_of(tenant.settings), _is_off(tenant, user)
    always = return_addresses.asks_factor(pending.return_to)
    verdict = gate.GateVerdict(None)
    if not is_off:
        verdict = gate.judge(bound, ctx, settings, user, identity, browser.trust, always=always)
    if counters is not None and ctx.services.throttle.is_on and (is_off or verdict.proof is not None):
        throttle.succeeded(unit, counters)
    if is_off:
        raise _disabled(bound, ctx, tenant, user, identity.method)
    if verdict.proof is None:
        raise gate.ask(bound, ctx, settings, user, identity, pending, link_id, enrols=verdict.enrols)
    return Account(tenant, user, verdict.proof, verdict.due_at)


@spanned("finish")
def open_session(
    unit: SystemUnit,
    ctx: RequestContext,
    account: Account,
    identity: Identity,
    browser: BrowserCookies,
    return_to: str = "",
) -> SignedIn:
    """Opens the session of a checked account, and ends the session of the browser's cookie. If the browser continues to
    an app of this client (``return_to``), a session of another client stays and keeps its cookie."""
    services, (tenant, user, proof, due_at) = ctx.services, account
    bound, (marker, device) = unit.of(tenant.id), browser_identity.after_sign_in(ctx, user.id, browser.devices)
    shown, stay = (*filter(None, (browser.cookie,)), *browser.beside), list[str]()
    if return_addresses.is_of_app(return_to):
        found = [(cookie, sessions.read_by_cookie(unit, cookie)) for cookie in shown]
        stay = [one for one, of in found if of is not None and of.tenant_id != tenant.id and of.is_alive(ctx.now)]
    is_beside = stay[:1] == [browser.cookie]
    stay = [*stay[:1], *stay[1:][-MOST_BESIDE + 1 :]] if is_beside else []
    for cookie in shown:
        if cookie not in stay:
            sessions.end_by_cookie(unit, cookie, ctx.now)
    lengths = tenants.lengths_of(tenants.settings_of(tenant.settings), services.settings)
    method, through = identity.method, identity.provider_id
    opened = sessions.open_session(
        bound, ctx, user.id, method, through, proof, random=services.random, most_s=lengths.max_seconds
    )
    users.signed_in(bound, user.id, ctx.now)
    throttle.remember_origins(bound, user.id, marker, ctx.source, ctx.now)
    detail: dict[str, Any] = {"method": identity.method, "session": opened.session_id, "amr": list(proof.amr)}
    if identity.provider_id is not None:
        detail["provider"] = identity.provider_id
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", **detail)
    beside = (*stay[1:], opened.cookie) if is_beside else () if browser.beside else None
    return with_tokens(ctx, tenant, user, opened)._replace(device=device, factor_due_at=due_at, beside=beside)


def continue_session(unit: SystemUnit, ctx: RequestContext, parent: Principal) -> SignedIn:
    """Opens an app's session that comes from the ``parent``, as :func:`open_child` does. Raises AccountDisabled."""
    tenant, user = active_account(unit, ctx, parent.tenant_id, parent.user_id, parent.method)
    opened = open_child(unit, ctx, parent)
    detail = {"method": parent.method, "session": opened.session_id, "amr": parent.amr.split()}
    audit.record(unit.of(tenant.id), ctx, Event.SIGNED_IN, f"user:{user.id}", **detail, parent=parent.session_id)
    return with_tokens(ctx, tenant, user, opened)


@spanned("finish")
def open_child(unit: SystemUnit, ctx: RequestContext, parent: Principal, held: AppHold | None = None) -> Opened:
    """Opens a session that comes from the ``parent``, which :func:`manifest_auth.sessions.hold` returned, so its user
    and client are active. Nobody authenticated, so no browser or address becomes known. ``held``: an app holds it."""
    opened = sessions.open_child(unit, ctx, parent, ctx.services.random, held)
    users.signed_in(unit.of(parent.tenant_id), parent.user_id, ctx.now)
    return opened


def with_tokens(ctx: RequestContext, tenant: Tenant, user: User, opened: Opened) -> SignedIn:
    """Returns the result of a sign-in that opened a session, with its first tokens."""
    return SignedIn(
        user=user,
        tenant=tenant,
        pair=pair_of(ctx, tenant, user.id, opened),
        cookie=opened.cookie,
        device=None,
        password_due=password_is_due(user, tenant.settings, ctx.now),
        session_id=opened.session_id,
    )


@spanned("finish")
def open_on_device(
    unit: SystemUnit, ctx: RequestContext, tenant_id: int, user_id: int, held: Hold, *amr: Way
) -> tuple[Tenant, User, Opened]:
    """Opens the session that a device holds, for an account that can sign in. It ends no later than the client's
    maximum session lifetime. Raises AccountDisabled."""
    tenant, user = active_account(unit, ctx, tenant_id, user_id, held.method)
    services, bound, proof = ctx.services, unit.of(tenant_id), gate.of_device(*amr)
    lengths = tenants.lengths_of(tenants.settings_of(tenant.settings), services.settings)
    held = held._replace(ends_at=min(held.ends_at, ctx.now + lengths.max_seconds * 1000))
    opened = device_sessions.open_held(bound, ctx, user.id, held, proof, services.random)
    users.signed_in(bound, user.id, ctx.now)
    holder = {"app": held.app_id} if held.device_id is None else {"device": held.device_id}
    detail: dict[str, Any] = {"method": held.method, "session": opened.session_id, "amr": list(proof.amr), **holder}
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", **detail)
    return tenant, user, opened


def pair_of(ctx: RequestContext, tenant: Tenant, user_id: int, opened: Opened, parent: str | None = None) -> TokenPair:
    """Returns the tokens of a session, after ensuring that the signing key is current. ``parent`` is the previous
    refresh token, if this is not the session's first."""
    lengths = tenants.lengths_of(tenants.settings_of(tenant.settings), ctx.services.settings)
    holder = tokens.Subject(opened.session_id, user_id, tenant.identifier, opened.ends_at)
    kind = tokens.users_kind(ctx.services.tokens, lengths.refresh_seconds)
    return tokens.pair(ctx.services.tokens, kind, holder, opened.refresh_id, parent, ctx.now)


def active_account(
    unit: SystemUnit, ctx: RequestContext, tenant_id: int, user_id: int, method: str
) -> tuple[Tenant, User]:
    """Returns the client and user of a caller who gets no session. The user's row stays locked until the transaction
    ends. Raises AccountDisabled."""
    user, tenant = users.get_with_tenant(unit.of(tenant_id), user_id)
    if _is_off(tenant, user):
        raise _disabled(unit.of(tenant_id), ctx, tenant, user, method)
    return tenant, user


def _is_off(tenant: Tenant, user: User) -> bool:
    return user.deactivated_at is not None or tenant.suspended_at is not None


def _disabled(unit: TenantUnit, ctx: RequestContext, tenant: Tenant, user: User, method: str) -> AccountDisabled:
    limits = ctx.services.anonymous_limits
    limits.record(unit, ctx, Event.SIGN_IN_REFUSED, f"user:{user.id}", method=method, why="disabled")
    return AccountDisabled(client=tenant.identifier, reason=SUSPENDED if tenant.suspended_at is not None else None)


async def run(ctx: RequestContext, method: str, work: Callable[[SystemUnit], SignedIn]) -> SignedIn:
    """Runs the unit of work that completes a sign-in, and logs it."""
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    signed_in = await ctx.services.store.write_quickly(work)
    log(ctx, signed_in.tenant, signed_in.user.id, method)
    return signed_in


def log(ctx: RequestContext, tenant: Tenant, user_id: int, method: str) -> None:
    """Logs a sign-in, after its commit."""
    note("manifest.client", tenant.id)
    who = {"client": tenant.identifier, "user": user_id, "method": method}
    ctx.services.log.info("signed_in", request_id=ctx.request_id, **who, address=ctx.address)


def password_is_due(user: User, settings: str, now: int) -> bool:
    """Whether the password is older than the client's rules allow. ``settings`` are the client's, as stored."""
    days = tenants.settings_of(settings).password.max_age_days
    return bool(days and user.password_changed_at is not None and now - user.password_changed_at > days * 86_400_000)
