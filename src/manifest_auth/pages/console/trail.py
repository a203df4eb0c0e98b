"""Events as the console shows them: sentences with the names of people, and the details behind them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
import orjson

from manifest_auth import audit, providers
from manifest_auth.accounts import users
from manifest_auth.audit import FoundEvent, about
from manifest_auth.audit.chain_walk import Link
from manifest_auth.store import TenantUnit

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


class Part(msgspec.Struct, frozen=True):
    """A piece of a sentence. ``href``: where a name leads, empty for nowhere; ``strong``: it is a name."""

    text: str
    href: str = ""
    strong: bool = False


class Shown(msgspec.Struct, frozen=True):
    """An event. ``at``: milliseconds, 0 where its row is damaged; ``facts``: names and values of its details."""

    number: int
    at: int
    area: str
    is_bad: bool
    parts: tuple[Part, ...]
    address: str
    request_id: str
    facts: tuple[tuple[str, str], ...]


class Names:
    """Who and what events name, as of now."""

    def __init__(self, unit: TenantUnit, links: Sequence[Link] = (), actors: Iterable[str] = ()) -> None:
        """``actors``: who is named beside the events, as the trail has them."""
        texts = {text for link in links for text in (link.actor, link.subject)} | set(actors)
        ids = [int(found[1]) for text in texts if (found := _USER.match(text) or _SERVICE.match(text))]
        self._people = {user.id: user for user in users.get_named(unit, ids)} if ids else {}
        is_needed = any(_PROVIDER.match(text) for text in texts) or any('"provider"' in link.detail for link in links)
        self._providers = {one.id: one.display_name for one in providers.list_all(unit)} if is_needed else {}

    def part(self, text: str, detail: dict[str, Any]) -> Part:
        """What the trail names ``text``."""
        kind, _, rest = text.partition(":")
        if found := _USER.match(text):
            user = self._people.get(int(found[1]))
            if user is None:
                return Part(f"user {rest}, who is gone", strong=True)
            name = f"{user.first_name} {user.last_name}".strip() or user.email
            return Part(name, f"/console/users/{user.id}", strong=True)
        if found := _SERVICE.match(text):
            account = self._people.get(int(found[1]))
            return Part(account.first_name if account else f"number {rest}", strong=True)
        if found := _PROVIDER.match(text):
            named = self._providers.get(int(found[1])) or detail.get("name")
            return Part(str(named or f"number {rest}"), strong=True)
        if kind == "device":
            return Part(str(detail.get("name") or rest), strong=True)
        if kind == "client":
            return Part("all users")
        if not text:
            return Part("an unknown account")
        return Part(_ACTORS.get(kind) or rest or text, strong=kind not in _ACTORS)

    def provider(self, detail: dict[str, Any]) -> Part:
        """The provider that had a part in an event."""
        number = detail.get("provider")
        name = self._providers.get(number) if isinstance(number, int) else None
        return Part(name, strong=True) if name else Part("a provider that is gone" if number else "a provider")


def all_shown(unit: TenantUnit, found: list[FoundEvent]) -> tuple[Shown, ...]:
    """Events of the unit's client, with the names of those who are in them."""
    links = [audit.readable(one.link).link for one in found]
    names = Names(unit, links)
    return tuple(_shown(link, names) for link in links)


def _shown(link: Link, names: Names) -> Shown:
    detail, event = orjson.loads(link.detail), about(link.event)
    return Shown(
        number=link.sequence,
        at=link.at,
        area=event.area,
        is_bad=event.is_bad,
        parts=tuple(_parts(event.told, link, names, detail)),
        address=link.address,
        request_id=link.request_id,
        facts=facts_of(detail),
    )


def _parts(sentence: str, link: Link, names: Names, detail: dict[str, Any]) -> Iterator[Part]:
    actor, subject = names.part(link.actor, detail), names.part(link.subject, detail)
    by = {"%(who)s": actor, "%(whom)s": subject, "%(what)s": subject}
    for at, piece in enumerate(_PLACE.split(sentence)):
        if piece == "%(provider)s":
            yield names.provider(detail)
        elif piece == "%(through)s":
            yield from (Part(" through "), names.provider(detail)) if detail.get("provider") else ()
        elif piece not in by:
            yield Part(piece.replace("%%", "%"))
        elif at > 1 and piece == "%(whom)s" and link.actor == link.subject:
            yield Part("their own account")
        else:
            yield by[piece] if at > 1 else _first(by[piece])


def _first(part: Part) -> Part:
    return part if part.strong else msgspec.structs.replace(part, text=part.text[:1].upper() + part.text[1:])


def facts_of(detail: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values of a detail, however deep: what is in what stands before it."""
    return tuple(_facts(detail))[:_MOST_FACTS]


def _facts(value: object, under: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _facts(inner, f"{under} {_spoken(name)}".strip())
    elif isinstance(value, list):
        if value:
            yield under, ", ".join(_text(one) for one in value)[:_MOST]
    elif value not in (None, "", 0):
        yield under, _text(value)[:_MOST]


def _spoken(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else orjson.dumps(value).decode()
