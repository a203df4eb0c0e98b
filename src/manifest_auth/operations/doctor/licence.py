"""What ``manifest-auth doctor`` says of an on-premise licence."""

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
    """Levels and texts; none in hosted mode."""
    clock = Clock()
    try:
        gate = Gate(settings, store, clock)
    except SettingsError as error:
        return [("bad", f"licence: {error}")]
    if not gate.is_needed:
        return []
    found = await gate.overview()
    standing, held, used = found.standing, found.standing.licence, found.used
    if held is None or used is None:
        return [("bad", f"licence: none is installed, so nobody can sign in; {_INSTALL}")]
    said = warning(standing, clock.now_ms())
    level = "note" if said and standing.state is State.VALID else _LEVELS[standing.state]
    results = [(level, f"licence: {said}; {_INSTALL}" if said else f"licence: {held.id}, valid")]
    if over := overdrawn(held.seats, used):
        results.append(("note", f"seats: more are taken than granted ({', '.join(over)}); nobody new is let in"))
    elif not any(msgspec.structs.astuple(free(held.seats, used))):
        results.append(("note", "seats: all are taken; nobody new is let in"))
    if standing.is_set_back:
        results.append(("bad", f"clock: it is behind the newest time that was seen here; {_BEHIND}"))
    return results
