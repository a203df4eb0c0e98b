"""What the audit trail is told of licences: that one was installed or refused, and, once for all nodes, that one comes
into its grace or ends, or that the clock was set back."""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting, require_recent
from manifest_auth.errors import LicenseInvalid
from manifest_auth.licence.gate import Gate, Standing, State
from manifest_auth.store import Store, SystemUnit, installation_values
from manifest_auth.text.canonical import when

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


def put_in_force(unit: SystemUnit, gate: Gate, by: Acting, text: str) -> None:
    """Installs a key, and records that it was or why it was not. Raises LicenseInvalid, and
    ReauthenticationRequired."""
    require_recent(by)
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
