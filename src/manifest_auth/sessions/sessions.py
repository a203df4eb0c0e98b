"""Rows of sessions: opened by a sign-in, advanced by a refresh, ended.

One row has three keys: id, cookie, refresh token.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Table, Update, bindparam, case, delete, exists, func, insert, select, update

from manifest_auth.context import Principal, Request
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions.principal import ENDS_AT, cookie_hash
from manifest_auth.sessions.proofs import Proof, Way
from manifest_auth.store import SystemUnit, TenantStore, TenantUnit, cross_tenant, tenant_condition, tenant_scoped
from manifest_auth.store.tables import device_grants, sessions, sign_in_codes, tenants, users
from manifest_auth.store.tables.devices import APPROVED, DENIED

TOUCH_EVERY_MS = 60_000
_S = sessions.c


_NEW = (
    "id", "user_id", "method", "provider_id", "created_at", "ends_at", "last_used_at", "address", "user_agent",
    "cookie_hash", "cookie_seen_at", "refresh_current", "refresh_changed_at", "amr", "authenticated_at",
)  # fmt: skip
_OPEN = tenant_scoped(insert(sessions).values({name: bindparam(name) for name in _NEW}))
_ENDING: dict[str, Any] = {"ended_at": bindparam("now"), "end_reason": bindparam("reason")}


def advancing(table: Table) -> Update:
    """The statement that advances the refresh token of a session, of users or of system admins. Of two concurrent uses
    of one token, only one succeeds."""
    session = table.c
    return (
        update(table)
        .where(session.id == bindparam("sid"), session.refresh_current == bindparam("before"))
        .where(session.ended_at.is_(None))
        .values(
            refresh_previous=bindparam("before"),
            refresh_current=bindparam("after"),
            refresh_changed_at=bindparam("now"),
            last_used_at=bindparam("now"),
        )
    )


def ending(table: Table) -> Update:
    """The statement that ends a session, unless it ended before."""
    return update(table).where(table.c.id == bindparam("sid"), table.c.ended_at.is_(None)).values(_ENDING)


_ADVANCE, _END = tenant_scoped(advancing(sessions)), tenant_scoped(ending(sessions))
_ADVANCE_ALIVE = tenant_scoped(
    advancing(sessions).where(
        bindparam("ends_at") == ENDS_AT,
        bindparam("now") < ENDS_AT,
        _S.user_id == bindparam("of_user"),
        exists().where(users.c.id == bindparam("of_user"), tenant_condition(users), users.c.deactivated_at.is_(None)),
        exists().where(
            tenants.c.id == bindparam("of_tenant"),
            tenants.c.suspended_at.is_(None),
            tenants.c.settings == bindparam("settings"),
        ),
    )
)
_OPEN_ONES = (_S.ended_at.is_(None), bindparam("now") < ENDS_AT)
_END_USER = tenant_scoped(
    update(sessions)
    .where(_S.user_id == bindparam("of_user"), _S.id != bindparam("but"), _S.ended_at.is_(None))
    .values(_ENDING)
    .returning(_S.id),
    str,
)
# Used one-time codes stay, so that a second use is noticed.
_VOID_CODES = tenant_scoped(
    delete(sign_in_codes).where(sign_in_codes.c.user_id == bindparam("of_user"), sign_in_codes.c.used_at.is_(None))
)
_VOID_ALL_CODES = tenant_scoped(delete(sign_in_codes).where(sign_in_codes.c.used_at.is_(None)))
_G = device_grants.c
# Approved devices that have no session yet.
_VOID_GRANTS, _VOID_ALL_GRANTS = (
    tenant_scoped(update(device_grants).where(_G.state == APPROVED, *whose).values(state=DENIED))
    for whose in ((_G.user_id == bindparam("of_user"),), ())
)
_END_TENANT = tenant_scoped(update(sessions).where(_S.ended_at.is_(None)).values(_ENDING))
_END_PROVIDER = tenant_scoped(
    update(sessions).where(_S.provider_id == bindparam("of_provider"), _S.ended_at.is_(None)).values(_ENDING)
)
_END_USER_AT_PROVIDER = tenant_scoped(
    update(sessions)
    .where(
        _S.provider_id == bindparam("of_provider"),
        _S.user_id == bindparam("of_user"),
        _S.id != bindparam("but"),
        _S.ended_at.is_(None),
    )
    .values(_ENDING)
)
_MOST = _S.created_at + bindparam("most")
_SHORTEN = tenant_scoped(
    update(sessions)
    .where(_S.ended_at.is_(None), ENDS_AT > _MOST)
    .values(
        ends_at=case((_S.device_ends_at.is_(None), _MOST), else_=_S.ends_at),
        device_ends_at=case((_S.device_ends_at.is_not(None), _MOST)),
    )
)
_PROVIDER = tenant_scoped(select(_S.provider_id).where(_S.id == bindparam("sid")), int)
_OLDER = tenant_scoped(
    select(func.count()).select_from(sessions).where(*_OPEN_ONES, _S.created_at <= bindparam("before")),
    int,
)
_TOUCH = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.ended_at.is_(None), _S.cookie_seen_at < bindparam("now"))
    .values(cookie_seen_at=bindparam("now"), last_used_at=bindparam("now"))
)
_PROVED = tenant_scoped(
    update(sessions)
    .where(_S.id == bindparam("sid"), _S.user_id == bindparam("of_user"), _S.ended_at.is_(None))
    .values(amr=bindparam("new_amr"), authenticated_at=bindparam("at"))
)
_OTHER = cross_tenant(
    select(_S.id, _S.tenant_id, _S.user_id).where(_S.cookie_hash == bindparam("cookie_hash"), _S.ended_at.is_(None)),
    because="the session of a cookie that came with a sign-in ends, whichever tenant it belongs to",
)


class Opened(NamedTuple):
    """A new session, and its cookie's value, which is not stored."""

    session_id: str
    cookie: str
    refresh_id: str
    ends_at: int


