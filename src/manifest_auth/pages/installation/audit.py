"""``/installation/audit``: what happened, at all clients and on the installation, a day of it unless more is asked."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import audit
from manifest_auth.accounts import admins
from manifest_auth.audit import INSTALLATION, AuditFilters, Event, EventFilter, FoundEvent, Position, label
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.audit import FIRST_DAY, Day, span_of
from manifest_auth.pages.console.frame import address
from manifest_auth.pages.installation import frame, trail
from manifest_auth.pages.installation.trail import Shown
from manifest_auth.pages.routing import Audience, page
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.text import fields

PATH = f"{frame.OVERVIEW}/audit"
_SIZE = 50
_OURS = "installation"


class TrailQuery(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """``client``: its identifier, or ``installation``; ``admin``: a system admin's user name; ``since``, ``until``:
    days, both of them whole, in UTC."""

    client: Annotated[str, Meta(max_length=63)] = ""
    event: Annotated[str, fields.EVENT_NAME.typed] = ""
    admin: Annotated[str, Meta(max_length=64)] = ""
    since: Day = ""
    until: Day = ""
    after: Annotated[str, Meta(max_length=200)] = ""


class TrailView(msgspec.Struct, frozen=True):
    """``is_a_day``: no days were asked for, and the last 24 hours are shown; ``is_all``: every day is.
    ``problems``: fields, and what is wrong with them. Addresses are empty for none."""

    events: tuple[Shown, ...]
    query: TrailQuery
    kinds: tuple[tuple[str, str], ...]
    is_a_day: bool
    is_all: bool
    is_narrowed: bool
    problems: tuple[tuple[str, str], ...]
    all: str
    first: str
    next: str


_KINDS = (("", "Anything"), *sorted((event.value, label(event.value)) for event in Event))


async def _show(ctx: RequestContext, call: PageCall[TrailQuery]) -> View | Answer[None]:
    asked = call.fields
    try:
        wanted = await _wanted(ctx, asked)
        place = audit.position_of(asked.after, wanted.order)
        found, goes_on = await _page(ctx, asked, wanted, place)
    except ValidationError as refusal:
        view = await _view(ctx, asked, [], "", refusal.details)
        view.status = refusal.status
        return view
    return await _view(ctx, asked, found, audit.cursor(goes_on, wanted.order) or "")


async def _wanted(ctx: RequestContext, asked: TrailQuery) -> EventFilter:
    """Raises ValidationError."""
    actor = ""
    if name := asked.admin.strip():
        found = await ctx.services.store.read(lambda unit: admins.find(unit, name))
        if found is None:
            raise ValidationError(details=[("admin", "No system admin has this user name")])
        actor = f"admin:{found.id}"
    span = span_of(asked.since, asked.until, ctx.now)
    return audit.event_filter(AuditFilters(event=asked.event, actor=actor, since=span.since, until=span.until))


async def _page(
    ctx: RequestContext, asked: TrailQuery, wanted: EventFilter, place: Position | None
) -> tuple[list[FoundEvent], Position | None]:
    store, client = ctx.services.store, asked.client.strip()
    if not client:
        return await audit.page_across(store, wanted, _SIZE, place)
    try:
        chain = INSTALLATION if client == _OURS else await store.read(lambda unit: audit.chain_named(unit, client))
    except NotFound:
        raise ValidationError(details=[("client", "There is no client of this identifier")]) from None
    return await audit.page(store.of(chain), wanted, _SIZE, place)


async def _view(
    ctx: RequestContext,
    asked: TrailQuery,
    found: list[FoundEvent],
    goes_on: str,
    problems: tuple[tuple[str, str], ...] = (),
) -> View:
    chosen = {
        "client": asked.client, "event": asked.event, "admin": asked.admin, "from": asked.since, "to": asked.until,
    }  # fmt: skip

    def read(unit: SystemUnit) -> TrailView:
        return TrailView(
            events=trail.all_shown(unit, found),
            query=asked,
            kinds=_KINDS,
            is_a_day=not asked.since and not asked.until,
            is_all=asked.since == FIRST_DAY and not asked.until,
            all=address(PATH, **{**({} if problems else chosen), "from": FIRST_DAY, "to": ""}),
            is_narrowed=any(chosen.values()),
            problems=problems,
            first=address(PATH, **chosen) if asked.after else "",
            next=address(PATH, **chosen, after=goes_on) if goes_on else "",
        )

    return View(await ctx.services.store.read(read))


ROUTES = (
    page("GET", PATH, _show, "installation/audit.html", "The audit trail of this server and of all clients",
         audience=Audience.SYSTEM_ADMIN, english=True),
)  # fmt: skip
