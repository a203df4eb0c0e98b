"""Records in the store that it was backed up, and reports how long ago that was."""

from __future__ import annotations

from typing import Any

from manifest_auth.context import Acting
from manifest_auth.operations import last_backup
from manifest_auth.operations.archive import NotPossible
from manifest_auth.operations.last_backup import DAY_MS, OLD_MS
from manifest_auth.runtime.clock import Clock
from manifest_auth.runtime.sealing import Macs, secret_keys
from manifest_auth.runtime.settings import Settings, SettingsError
from manifest_auth.store import Store, open_store
from manifest_auth.store.migrate import HEAD, find_schema
from manifest_auth.text.canonical import when

_MAKE = "make one with manifest-auth backup, or note it with backup --note"


async def record_backup(settings: Settings, acting: Acting, at: int, **detail: Any) -> None:
    """Records a backup. ``at``: its moment, milliseconds. A store with an older schema is not changed, since backups
    precede upgrades.

    Raises NotPossible, SchemaRefused, StoreUnavailable; the backup itself is still valid.
    """
    schema = await find_schema(settings.database)
    if schema is None:
        raise NotPossible("there is no store here")
    schema.check()
    if schema.number < HEAD:
        raise NotPossible(f"its schema is {schema.number}; after the upgrade, backup --note records it")
    try:
        macs = Macs(secret_keys(settings))
    except SettingsError as error:
        raise NotPossible(str(error)) from error
    store = open_store(settings.database, 1, macs=macs)
    await store.open()
    try:
        await store.write(lambda unit: last_backup.record(unit, acting, at, **detail))
    finally:
        await store.close()


async def backup_finding(store: Store) -> tuple[str, str]:
    """Level and text for ``manifest-auth doctor``."""
    at = await last_backup.read_time(store)
    if at is None:
        return "note", f"backup: none was ever noted; {_MAKE}"
    age = Clock().now_ms() - at
    if age > OLD_MS:
        return "note", f"backup: none for {age // DAY_MS} days; {_MAKE}"
    return "ok", f"backup: the last one is of {when(at)}"
