"""``/console/audit``: the client's trail in plain words, a day of it unless more is asked for."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.audit import AuditFilters, Event, EventFilter, label
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.operations import export_audit
from manifest_auth.pages.call import PageCall, View, found
from manifest_auth.pages.console import frame, trail
from manifest_auth.pages.console.days import FIRST_DAY, Day, span_of
from manifest_auth.pages.console.trail import Shown
from manifest_auth.pages.routing import Audience, page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.text import fields

PATH = "/console/audit"
_SIZE = 50


class TrailQuery(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """``since``, ``until``: days, both of them whole, in UTC; ``person``: an e-mail address of the client's."""

    event: Annotated[str, fields.EVENT_NAME.typed] = ""
    person: fields.TypedEmail = ""
    since: Day = ""
    until: Day = ""
    after: Annotated[str, Meta(max_length=200)] = ""
    format: Annotated[str, Meta(max_length=10)] = ""


class TrailView(msgspec.Struct, frozen=True):
    """``is_a_day``: no days were asked for, and the last 24 hours are shown; ``is_all``: every day is. ``problem``:
    a field and what is wrong with it, both empty for nothing. Addresses are empty for none."""

    events: tuple[Shown, ...]
    query: TrailQuery
    kinds: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    is_a_day: bool
    is_all: bool
    problems: tuple[tuple[str, str], ...]
    all: str
    first: str
    next: str
    csv: str
    jsonl: str


def _kinds() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    by_area: dict[str, list[tuple[str, str]]] = {}
    for event in Event:
        if not event.about.of_installation:
            by_area.setdefault(event.about.area, []).append((event.value, label(event.value)))
    return tuple((area, tuple(sorted(kinds, key=lambda kind: kind[1]))) for area, kinds in by_area.items())


async def _filters(ctx: RequestContext, asked: TrailQuery) -> AuditFilters:
    """Raises ValidationError."""
    user = 0
    if asked.person.strip():
        known = await ctx.store.read(lambda unit: users.find_by_email(unit, asked.person.strip()))
        if known is None:
            raise ValidationError(details=[("person", "No user here has this e-mail address")])
        user = known.id
    span = span_of(asked.since, asked.until, ctx.now)
    return AuditFilters(
        event=audit.event_named(asked.event, "event"),
        user=user,
        since=span.since,
        until=span.until,
    )


async def _show(ctx: RequestContext, call: PageCall[TrailQuery]) -> View | Answer[None]:
    asked = call.fields
    try:
        wanted = audit.event_filter(await _filters(ctx, asked))
        place = audit.position_of(asked.after, wanted.order)
    except ValidationError as refusal:
        view = await _view(ctx, asked, EventFilter(), (), "", refusal.details)
        view.status = refusal.status
        return view
    events, goes_on = await audit.page(ctx.store, wanted, _SIZE, place)
    return await _view(ctx, asked, wanted, tuple(events), audit.cursor(goes_on, wanted.order) or "", ())


async def _view(
    ctx: RequestContext,
    asked: TrailQuery,
    wanted: EventFilter,
    events: tuple[audit.FoundEvent, ...],
    goes_on: str,
    problems: tuple[tuple[str, str], ...],
) -> View:
    chosen = {"event": asked.event, "person": asked.person, "from": asked.since, "to": asked.until}
    kinds = _kinds()
    return await frame.shown(
        ctx,
        lambda unit: TrailView(
            events=trail.all_shown(unit, list(events)),
            query=asked,
            kinds=kinds,
            is_a_day=not asked.since and not asked.until,
            is_all=asked.since == FIRST_DAY and not asked.until,
            all=frame.address(PATH, **{**({} if problems else chosen), "from": FIRST_DAY, "to": ""}),
            problems=problems,
            first=frame.address(PATH, **chosen) if asked.after else "",
            next=frame.address(PATH, **chosen, after=goes_on) if goes_on else "",
            csv=frame.address(f"{PATH}/export", **chosen, format="csv"),
            jsonl=frame.address(f"{PATH}/export", **chosen, format="jsonl"),
        ),
    )


async def _export(ctx: RequestContext, call: PageCall[TrailQuery]) -> View | Answer[None]:
    """To the address at which programs take the file too, with the days and the person as that knows them. The oldest
    event comes first, as ``audit verify`` reads the file."""
    filters, form = await _filters(ctx, call.fields), call.fields.format
    if form not in ("csv", "jsonl"):
        raise ValidationError(details=[("format", "Must be csv or jsonl")])
    export_audit.check(ctx)  # a refusal at that address is no page
    chosen = {
        "format": form, "order": "oldest", "event": filters.event, "from": filters.since, "to": filters.until,
    }  # fmt: skip
    if filters.user:
        chosen["user"] = str(filters.user)
    return found(frame.address("/api/client/audit/export", **chosen))


ROUTES = (
    page("GET", PATH, _show, "console/audit.html", "The audit trail", audience=Audience.SIGNED_IN,
         permission=Permission.AUDIT_READ, english=True),
    page("GET", f"{PATH}/export", _export, "", "The audit trail as a file", audience=Audience.SIGNED_IN,
         permission=Permission.AUDIT_READ, english=True, form_at=PATH),
)  # fmt: skip
