"""Setting of a password with a one-time link, from an invitation or "forgot password"."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Literal, NamedTuple, TypeVar

from manifest_auth import audit, providers, sessions, tenants
from manifest_auth.accounts import credential_voiding, email_changes, one_time_links, users
from manifest_auth.accounts.factors.challenges import Pending
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.one_time_links import Link, Purpose
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.errors import Conflict, InvalidToken
from manifest_auth.permissions import Role
from manifest_auth.providers import Provider
from manifest_auth.runtime.mail import emails
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.services import RequestContext
from manifest_auth.sign_in import completion, password
from manifest_auth.sign_in.browser_identity import BrowserCookies, Identity
from manifest_auth.sign_in.completion import Account, SignedIn
from manifest_auth.sign_in.email_change import make_reset
from manifest_auth.sign_in.password import Attempt, Claim
from manifest_auth.sign_in.sign_in_metrics import counts
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counters

# The response is sent before the account is looked up, so that it is the same, and as fast, for every address. Requests
# are throttled like sign-ins, but with separate counters, so they neither block a sign-in nor reset its counters. A
# reset replaces a password and never creates one: an account without a password gets no link.

ENTRY_POINT: EntryPoint = "forgot"


async def forgot(ctx: RequestContext, claim: Claim) -> None:
    """Emails a link in the background. Raises RateLimited."""
    services = ctx.services
    attempt = await services.store.write_quickly(lambda unit: password.find_and_count(unit, ctx, claim, ENTRY_POINT))
    if attempt.wait is not None:
        raise ctx.services.throttle.refusal(ENTRY_POINT, attempt.wait)
    services.mail.in_background(_send(ctx, attempt))


async def _send(ctx: RequestContext, attempt: Attempt) -> None:
    services, tenant, user = ctx.services, attempt.tenant, attempt.user
    if not ctx.services.mail.is_set_up:
        _not_sent(ctx, "no mail server is set up")
        return
    if tenant is None or user is None or tenant.suspended_at is not None:
        _not_sent(ctx, "unknown account, or its client is suspended or uses no passwords")
        return

    def work(unit: TenantUnit) -> bool:
        now_user = users.get(unit, user.id, lock=True)
        if now_user.deactivated_at is not None or now_user.password_hash is None:
            return False
        link, useful_ms = make_reset(unit, ctx, now_user)
        email = emails.reset(reader(now_user, tenant), link)
        services.mail_queue.add(unit, ctx, email, Purpose.RESET.value, f"user:{user.id}", useful_ms=useful_ms)
        return True

    if not await services.store.of(tenant.id).write(work):
        _not_sent(ctx, "the account is deactivated or has no password")


def _not_sent(ctx: RequestContext, reason: str) -> None:
    ctx.services.log.info("reset_not_mailed", request_id=ctx.request_id, reason=reason)


# The user is signed in afterward, and all existing sessions end, since one of them can be the reason for the reset. All
# invalid links get the same response; the log has the reason. The transaction that sets the password uses up the link;
# a password that the rules reject leaves it open.

T = TypeVar("T")

METHOD: Literal["link"] = "link"
_EVENTS = {Purpose.INVITATION: Event.INVITATION_ACCEPTED, Purpose.RESET: Event.PASSWORD_RESET}


class Credentials(NamedTuple):
    """The inputs. ``field`` is the name of the password in the body, for the error's details."""

    purpose: Purpose
    token: str
    password: str
    field: str


class OpenLink(NamedTuple):
    """A valid link, with its client and user."""

    link: Link
    tenant: Tenant
    user: User

    @property
    def purpose(self) -> Purpose:
        return Purpose(self.link.purpose)

    @property
    def why_no_password(self) -> str:
        """Why the link can't set a password. Empty if it can."""
        if not tenants.settings_of(self.tenant.settings).password_sign_in:
            return _("Passwords are turned off. Sign in through your organization's provider.")
        if self.purpose is Purpose.INVITATION and self.user.password_hash is not None:
            return _("The account already has a password. Sign in with it, or request a new one.")
        return ""


def find(
    unit: SystemUnit, ctx: RequestContext, token: str, purpose: Purpose | None = None, *, lock: bool = False
) -> OpenLink:
    """Returns the link of a token, for that purpose or for any. ``lock``: lock the user's row. Raises InvalidToken,
    always the same error, for an invalid link."""
    link = one_time_links.find_in_any_tenant(unit, token)
    if link is None:
        raise InvalidToken(reason="link: unknown")
    tenant, bound = tenants.get(unit, link.tenant_id), unit.of(link.tenant_id)
    user = users.get(bound, link.user_id, lock=lock)
    link = one_time_links.find_by_id(bound, link.id) or link  # read again now that the user is locked
    return _checked(bound, tenant, user, link, purpose, ctx.now)


def _checked(bound: TenantUnit, tenant: Tenant, user: User, link: Link, purpose: Purpose | None, now: int) -> OpenLink:
    if not link.is_open(purpose or Purpose(link.purpose), now):
        raise InvalidToken(
            reason=f"link: used, expired, or closed, or not for {purpose and purpose.value}",
            replay="one_time_link" if link.used_at is not None else None,
        )
    if tenant.suspended_at is not None or user.deactivated_at is not None:
        raise InvalidToken(reason="link: the client is suspended or the user is deactivated")
    if user.roles & Role.ADMIN.bit and not credential_voiding.is_admin_actor(bound, link.invited_by):
        raise InvalidToken(reason="link: the account belongs to an Admin now, and a User Admin created the link")
    return OpenLink(link, tenant, user)


