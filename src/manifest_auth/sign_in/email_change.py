"""Change of a user's email address: it takes effect when the new mailbox confirms it, and the old mailbox can undo it.

The old address gets two emails, one at the request and one when the change takes effect, each with a link to undo it.
So "forgot password" cannot turn a stolen session into a stolen account. Undoing the change also removes anything that
an attacker might have added to the account since the day before the request. Older changes stay.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import credential_voiding, email_changes, one_time_links, users
from manifest_auth.accounts.email_changes import EmailChange, Started, start
from manifest_auth.accounts.mail_queue import reader
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.provisioning import managed
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.errors import Conflict, InvalidToken, ValidationError
from manifest_auth.permissions import Role
from manifest_auth.runtime.mail import RemovedData, emails
from manifest_auth.runtime.settings import DAY
from manifest_auth.services import RequestContext
from manifest_auth.sign_in.password import prove_current
from manifest_auth.sign_in.providers import group_roles
from manifest_auth.store import SystemUnit, TenantUnit
from manifest_auth.tenants import Tenant, step_up
from manifest_auth.text import fields
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _

Kind = Literal["email", "email-undo"]
#: Undoing a change removes everything that was added since this many milliseconds before the request.
PLANTED_MS = DAY * 1000


class PendingChange(NamedTuple):
    """An email change with a valid link, and its client and user."""

    change: EmailChange
    kind: Kind
    tenant: Tenant
    user: User

    @property
    def email(self) -> str:
        """The address that applies once the link is used."""
        return self.change.new_email if self.kind == "email" else self.change.old_email

    @property
    def expires_at(self) -> int:
        return self.change.expires_at if self.kind == "email" else self.change.undo_expires_at or 0


class UndoneChange(NamedTuple):
    """The result of an undo. ``resets``: the old address gets a link to choose a new password; ``manages``: the user
    manages other users."""

    email: str
    resets: bool
    removed: RemovedData
    manages: bool


def why_not(ctx: RequestContext, user: User) -> str:
    """Returns why the caller, who is ``user``, cannot request another address; empty if they can."""
    if not ctx.services.mail.is_set_up:
        return _("This server doesn't send email. Contact your administrator.")
    if user.password_hash is None or not tenants.settings_of(ctx.user.tenant_settings).password_sign_in:
        return _("Your account has no password. Contact your administrator.")
    return ""


async def start_own(ctx: RequestContext, email: str, password: str) -> Started:
    """Starts a change for the caller, who enters the current password. Raises ValidationError, InvalidCredentials,
    RateLimited, Overloaded, ReauthenticationRequired, and Conflict if email is not configured or the caller has no
    password."""
    caller = ctx.user
    step_up.check(ctx, Act.EMAIL, needed=step_up.uses_password(caller))  # only the caller can change it
    fields.EMAIL.check(email, "newEmail")
    user = await ctx.store.read(lambda unit: users.get(unit, caller.user_id))
    if why := why_not(ctx, user):
        raise Conflict(why)
    if email == user.email:
        raise ValidationError(details=[("newEmail", _("This is already your address"))])
    proved = await prove_current(ctx, password)

    def work(unit: SystemUnit) -> Started:
        bound = unit.of(caller.tenant_id)
        now_user = users.get(bound, caller.user_id, lock=True)
        proved.check_again(unit, now_user)
        return start(bound, ctx, now_user, email, own=True)

    return await ctx.services.store.write(work)


def find(
    unit: SystemUnit, ctx: RequestContext, token: str, kind: Kind | None = None, *, lock: bool = False
) -> PendingChange | None:
    """Returns the change that a token confirms or undoes; None if there is none of that ``kind``. ``lock``: lock the
    user's row. Raises InvalidToken, always the same error, for a token that is no longer valid."""
    change = email_changes.find_in_any_tenant(unit, token)
    if change is None:
        return None
    own_kind: Kind = "email" if change.key == email_changes.key_of(token) else "email-undo"
    if kind not in (None, own_kind):
        return None
    tenant, bound = tenants.get(unit, change.tenant_id), unit.of(change.tenant_id)
    user = users.get(bound, change.user_id, lock=lock, admins=lock and own_kind == "email-undo")
    change = email_changes.get(bound, change.key)  # read again now that the user is locked
    works = change.is_pending(ctx.now) if own_kind == "email" else change.can_be_undone(ctx.now)
    if not works:
        done = change.closed_at is not None or (own_kind == "email" and change.confirmed_at is not None)
        raise InvalidToken(reason="link: used, expired, or closed", replay="one_time_link" if done else None)
    if tenant.suspended_at is not None or user.deactivated_at is not None:
        raise InvalidToken(reason="link: the client is suspended or the user is deactivated")
    is_admins = user.roles & Role.ADMIN.bit
    if own_kind == "email" and is_admins and not credential_voiding.is_admin_actor(bound, change.started_by):
        raise InvalidToken(reason="link: the account belongs to an Admin now, and a User Admin requested the address")
    return PendingChange(change, own_kind, tenant, user)


