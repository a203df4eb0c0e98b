"""Audit events of licences: installed, refused, changed state.

Changes of state, such as grace, expiry, or a clock that was set back, are recorded once for all nodes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting
from manifest_auth.errors import LicenseInvalid
from manifest_auth.licence.gate import Gate, LicenceStatus, State
from manifest_auth.store import Store, SystemUnit, installation_values
from manifest_auth.text.canonical import when

_NAME = "license_state"
_QUIET = (State.VALID.value, State.MISSING.value)  # the initial states, which are not recorded


async def record_change(store: Store, status: LicenceStatus, now: int) -> None:
    """Records a change of the licence's state since the last recorded one."""
    text = f"{status.state.value}{' set-back' if status.is_set_back else ''}"
    recorded = await installation_values.look_up(store, _NAME)
    if text != (recorded or "") and (recorded is not None or text not in _QUIET):
        await store.write(lambda unit: _record_change(unit, status, text, now))


def _record_change(unit: SystemUnit, status: LicenceStatus, text: str, now: int) -> None:
    before = installation_values.lock(unit, _NAME) or State.VALID.value  # a second node finds it recorded
    if before == text:
        return
    installation_values.put(unit, _NAME, text)
    detail: dict[str, Any] = {
        "license": status.licence.id if status.licence else None,
        "before": {"state": before.partition(" ")[0], "clockSetBack": before.endswith("set-back")},
        "after": {"state": status.state.value, "clockSetBack": status.is_set_back},
    }
    audit.record_installation(unit, Origin(now, "system", "", "licence"), Event.LICENSE_STATE_CHANGED, **detail)


def install_licence(unit: SystemUnit, gate: Gate, by: Acting, text: str) -> None:
    """Installs a key, and records success or refusal. Raises LicenseInvalid."""
    try:
        made, replaced = gate.install(unit, text, by.origin.at)
    except LicenseInvalid as refusal:
        audit.record_installation(unit, by, Event.LICENSE_REFUSED, why=refusal.reason)
        refusal.keeps_writes = True  # nothing but the audit event was written
        raise
    detail = {
        "license": made.id,
        "replaces": replaced,
        "customer": made.customer,
        "seats": msgspec.to_builtins(made.seats),
        "features": made.features,
        "issued": when(made.issued_at * 1000),
        "expires": when(made.expires_ms),
        "graceDays": made.grace_days,
        "installation": made.installation,
        "revokes": made.revokes,
        "resetsClock": made.resets_clock,
    }
    audit.record_installation(unit, by, Event.LICENSE_INSTALLED, **detail)
