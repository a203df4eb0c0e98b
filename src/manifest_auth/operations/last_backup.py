"""When the installation was backed up last, and that it was restored or upgraded. Each is done from outside:
who does it notes it. Such a store may have an older schema and no key yet, so a restore and an upgrade are noted in a
row, of which the next start makes an event of the audit trail.
"""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.store import Store, SystemUnit, installation_values
from manifest_auth.store.migrate import UPGRADED

DAY_MS = 86_400_000
OLD_MS = 2 * DAY_MS  # daily backups, and one that failed
_NAME = "last_backup"
RESTORED = "restored"


#: Values of the installation that the next start makes an event of.
_EVENTS = {RESTORED: Event.RESTORED, UPGRADED: Event.SCHEMA_UPGRADED}


async def moment(store: Store) -> int | None:
    """Of which moment the last backup is, milliseconds; None: none was ever noted."""
    noted = await installation_values.look_up(store, _NAME)
    return None if noted is None else int(noted)


async def record_noted(store: Store, now: int) -> None:
    """Records a restore and an upgrade that were noted since the last start. Of processes that start together one
    does."""

    def work(unit: SystemUnit, name: str, noted: str) -> None:
        if installation_values.take(unit, name):
            origin = Origin(now, "system", "", "start")
            audit.record_installation(unit, origin, _EVENTS[name], "", note=_read(noted))

    for name in _EVENTS:
        if (noted := await installation_values.look_up(store, name)) is not None:
            await store.write(lambda unit: work(unit, name, noted))  # noqa: B023 - awaited at once


def _read(noted: str) -> Any:
    """What was noted; written by hand on PostgreSQL, so it may be anything."""
    try:
        return msgspec.json.decode(noted, type=dict[str, int | str | bool | None])
    except msgspec.MsgspecError:
        return noted[:200]


def note(unit: SystemUnit, origin: Origin, at: int, **detail: Any) -> None:
    """Notes that a backup is complete. ``at``: of which moment it is, milliseconds; ``detail``: for the audit trail."""
    installation_values.put(unit, _NAME, str(at))
    audit.record_installation(unit, origin, Event.BACKED_UP, "", **detail)
