"""What the audit trail is told of licences: that one was installed or refused, and, once for all nodes, that one comes
into its grace or ends, or that the clock was set back."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, select

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting
from manifest_auth.errors import LicenseInvalid
from manifest_auth.licence.gate import Gate, Standing, State
from manifest_auth.store import Store, SystemUnit, unowned, upsert
from manifest_auth.store.tables import installation
from manifest_auth.text.canonical import when

_NAME = "license_state"
_TOLD = select(installation.c.value).where(installation.c.name == _NAME)


class _Value(NamedTuple):
    value: str


_LOOK = unowned(_TOLD, _Value)
_HOLD = unowned(_TOLD.with_for_update(), _Value)  # of two nodes the second finds that it was told
_BEGIN = unowned(upsert(installation).values(name=_NAME, value="").on_conflict_do_nothing(index_elements=["name"]))
_PUT = unowned(
    upsert(installation)
    .values(name=_NAME, value=bindparam("value"))
    .on_conflict_do_update(index_elements=["name"], set_={"value": bindparam("value")})
)


_QUIET = (State.VALID.value, State.MISSING.value)  # as an installation begins, which nobody need be told


async def tell(store: Store, standing: Standing, now: int) -> None:
    """Records what became of the licence since it was last told."""
    text = f"{standing.state.value}{' set-back' if standing.is_set_back else ''}"
    told = await store.read(lambda unit: unit.first(_LOOK))
    if text != (told.value if told else "") and (told is not None or text not in _QUIET):
        await store.write(lambda unit: _tell(unit, standing, text, now))


def _tell(unit: SystemUnit, standing: Standing, text: str, now: int) -> None:
    unit.change(_BEGIN)
    held = unit.first(_HOLD)
    before = (held.value if held else "") or State.VALID.value
    if before == text:
        return
    unit.change(_PUT, value=text)
    detail: dict[str, Any] = {
        "license": standing.licence.id if standing.licence else None,
        "before": {"state": before.partition(" ")[0], "clockSetBack": before.endswith("set-back")},
        "after": {"state": standing.state.value, "clockSetBack": standing.is_set_back},
    }
    audit.record_installation(unit, Origin(now, "system", "", "licence"), Event.LICENSE_STATE_CHANGED, **detail)


def put_in_force(unit: SystemUnit, gate: Gate, by: Acting, text: str) -> None:
    """Installs a key, and records that it was or why it was not. Raises LicenseInvalid."""
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