def open_session(
    unit: TenantUnit, request: Request, user_id: int, method: str, provider_id: int | None, proof: Proof, *,
    random: Random, most_s: int,
) -> Opened:  # fmt: skip
    """Opens a session with three new random keys; no value from the request is adopted (session fixation)."""
    now = request.now
    opened = Opened(random.text(16), random.text(32), random.text(12), now + most_s * 1000)
    unit.change_later(
        _OPEN,
        id=opened.session_id,
        user_id=user_id,
        method=method,
        provider_id=provider_id,
        created_at=now,
        ends_at=opened.ends_at,
        last_used_at=now,
        address=request.address,
        user_agent=request.user_agent,
        cookie_hash=cookie_hash(opened.cookie),
        cookie_seen_at=now,
        refresh_current=opened.refresh_id,
        refresh_changed_at=now,
        amr=proof.text,
        authenticated_at=proof.at,
    )
    return opened


def advance(unit: TenantUnit, session_id: str, before: str, after: str, now: int) -> bool:
    """Makes ``after`` the current refresh token, if ``before`` still is: of concurrent calls, one gets True."""
    return unit.change(_ADVANCE, sid=session_id, before=before, after=after, now=now) == 1


async def advance_at_once(store: TenantStore, seen: Principal, before: str, after: str, now: int) -> bool:
    """As :func:`advance`, in its own unit of work, of one statement. False also where session, user or client are not
    alive, or the client's settings are not as ``seen``, which may be from the cache."""
    changed = await store.change_one(
        _ADVANCE_ALIVE,
        sid=seen.session_id,
        of_user=seen.user_id,
        of_tenant=seen.tenant_id,
        ends_at=seen.ends_at,
        settings=seen.tenant_settings,
        before=before,
        after=after,
        now=now,
    )
    return changed == 1


