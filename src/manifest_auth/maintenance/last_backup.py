"""The time of the last backup, and the recording of restores and upgrades.

During a restore or an upgrade, the store might have an older schema and no key. So each is stored in a row, from which
the next start creates an audit event.
"""

from __future__ import annotations

from typing import Any

import msgspec

from manifest_auth import audit
from manifest_auth.audit import Event, Origin
from manifest_auth.context import Acting
from manifest_auth.store import Store, SystemUnit, installation_values
from manifest_auth.store.migrate import UPGRADED

DAY_MS = 86_400_000
OLD_MS = 2 * DAY_MS  # allows one failed daily backup
_NAME = "last_backup"
RESTORED = "restored"


#: Installation values from which the next start creates events.
_EVENTS = {RESTORED: Event.RESTORED, UPGRADED: Event.SCHEMA_UPGRADED}


async def read_time(store: Store) -> int | None:
    """Returns the time of the last recorded backup, in milliseconds; None if there is none."""
    stored = await installation_values.look_up(store, _NAME)
    return None if stored is None else int(stored)


async def record_restore_and_upgrade(store: Store, now: int) -> None:
    """Records a restore and an upgrade since the last start. If several processes start at the same time, only one
    records them."""

    def work(unit: SystemUnit, name: str, stored: str) -> None:
        if installation_values.take(unit, name):
            audit.record_installation(unit, Origin(now, "system", "", "start"), _EVENTS[name], "", note=_read(stored))

    for name in _EVENTS:
        if (stored := await installation_values.look_up(store, name)) is not None:
            await store.write(lambda unit: work(unit, name, stored))  # noqa: B023 - awaited


def _read(stored: str) -> Any:
    """Returns the stored value. Operators write it by hand on PostgreSQL, so it can be anything."""
    try:
        return msgspec.json.decode(stored, type=dict[str, int | str | bool | None])
    except msgspec.MsgspecError:
        return stored[:200]


def record(unit: SystemUnit, acting: Acting, at: int, **detail: Any) -> None:
    """Records a complete backup. ``at`` is its time in milliseconds, and ``detail`` is for the audit event."""
    installation_values.put(unit, _NAME, str(at))
    audit.record_installation(unit, acting, Event.BACKED_UP, "", **detail)
