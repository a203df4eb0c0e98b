"""Refusals of known callers, in the audit trail: a permission that is missing, a credential shown on the wrong plane, a
seat that is not there. The act was rolled back, so each is a unit of work of its own.

Bounded, since whoever is refused can ask again: of one caller and one kind there is one event in a minute, which tells
how many there were since the one before. Never asked by a request that succeeds.
"""

from __future__ import annotations

import contextlib
from typing import Any, NamedTuple

from manifest_auth.audit import events
from manifest_auth.audit.events import INSTALLATION, Event
from manifest_auth.context import AdminCaller, Origin, Principal, Request
from manifest_auth.errors import Forbidden, NoSeat, Refusal
from manifest_auth.runtime.clock import Clock
from manifest_auth.store import Store, StoreUnavailable

EVERY_MS = 60_000
MOST = 10_000  # callers and kinds that are remembered


class _Told(NamedTuple):
    at: int
    kept_back: int


class Refusals:
    """What this process has recorded in the last minute."""

    def __init__(self, clock: Clock, store: Store) -> None:
        self._clock = clock
        self._store = store
        self._told: dict[tuple[Any, ...], _Told] = {}

    def count(self, *key: Any) -> int | None:
        """How many were kept back since the last event of this kind; None: so is this one."""
        now = self._clock.now_ms()
        found = self._told.get(key)
        if found is not None and 0 <= now - found.at < EVERY_MS:
            self._told[key] = found._replace(kept_back=found.kept_back + 1)
            return None
        if found is None and len(self._told) >= MOST:
            self._told = {one: told for one, told in self._told.items() if 0 <= now - told.at < EVERY_MS}
            if len(self._told) >= MOST:
                return None
        self._told[key] = _Told(now, 0)
        return found.kept_back if found is not None else 0

    async def note(self, request: Request, refusal: Refusal, route: str) -> None:
        """Records what is a refusal of a known caller; of anything else nothing."""
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
        """Records one in that chain, unless there was one of this caller, event and route a moment ago. A store
        that does not work makes no other answer of it."""
        kept_back = self.count(chain, actor, event, route)
        if kept_back is None:
            return
        origin = Origin(request.now, actor, request.address, request.request_id)
        more = {"kept_back": kept_back} if kept_back else {}

        def work(unit: Any) -> None:
            events.record(unit, origin, event, actor, why=why, route=route, **more)

        with contextlib.suppress(StoreUnavailable):
            await self._store.of(chain).write_quickly(work)
