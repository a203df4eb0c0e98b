"""The completion of every kind of sign-in: check user and client, open the session, issue its tokens, record it.

A sign-in method proves which user it is and hands in an :class:`Identity`. Only this module opens sessions of users.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from manifest_auth import audit, sessions, tenants
from manifest_auth.accounts import users
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import AccountDisabled
from manifest_auth.services import RequestContext
from manifest_auth.sessions import tokens
from manifest_auth.sessions.tokens import TokenPair
from manifest_auth.sign_in import device_cookies
from manifest_auth.store import SystemUnit
from manifest_auth.tenants import Tenant
from manifest_auth.throttle import networks, origins, throttle


class Identity(NamedTuple):
    """What a method proved. ``proof``: the password hash that matched, which must still be the user's; ``provider_id``:
    the provider that vouched."""

    method: str
    user_id: int
    proof: str | None = None
    provider_id: int | None = None


class BrowserCookies(NamedTuple):
    """Cookies that came with an attempt: of a session, and of a device that signed in before."""

    cookie: str | None
    device: str | None


class PasswordReplaced(Exception):
    """The stored hash is no longer the one that matched: a new password, or the same one hashed again. ``stored``: the
    hash now."""

    def __init__(self, stored: str | None) -> None:
        super().__init__()
        self.stored = stored


class SignedIn(NamedTuple):
    user: User
    tenant: Tenant
    pair: TokenPair
    cookie: str
    device: str | None  # a new device cookie to set; None: the one that was sent stays
    password_due: bool
    session_id: str


def complete_sign_in(
    unit: SystemUnit, ctx: RequestContext, tenant_id: int, identity: Identity, cookie: str | None, device: str | None
) -> SignedIn:
    """Opens the session. Runs in the unit of work of the sign-in. Raises AccountDisabled, Replaced."""
    services, bound = ctx.services, unit.of(tenant_id)
    tenant, user = active_account(unit, ctx, tenant_id, identity.user_id, identity.method, identity.proof)
    if cookie:
        sessions.end_by_cookie(unit, cookie, ctx.now)
    lengths = tenants.lengths_of(tenants.settings_of(tenant.settings), services.settings)
    opened = sessions.open_session(
        bound, ctx, user.id, identity.method, identity.provider_id, random=services.random,
        most_s=lengths.most_s,
    )  # fmt: skip
    users.signed_in(bound, user.id, ctx.now)
    new_device = None if device and device_cookies.is_genuine(bound, ctx, device) else device_cookies.new(ctx)
    origins.remember(bound, user.id, throttle.device_origin(new_device or device or ""), ctx.now)
    if networks.is_ip_address(ctx.address):
        origins.remember(bound, user.id, throttle.address_origin(ctx.address), ctx.now)
    detail: dict[str, Any] = {"method": identity.method, "session": opened.session_id}
    if identity.provider_id is not None:
        detail["provider"] = identity.provider_id
    audit.record(bound, ctx, Event.SIGNED_IN, f"user:{user.id}", **detail)
    holder = tokens.Subject(opened.session_id, user.id, tenant.identifier, opened.ends_at)
    kind = tokens.users_kind(services.tokens, lengths.refresh_s)
    pair = tokens.pair(services.tokens, kind, holder, opened.refresh_id, None, ctx.now)
    return SignedIn(
        user=user,
        tenant=tenant,
        pair=pair,
        cookie=opened.cookie,
        device=new_device,
        password_due=password_is_due(user, tenant.settings, ctx.now),
        session_id=opened.session_id,
    )


def active_account(
    unit: SystemUnit, ctx: RequestContext, tenant_id: int, user_id: int, method: str, proof: str | None = None
) -> tuple[Tenant, User]:
    """Client and user of a proved sign-in; the user's row stays locked until the transaction ends. Raises
    AccountDisabled, Replaced."""
    bound = unit.of(tenant_id)
    tenant = tenants.get(unit, tenant_id)
    # Locked: this sign-in sees a deactivation or new password that commits first; one that commits later ends the
    # session.
    user = users.get(bound, user_id, lock=True)
    if proof is not None and user.password_hash != proof:
        raise PasswordReplaced(user.password_hash)
    if user.deactivated_at is not None or tenant.suspended_at is not None:
        ctx.services.anonymous_limits.record(
            bound, ctx, Event.SIGN_IN_REFUSED, f"user:{user.id}", method=method, why="disabled"
        )
        raise AccountDisabled(client=tenant.identifier)
    return tenant, user


async def run(ctx: RequestContext, method: str, work: Callable[[SystemUnit], SignedIn]) -> SignedIn:
    """Runs the unit of work that completes a sign-in, and logs it."""
    await ctx.services.keys.ensure_current()  # the new tokens are signed with a current key
    signed_in = await ctx.services.store.write_quickly(work)
    ctx.services.log.info("signed_in", request_id=ctx.request_id, client=signed_in.tenant.identifier,
                       user=signed_in.user.id, method=method, address=ctx.address)  # fmt: skip
    return signed_in


def password_is_due(user: User, settings: str, now: int) -> bool:
    """Whether the password is older than the client's rules have it. ``settings``: the client's, as stored."""
    days = tenants.settings_of(settings).password.max_age_days
    return bool(days and user.password_changed_at is not None and now - user.password_changed_at > days * 86_400_000)
