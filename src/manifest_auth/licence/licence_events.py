"""Tells the audit trail, once for all nodes, when a licence comes into its grace, ends, or the clock was set back."""

from __future__ import annotations

from typing import Any

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.licence.gate import Standing, State
from manifest_auth.store import Store, SystemUnit, installation_values

_NAME = "license_state"
_QUIET = (State.VALID.value, State.MISSING.value)  # as an installation begins, which nobody need be told


async def tell(store: Store, standing: Standing, now: int) -> None:
    """Records what became of the licence since it was last told."""
    text = f"{standing.state.value}{' set-back' if standing.is_set_back else ''}"
    told = await installation_values.look_up(store, _NAME)
    if text != (told or "") and (told is not None or text not in _QUIET):
        await store.write(lambda unit: _tell(unit, standing, text, now))


def _tell(unit: SystemUnit, standing: Standing, text: str, now: int) -> None:
    before = installation_values.lock(unit, _NAME) or State.VALID.value  # the second node finds it
    if before == text:
        return
    installation_values.put(unit, _NAME, text)
    detail: dict[str, Any] = {
        "license": standing.licence.id if standing.licence else None,
        "before": {"state": before.partition(" ")[0], "clockSetBack": before.endswith("set-back")},
        "after": {"state": standing.state.value, "clockSetBack": standing.is_set_back},
    }
    audit.record_installation(unit, Origin(now, "system", "", "licence"), Event.LICENSE_STATE_CHANGED, **detail)
