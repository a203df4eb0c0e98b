"""The chore of on-premise mode: how late it is, whether the clock was set back, and what the metrics say."""

from __future__ import annotations

import msgspec

from manifest_auth.context import House
from manifest_auth.licence.gate import Overview
from manifest_auth.licence.licence import DAY_MS, Seats
from manifest_auth.licence.licence_events import tell

_NONE = Seats()


async def watch(house: House) -> None:
    """Every 20 seconds, and when a licence was installed. Asks nothing of the store in hosted mode."""
    gate = house.licence
    if not gate.is_needed:
        return
    await gate.note_time()
    found = await gate.overview()
    measure(house, found)
    if found.standing.is_set_back and not gate.said_set_back:
        house.log.warning("clock_set_back", reason="the clock is behind the newest time that was seen here")
    await tell(house.store, found.standing, house.clock.now_ms())
    gate.said_set_back = found.standing.is_set_back


def measure(house: House, found: Overview) -> None:
    """Puts what was found into the metrics. Without a licence nothing is granted, and no day is left."""
    if found.used is None:
        return
    licence = found.standing.licence
    left = (licence.expires_ms - house.clock.now_ms()) / DAY_MS if licence is not None else 0.0
    granted = msgspec.structs.asdict(licence.seats if licence is not None else _NONE)
    used = msgspec.structs.asdict(found.used)
    state = found.standing.state.value
    house.metrics.license(state, round(left, 3), {kind: (used[kind], granted[kind]) for kind in used})
