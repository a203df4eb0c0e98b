"""``/console/audit``: the client's audit trail in plain language, one day by default."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache, partial
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import orjson
from msgspec import Meta

from manifest_auth import audit, providers
from manifest_auth.accounts import users
from manifest_auth.accounts.provisioning import connections
from manifest_auth.audit import AuditFilters, Event, EventFilter, FoundEvent, about, label
from manifest_auth.audit.chains import Link
from manifest_auth.clients import audit_views
from manifest_auth.errors import ValidationError
from manifest_auth.http import Answer
from manifest_auth.pages import brands
from manifest_auth.pages.account.frame import ROLES
from manifest_auth.pages.call import PageCall, View, found
from manifest_auth.pages.console import frame
from manifest_auth.pages.routing import page
from manifest_auth.permissions import Permission
from manifest_auth.services import RequestContext
from manifest_auth.store import TenantUnit
from manifest_auth.tenants import LEAVES
from manifest_auth.text import fields
from manifest_auth.text.canonical import EARLIEST, LATEST, spoken_duration, when
from manifest_auth.text.languages import MarkedText, Words, joined, shown
from manifest_auth.text.languages import marked as _

_DAY_MS = 86_400_000
FIRST_DAY = "1970-01-01"  # from this day means everything


class SpanQuery(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """The time span of a page. ``since``, ``until``: whole days in the time zone ``zone``, which a script fills in; UTC
    without it. ``result``: a filter for the result of events."""

    since: Annotated[str, Meta(max_length=10)] = ""
    until: Annotated[str, Meta(max_length=10)] = ""
    zone: Annotated[str, Meta(max_length=64)] = ""
    result: Literal["", "failed"] = ""
    after: Annotated[str, Meta(max_length=200)] = ""

    def chosen(self, **others: str) -> dict[str, str]:
        """Returns the parameters of a link to the same events, with ``others`` of the page."""
        of_days = {"from": self.since, "to": self.until} | ({"zone": self.zone} if self.since or self.until else {})
        return {**others, "result": self.result, **of_days}


@cache
def zone_of(name: str) -> tzinfo:
    """Returns the time zone with this name in the IANA database; UTC if this machine doesn't know it."""
    try:
        return ZoneInfo(name) if name else UTC
    except (ValueError, OSError, LookupError):
        return UTC


def span_of(asked: SpanQuery, now: int) -> tuple[str, str]:
    """Returns bounds for the audit filters, empty for none, from the start of the first to the end of the last day.
    Raises ValidationError for ``from`` or ``to``."""
    zone = zone_of(asked.zone)
    since = _start_of(asked.since, "from", zone) if asked.since else (0 if asked.until else now - _DAY_MS)
    until = _start_of(asked.until, "to", zone, days=1) if asked.until else 0
    if until and since >= until:
        raise ValidationError(details=[("to", _("The last day must not be before the first day"))])
    return (when(since) if since else "", when(until) if until else "")


