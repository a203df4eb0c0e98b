"""The chore of on-premise mode: how late it is, whether the clock was set back, and what the metrics say."""

from __future__ import annotations

import msgspec

from manifest_auth.licence.gate import Overview
from manifest_auth.licence.licence import DAY_MS, Seats
from manifest_auth.licence.licence_events import tell
from manifest_auth.services import Services

_NONE = Seats()


async def watch(services: Services) -> None:
    """Every 20 seconds, and when a licence was installed. Asks nothing of the store in hosted mode."""
    gate = services.licence
    if not gate.is_needed:
        return
    await gate.note_time()
    found = await gate.overview()
    measure(services, found)
    if found.standing.is_set_back and not gate.said_set_back:
        services.log.warning("clock_set_back", reason="the clock is behind the newest time that was seen here")
    await tell(services.store, found.standing, services.clock.now_ms())
    gate.said_set_back = found.standing.is_set_back


def measure(services: Services, found: Overview) -> None:
    """Puts what was found into the metrics. Without a licence nothing is granted, and no day is left."""
    if found.used is None:
        return
    licence = found.standing.licence
    left = (licence.expires_ms - services.clock.now_ms()) / DAY_MS if licence is not None else 0.0
    granted = msgspec.structs.asdict(licence.seats if licence is not None else _NONE)
    used = msgspec.structs.asdict(found.used)
    state = found.standing.state.value
    services.metrics.license(state, round(left, 3), {kind: (used[kind], granted[kind]) for kind in used})
