"""``/console/audit``: the client's trail in plain words, a day of it unless you ask for more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import orjson
from msgspec import Meta

from manifest_auth import audit, providers
from manifest_auth.accounts import users
from manifest_auth.audit import AuditFilters, Event, EventFilter, FoundEvent, about, label
from manifest_auth.audit.chains import Link
from manifest_auth.clients import audit_views
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands
from manifest_auth.pages.call import PageCall, View, found
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.text import fields
from manifest_auth.text.canonical import LATEST, parse_time, when

_DAY_MS = 86_400_000
FIRST_DAY = "1970-01-01"  # from then on: everything
Day = Annotated[str, Meta(max_length=10)]


def span_of(first: str, last: str, now: int) -> tuple[str, str]:
    """Bounds as the audit filters take them, empty for none, from the start of the first to the end of the last day.
    Raises ValidationError for ``from`` or ``to``."""
    since = _start_of(first, "from") if first else (0 if last else now - _DAY_MS)
    until = _start_of(last, "to") + _DAY_MS if last else 0
    if until and since >= until:
        raise ValidationError(details=[("to", "Must not be before the first day")])
    return (when(since) if since else "", when(until) if until else "")


def _start_of(text: str, field: str) -> int:
    """The first millisecond of a day. Raises ValidationError."""
    if len(text) != 10 or (at := parse_time(text, field)) > LATEST - _DAY_MS:
        raise ValidationError(details=[(field, "Must be a day like 2026-01-31")])
    return at


_PLACE = re.compile(r"(%\((?:who|whom|what|provider|through)\)s)")
_ACTORS = {
    "system": "The server",
    "anonymous": "An anonymous caller",
    "admin": "A system admin",
}
_USER = re.compile(r"user:([1-9][0-9]{0,17})\Z")
_SERVICE = re.compile(r"service:([1-9][0-9]{0,17})\Z")
_PROVIDER = re.compile(r"provider:([1-9][0-9]{0,17})\Z")
_MOST = 300  # characters of a detail
_MOST_FACTS = 40


class SentencePart(msgspec.Struct, frozen=True):
    """A piece of a sentence. ``href``: where a name leads, empty for nowhere; ``strong``: it is a name."""

    text: str
    href: str = ""
    strong: bool = False


class Names:
    """The names of actors and subjects of events, as of now."""

    def __init__(self, unit: TenantUnit, links: Sequence[Link] = (), actors: Iterable[str] = ()) -> None:
        """``actors``: who is named beside the events, as the trail has them."""
        texts = {text for link in links for text in (link.actor, link.subject)} | set(actors)
        ids = [int(found[1]) for text in texts if (found := _USER.match(text) or _SERVICE.match(text))]
        self._people = {user.id: user for user in users.get_named(unit, ids)} if ids else {}
        is_needed = any(_PROVIDER.match(text) for text in texts) or any('"provider"' in link.detail for link in links)
        self._providers = {one.id: one.display_name for one in providers.list_all(unit)} if is_needed else {}

    def part(self, text: str, detail: dict[str, Any]) -> SentencePart:
        """The object that the trail names ``text``."""
        kind, _, rest = text.partition(":")
        if found := _USER.match(text):
            user = self._people.get(int(found[1]))
            if user is None:
                return SentencePart(f"user {rest}, who is gone", strong=True)
            return SentencePart(user.full_name or user.email, f"/console/users/{user.id}", strong=True)
        if found := _SERVICE.match(text):
            account = self._people.get(int(found[1]))
            return SentencePart(account.first_name if account else f"number {rest}", strong=True)
        if found := _PROVIDER.match(text):
            named = self._providers.get(int(found[1])) or detail.get("name")
            return SentencePart(str(named or f"number {rest}"), strong=True)
        if kind == "device":
            return SentencePart(str(detail.get("name") or rest), strong=True)
        if kind == "client":
            return SentencePart("all users")
        if not text:
            return SentencePart("an unknown account")
        return SentencePart(_ACTORS.get(kind) or rest or text, strong=kind not in _ACTORS)

    def provider(self, detail: dict[str, Any]) -> SentencePart:
        """The provider that had a part in an event."""
        number = detail.get("provider")
        name = self._providers.get(number) if isinstance(number, int) else None
        return (
            SentencePart(name, strong=True)
            if name
            else SentencePart("a provider that is gone" if number else "a provider")
        )


def event_views(unit: TenantUnit, found: list[FoundEvent]) -> tuple[SimpleNamespace, ...]:
    """Events of the unit's client, with the names of those who are in them. ``link``: as stored, its time 0 where its
    row is damaged; ``facts``: names and values of its details."""
    links = [audit.readable(one.link).link for one in found]
    names = Names(unit, links)
    return tuple(_event_view(link, names) for link in links)


def _event_view(link: Link, names: Names) -> SimpleNamespace:
    detail, event = orjson.loads(link.detail), about(link.event)
    return SimpleNamespace(
        link=link,
        area=event.area,
        is_bad=event.is_bad,
        parts=tuple(_parts(event.told, link, names, detail)),
        facts=facts_of(detail),
    )


def _parts(sentence: str, link: Link, names: Names, detail: dict[str, Any]) -> Iterator[SentencePart]:
    actor, subject = names.part(link.actor, detail), names.part(link.subject, detail)
    if link.actor == "anonymous" and detail.get("provider"):  # who signs in there is nobody here until then
        actor = names.provider(detail)
    by = {"%(who)s": actor, "%(whom)s": subject, "%(what)s": subject}
    for at, piece in enumerate(_PLACE.split(sentence)):
        if piece == "%(provider)s":
            yield names.provider(detail)
        elif piece == "%(through)s":
            yield from (SentencePart(" through "), names.provider(detail)) if detail.get("provider") else ()
        elif piece not in by:
            yield SentencePart(piece.replace("%%", "%"))
        elif at > 1 and piece == "%(whom)s" and link.actor == link.subject:
            yield SentencePart("their own account")
        else:
            yield by[piece] if at > 1 else _first(by[piece])


def _first(part: SentencePart) -> SentencePart:
    return part if part.strong else msgspec.structs.replace(part, text=part.text[:1].upper() + part.text[1:])


def facts_of(detail: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values of a detail, however deep: what is in what stands before it."""
    return tuple(_facts(detail))[:_MOST_FACTS]


def _facts(value: object, under: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            spoken = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()
            yield from _facts(inner, f"{under} {spoken}".strip())
    elif isinstance(value, list):
        if value:
            yield under, ", ".join(_text(one) for one in value)[:_MOST]
    elif value not in (None, "", 0):
        yield under, _text(value)[:_MOST]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else orjson.dumps(value).decode()


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
    since, until = span_of(asked.since, asked.until, ctx.now)
    return AuditFilters(event=audit.event_named(asked.event, "event"), user=user, since=since, until=until)


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
    return await brands.shown(
        ctx,
        lambda unit: SimpleNamespace(
            events=event_views(unit, list(events)),
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
    audit_views.check(ctx)  # a refusal at that address is no page
    chosen = {"format": form, "order": "oldest", "event": filters.event, "from": filters.since, "to": filters.until}
    if filters.user:
        chosen["user"] = str(filters.user)
    return found(frame.address("/api/client/audit/export", **chosen))


ROUTES = (
    page("GET", PATH, _show, "console/audit.html", "The audit trail", permission=Permission.AUDIT_READ),
    page(
        "GET",
        f"{PATH}/export",
        _export,
        "",
        "The audit trail as a file",
        permission=Permission.AUDIT_READ,
        form_at=PATH,
    ),
)
