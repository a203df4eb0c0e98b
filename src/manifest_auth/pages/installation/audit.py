"""``/installation/audit``: events of all clients and of the installation, one day by default."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Annotated

import orjson
from msgspec import Meta

from manifest_auth import audit
from manifest_auth.accounts import admins, users
from manifest_auth.accounts.admins import management
from manifest_auth.audit import INSTALLATION, AuditFilters, Event, EventFilter, FoundEvent, Position, about, label
from manifest_auth.audit.chains import Link
from manifest_auth.context import SERVICE
from manifest_auth.errors import NotFound, ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages.call import PageCall, View
from manifest_auth.pages.console.audit import FIRST_DAY, SpanQuery, facts_of, mentioned, span_of, span_view
from manifest_auth.pages.console.frame import address
from manifest_auth.pages.routing import ADMIN_OVERVIEW, admin_page
from manifest_auth.services import RequestContext
from manifest_auth.store import SystemUnit
from manifest_auth.text import fields
from manifest_auth.text.languages import marked as _

_NAMED = re.compile(r"(admin|user|service):([1-9][0-9]{0,17})\Z")
_WORDS = {"system": _("The server"), "anonymous": _("An anonymous caller"), "": ""}


def event_views(unit: SystemUnit, found: Iterable[FoundEvent]) -> tuple[SimpleNamespace, ...]:
    """Returns events with the current names of accounts. ``link``: as stored, with time 0 if its row is damaged;
    ``client``: its identifier, empty for the installation and for a deleted client; ``where``: the same as text;
    ``facts``: returns names and values of its details."""
    events = [(one, audit.readable(one.link).link) for one in found]
    names: dict[tuple[int, str], str] = {}
    wanted: dict[int, set[int]] = {}
    for one, link in events:
        for text in (link.actor, link.subject, *mentioned(link)):
            named = _NAMED.match(text)
            if named and named[1] != "admin" and one.client is not None:
                wanted.setdefault(one.chain, set()).add(int(named[2]))
            elif named and named[1] == "admin":
                names[INSTALLATION, text] = _admin(unit, int(named[2]))
    for chain, ids in wanted.items():
        for user in users.get_named(unit.of(chain), sorted(ids)):
            kind, called = ("service", user.first_name) if user.kind == SERVICE else ("user", user.email)
            names[chain, f"{kind}:{user.id}"] = called

    def actor(link: Link) -> str:
        """Returns the caller who has just re-authenticated, although the request began anonymously."""
        is_known = link.actor == "anonymous" and link.subject and not about(link.event).is_bad
        return link.subject if is_known else link.actor

    def name(one: FoundEvent, text: str) -> str:
        if text.startswith("admin:"):
            return names.get((INSTALLATION, text), text)
        return names.get((one.chain, text)) or _WORDS.get(text, text.replace(":", " "))

    return tuple(
        SimpleNamespace(
            link=link,
            what=label(link.event),
            is_bad=about(link.event).is_bad,
            outcome=about(link.event).outcome,
            who=name(one, actor(link)),
            whom="" if link.subject in (actor(link), f"client:{one.chain}") else name(one, link.subject),
            client=one.client or "",
            where=one.client
            or (_("This server") if one.chain == INSTALLATION else _("Deleted client %(number)s", number=one.chain)),
            facts=partial(facts_of, orjson.loads(link.detail), partial(name, one)),
        )
        for one, link in events
    )


def _admin(unit: SystemUnit, admin_id: int) -> str:
    try:
        return management.get_listed(unit, admin_id).username
    except NotFound:
        return f"admin {admin_id}"


PATH = f"{ADMIN_OVERVIEW}/audit"
_SIZE = 50
_OURS = "installation"


class TrailQuery(SpanQuery, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """The query of the page. ``client``: its identifier, or ``installation``; ``admin``: a system admin's user name."""

    client: Annotated[str, Meta(max_length=63)] = ""
    event: Annotated[str, fields.EVENT_NAME.typed] = ""
    admin: Annotated[str, Meta(max_length=64)] = ""


_KINDS = (("", _("All events")), *sorted((event.value, label(event.value)) for event in Event))


async def _show(ctx: RequestContext, call: PageCall[TrailQuery]) -> View | Answer[None]:
    asked = call.fields
    try:
        wanted = await _wanted(ctx, asked)
        found, goes_on = await _page(ctx, asked, wanted, audit.position_of(asked.after, wanted.order))
    except ValidationError as refusal:
        view = await _view(ctx, asked, [], "", refusal.details)
        view.status = refusal.status
        return view
    return await _view(ctx, asked, found, audit.cursor(goes_on, wanted.order) or "")


async def _wanted(ctx: RequestContext, asked: TrailQuery) -> EventFilter:
    """Returns the filter of the query. Raises ValidationError."""
    actor = ""
    if name := asked.admin.strip():
        found = await ctx.services.store.read(lambda unit: admins.find(unit, name))
        if found is None:
            raise ValidationError(details=[("admin", _("No system admin has this user name"))])
        actor = f"admin:{found.id}"
    since, until = span_of(asked, ctx.now)
    filters = AuditFilters(event=asked.event, actor=actor, result=asked.result, since=since, until=until)
    return audit.event_filter(filters)


async def _page(
    ctx: RequestContext, asked: TrailQuery, wanted: EventFilter, place: Position | None
) -> tuple[list[FoundEvent], Position | None]:
    store, client = ctx.services.store, asked.client.strip()
    if not client:
        return await audit.page_across(store, wanted, _SIZE, place)
    try:
        chain = INSTALLATION if client == _OURS else await store.read(lambda unit: audit.chain_named(unit, client))
    except NotFound:
        raise ValidationError(details=[("client", _("No client has this identifier"))]) from None
    return await audit.page(store.of(chain), wanted, _SIZE, place)


async def _view(
    ctx: RequestContext,
    asked: TrailQuery,
    found: list[FoundEvent],
    goes_on: str,
    problems: tuple[tuple[str, str], ...] = (),
) -> View:
    chosen = asked.chosen(client=asked.client, event=asked.event, admin=asked.admin)

    def read(unit: SystemUnit) -> SimpleNamespace:
        return SimpleNamespace(
            **span_view(asked),
            events=event_views(unit, found),
            kinds=_KINDS,
            all=address(PATH, **{**({} if problems else chosen), "from": FIRST_DAY, "to": ""}),
            is_narrowed=any(chosen.values()),
            problems=problems,
            first=address(PATH, **chosen) if asked.after else "",
            next=address(PATH, **chosen, after=goes_on) if goes_on else "",
        )

    return View(await ctx.services.store.read(read))


ROUTES = (
    admin_page("GET", PATH, _show, "installation/audit.html", "The audit trail of this server and of all clients"),
)
