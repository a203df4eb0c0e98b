"""Rows of sessions: opened by a sign-in, advanced by a refresh, listed.

One row has three keys: id, cookie, refresh token.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Table, Update, bindparam, exists, insert, select, update

from manifest_auth.context import Principal, Request
from manifest_auth.runtime.clock import Random
from manifest_auth.sessions.principal import ENDS_AT, cookie_hash
from manifest_auth.sessions.proofs import Proof, Way
from manifest_auth.store import TenantStore, TenantUnit, tenant_condition, tenant_scoped
from manifest_auth.store.tables import sessions, tenants, users

TOUCH_EVERY_MS = 60_000
_S = sessions.c


_NEW = (
    "id", "user_id", "method", "provider_id", "created_at", "ends_at", "last_used_at", "address", "user_agent",
    "cookie_hash", "cookie_seen_at", "refresh_current", "refresh_changed_at", "amr", "authenticated_at",
)  # fmt: skip
_OPEN = tenant_scoped(insert(sessions).values({name: bindparam(name) for name in _NEW}))


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


_ADVANCE = tenant_scoped(advancing(sessions))
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
_PROVIDER = tenant_scoped(select(_S.provider_id).where(_S.id == bindparam("sid")), int)
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