def _start_of(text: str, field: str, zone: tzinfo, days: int = 0) -> int:
    """Returns the first millisecond of a day, or of a day that many days later. Raises ValidationError."""
    try:
        day = date.fromisoformat(text if re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) else "") + timedelta(days)
        at = round(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        at = LATEST + 1
    if not EARLIEST <= at <= LATEST:
        raise ValidationError(details=[(field, _("Enter a date. For example, 2026-01-31."))])
    return at


def span_view(asked: SpanQuery) -> dict[str, object]:
    """Returns members of both audit pages. ``zone``: of the chosen days; ``has_zones``: zones other than UTC work."""
    is_a_day = not asked.since and not asked.until
    return {
        "query": asked,
        "is_a_day": is_a_day,
        "is_all": asked.since == FIRST_DAY and not asked.until,
        "zone": "" if is_a_day else str(zone_of(asked.zone)),
        "has_zones": zone_of("Europe/Berlin") is not UTC,
    }


_PLACE = re.compile(r"(%\((?:who|whom|what|app|provider|through)\)s)")
_ACTORS = {
    "system": _("The server"),
    "anonymous": _("An anonymous caller"),
    "admin": _("A system admin"),
}
_USER = re.compile(r"user:([1-9][0-9]{0,17})\Z")
_SERVICE = re.compile(r"service:([1-9][0-9]{0,17})\Z")
_PROVIDER = re.compile(r"provider:([1-9][0-9]{0,17})\Z")
_MENTIONED = re.compile(r'"((?:user|service):[1-9][0-9]{0,17})"')
_MOST, _MOST_LISTED = 300, 30  # characters of a detail, and values of a list
_MOST_FACTS = 40


def mentioned(link: Link) -> list[str]:
    """Returns the accounts in the details of an event, by their names in the trail."""
    return _MENTIONED.findall(link.detail)


class SentencePart(msgspec.Struct, frozen=True):
    """A piece of a sentence. ``href``: the link of a name, or empty; ``strong``: it is a name."""

    text: str
    href: str = ""
    strong: bool = False


class Names:
    """The current names of actors and subjects of events."""

    def __init__(self, unit: TenantUnit, links: Sequence[Link] = (), actors: Iterable[str] = ()) -> None:
        """Looks up the names. ``actors``: the people named beside the events, by their names in the trail."""
        texts = {text for link in links for text in (link.actor, link.subject, *mentioned(link))} | set(actors)
        ids = [int(found[1]) for text in texts if (found := _USER.match(text) or _SERVICE.match(text))]
        self._people = {user.id: user for user in users.get_named(unit, ids)} if ids else {}
        is_needed = any(_PROVIDER.match(text) for text in texts) or any('"provider"' in link.detail for link in links)
        self._providers = {one.id: one.display_name for one in providers.list_all(unit)} if is_needed else {}
        is_needed = any(text.startswith("scim:") for text in texts)
        self._connections = {one.subject: one.name for one in connections.list_all(unit)} if is_needed else {}

    def part(self, text: str, detail: dict[str, Any]) -> SentencePart:
        """Returns the object that the trail names ``text``."""
        kind, _colon, rest = text.partition(":")
        if found := _USER.match(text):
            user = self._people.get(int(found[1]))
            if user is None:
                return SentencePart(_("deleted user %(number)s", number=rest), strong=True)
            return SentencePart(user.full_name or user.email, f"/console/users/{user.id}", strong=True)
        if found := _SERVICE.match(text):
            account = self._people.get(int(found[1]))
            return SentencePart(account.first_name if account else _("number %(number)s", number=rest), strong=True)
        if found := _PROVIDER.match(text):
            named = self._providers.get(int(found[1])) or detail.get("name")
            return SentencePart(str(named) if named else _("number %(number)s", number=rest), strong=True)
        if kind == "scim":
            named = self._connections.get(text) or detail.get("name")
            return SentencePart(str(named) if named else _("number %(number)s", number=rest), strong=True)
        if kind in ("device", "app"):
            return SentencePart(str(detail.get("name") or rest), strong=True)
        if kind == "client":
            return SentencePart(_("all users"))
        if not text:
            return SentencePart(_("an unknown account"))
        return SentencePart(_ACTORS.get(kind) or rest or text, strong=kind not in _ACTORS)

    def provider(self, detail: dict[str, Any]) -> SentencePart:
        """Returns the provider that was involved in an event."""
        number = detail.get("provider")
        name = self._providers.get(number) if isinstance(number, int) else None
        return (
            SentencePart(name, strong=True)
            if name
            else SentencePart(_("a deleted provider") if number else _("a provider"))
        )


def event_views(unit: TenantUnit, found: list[FoundEvent]) -> tuple[SimpleNamespace, ...]:
    """Returns events of the unit's client, with the names of the people in them. ``link``: as stored, with time 0 if
    its row is damaged; ``outcome``: a label if the event is bad; ``facts``: returns its details."""
    links = [audit.readable(one.link).link for one in found]
    names = Names(unit, links)
    return tuple(_event_view(link, names) for link in links)


def _event_view(link: Link, names: Names) -> SimpleNamespace:
    detail, event = orjson.loads(link.detail), about(link.event)
    return SimpleNamespace(
        link=link,
        area=event.area,
        is_bad=event.is_bad,
        outcome=event.outcome,
        parts=partial(_parts, event.told, link, names, detail),
        facts=lambda: facts_of(detail, lambda text: names.part(text, {}).text, names.provider(detail).text),
    )


def _parts(told: str, link: Link, names: Names, detail: dict[str, Any], words: Words) -> Iterator[SentencePart]:
    """Returns the pieces of an event's sentence, in the given language."""
    is_first = True
    for part in _pieces(shown(told, words), link, names, detail):
        text = shown(part.text, words) if isinstance(part.text, MarkedText) else part.text
        if text:
            text = text[:1].upper() + text[1:] if is_first and not part.strong else text
            yield msgspec.structs.replace(part, text=text)
            is_first = False


def _pieces(sentence: str, link: Link, names: Names, detail: dict[str, Any]) -> Iterator[SentencePart]:
    actor, subject = names.part(link.actor, detail), names.part(link.subject, detail)
    if link.actor == "anonymous" and detail.get("provider"):  # the person isn't a user here until the sign-in completes
        actor = names.provider(detail)
    app = SentencePart(str(detail.get("name") or detail.get("app", "")), strong=True)
    by = {"%(who)s": actor, "%(whom)s": subject, "%(what)s": subject, "%(app)s": app}
    for at, piece in enumerate(_PLACE.split(sentence)):
        if piece == "%(provider)s":
            yield names.provider(detail)
        elif piece == "%(through)s":
            if detail.get("provider"):
                yield from (SentencePart(_(" with ")), names.provider(detail))
        elif piece not in by:
            yield SentencePart(piece.replace("%%", "%"))
        elif at > 1 and piece == "%(whom)s" and link.actor == link.subject:
            yield SentencePart(_("their own account"))
        else:
            yield by[piece]


class Fact(NamedTuple):
    """A detail of an event. ``at``: the value as a time, empty for any other; ``is_english``: the value is a text of
    the log."""

    name: str
    text: str
    at: str = ""
    is_english: bool = False


#: Names of details, by their keys in the trail. Those of rules also appear on the settings pages.
_NAMES = {
    "accent": _("Accent color"),
    "access s": _("Lifetime of access tokens (seconds)"),
    "address": _("Address"),
    "addresses": _("Allowed addresses"),
    "algorithm": _("Algorithm"),
    "allowed origins": _("Allowed origins"),
    "amr": _("Verified with"),
    "app": _("App"),
    "backchannel uri": _("Back-channel logout URI (optional)"),
    "badge": _("Badge"),
    "browsers": _("Browsers"),
    "by": _("By"),
    "cleared": _("Cleared"),
    "client id": _("Client ID"),
    "cloud": _("Microsoft cloud"),
    "consent": _("Ask users for consent"),
    "create users": _("Create users"),
    "customer": _("Customer"),
    "default roles": _("Roles for everyone"),
    "description": _("Description"),
    "device": _("Device"),
    "device address": _("Address of the device"),
    "display name": _("Button label"),
    "domains": _("Domains"),
    "email": _("Email address"),
    "ends": _("Valid until"),
    "enrolled by": _("Enrolled by"),
    "expires": _("Valid until"),
    "factor": _("Second factor"),
    "filters": _("Filters"),
    "first name": _("First name"),
    "format": _("Format"),
    "from": _("First day"),
    "group": _("Group"),
    "group roles": _("Roles of groups"),
    "hint": _("Last characters"),
    "how": _("Verified by"),
    "id token alg": _("ID token signing algorithm"),
    "identifier": _("Identifier"),
    "identity": _("Linked account"),
    "in place of": _("Replaces"),
    "kept back": _("Not listed"),
    "jwks": _("Public keys (JWKS, optional)"),
    "key": _("Key"),
    "key ids": _("Key IDs"),
    "kind": _("Type"),
    "label": _("Label"),
    "language": _("Language"),
    "last name": _("Last name"),
    "links closed": _("Closed links"),
    "logo": _("Logo"),
    "made by": _("Created by"),
    "may forward address": _("Can forward addresses"),
    "may introspect": _("Can check tokens"),
    "method": _("Sign-in method"),
    "name": _("Name"),
    "note": _("Note"),
    "old ends": _("Previous one valid until"),
    "passkey": _("Passkey"),
    "password": _("Password"),
    "pairing": _("Pairing"),
    "place": _("Place"),
    "post logout uris": _("Post-logout redirect URIs (optional)"),
    "proof": _("Verified by"),
    "provider": _("Provider"),
    "purpose": _("Purpose"),
    "purposes": _("Purposes"),
    "reason": _("Reason"),
    "redirect uris": _("Redirect URIs"),
    "refresh days": _("Lifetime of refresh tokens (days)"),
    "replaces": _("Replaces"),
    "return addresses": _("Redirect URIs"),
    "result": _("Result"),
    "role": _("Role"),
    "roles": _("Roles"),
    "scope": _("Scopes"),
    "scopes": _("Scopes"),
    "seats": _("Seats"),
    "second factor": _("Second factor"),
    "secret changed": _("Secret changed"),
    "secrets ended": _("Ended secrets"),
    "sequence": _("Event number"),
    "session": _("Session"),
    "sessions": _("Sessions"),
    "sessions ended": _("Ended sessions"),
    "sid": _("Session"),
    "state": _("State"),
    "taken": _("Seats in use"),
    "title": _("Title"),
    "to": _("Last day"),
    "tries": _("Attempts"),
    "user": _("User"),
    "users": _("Users"),
    "value": _("Value"),
    "void": _("Invalid"),
    "wait": _("Wait"),
    "why": _("Reason"),
    "works": _("Succeeded"),
}
_ENGLISH = ("why", "note")
_YES, _NO, _NONE = _("yes"), _("no"), _("none")
_VALUES = {
    "pwd": _("password"),
    "password": _("password"),
    "totp": _("authenticator app"),
    "otp": _("authenticator app"),
    "passkey": _("passkey"),
    "recovery": _("recovery code"),
    "mfa": _("two factors"),
    "provider": _("identity provider"),
    "link": _("one-time link"),
    "badge": _("badge"),
    "code": _("code"),
    "pending": _("not verified"),
    "proved": _("verified"),
    "failing": _("DNS record missing"),
    "lapsed": _("no longer verified"),
    "vouched": _("approved by the operator"),
    "standard": _("standard"),
    "temporary": _("temporary"),
    "failed": _("failed"),
    **{role.value: words.name for role, words in ROLES.items()},
}
_RULES = {leaf.name: leaf.rule.label for leaf in LEAVES}
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,}Z\Z")
_LENGTH = re.compile(r"(?P<of>.+) (?P<unit>ms|seconds)\Z")


