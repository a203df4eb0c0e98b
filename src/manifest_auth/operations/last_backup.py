"""When the installation was backed up last, and that it was restored or upgraded. Each is done from outside:
who does it notes it. Such a store may have an older schema and no key yet, so a restore and an upgrade are noted in a
row, of which the next start makes an event of the audit trail.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import bindparam, delete, select

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.store import Store, SystemUnit, unowned, upsert
from manifest_auth.store.migrate import UPGRADED
from manifest_auth.store.tables import installation

DAY_MS = 86_400_000
OLD_MS = 2 * DAY_MS  # daily backups, and one that failed
_NAME = "last_backup"
RESTORED = "restored"


class Noted(NamedTuple):
    """``value``: of which moment the backup is, milliseconds as text."""

    value: str

    @property
    def at(self) -> int:
        return int(self.value)


#: One row, or none when no backup was ever noted.
FIND = unowned(select(installation.c.value).where(installation.c.name == _NAME), Noted)
_NOTE = unowned(
    upsert(installation)
    .values(name=_NAME, value=bindparam("value"))
    .on_conflict_do_update(index_elements=["name"], set_={"value": bindparam("value")})
)


class _Noted(NamedTuple):
    """``value``: JSON, what is to be said."""

    value: str


#: Rows of ``installation`` that the next start makes an event of.
_EVENTS = {RESTORED: Event.RESTORED, UPGRADED: Event.SCHEMA_UPGRADED}
_FIND_NOTED = unowned(select(installation.c.value).where(installation.c.name == bindparam("name")), _Noted)
_TAKE_NOTED = unowned(delete(installation).where(installation.c.name == bindparam("name")))


async def record_noted(store: Store, now: int) -> None:
    """Records a restore and an upgrade that were noted since the last start. Of processes that start together one
    does."""

    def work(unit: SystemUnit, name: str) -> None:
        noted = unit.first(_FIND_NOTED, name=name)
        if noted is not None and unit.change(_TAKE_NOTED, name=name):
            origin = Origin(now, "system", "", "start")
            audit.record_installation(unit, origin, _EVENTS[name], "", **_detail(noted))

    for name in _EVENTS:
        if await store.look_up(_FIND_NOTED, name=name) is not None:
            await store.write(lambda unit: work(unit, name))  # noqa: B023 - awaited at once


def _detail(noted: _Noted) -> dict[str, Any]:
    """What was noted; written by hand on PostgreSQL, so it may be anything."""
    try:
        return {"note": msgspec.json.decode(noted.value, type=dict[str, int | str | bool | None])}
    except msgspec.MsgspecError:
        return {"note": noted.value[:200]}


def note(unit: SystemUnit, origin: Origin, at: int, **detail: Any) -> None:
    """Notes that a backup is complete. ``at``: of which moment it is, milliseconds; ``detail``: for the audit trail."""
    unit.change(_NOTE, value=str(at))
    audit.record_installation(unit, origin, Event.BACKED_UP, "", **detail)
