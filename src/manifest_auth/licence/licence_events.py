"""Tells the audit trail, once for all nodes, when a licence comes into its grace, ends, or the clock was set back."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.licence.gate import Standing, State
from manifest_auth.store import Store, SystemUnit, unowned, upsert
from manifest_auth.store.tables import installation

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