def facts_of(detail: dict[str, Any], called: Callable[[str], str], provider: str = "") -> tuple[Fact, ...]:
    """Yields names and values of a detail, at any depth. A change has both values. ``called``: returns the display name
    of an account that the trail calls ``user:7``; ``provider``: the name of the event's provider."""
    before, after = (dict(_flat(detail.get(side), called)) for side in ("before", "after"))
    others = {name: value for name, value in detail.items() if name not in ("before", "after")}
    if provider and isinstance(others.get("provider"), int):
        others["provider"] = provider
    facts = [
        Fact(_named(path), text, text if _TIME.match(text) else "", bool(path) and path[-1] in _ENGLISH)
        for path, text in _flat(others, called)
    ]
    for path in {**before, **after}:
        was, now = before.get(path), after.get(path)
        nothing = _NO if _YES in (was, now) else _NONE
        facts += [Fact(_named(path), joined([was or nothing, now or nothing], " → "))] if was != now else []
    return tuple(facts)[:_MOST_FACTS]


_Path = tuple[str, ...]


def _named(path: _Path) -> str:
    """Returns the name of a value, for people."""
    if not path:
        return _("Change")
    rule = _RULES.get(".".join(path[-2:])) or _RULES.get(path[-1])
    return rule or joined([_word(name) for name in path], ": ")


