"""``/account/sessions``: where one is signed in.

Ends one session, or all but this one.
"""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec

from manifest_auth.http import Answer, session_cookie
from manifest_auth.pages import said
from manifest_auth.pages.account import words
from manifest_auth.pages.account.frame import AccountView, just_done, shown
from manifest_auth.pages.call import PageCall, View, see_other
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.sessions import SessionOver
from manifest_auth.sessions.sessions import ways_of
from manifest_auth.sign_in import session_lifecycle
from manifest_auth.text import fields
from manifest_auth.text.languages import catalogue

PATH = "/account/sessions"
TEMPLATE = "account/sessions.html"


class EndForm(msgspec.Struct, frozen=True):
    """``id``: of the session to end; empty for all others."""

    id: fields.TypedToken = ""


class SessionView(msgspec.Struct, frozen=True):
    """Times in milliseconds since 1970. ``browser``: in words; ``ways``: messages of the catalogue."""

    id: str
    browser: str
    ways: tuple[str, ...]
    address: str
    begun_at: int
    used_at: int
    ends_at: int
    is_this: bool


class SessionsView(AccountView, frozen=True, kw_only=True):
    """``this``: None where it is not among the newest ``most``, which are listed."""

    this: SessionView | None
    others: tuple[SessionView, ...]
    most: int = session_lifecycle.LIST_LIMIT


async def _list(ctx: RequestContext, call: PageCall[Any], done: str = "") -> View:
    t, own = catalogue(call.language), ctx.user.session_id
    listed = [
        SessionView(
            id=row.id,
            browser=row.label or words.browser(t, row.user_agent),
            ways=words.ways(row.method, ways_of(row.amr)),
            address=row.address,
            begun_at=row.created_at,
            used_at=row.last_used_at,
            ends_at=row.ends_at,
            is_this=row.id == own,
        )
        for row in await session_lifecycle.list_sessions(ctx)
    ]
    others = sorted((one for one in listed if not one.is_this), key=lambda one: -one.used_at)
    view = SessionsView(said=done, this=next((one for one in listed if one.is_this), None), others=tuple(others))
    return await shown(ctx, lambda unit: view)


async def _show(ctx: RequestContext, call: PageCall[None]) -> View | Answer[None]:
    return await _list(ctx, call, just_done(ctx, call))


async def _again(ctx: RequestContext, call: PageCall[EndForm]) -> View | Answer[None]:
    return await _list(ctx, call)


async def _end(ctx: RequestContext, call: PageCall[EndForm]) -> View | Answer[None]:
    wanted = call.fields.id
    if not wanted:
        await session_lifecycle.sign_out_others(ctx)
        return said.after(ctx, PATH, "sessions")
    with contextlib.suppress(SessionOver):  # the button was pressed twice
        await session_lifecycle.end_one(ctx, wanted)
    if wanted == ctx.user.session_id:
        return see_other("/sign-out", (session_cookie("", 0, ctx.services.settings),))
    return said.after(ctx, PATH, "session")


ROUTES = (
    page("GET", PATH, _show, TEMPLATE, "Where one is signed in", audience=Audience.SIGNED_IN),
    page("POST", PATH, _end, TEMPLATE, "End one session, or all others", audience=Audience.SIGNED_IN, again=_again),
)
