"""Checks whether all nodes store uploaded files in the same place, using a small file there.

The database has its key. Only a server creates the file, because a command might run in a shell with other settings.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from manifest_auth.runtime.clock import Random
from manifest_auth.runtime.files import FileStorage, FilesUnavailable
from manifest_auth.runtime.logs import FilteringBoundLogger
from manifest_auth.store import Store, SystemUnit, installation_values

#: The installation value with the key. Backups don't contain the file, so a restore removes this value.
FILES_MARK = "files_mark"
ELSEWHERE = (
    "this isn't where the files of this database are stored. Set MANIFEST_FILES to one place "
    "that all nodes can reach, and mount it. If you moved it, copy everything that it contained"
)


async def mark_of(store: Store) -> str | None:
    """Returns the key of the file; None if there is none yet."""
    return await installation_values.look_up(store, FILES_MARK) or None


async def keep(store: Store, storage: FileStorage, log: FilteringBoundLogger) -> None:
    """Creates the file if there is none yet. Logs if another node created it elsewhere."""
    try:
        if (mark := await mark_of(store)) is None:
            fresh = await put(storage)
            mark = await store.write(lambda unit: _first(unit, fresh))
            if mark != fresh:
                await storage.drop(fresh)
        elif not await holds(storage, mark):
            log.warning("files_elsewhere", reason=ELSEWHERE)
    except (FilesUnavailable, OSError) as error:
        log.warning("files_unusable", error=str(error))


def _first(unit: SystemUnit, fresh: str) -> str:
    """Returns the valid mark. If several processes run at the same time, only one creates it."""
    if not (found := installation_values.lock(unit, FILES_MARK)):
        installation_values.put(unit, FILES_MARK, fresh)
    return found or fresh


async def put(storage: FileStorage) -> str:
    """Stores a small file. Returns its key. Raises FilesUnavailable, OSError."""
    key = Random().bytes(20).hex()
    with TemporaryDirectory() as local:
        source = Path(local) / key
        source.write_text(key)
        await storage.store(source, key)
    return key


async def holds(storage: FileStorage, key: str) -> bool:
    """Whether the file exists there."""
    try:
        return b"".join([part async for part in await storage.open(key)]) == key.encode()
    except FilesUnavailable:
        return False
