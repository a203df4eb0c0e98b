"""Outcomes of the latest sign-ins and tries at a client's providers, from its audit trail."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from manifest_auth import audit
from manifest_auth.audit import Event, EventFilter
from manifest_auth.audit.chains import Link
from manifest_auth.services import RequestContext

_LOOKED_AT = 200
#: How the reasons begin that are the provider's and no person's.
_OF_THE_PROVIDER = ("discovery: ", "unreachable: ", "token endpoint", "userinfo", "keys: ")
_ENDS = {event.value for event in (Event.SIGNED_IN, Event.SIGN_IN_FAILED, Event.SIGN_IN_REFUSED)}


class RecentActivity(NamedTuple):
    """Times in milliseconds, 0 where none is among the events that were read. ``why``: the reason of the failure;
    ``try_why``: of the last try, empty where it worked."""

    signed_in_at: int = 0
    failed_at: int = 0
    why: str = ""
    tried_at: int = 0
    try_why: str = ""

    @property
    def lets_no_one_in(self) -> bool:
        """The provider itself failed people lately, and no one got in through it since."""
        return self.failed_at > self.signed_in_at and self.why.startswith(_OF_THE_PROVIDER)


async def recent_activity(ctx: RequestContext) -> dict[int, RecentActivity]:
    """The last sign-in, failure and try of each provider of the caller's client, by the provider's id.

    Reads a fixed number of the latest events, so it costs the same however long the trail is.
    """
    found: dict[int, RecentActivity] = {}
    events, _ = await audit.page(ctx.store, EventFilter(), _LOOKED_AT)
    for link in (one.link for one in events):
        if link.event == Event.PROVIDER_TRIED.value:
            _add_try(found, link)
        if link.event not in _ENDS:
            continue
        detail = orjson.loads(link.detail)
        provider_id = detail.get("provider")
        if not isinstance(provider_id, int):
            continue
        known = found.get(provider_id, RecentActivity())
        if link.event == Event.SIGNED_IN.value:
            known = known._replace(signed_in_at=known.signed_in_at or link.at)
        elif not known.failed_at:
            known = known._replace(failed_at=link.at, why=str(detail.get("why", "")))
        found[provider_id] = known
    return found


def _add_try(found: dict[int, RecentActivity], link: Link) -> None:
    number = link.subject.removeprefix("provider:")
    if number.isdigit() and not (known := found.get(int(number), RecentActivity())).tried_at:
        why = str(orjson.loads(link.detail).get("why", ""))
        found[int(number)] = known._replace(tried_at=link.at, try_why=why)
