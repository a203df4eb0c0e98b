"""``doctor``: the state of an on-premise licence and its seats."""

from __future__ import annotations

import msgspec

from manifest_auth.licence import Gate, State, free, overdrawn, warning
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import Store

_INSTALL = "install one: manifest-auth license install"
_BEHIND = "set it, better by NTP, or, if it is right, ask for a licence that resets the clock (docs/on-premise.md)"
_LEVELS = {State.VALID: "ok", State.GRACE: "note", State.EXPIRED: "bad", State.MISSING: "bad"}


async def licence_findings(settings: Settings, store: Store) -> list[tuple[str, str]]:
    """Levels and texts of the findings; none in hosted mode."""
    clock = Clock()
    try:
        gate = Gate(settings, store, clock)
    except SettingsError as error:
        return [("bad", f"licence: {error}")]
    if not gate.is_needed:
        return []
    found = await gate.overview()
    status, current, used = found.status, found.status.licence, found.used
    if current is None or used is None:
        return [("bad", f"licence: none is installed, so no user can sign in; {_INSTALL}")]
    text = warning(status, clock.now_ms())
    level = "note" if text and status.state is State.VALID else _LEVELS[status.state]
    results = [(level, f"licence: {text}; {_INSTALL}" if text else f"licence: {current.id}, valid")]
    if over := overdrawn(current.seats, used):
        results.append(("note", f"seats: more are taken than granted ({', '.join(over)}); no user can be added"))
    elif not any(msgspec.structs.astuple(free(current.seats, used))):
        results.append(("note", "seats: all are taken; no user can be added"))
    if status.is_set_back:
        results.append(("bad", f"clock: it is behind the newest time that was seen here; {_BEHIND}"))
    return results