async def look(ctx: RequestContext, token: str) -> tuple[OpenLink, list[Provider]]:
    """Returns a link, which stays unused, and the providers with which an invited person can sign in instead. Raises
    InvalidToken."""

    def work(unit: SystemUnit) -> tuple[OpenLink, list[Provider]]:
        found = find(unit, ctx, token)
        return found, ways(unit, found)

    return await ctx.services.store.read(work)


def ways(unit: SystemUnit, found: OpenLink) -> list[Provider]:
    """Lists the providers with which an invited person can sign in."""
    listed = providers.list_all(unit.of(found.tenant.id)) if found.purpose is Purpose.INVITATION else []
    return [provider for provider in listed if provider.disabled_at is None]


@counts(METHOD)
async def choose_password(ctx: RequestContext, credentials: Credentials, browser: BrowserCookies) -> SignedIn:
    """Sets the password, ends all sessions and opens a new one.

    Raises InvalidToken, Forbidden, Conflict, ValidationError under the client's rules, RateLimited, Overloaded.
    """
    services = ctx.services
    services.hasher.check_capacity()
    found = await _refusals_recorded(
        ctx, credentials, services.store.read(lambda u: find(u, ctx, credentials.token, credentials.purpose))
    )
    tenant = found.tenant
    ctx.client_hint.check(tenant.identifier, tenant.id, "link")
    if found.why_no_password:
        raise Conflict(found.why_no_password)
    counters = await _count(ctx, found)
    fresh = await password.hash_of_new(ctx, found.user, credentials.password, credentials.field)

    def work(unit: SystemUnit) -> SignedIn:
        now_found = find(unit, ctx, credentials.token, credentials.purpose, lock=True)
        pending = Pending("link", password_hash=fresh)
        identity = Identity(METHOD, now_found.user.id, ("link",), authenticated_at=ctx.now)
        # Checked before anything changes: if a second factor is due, the new hash waits for it, and the link stays.
        account = completion.check(unit, ctx, tenant.id, identity, browser, pending, counters, now_found.link.id)
        return finish(unit, ctx, now_found, fresh, account, identity, browser)

    return await _refusals_recorded(ctx, credentials, completion.run(ctx, METHOD, work))


def finish(
    unit: SystemUnit,
    ctx: RequestContext,
    found: OpenLink,
    fresh: str,
    account: Account,
    identity: Identity,
    browser: BrowserCookies,
) -> SignedIn:
    """Uses up the link, sets the password (``fresh`` is its hash) and opens the session of a checked account. Raises
    InvalidToken, and Conflict if the link can no longer set a password."""
    if found.why_no_password:
        raise Conflict(found.why_no_password)
    bound, user, event = unit.of(found.tenant.id), found.user, _EVENTS[found.purpose]
    if not one_time_links.use(bound, found.link, ctx.now):
        raise InvalidToken(reason="link: used in the meantime", replay="one_time_link")
    one_time_links.close(bound, user.id, ctx.now)
    email_changes.close_pending(bound, user.id, ctx.now)
    users.set_password(bound, user, fresh, ctx.now, by_emailed_link=bool(found.link.emailed))
    ended = sessions.end_all(bound, user.id, event.value, ctx.now)
    audit.record(bound, ctx, event, f"user:{user.id}", made_by=found.link.invited_by, sessions_ended=ended)
    return completion.open_session(unit, ctx, account, identity, browser)


def find_by_id(unit: SystemUnit, tenant_id: int, link_id: int, now: int) -> OpenLink:
    """Returns an open link, with its user locked. Raises InvalidToken."""
    bound = unit.of(tenant_id)
    link = one_time_links.find_by_id(bound, link_id)
    if link is None:
        raise InvalidToken(reason="link: deleted in the meantime")
    user = users.get(bound, link.user_id, lock=True)
    return _checked(bound, tenants.get(unit, tenant_id), user, link, None, now)


async def _refusals_recorded(ctx: RequestContext, credentials: Credentials, work: Awaitable[T]) -> T:
    """Records the use of a link that is no longer valid. An invented link belongs to no client and is not recorded."""
    try:
        return await work
    except InvalidToken as refusal:
        why = refusal.reason

        def record(unit: SystemUnit) -> None:
            if link := one_time_links.find_in_any_tenant(unit, credentials.token):
                bound, subject = unit.of(link.tenant_id), f"user:{link.user_id}"
                ctx.services.anonymous_limits.record(bound, ctx, Event.SIGN_IN_FAILED, subject, method=METHOD, why=why)

        await ctx.services.store.write_quickly(record)
        raise


async def _count(ctx: RequestContext, found: OpenLink) -> Counters:
    """Limits the attempts with one link, because each costs a password hash. The link has its own counters, so those of
    the account do not change. Raises RateLimited."""
    counters = throttle.counters(METHOD, str(found.link.id), ctx.source, None)
    if not ctx.services.throttle.is_on:
        return counters

    def count(unit: SystemUnit) -> throttle.Wait | None:
        if wait := throttle.count(unit, counters, ctx.now):
            bound, subject = unit.of(found.tenant.id), f"user:{found.user.id}"
            ctx.services.anonymous_limits.record(bound, ctx, Event.THROTTLED, subject, method=METHOD, wait_ms=wait.ms)
        return wait

    if wait := await ctx.services.store.write_quickly(count):
        raise ctx.services.throttle.refusal(METHOD, wait)
    return counters
