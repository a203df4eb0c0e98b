"""One-time links for others: made in the transaction of the act, handed over after its commit.

Where mail is set up the link goes to the user's own address and to no one else, whether or not the mail server takes
the e-mail now. Only where none is set up it is shown to the one who asked.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit, tenants
from manifest_auth.accounts import one_time_links, rank
from manifest_auth.accounts.one_time_links import Purpose
from manifest_auth.accounts.rank import Who
from manifest_auth.accounts.tools import AccountTools
from manifest_auth.accounts.users import User
from manifest_auth.audit import Event
from manifest_auth.context import Request
from manifest_auth.errors import Conflict
from manifest_auth.mail_queue import Queued
from manifest_auth.runtime import mail
from manifest_auth.runtime.settings import DAY
from manifest_auth.store import TenantUnit
from manifest_auth.text.canonical import when
from manifest_auth.throttle import throttle
from manifest_auth.throttle.throttle import Counter, Policy, Wait

#: How many links a day one user may be sent, before pauses that grow.
FLOOD = Policy(free=10, longest_ms=60 * 60_000, memory_ms=DAY * 1000, ceiling=40)
_EMAILS = {Purpose.INVITATION: mail.invitation, Purpose.RESET: mail.reset}


class Made(NamedTuple):
    """A link that is in the store. ``token``, which is not: None where it goes by e-mail, as ``queued``."""

    user: User
    purpose: Purpose
    token: str | None
    expires_at: int
    queued: Queued | None


class Handed(NamedTuple):
    """What the one who asked is told. ``token`` and ``link``: None wherever mail is set up; ``sent``: whether the mail
    server took the e-mail. One that it did not take is tried again for an hour."""

    user: User
    token: str | None
    link: str | None
    expires_at: int
    sent: bool


def invite(unit: TenantUnit, request: Request, tools: AccountTools, user_id: int) -> Made:
    """A link to come in for the first time; an earlier one closes. Raises NotFound, Forbidden, Conflict."""
    user = rank.managed(unit, request, user_id)
    return make_link(unit, request, tools, user, Purpose.INVITATION)


def start_reset(unit: TenantUnit, request: Request, tools: AccountTools, user_id: int, *, by_password: bool) -> Made:
    """A link to choose a new password; an earlier one closes. The password there is stays until then. ``by_password``:
    whether the client lets anybody in with one. Raises NotFound, Forbidden, Conflict."""
    own = "Change your own password with the current one"
    user = rank.managed(unit, request, user_id, own=own)
    if not by_password:
        raise Conflict("Passwords are not used in this client")
    return make_link(unit, request, tools, user, Purpose.RESET)


def make_link(
    unit: TenantUnit, who: Who, tools: AccountTools, user: User, purpose: Purpose, *, is_shown: bool | None = None,
    is_way_in: bool = False,
) -> Made:  # fmt: skip
    """A link for a user whom ``who`` may manage; an earlier one for the same purpose closes. ``is_shown``: to the one
    who asked, in place of an e-mail; None: where no mail is set up. ``is_way_in``: the only one, so that it lives as
    long as an invitation. Raises Conflict for a deactivated user."""
    if user.deactivated_at is not None:
        raise Conflict("The user is deactivated")
    if isinstance(who, Request) and not is_way_in:
        _count(unit, who, tools, user)
    origin = who.origin
    actor, now = origin.actor, origin.at
    shown = not tools.mail_queue.is_set_up if is_shown is None else is_shown
    token, life_s = tools.random.text(24), one_time_links.LIFE_S[Purpose.INVITATION if is_way_in else purpose]
    closed = one_time_links.close(unit, user.id, now, purpose)
    expires_at = one_time_links.make(unit, user.id, purpose, token, actor, now, emailed=not shown, life_s=life_s)
    change = {"before": {"openLinks": closed}, "after": {"openLinks": 1}}
    event = Event.USER_INVITED if purpose is Purpose.INVITATION else Event.PASSWORD_RESET_STARTED
    audit.record(unit, who, event, f"user:{user.id}", expires=when(expires_at), shown=shown, **change)
    if shown:
        return Made(user, purpose, token, expires_at, None)
    client = tenants.get(unit, unit.tenant_id).name
    email = (mail.way_in if is_way_in else _EMAILS[purpose])(
        user.email, client, one_time_links.address(tools.settings.public_url, token)
    )
    queued = tools.mail_queue.add(unit, email, purpose.value, f"user:{user.id}", useful_ms=expires_at - now)
    return Made(user, purpose, None, expires_at, queued)


def _count(unit: TenantUnit, request: Request, tools: AccountTools, user: User) -> None:
    """A mailbox is no target for floods. Raises RateLimited."""
    if not tools.throttle.is_on or not tools.mail_queue.is_set_up:
        return
    counter = Counter(throttle.span_key("links", unit.tenant_id, user.id, now=request.now, span_s=DAY), FLOOD)
    held = throttle.count_each(unit, [counter], request.now)
    if held is not None:
        raise tools.throttle.refusal("link", Wait(held.ms, "account"))


def way_in(unit: TenantUnit, who: Who, tools: AccountTools, user: User) -> Made:
    """A link for a new Admin to whose account no way in is left: to choose a new password or, where the client lets
    nobody in with one, to come in through a provider. Who may give the role may do this."""
    by_password = tenants.settings_of(tenants.get(unit, unit.tenant_id).settings).password_sign_in
    return make_link(unit, who, tools, user, Purpose.RESET if by_password else Purpose.INVITATION, is_way_in=True)


async def hand_over(request: Request, tools: AccountTools, made: Made) -> Handed:
    """Sends the link, or gives it back where no mail is set up. Nothing is open in the store meanwhile."""
    [sent] = await tools.mail_queue.send_now(request, made.queued)
    link = one_time_links.address(tools.settings.public_url, made.token) if made.token else None
    return Handed(made.user, made.token, link, made.expires_at, sent)
