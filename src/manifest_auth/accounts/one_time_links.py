"""One-time links, stored in ``invitations``: each allows one first sign-in, or one new password."""

from __future__ import annotations

import enum
import hashlib
from typing import NamedTuple

from sqlalchemy import bindparam, insert, select, update

from manifest_auth import audit, tenants
from manifest_auth.accounts import rank
from manifest_auth.accounts.mail_queue import AccountRequest, Queued, reader
from manifest_auth.accounts.users import User
from manifest_auth.audit import Act, Event
from manifest_auth.context import Caller, Principal
from manifest_auth.errors import Conflict
from manifest_auth.runtime.mail import emails
from manifest_auth.runtime.metrics import EntryPoint
from manifest_auth.runtime.settings import DAY, HOUR, MINUTE
from manifest_auth.store import SystemUnit, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import invitations
from manifest_auth.tenants import step_up
from manifest_auth.text.canonical import when
from manifest_auth.text.languages import marked as _
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait

# A link is the address of a page with a random token in the fragment (``#``), which browsers never send. Only the
# token's hash is stored. Callers check everything except the link's own state: user, client, and ranks.

PAGE = "/welcome"


class Purpose(enum.Enum):
    """The purpose of a link. ``INVITATION`` allows a first sign-in, through a provider or with a first password.
    ``RESET`` only allows a new password."""

    INVITATION = "invitation"
    RESET = "reset"


LIFE_S = {Purpose.INVITATION: 72 * HOUR, Purpose.RESET: 30 * MINUTE}


class Link(NamedTuple):
    """A link. ``invited_by`` is the actor who created it, as in the audit trail (``user:5``, ``admin:1``), or the user
    for "forgot password". ``emailed`` is 1 if the link was only sent to the user's address, so that using it verifies
    the mailbox."""

    id: int
    tenant_id: int
    user_id: int
    purpose: str
    invited_by: str
    expires_at: int
    used_at: int | None
    emailed: int

    def is_open(self, purpose: Purpose, now: int) -> bool:
        """Whether the link can be used for that purpose now."""
        return self.purpose == purpose.value and self.used_at is None and self.expires_at > now


_C = invitations.c
_OPEN = (_C.used_at.is_(None), _C.expires_at > bindparam("now"))
_NEW = ("user_id", "purpose", "key", "invited_by", "emailed", "created_at", "expires_at")
_ADD = tenant_scoped(insert(invitations).values({name: bindparam(name) for name in _NEW}).returning(_C.id), int)
_CLOSING = update(invitations).where(_C.user_id == bindparam("of_user"), *_OPEN).values(expires_at=bindparam("now"))
_CLOSE_ALL = tenant_scoped(_CLOSING)
_CLOSE = tenant_scoped(_CLOSING.where(_C.purpose == bindparam("of_purpose")))
_ALL = select(*(_C[name] for name in Link._fields))
_FIND = tenant_scoped(_ALL.where(_C.key == bindparam("key")), Link)
_ANYWHERE = cross_tenant(
    _ALL.where(_C.key == bindparam("key")),
    Link,
    because="a request with a link has only its token; the token names the tenant",
)
_BY_ID = tenant_scoped(_ALL.where(_C.id == bindparam("id")), Link)
_USE = tenant_scoped(update(invitations).where(_C.id == bindparam("id"), *_OPEN).values(used_at=bindparam("now")))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def make(
    unit: TenantUnit,
    user_id: int,
    purpose: Purpose,
    token: str,
    made_by: str,
    now: int,
    *,
    emailed: bool,
    life_s: int | None = None,
) -> int:
    """Stores a link with a random token, and closes the user's earlier links for the same purpose. ``emailed`` means
    that it is only sent to the user's own address. ``life_s`` is the lifetime in seconds, if it isn't the purpose's
    default. Returns when the link expires, in milliseconds."""
    close(unit, user_id, now, purpose)
    expires_at = now + (life_s or LIFE_S[purpose]) * 1000
    unit.first(
        _ADD,
        user_id=user_id,
        purpose=purpose.value,
        key=_key(token),
        invited_by=made_by,
        emailed=int(emailed),
        created_at=now,
        expires_at=expires_at,
    )
    return expires_at


def find(unit: TenantUnit, token: str) -> Link | None:
    """Returns a link of the tenant by its token, open or not."""
    return unit.first(_FIND, key=_key(token))


def find_in_any_tenant(unit: SystemUnit, token: str) -> Link | None:
    """Returns a link of any tenant by its token, open or not; None if there is none."""
    return unit.first(_ANYWHERE, key=_key(token))


def find_by_id(unit: TenantUnit, link_id: int) -> Link | None:
    """A link of the tenant, open or not."""
    return unit.first(_BY_ID, id=link_id)


def use(unit: TenantUnit, link: Link, now: int) -> bool:
    """Marks a link as used. Returns False if it is no longer open. If called concurrently, only one call returns
    True."""
    return unit.change(_USE, id=link.id, now=now) == 1


def close(unit: TenantUnit, user_id: int, now: int, purpose: Purpose | None = None) -> int:
    """Closes the open links of a user, for one purpose or all. Returns how many there were."""
    if purpose is None:
        return unit.change(_CLOSE_ALL, of_user=user_id, now=now)
    return unit.change(_CLOSE, of_user=user_id, of_purpose=purpose.value, now=now)


def address(public_url: str, token: str) -> str:
    """The link's address."""
    return f"{public_url.rstrip('/')}{PAGE}#{token}"


