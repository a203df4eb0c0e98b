"""Ends sessions, with all their keys, on every node; with each ends what came from it (:func:`.sessions.open_child`).

What ends sessions of a user or a provider waits for an exchange that is under way, and then sees its session: it voids
the code first, or its caller holds the row of the user or provider.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Table, Update, bindparam, case, delete, func, or_, select, update

from manifest_auth.errors import NotFound
from manifest_auth.sessions.principal import ENDS_AT, cookie_hash
from manifest_auth.sessions.sessions import find_listed
from manifest_auth.store import SystemUnit, TenantScoped, TenantUnit, cross_tenant, tenant_scoped
from manifest_auth.store.tables import device_grants, sessions, sign_in_challenges, sign_in_codes
from manifest_auth.store.tables.devices import APPROVED, DENIED

_S = sessions.c
_ENDING: dict[str, Any] = {"ended_at": bindparam("now"), "end_reason": bindparam("reason")}


class SessionOver(NotFound):
    """It is a session of the user, and over already: who wanted it to end has what they wanted."""


class _Ended(NamedTuple):
    user_id: int
    has_children: int | None


def ending(table: Table) -> Update:
    """The statement that ends a session, of a user or of a system admin, unless it ended before."""
    return update(table).where(table.c.id == bindparam("sid"), table.c.ended_at.is_(None)).values(_ENDING)


def _ending_all(*which: Any) -> TenantScoped[Any]:
    return tenant_scoped(update(sessions).where(*which, _S.ended_at.is_(None)).values(_ENDING))


_END = tenant_scoped(ending(sessions).returning(_S.user_id, _S.has_children), _Ended)
_END_CHILDREN = tenant_scoped(
    update(sessions)
    .where(_S.user_id == bindparam("of_user"), _S.parent_id == bindparam("of_parent"), _S.ended_at.is_(None))
    .values(_ENDING)
    .returning(_S.id),
    str,
)
#: One that came from another is not spared: that other one ends.
_BUT = or_(_S.id != bindparam("but"), _S.parent_id.is_not(None))
_OF_USER, _OF_PROVIDER = _S.user_id == bindparam("of_user"), _S.provider_id == bindparam("of_provider")
_END_USER, _END_USER_AT_PROVIDER = _ending_all(_OF_USER, _BUT), _ending_all(_OF_PROVIDER, _OF_USER, _BUT)
_END_TENANT, _END_PROVIDER = _ending_all(), _ending_all(_OF_PROVIDER)


def _void(column: str = "") -> tuple[TenantScoped[Any], TenantScoped[Any], TenantScoped[Any]]:
    """The statements that void what becomes a session later, where that ``column`` of the rows is ``of``: one-time
    codes, sign-ins that wait for their second factor, and devices that were let in and have not come yet. Used rows
    stay, so that a second use is noticed."""
    codes, challenges, grants = sign_in_codes, sign_in_challenges, device_grants

    def whose(table: Table) -> tuple[Any, ...]:
        return (table.c[column] == bindparam("of"),) if column else ()

    return (
        tenant_scoped(delete(codes).where(codes.c.used_at.is_(None), *whose(codes))),
        tenant_scoped(delete(challenges).where(challenges.c.used_at.is_(None), *whose(challenges))),
        tenant_scoped(update(grants).where(grants.c.state == APPROVED, *whose(grants)).values(state=DENIED)),
    )


_VOID_CODES, _VOID_CHALLENGES, _VOID_GRANTS = _void("user_id")
_VOID_PROVIDERS_CODES, _VOID_PROVIDERS_CHALLENGES, _VOID_PROVIDERS_GRANTS = _void("provider_id")
_VOID_ALL_CODES, _VOID_ALL_CHALLENGES, _VOID_ALL_GRANTS = _void()
_MOST = _S.created_at + bindparam("most")
_SHORTEN = tenant_scoped(
    update(sessions)
    .where(_S.ended_at.is_(None), ENDS_AT > _MOST)
    .values(
        ends_at=case((_S.device_ends_at.is_(None), _MOST), else_=_S.ends_at),
        device_ends_at=case((_S.device_ends_at.is_not(None), _MOST)),
    )
)
_OLDER = tenant_scoped(
    select(func.count())
    .select_from(sessions)
    .where(_S.ended_at.is_(None), bindparam("now") < ENDS_AT, _S.created_at <= bindparam("before")),
    int,
)
_OTHER = cross_tenant(
    select(_S.id, _S.tenant_id).where(_S.cookie_hash == bindparam("cookie_hash"), _S.ended_at.is_(None)),
    because="the session of a cookie that came with a sign-in ends, whichever tenant it belongs to",
)


def end(unit: TenantUnit, session_id: str, reason: str, now: int) -> bool:
    """Ends one session. False when it had ended before."""
    unit.announce("session", session_id)
    ended = unit.first(_END, sid=session_id, reason=reason, now=now)
    if ended is not None and ended.has_children:
        for child in unit.all(_END_CHILDREN, of_user=ended.user_id, of_parent=session_id, reason=reason, now=now):
            unit.announce("session", child)
    return ended is not None


def end_one(unit: TenantUnit, user_id: int, session_id: str, reason: str, now: int) -> None:
    """Ends a user's session. ``now``: milliseconds. Raises NotFound for a session that is not the user's, and
    SessionOver for one that has ended or run out."""
    found = find_listed(unit, session_id)
    if found is None or found.user_id != user_id:
        raise NotFound()
    if found.ends_at <= now or not end(unit, session_id, reason, now):
        raise SessionOver()


def end_by_cookie(unit: SystemUnit, cookie: str, now: int) -> None:
    """Ends the session of a cookie that was sent with a sign-in, if it is valid. ``now``: milliseconds."""
    row = unit.first(_OTHER, cookie_hash=cookie_hash(cookie))
    if row is not None:
        session_id, tenant_id = row
        end(unit.of(tenant_id), session_id, "replaced", now)


def end_all(unit: TenantUnit, user_id: int, reason: str, now: int, *, but: str = "", pending: bool = True) -> int:
    """Ends all sessions of a user, except ``but``; ``pending``: voids what becomes one later, too. Returns the number
    of sessions that ended."""
    unit.announce("user", user_id)
    if pending:
        void_pending(unit, user_id)
    return unit.change(_END_USER, of_user=user_id, but=but, reason=reason, now=now)


def end_tenant(unit: TenantUnit, reason: str, now: int) -> int:
    """Ends all sessions of the tenant; the number of sessions that ended."""
    unit.announce("tenant", unit.tenant_id)
    return _twice(unit, _END_TENANT, reason=reason, now=now)


def end_provider(unit: TenantUnit, provider_id: int, reason: str, now: int) -> int:
    """Ends all sessions that a provider of the tenant opened; the number of sessions that ended."""
    unit.announce("tenant", unit.tenant_id)
    return unit.change(_END_PROVIDER, of_provider=provider_id, reason=reason, now=now)


def end_users_at_provider(
    unit: TenantUnit, user_id: int, provider_id: int, reason: str, now: int, *, but: str = ""
) -> int:
    """As :func:`end_all`, for sessions that one provider opened."""
    unit.announce("user", user_id)
    void_pending(unit, user_id)
    return unit.change(_END_USER_AT_PROVIDER, of_user=user_id, of_provider=provider_id, but=but, reason=reason, now=now)


def void_pending(unit: TenantUnit, user_id: int | None = None) -> None:
    """Voids what becomes a session later, of a user or of all users of the tenant: unused one-time codes, sign-ins that
    wait for their second factor, and devices that were let in and have not come yet."""
    if user_id is None:
        for statement in (_VOID_ALL_CODES, _VOID_ALL_CHALLENGES, _VOID_ALL_GRANTS):
            unit.change(statement)
    else:
        for statement in (_VOID_CODES, _VOID_CHALLENGES, _VOID_GRANTS):
            unit.change(statement, of=user_id)


def void_pending_of_provider(unit: TenantUnit, provider_id: int) -> None:
    """As :func:`void_pending`, of all who come through a provider."""
    for statement in (_VOID_PROVIDERS_CODES, _VOID_PROVIDERS_CHALLENGES, _VOID_PROVIDERS_GRANTS):
        unit.change(statement, of=provider_id)


def shorten(unit: TenantUnit, most_s: int) -> int:
    """Limits every open session of the tenant to ``most_s`` seconds from its sign-in. The number of sessions that got
    shorter."""
    unit.announce("tenant", unit.tenant_id)
    return _twice(unit, _SHORTEN, most=most_s * 1000)


def older(unit: TenantUnit, most_s: int, now: int) -> int:
    """How many open sessions of the tenant :func:`shorten` would end at once."""
    return unit.one(_OLDER, before=now - most_s * 1000, now=now)


def _twice(unit: TenantUnit, statement: TenantScoped[Any], **values: Any) -> int:
    """Changes sessions of the tenant; how many. The first may have waited for an exchange, whose session it does not
    see."""
    return sum(unit.change(statement, **values) for _ in range(2))