def end(unit: TenantUnit, session_id: str, reason: str, now: int) -> bool:
    """Ends one session, with all its keys, on every node. False when it had ended before."""
    unit.announce("session", session_id)
    return unit.change(_END, sid=session_id, reason=reason, now=now) == 1


def end_all(unit: TenantUnit, user_id: int, reason: str, now: int, *, but: str = "", codes: bool = True) -> int:
    """Ends all sessions of a user, except ``but``; ``codes``: voids unused one-time codes too. Returns the number of
    sessions that ended."""
    unit.announce("user", user_id)
    if codes:
        void_codes(unit, user_id)
    return len(unit.all(_END_USER, of_user=user_id, but=but, reason=reason, now=now))


def void_codes(unit: TenantUnit, user_id: int | None = None) -> None:
    """Voids what becomes a session later, of a user or of all users of the tenant: unused one-time codes, and devices
    that were let in and have not come yet."""
    if user_id is None:
        unit.change(_VOID_ALL_CODES)
        unit.change(_VOID_ALL_GRANTS)
    else:
        unit.change(_VOID_CODES, of_user=user_id)
        unit.change(_VOID_GRANTS, of_user=user_id)


def end_tenant(unit: TenantUnit, reason: str, now: int) -> int:
    """Ends all sessions of the tenant; the number of sessions that ended."""
    unit.announce("tenant", unit.tenant_id)
    return unit.change(_END_TENANT, reason=reason, now=now)


def shorten(unit: TenantUnit, most_s: int) -> int:
    """Limits every open session of the tenant to ``most_s`` seconds from its sign-in. The number of sessions that got
    shorter."""
    unit.announce("tenant", unit.tenant_id)
    return unit.change(_SHORTEN, most=most_s * 1000)


def older(unit: TenantUnit, most_s: int, now: int) -> int:
    """How many open sessions of the tenant :func:`shorten` would end at once."""
    return unit.one(_OLDER, before=now - most_s * 1000, now=now)


def end_provider(unit: TenantUnit, provider_id: int, reason: str, now: int) -> int:
    """Ends all sessions that a provider of the tenant opened; the number of sessions that ended."""
    unit.announce("tenant", unit.tenant_id)
    return unit.change(_END_PROVIDER, of_provider=provider_id, reason=reason, now=now)


def end_users_at_provider(
    unit: TenantUnit, user_id: int, provider_id: int, reason: str, now: int, *, but: str = ""
) -> int:
    """As :func:`end_all`, for sessions that one provider opened."""
    unit.announce("user", user_id)
    unit.change(_VOID_CODES, of_user=user_id)
    return unit.change(_END_USER_AT_PROVIDER, of_user=user_id, of_provider=provider_id, but=but, reason=reason, now=now)


def end_by_cookie(unit: SystemUnit, cookie: str, now: int) -> None:
    """Ends the session of a cookie that was sent with a sign-in, if it is valid. ``now``: milliseconds."""
    row = unit.first(_OTHER, cookie_hash=cookie_hash(cookie))
    if row is not None:
        session_id, tenant_id, _ = row
        end(unit.of(tenant_id), session_id, "replaced", now)


def provider_of(unit: TenantUnit, session_id: str) -> int | None:
    """The provider that opened the session; None: none did."""
    return unit.first(_PROVIDER, sid=session_id)


def touch(unit: TenantUnit, session_id: str, now: int) -> None:
    """Renews the idle time of the session's cookie."""
    unit.change(_TOUCH, sid=session_id, now=now)


def proved_again(unit: TenantUnit, session_id: str, user_id: int, amr: tuple[Way, ...], at: int) -> bool:
    """Stores what the user of an open session proved anew, and when (milliseconds). False when it has ended."""
    unit.announce("session", session_id)
    return unit.change(_PROVED, sid=session_id, of_user=user_id, new_amr=" ".join(amr), at=at) == 1
