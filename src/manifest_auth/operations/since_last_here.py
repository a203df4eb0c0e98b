"""What happened to one's own account since one was last here, from the audit trail.

The trail has no index by user, so a look at it is bounded: by the sign-in before this one, by a month, and by a number
of events of the client. What lies further back is in the trail for those who may read it.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import orjson

from manifest_auth import audit, sessions
from manifest_auth.audit import Event
from manifest_auth.context import Principal
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit

MOST = 20
DAYS = 30
_DAY_MS = 86_400_000
_STEPS = 2  # each looks at some thousand events of the client
#: What someone wants to know who shares the account with no one.
TOLD = frozenset(
    {
        Event.SIGNED_IN, Event.SIGN_IN_FAILED, Event.SIGN_IN_REFUSED, Event.THROTTLED, Event.SIGNED_OUT_ALL,
        Event.SESSION_ENDED, Event.REFRESH_TOKEN_REUSED, Event.SIGN_IN_CODE_REUSED, Event.PASSWORD_CHANGED,
        Event.PASSWORD_CHECK_FAILED, Event.PASSWORD_RESET_STARTED, Event.PASSWORD_RESET, Event.CREDENTIALS_DROPPED,
        Event.EMAIL_CHANGE_STARTED, Event.EMAIL_CHANGED, Event.EMAIL_CHANGE_UNDONE, Event.IDENTITY_LINKED,
        Event.IDENTITY_CONFIRMED, Event.IDENTITY_UNLINKED, Event.USER_CHANGED, Event.USER_ROLES_CHANGED,
        Event.ADMIN_GAINED, Event.USER_RESTORED,
    }
)  # fmt: skip

_NAMED = {event.value: event for event in TOLD}
_LOOKED_AT = 100  # events of the user, to find those that are told
By = Literal["self", "anyone", "others"]


class Happened(NamedTuple):
    """``at``: milliseconds since 1970; ``by``: the user, anyone who was not signed in, or others who manage accounts,
    the server among them."""

    at: int
    event: Event
    by: By
    address: str
    detail: dict[str, Any]


class Since(NamedTuple):
    """``since``: milliseconds since 1970; ``again``: the user was here before, as far as is known; ``events``: newest
    first; ``all_of_it``: whether that is all there was."""

    since: int
    again: bool
    events: list[Happened]
    all_of_it: bool


async def events(ctx: RequestContext) -> Since:
    """For the caller, but the sign-in that began this session."""
    user, earliest = ctx.user, ctx.now - DAYS * _DAY_MS

    def before(unit: TenantUnit) -> int | None:
        return sessions.begun_before(unit, user.user_id, user.created_at)

    last = await ctx.store.read(before)
    since = max(last or 0, earliest)
    wanted = audit.EventFilter(subject=f"user:{user.user_id}", since=since + 1)
    found, goes_on = await audit.page(ctx.store, wanted, _LOOKED_AT, steps=_STEPS)
    told = [one for each in found if (one := _happened(each, user)) is not None]
    return Since(since, last is not None, told[:MOST], goes_on is None and len(told) <= MOST and since != earliest)


def _happened(found: audit.FoundEvent, user: Principal) -> Happened | None:
    link = audit.readable(found.link).link
    event, detail = _NAMED.get(link.event), orjson.loads(link.detail)
    if event is None or (event is Event.SIGNED_IN and detail.get("session") == user.session_id):
        return None
    by: By = "self" if link.actor == user.actor else "anyone" if link.actor == "anonymous" else "others"
    return Happened(link.at, event, by, link.address, detail)