def _spoken(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _word(name: str) -> str:
    spoken = _LENGTH.sub(r"\g<of>", _spoken(name))
    return _NAMES.get(spoken) or spoken.capitalize()


def _flat(value: object, called: Callable[[str], str], path: _Path = ()) -> Iterator[tuple[_Path, str]]:
    value = _opened(value)
    if isinstance(value, list) and any(_opened(one) is not one for one in value):
        for one in value:
            yield from _flat(one, called, path)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, called, (*path, name))
    elif isinstance(value, int) and value and path and (length := _LENGTH.match(_spoken(path[-1]))):
        seconds = value // 1000 if length["unit"] == "ms" else value
        yield path, spoken_duration(seconds) or f"{value} ms"
    elif value not in (None, "", 0, []):
        yield path, _text(value, called)


def _opened(value: object) -> object:
    """Returns the content of text that is a JSON object; any other value unchanged."""
    with contextlib.suppress(ValueError):
        return orjson.loads(value) if isinstance(value, str) and value.startswith("{") else value
    return value


def _text(value: object, called: Callable[[str], str]) -> str:
    if isinstance(value, bool):
        return _YES if value else _NO
    if isinstance(value, list):
        between = "; " if any(isinstance(one, dict) for one in value) else ", "
        return joined([_text(one, called) for one in value[:_MOST_LISTED]], between)
    if isinstance(value, dict):
        pairs = (joined([_word(name), _text(one, called)], ": ") for name, one in value.items())
        return joined(list(pairs)[:_MOST_LISTED], ", ")
    text = str(value)
    return called(text) if _MENTIONED.match(f'"{text}"') else _VALUES.get(text, text[:_MOST])