# A link is created in the transaction, and delivered after its commit. If mail is set up, the link goes only to the
# user's own address, even if the mail server is currently down. It is returned to the administrator only if mail isn't
# set up.

#: The number of links per day for one user before the waiting times grow.
FLOOD = Policy(free=10, longest_ms=60 * 60_000, memory_ms=DAY * 1000, ceiling=40)


class NewLink(NamedTuple):
    """A stored link, for the administrator. ``token`` (which isn't stored) and ``link`` are None if it is emailed, as
    ``queued``. ``sent`` is whether the mail server accepted the email while the caller waited (:func:`sent`). If not,
    it is retried for an hour."""

    user: User
    token: str | None
    link: str | None
    expires_at: int
    queued: Queued | None
    sent: bool = False


def invite(unit: TenantUnit, request: AccountRequest, user_id: int) -> NewLink:
    """Creates a link for a user's first sign-in, and closes any earlier one. Raises NotFound, Forbidden, Conflict, or
    ReauthenticationRequired."""
    user = rank.get_managed(unit, request, user_id)
    step_up.check_gain(request, user.roles)
    return make_link(unit, request, user, Purpose.INVITATION)


def start_reset(unit: TenantUnit, request: AccountRequest, user_id: int) -> NewLink:
    """Creates a link to set a new password, and closes any earlier one. The old password works until then. Raises
    NotFound, Forbidden, Conflict if the client allows no passwords, or ReauthenticationRequired."""
    own = "Change your own password with your current password"
    step_up.check(request, Act.OTHERS_PASSWORDS)
    user = rank.get_managed(unit, request, user_id, own=own)
    if not _by_password(unit):
        raise Conflict(_("Passwords are turned off for this client"))
    return make_link(unit, request, user, Purpose.RESET)


def make_link(
    unit: TenantUnit,
    who: AccountRequest,
    user: User,
    purpose: Purpose,
    *,
    is_returned: bool | None = None,
    is_only_access: bool = False,
) -> NewLink:
    """Creates a link for a user whom ``who`` can manage, and closes any earlier one for the same purpose.
    ``is_returned`` returns it to the caller instead of sending an email; None does so only if mail isn't set up.
    ``is_only_access`` means that the user has no other way to sign in, so the link is valid as long as an invitation.
    Raises Conflict for a deactivated user."""
    if user.deactivated_at is not None:
        raise Conflict(_("The user is deactivated"))
    services, actor, now = who.services, who.caller.actor, who.now
    shown = not services.mail_queue.is_set_up if is_returned is None else is_returned
    if shown:
        step_up.not_for_machines(who)  # the link goes only to the user's mailbox
    elif not is_only_access:
        key = throttle.span_key("links", unit.tenant_id, user.id, now=now, span_s=DAY)
        count_emails(unit, who, "link", [Counter(key, FLOOD)])
    token, life_s = services.random.text(24), LIFE_S[Purpose.INVITATION if is_only_access else purpose]
    closed = close(unit, user.id, now, purpose)
    expires_at = make(unit, user.id, purpose, token, actor, now, emailed=not shown, life_s=life_s)
    change = {"before": {"openLinks": closed}, "after": {"openLinks": 1}}
    event = Event.USER_INVITED if purpose is Purpose.INVITATION else Event.PASSWORD_RESET_STARTED
    audit.record(unit, who, event, f"user:{user.id}", expires=when(expires_at), shown=shown, **change)
    link = address(services.settings.public_url, token)
    if shown:
        return NewLink(user, token, link, expires_at, None)
    to = reader(user, tenants.get(unit, unit.tenant_id))
    mailed = emails.Link(link, life_s)
    if is_only_access:
        email = emails.access_link(to, mailed)
    elif purpose is Purpose.INVITATION:
        email = emails.invitation(to, mailed, _inviter(who.caller))
    else:
        email = emails.reset(to, mailed)
    queued = services.mail_queue.add(unit, who, email, purpose.value, f"user:{user.id}", useful_ms=expires_at - now)
    return NewLink(user, None, None, expires_at, queued)


def _inviter(caller: Caller) -> str:
    """The person's name for the email. Empty for a system admin, a command, or a machine."""
    if not isinstance(caller, Principal) or caller.is_service:
        return ""
    return emails.inviter(f"{caller.first_name} {caller.last_name}".strip(), caller.email)


def count_emails(unit: TenantUnit, request: AccountRequest, entry: EntryPoint, counters: list[Counter]) -> None:
    """Limits the number of emails to a mailbox. Raises RateLimited."""
    if request.services.throttle.is_on and (blocked := throttle.count_each(unit, counters, request.now)) is not None:
        raise request.services.throttle.refusal(entry, Wait(blocked.ms, "account"))


def access_link(unit: TenantUnit, who: AccountRequest, user: User) -> NewLink:
    """Creates a link for a new Admin who has no other way to sign in, to set a new password or, if the client allows no
    passwords, to sign in through a provider. The right to grant the role includes the right to do this."""
    return make_link(unit, who, user, Purpose.RESET if _by_password(unit) else Purpose.INVITATION, is_only_access=True)


def _by_password(unit: TenantUnit) -> bool:
    return tenants.settings_of(tenants.get(unit, unit.tenant_id).settings).password_sign_in


async def sent(request: AccountRequest, new_link: NewLink) -> NewLink:
    """Returns the link of a committed transaction. Waits at most a few seconds for its email."""
    return new_link._replace(sent=await request.services.mail_queue.delivered(request, new_link.queued))
