"""When the installation was backed up last. Backups are made from outside, so whoever makes one notes it here."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import bindparam, select

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.store import SystemUnit, unowned, upsert
from manifest_auth.store.tables import installation

DAY_MS = 86_400_000
OLD_MS = 2 * DAY_MS  # daily backups, and one that failed
_NAME = "last_backup"


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


def note(unit: SystemUnit, origin: Origin, at: int, **detail: Any) -> None:
    """Notes that a backup is complete. ``at``: of which moment it is, milliseconds; ``detail``: for the audit trail."""
    unit.change(_NOTE, value=str(at))
    audit.record_installation(unit, origin, Event.BACKED_UP, "", **detail)
