"""Records refusals of known callers in the audit trail.

That is: a missing permission, a credential for the wrong kind of route, a missing seat. The act was rolled back, so
each is recorded in its own unit of work.

The number is bounded, since a refused caller can repeat: one event a minute for each caller and kind, with the number
of refusals since the previous one. Successful requests never call this.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from manifest_auth.audit import events
from manifest_auth.audit.catalogue import Event
from manifest_auth.audit.events import INSTALLATION
from manifest_auth.context import AdminCaller, Origin, Principal, Request
from manifest_auth.errors import Forbidden, NoSeat, Refusal
from manifest_auth.runtime.clock import Clock
from manifest_auth.store import Store, StoreUnavailable

EVERY_MS = 60_000
MOST = 10_000  # remembered callers and kinds


class _Recorded(NamedTuple):
    at: int
    kept_back: int


class Refusals:
    """The refusals that this process recorded in the last minute."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        self._recorded: dict[tuple[Any, ...], _Recorded] = {}

    def count(self, *key: Any) -> int | None:
        """How many refusals were not recorded since the last event of this key; None: this one is not recorded
        either."""
        now = self._clock.now_ms()
        found = self._recorded.get(key)
        if found is not None and 0 <= now - found.at < EVERY_MS:
            self._recorded[key] = found._replace(kept_back=found.kept_back + 1)
            return None
        if found is None and len(self._recorded) >= MOST:
            self._recorded = {
                one: recorded for one, recorded in self._recorded.items() if 0 <= now - recorded.at < EVERY_MS
            }
            if len(self._recorded) >= MOST:
                return None
        self._recorded[key] = _Recorded(now, 0)
        return found.kept_back if found is not None else 0

    async def record_refusal(self, request: Request, refusal: Refusal, route: str) -> None:
        """Records a refusal of a known caller; ignores all others."""
        if isinstance(refusal, NoSeat):
            event = Event.SEAT_REFUSED
        elif isinstance(refusal, Forbidden):
            event = Event.ACCESS_REFUSED
        else:
            return
        if isinstance(request.caller, Principal):
            chain = request.caller.tenant_id
        elif isinstance(request.caller, AdminCaller):
            chain = INSTALLATION
        else:
            return
        await self.put(request, chain, request.caller.actor, event, refusal.reason or refusal.message, route)

    async def put(self, request: Request, chain: int, actor: str, event: Event, why: str, route: str) -> None:
        """Records a refusal in that chain, unless one of this caller, event and route was recorded within a minute. An
        unavailable store does not change the answer."""
        kept_back = self.count(chain, actor, event, route)
        if kept_back is None:
            return
        origin = Origin(request.now, actor, request.address, request.request_id)
        more = {"kept_back": kept_back} if kept_back else {}

        def work(unit: Any) -> None:
            events.record(unit, origin, event, actor, why=why, route=route, **more)

        with contextlib.suppress(StoreUnavailable):
            await self._store.of(chain).write_quickly(work)
