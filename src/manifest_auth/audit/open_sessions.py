"""The session of who acts is looked at again in the transaction of a guarded act.

A request is identified before its body is read, and a caller may send the body as late as the server waits for it. What
ends the session meanwhile, such as the undoing of an e-mail change, must not be followed by an act of that session.
"""

from __future__ import annotations

from sqlalchemy import bindparam, select

from manifest_auth.audit.catalogue import Act
from manifest_auth.context import Acting, AdminCaller, Principal, Request
from manifest_auth.errors import InvalidToken
from manifest_auth.store import TenantUnit, global_, tenant_scoped
from manifest_auth.store.tables import admin_sessions, sessions

_S, _A = sessions.c, admin_sessions.c
_ENDED = tenant_scoped(select(_S.id).where(_S.id == bindparam("sid"), _S.ended_at.is_not(None)), str)
_ENDED_OF_ADMIN = global_(select(_A.id).where(_A.id == bindparam("sid"), _A.ended_at.is_not(None)), str)


def check_is_open(unit: TenantUnit, acting: Acting, *, may_end: bool = False) -> None:
    """Raises InvalidToken where the caller's session has ended since the caller was identified. Machines and other
    systems' tokens have none. ``may_end``: the act may end that session itself, so no event of the request looks
    again."""
    if not isinstance(acting, Request):
        return
    caller, ended = acting.caller, None
    if isinstance(caller, AdminCaller):
        ended = unit.first(_ENDED_OF_ADMIN, sid=caller.session_id)
    elif isinstance(caller, Principal) and caller.tenant_id == unit.tenant_id:
        ended = unit.first(_ENDED, sid=caller.session_id)
    if ended is not None:
        raise InvalidToken(reason="the session has ended meanwhile")
    acting.may_end |= may_end


def check_where_asked(unit: TenantUnit, acting: Acting) -> None:
    """The same for an event of a request that asked for a recent proof, except of one's own sessions alone."""
    if isinstance(acting, Request) and acting.asked & ~Act.SESSIONS and not acting.may_end:
        check_is_open(unit, acting)
