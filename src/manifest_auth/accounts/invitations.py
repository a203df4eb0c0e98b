"""One-time links for others: made in the transaction of the act, handed over after its commit.

Where mail is set up the link goes to the user's own address and nobody else sees it. Only where it could not be sent is
it given to whoever asked.
"""

from __future__ import annotations

from typing import NamedTuple

from manifest_auth import audit, links, mail, tenants
from manifest_auth.accounts import rank
from manifest_auth.accounts.rank import Who
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Context, House
from manifest_auth.errors import Conflict
from manifest_auth.links import Purpose
from manifest_auth.store import TenantUnit
from manifest_auth.text import when
from manifest_auth.users import User

_LETTERS = {Purpose.INVITATION: mail.invitation, Purpose.RESET: mail.reset}


class Made(NamedTuple):
    """A link that is in the store, and its token, which is not."""

    user: User
    purpose: Purpose
    token: str
    expires_at: int


class Handed(NamedTuple):
    """What is told to whoever asked. ``token`` and ``link`` None: it was mailed to the user."""

    user: User
    token: str | None
    link: str | None
    expires_at: int


def invite(unit: TenantUnit, ctx: Context, user_id: int) -> Made:
    """A link to come in for the first time; an earlier one closes. Raises NotFound, Forbidden, Conflict."""
    user = rank.managed(unit, ctx, user_id)
    return _made(unit, ctx, user, Purpose.INVITATION, Event.USER_INVITED)


def start_reset(unit: TenantUnit, ctx: Context, user_id: int, *, by_password: bool) -> Made:
    """A link to choose a new password; an earlier one closes. The password there is stays until then. ``by_password``:
    whether the client lets anybody in with one. Raises NotFound, Forbidden, Conflict."""
    own = "Change your own password with the current one"
    user = rank.managed(unit, ctx, user_id, own=own)
    if not by_password:
        raise Conflict("Passwords are not used in this client")
    return _made(unit, ctx, user, Purpose.RESET, Event.PASSWORD_RESET_STARTED)


def _made(unit: TenantUnit, ctx: Context, user: User, purpose: Purpose, event: Event) -> Made:
    if user.deactivated_at is not None:
        raise Conflict("The user is deactivated")
    token = ctx.house.random.text(24)
    closed = links.close(unit, user.id, ctx.now, purpose)
    expires_at = links.make(unit, user.id, purpose, token, ctx.caller.actor, ctx.now)
    change = {"before": {"openLinks": closed}, "after": {"openLinks": 1}}
    audit.record(unit, ctx, event, f"user:{user.id}", expires=when(expires_at), **change)
    return Made(user, purpose, token, expires_at)


def way_in(unit: TenantUnit, who: Who, house: House, user: User) -> Made:
    """A link for an Admin to whose account no way in is left: to choose a new password or, where the client lets nobody
    in with one, to come in through a provider. Whoever may give the role may do this."""
    by_password = tenants.settings_of(tenants.get(unit, unit.tenant_id).settings).password_sign_in
    purpose = Purpose.RESET if by_password else Purpose.INVITATION
    event = Event.PASSWORD_RESET_STARTED if by_password else Event.USER_INVITED
    now, actor = (who.at, who.actor) if isinstance(who, Origin) else (who.now, who.caller.actor)
    token = house.random.text(24)
    life_s = links.LIFE_S[Purpose.INVITATION]
    expires_at = links.make(unit, user.id, purpose, token, actor, now, life_s)
    audit.record(unit, who, event, f"user:{user.id}", expires=when(expires_at), after={"openLinks": 1})
    return Made(user, purpose, token, expires_at)


async def hand_over(ctx: Context, made: Made, client: str) -> Handed:
    """Mails the link, or gives it back. ``client``: its full name. Nothing is open in the store meanwhile."""
    house = ctx.house
    link = links.address(house.settings.public_url, made.token)
    if house.mail.is_set_up:
        if ctx.mail_until is None:
            ctx.mail_until = house.mail.deadline()
        letter = _LETTERS[made.purpose](made.user.email, client, link)
        if await house.mail.send(letter, ctx.mail_until, ctx.request_id):
            return Handed(made.user, None, None, made.expires_at)
    return Handed(made.user, made.token, link, made.expires_at)