PATH = "/console/audit"
_SIZE = 50


class TrailQuery(SpanQuery, frozen=True, kw_only=True, rename={"since": "from", "until": "to"}):
    """The query of the page. ``person``: the email address of a user."""

    event: Annotated[str, fields.EVENT_NAME.typed] = ""
    person: fields.TypedEmail = ""
    format: Annotated[str, Meta(max_length=10)] = ""


@cache
def _kinds() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    by_area: dict[str, list[tuple[str, str]]] = {}
    for event in Event:
        if not event.about.of_installation:
            by_area.setdefault(event.about.area, []).append((event.value, label(event.value)))
    return tuple((area, tuple(sorted(kinds, key=lambda kind: kind[1]))) for area, kinds in by_area.items())


async def _filters(ctx: RequestContext, asked: TrailQuery) -> AuditFilters:
    """Returns the filters of the query. Raises ValidationError."""
    user = 0
    if asked.person.strip():
        known = await ctx.store.read(lambda unit: users.find_by_email(unit, asked.person.strip()))
        if known is None:
            raise ValidationError(details=[("person", _("No user has this email address"))])
        user = known.id
    since, until = span_of(asked, ctx.now)
    event = audit.event_named(asked.event, "event")
    return AuditFilters(event=event, user=user, result=asked.result, since=since, until=until)


async def _show(ctx: RequestContext, call: PageCall[TrailQuery]) -> View | Answer[None]:
    asked = call.fields
    try:
        wanted = audit.event_filter(await _filters(ctx, asked))
        place = audit.position_of(asked.after, wanted.order)
    except ValidationError as refusal:
        view = await _view(ctx, asked, (), "", problems=refusal.details)
        view.status = refusal.status
        return view
    events, goes_on = await audit.page(ctx.store, wanted, _SIZE, place)
    if asked.after or goes_on:
        counts = await asyncio.gather(*(_counted(ctx, one) for one in (wanted, wanted._replace(result="failed"))))
    else:
        counts = [str(len(events)), str(sum(about(one.link.event).is_bad for one in events))]
    return await _view(ctx, asked, tuple(events), audit.cursor(goes_on, wanted.order) or "", counts)


async def _counted(ctx: RequestContext, wanted: EventFilter) -> str:
    number = await audit.total(ctx.store, wanted, 1)
    return f"{number:,}" if number is not None else _("more than %(number)s", number=f"{audit.STEP:,}")


async def _view(
    ctx: RequestContext,
    asked: TrailQuery,
    events: tuple[audit.FoundEvent, ...],
    goes_on: str,
    counts: Sequence[str] = (),
    problems: tuple[tuple[str, str], ...] = (),
) -> View:
    chosen, kinds = asked.chosen(event=asked.event, person=asked.person), _kinds()
    return await brands.shown(
        ctx,
        lambda unit: SimpleNamespace(
            **span_view(asked),
            events=event_views(unit, list(events)),
            kinds=kinds,
            counts=counts,
            all=frame.address(PATH, **{**({} if problems else chosen), "from": FIRST_DAY, "to": ""}),
            failed=frame.address(PATH, **{**chosen, "result": "failed"}),
            problems=problems,
            first=frame.address(PATH, **chosen) if asked.after else "",
            next=frame.address(PATH, **chosen, after=goes_on) if goes_on else "",
            csv=frame.address(f"{PATH}/export", **chosen, format="csv"),
            jsonl=frame.address(f"{PATH}/export", **chosen, format="jsonl"),
        ),
    )


async def _export(ctx: RequestContext, call: PageCall[TrailQuery]) -> View | Answer[None]:
    """Redirects to the address from which programs download the file, with the days and the person converted. The
    oldest event comes first, as ``audit verify`` reads the file."""
    filters, form = await _filters(ctx, call.fields), call.fields.format
    if form not in ("csv", "jsonl"):
        raise ValidationError(details=[("format", "Must be csv or jsonl")])
    audit_views.check(ctx)  # an error at that address isn't a page
    chosen = {"format": form, "order": "oldest", "event": filters.event, "result": filters.result}
    chosen |= {"from": filters.since, "to": filters.until}
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