def _get(unit: SystemUnit, ctx: RequestContext, token: str, kind: Kind) -> PendingChange:
    found = find(unit, ctx, token, kind, lock=True)
    if found is None:
        raise InvalidToken(reason="link: unknown")
    ctx.client_hint.check(found.tenant.identifier, found.tenant.id, "link")
    return found


async def confirm(ctx: RequestContext, token: str) -> str:
    """Makes the new address the verified one, and closes links that were sent to the old one. Raises InvalidToken,
    Forbidden, and Conflict if another account now has the address."""
    services = ctx.services

    def work(unit: SystemUnit) -> str:
        change, _, tenant, user = _get(unit, ctx, token, "email")
        bound, subject, undo = unit.of(tenant.id), f"user:{user.id}", services.random.text(24)
        managed.check(bound, ctx, user.id)
        if not email_changes.confirm(bound, change, undo, ctx.now):
            raise InvalidToken(reason="link: used in the meantime", replay="one_time_link")
        after = users.set_email(bound, user, change.new_email, ctx.now)
        email_changes.close_pending(bound, user.id, ctx.now)
        one_time_links.close(bound, user.id, ctx.now)
        link = emails.Link(one_time_links.address(services.settings.public_url, undo), email_changes.UNDO_S)
        email = emails.email_changed(reader(user, tenant), link)
        detail = {"before": {"email": user.email}, "after": {"email": after.email}, "started_by": change.started_by}
        audit.record(bound, ctx, Event.EMAIL_CHANGED, subject, **detail)
        services.mail_queue.add(bound, ctx, email, "email_changed", subject)
        return after.email

    return await services.store.write(work)


async def undo(ctx: RequestContext, token: str) -> UndoneChange:
    """Restores the old address and ends all sessions. Voids the password and anything an attacker might have added, and
    closes every link and every later change. If the old address was verified, or its owner requested the change, it
    gets an email and, for a user with a password, a link to choose a new one. Raises the errors of :func:`confirm`."""
    services = ctx.services

    def work(unit: SystemUnit) -> UndoneChange:
        change, _, tenant, user = _get(unit, ctx, token, "email-undo")
        bound, subject = unit.of(tenant.id), f"user:{user.id}"
        managed.check(bound, ctx, user.id)
        email_changes.close_since(bound, change, ctx.now)
        after = users.set_email(bound, user, change.old_email, ctx.now)
        users.void_password(bound, after, ctx.now)
        since = change.created_at - PLANTED_MS
        voided = credential_voiding.void(bound, after, "email_change_undone", ctx.now, since=since)
        detail = {"before": {"email": user.email}, "after": {"email": after.email}, "void": voided.counts}
        audit.record(bound, ctx, Event.EMAIL_CHANGE_UNDONE, subject, **detail)
        after = group_roles.take_back(bound, ctx, after, voided.granted)
        # Otherwise correcting a mistyped address would give the account to the owner of that mailbox.
        is_owners = change.old_proved_at is not None or change.started_by == subject
        by_password = user.password_hash is not None and tenants.settings_of(tenant.settings).password_sign_in
        resets, manages = is_owners and by_password and services.mail.is_set_up, bool(after.roles & step_up.RANKED)
        undone = UndoneChange(after.email, resets, voided.removed, manages)
        if is_owners:
            _tell(bound, ctx, undone, tenant, after)
        return undone

    return await services.store.write(work)


def _tell(unit: TenantUnit, ctx: RequestContext, undone: UndoneChange, tenant: Tenant, user: User) -> None:
    """Emails the old address what was removed and, if it can reset the password, a link to choose a new one."""
    services, subject, to = ctx.services, f"user:{user.id}", reader(user, tenant)
    if not services.mail.is_set_up:
        return
    if not undone.resets:
        email = emails.email_undone(to, None, undone.removed, undone.manages)
        services.mail_queue.add(unit, ctx, email, Event.EMAIL_CHANGE_UNDONE.value, subject)
        return
    link, useful_ms = make_reset(unit, ctx, user)
    email = emails.email_undone(to, link, undone.removed, undone.manages)
    services.mail_queue.add(unit, ctx, email, Purpose.RESET.value, subject, useful_ms=useful_ms)


def make_reset(unit: TenantUnit, ctx: RequestContext, user: User) -> tuple[emails.Link, int]:
    """Returns a link to choose a new password, for an email to the account's own address, and how long the email is
    useful, in milliseconds. The link counts as created by the user."""
    token, maker = ctx.services.random.text(24), f"user:{user.id}"
    expires_at = one_time_links.make(unit, user.id, Purpose.RESET, token, maker, ctx.now, emailed=True)
    audit.record(unit, ctx, Event.PASSWORD_RESET_STARTED, maker, expires=when(expires_at), by="mail")
    address = one_time_links.address(ctx.services.settings.public_url, token)
    return emails.Link(address, one_time_links.LIFE_S[Purpose.RESET]), expires_at - ctx.now
