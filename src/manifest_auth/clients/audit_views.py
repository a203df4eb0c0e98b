"""Views of the audit trail: a client's trail as a file, and recent activity in the caller's account."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, func, select

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.audit import Act, AuditFilters, Event, EventFilter, Format
from manifest_auth.context import Principal
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit, tenant_scoped
from manifest_auth.store.tables import sessions
from manifest_auth.tenants import step_up
from manifest_auth.text.canonical import when

# The export is recorded before the first byte is sent.


def check(ctx: RequestContext) -> None:
    """Raises ReauthenticationRequired if the caller must re-authenticate."""
    step_up.check(ctx, Act.EXPORT)


async def start(ctx: RequestContext, filters: AuditFilters, form: Format) -> AsyncIterator[bytes]:
    """Yields the bytes of a file with the events until now. Raises ValidationError or ReauthenticationRequired."""
    check(ctx)
    now, asked = ctx.now, audit.event_filter(filters)
    asked = asked._replace(until=min(asked.until, now + 1))  # so that the file doesn't grow while it is written
    chosen = {name: value for name, value in asked.texts.items() if value}
    chosen |= {name: value for name, value in (("from", filters.since), ("to", filters.until)) if value}
    subject = f"client:{ctx.user.tenant_id}"
    await ctx.store.write(
        lambda unit: audit.record(unit, ctx, Event.AUDIT_EXPORTED, subject, format=form, filters=chosen)
    )
    return audit.download(ctx.store, asked, form, lambda named: _emails(ctx, named))


async def _emails(ctx: RequestContext, named: set[str]) -> dict[str, str]:
    ids = [int(rest) for one in named if (rest := one.removeprefix("user:")) != one and rest.isdigit()]
    return await ctx.store.read(lambda unit: {f"user:{one.id}": one.email for one in users.get_many(unit, ids)})


def file_name(ctx: RequestContext, form: Format) -> str:
    """The name of the file."""
    return f"audit-{ctx.user.client}-{when(ctx.now)[:10]}.{form}"


MOST = 50
_STEPS = 10  # steps of the search, each of which covers thousands of the client's events; a page must not wait longer


class Happened(NamedTuple):
    """An event to show. ``at`` is in milliseconds, ``actor`` is as in the trail, and ``detail`` is the event's."""

    at: int
    event: str
    actor: str
    address: str
    detail: dict[str, Any]


class SinceLastHere(NamedTuple):
    """Activity since the previous session. ``since`` is when that session began. If this is the first known session, it
    is None, and events are listed since its beginning. ``events`` are newest first. ``is_all`` is False if there might
    be earlier ones."""

    since: int | None
    events: list[Happened]
    is_all: bool


_BEFORE = tenant_scoped(
    select(func.max(sessions.c.created_at)).where(
        sessions.c.user_id == bindparam("of_user"),
        sessions.c.id != bindparam("but"),
        sessions.c.created_at <= bindparam("began"),
        sessions.c.parent_id.is_(None),  # child sessions are as old as their parents
    ),
    int,
)


async def look(ctx: RequestContext) -> SinceLastHere:
    """Returns the events of the caller's account since the sign-in before this one."""
    user = ctx.user
    since, asked, (found, goes_on) = await ctx.store.read(lambda unit: _begin(unit, user))
    if goes_on is not None and len(found) < MOST:
        more, goes_on = await audit.page(ctx.store, asked, MOST - len(found), goes_on, steps=_STEPS - 1)
        found += more
    links = [audit.readable(one.link).link for one in found]
    events = [
        Happened(link.at, link.event, link.actor, link.address, orjson.loads(link.detail))
        for link in links
        if audit.about(link.event).account
    ]
    others = [event for event in events if _opened(event) != user.session_id]
    return SinceLastHere(since, others, goes_on is None)


def _begin(unit: TenantUnit, user: Principal) -> tuple[int | None, EventFilter, audit.Page]:
    since: int | None = unit.first(
        _BEFORE, of_user=user.user_id, but=user.session_id, began=user.created_at - user.has_parent
    )
    asked = EventFilter(subject=user.actor, since=user.created_at if since is None else since)
    return since, asked, audit.first_step(unit, asked, MOST)


def _opened(event: Happened) -> str:
    """The session that a sign-in opened; empty for all other events."""
    return str(event.detail.get("session", "")) if event.event == Event.SIGNED_IN.value else ""
