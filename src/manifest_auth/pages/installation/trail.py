"""Events of the audit trail as the installation's pages show them: who, what, whom, and at which client."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
import orjson

from manifest_auth import audit
from manifest_auth.accounts import users
from manifest_auth.accounts.admins import management
from manifest_auth.audit import INSTALLATION, FoundEvent, about, label
from manifest_auth.audit.chain_walk import Link
from manifest_auth.context import SERVICE
from manifest_auth.errors import NotFound
from manifest_auth.pages.console.audit import facts_of
from manifest_auth.store import SystemUnit

_NAMED = re.compile(r"(admin|user|service):([1-9][0-9]{0,17})\Z")
_WORDS = {"system": "The server", "anonymous": "An anonymous caller", "": ""}


class Shown(msgspec.Struct, frozen=True):
    """An event. ``at``: milliseconds, 0 where its row is damaged; ``client``: its identifier, empty for the
    installation and for a client that is gone; ``where``: the same in words; ``facts``: names and values of its
    details."""

    number: int
    at: int
    what: str
    is_bad: bool
    who: str
    whom: str
    client: str
    where: str
    address: str
    request_id: str
    facts: tuple[tuple[str, str], ...]


def all_shown(unit: SystemUnit, found: Iterable[FoundEvent]) -> tuple[Shown, ...]:
    """With the names that accounts have today."""
    events = [(one, audit.readable(one.link).link) for one in found]
    names: dict[tuple[int, str], str] = {}
    wanted: dict[int, set[int]] = {}
    for one, link in events:
        for text in (link.actor, link.subject):
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
        """Who has just shown who they are is named, though the request began without a name."""
        is_known = link.actor == "anonymous" and link.subject and not about(link.event).is_bad
        return link.subject if is_known else link.actor

    def name(one: FoundEvent, text: str) -> str:
        if text.startswith("admin:"):
            return names.get((INSTALLATION, text), text)
        return names.get((one.chain, text)) or _WORDS.get(text, text.replace(":", " "))

    return tuple(
        Shown(
            number=link.sequence,
            at=link.at,
            what=label(link.event),
            is_bad=about(link.event).is_bad,
            who=name(one, actor(link)),
            whom="" if link.subject in (actor(link), f"client:{one.chain}") else name(one, link.subject),
            client=one.client or "",
            where=one.client or ("This server" if one.chain == INSTALLATION else f"Deleted client {one.chain}"),
            address=link.address,
            request_id=link.request_id,
            facts=facts_of(orjson.loads(link.detail)),
        )
        for one, link in events
    )


def _admin(unit: SystemUnit, admin_id: int) -> str:
    try:
        return management.get_listed(unit, admin_id).username
    except NotFound:
        return f"admin {admin_id}"
