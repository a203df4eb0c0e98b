"""What became of the latest sign-ins at a client's providers, as its audit trail has it."""

from __future__ import annotations

from typing import NamedTuple

import orjson

from manifest_auth import audit
from manifest_auth.audit import Event, EventFilter
from manifest_auth.services import RequestContext

_LOOKED_AT = 200
_ENDS = {event.value for event in (Event.SIGNED_IN, Event.SIGN_IN_FAILED, Event.SIGN_IN_REFUSED)}


class Recently(NamedTuple):
    """Times in milliseconds, 0 where none is among the events that were read. ``why``: the reason of the failure."""

    signed_in_at: int = 0
    failed_at: int = 0
    why: str = ""


async def recently(ctx: RequestContext) -> dict[int, Recently]:
    """The last sign-in and the last failure of each provider of the caller's client, by the provider's id.

    Reads a fixed number of the latest events, so it costs the same however long the trail is.
    """
    found: dict[int, Recently] = {}
    events, _ = await audit.page(ctx.store, EventFilter(), _LOOKED_AT)
    for link in (one.link for one in events if one.link.event in _ENDS):
        detail = orjson.loads(link.detail)
        provider_id = detail.get("provider")
        if not isinstance(provider_id, int):
            continue
        known = found.get(provider_id, Recently())
        if link.event == Event.SIGNED_IN.value:
            known = known._replace(signed_in_at=known.signed_in_at or link.at)
        elif not known.failed_at:
            known = known._replace(failed_at=link.at, why=str(detail.get("why", "")))
        found[provider_id] = known
    return found
